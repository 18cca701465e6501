"""What a model gives for a frame, and what class is read from it, if any.

Settled once, when the model is deployed (`verify.output`), and kept in the bundle's manifest: whoever runs the model or
the part of it that the host has asks here how many frames it takes at a time and what its outputs mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lognet_fpga.numerics.ranking import in_top

SCORES, CLASS_NUMBER, BINARY_SCORE, RAW = KINDS = ("scores", "class number", "binary score", "raw")

Run = Callable[[np.ndarray], Sequence[np.ndarray]]
"""Frames or activations, (n, ...), to the arrays that the model gives for them, one for each output."""


@dataclass(frozen=True)
class OutputTensor:
    """One output.  name: in the model.  dtype: NumPy's name of it, "str" for text.  shape: of one frame, -1 for a size
    that differs from frame to frame.  rows: its first axis in the model counts the frames; else one run is one
    frame's."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    rows: bool = True

    @property
    def varies(self) -> bool:
        return -1 in self.shape

    @property
    def size(self) -> int:
        """Elements of a frame; no meaning where they vary."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_text(self) -> bool:
        return self.dtype == "str"

    def __str__(self) -> str:
        sizes = ", ".join("?" if size < 0 else f"{size:,}" for size in self.shape)
        return f"{self.name}: {self.dtype} ({sizes})"

    def by_frame(self, array: np.ndarray, count: int) -> np.ndarray:
        """What a run on `count` frames gave, (count, ...).  Raises ValueError where that cannot be."""
        array = np.asarray(array)
        if array.dtype == object:  # onnxruntime's way to give text
            array = array.astype(str)
        if not self.varies:
            return array.reshape(count, *self.shape)
        array = array if self.rows else array[None]
        if len(array) != count:
            raise ValueError(f"output {self.name} has {len(array)} rows for {count} frames")
        return array

    def joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Several of by_frame as one: (n, *shape); an object array (n,) of one array a frame where sizes vary."""
        if not self.varies:
            return np.concatenate(parts)
        frames = [frame for part in parts for frame in part]
        out = np.empty(len(frames), object)
        for place, frame in enumerate(frames):  # one by one, for NumPy would stack those of one shape
            out[place] = frame
        return out


@dataclass(frozen=True)
class ModelOutput:
    """kind: "scores", one a class, of which the greatest is the class; "class number", a whole number that is the
    class; "binary score", one number, class 1 above threshold and class 0 up to it; "raw", no classes.

    classes: how many, None where unknown or none.  batch: frames that the model takes at a time, None for any number.
    reason: of the kind, in words.  left_out: names of outputs of the file that are not computed.
    """

    kind: str
    tensors: tuple[OutputTensor, ...]
    classes: int | None = None
    threshold: float | None = None
    batch: int | None = None
    reason: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def has_classes(self) -> bool:
        return self.kind != RAW

    def collect(self, run: Run, inputs: np.ndarray) -> list[np.ndarray]:
        """What the model gives for all inputs, (n, ...), frame by frame: see OutputTensor.joined.  The last inputs are
        repeated where a batch has to be filled.  Raises ValueError for outputs of another form, and what run raises."""
        size = len(inputs) if self.batch is None else self.batch
        parts: list[list[np.ndarray]] = [[] for _ in self.tensors]
        for start in range(0, len(inputs), size):
            batch = inputs[start : start + size]
            count = len(batch)
            if count < size:
                batch = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
            arrays = run(np.ascontiguousarray(batch))
            if len(arrays) != len(self.tensors):
                raise ValueError(f"there are {len(arrays)} outputs, not {len(self.tensors)}")
            for tensor, part, array in zip(self.tensors, parts, arrays):
                part.append(tensor.by_frame(array, size)[:count])
        return [tensor.joined(part) for tensor, part in zip(self.tensors, parts)]

    def predictions(self, outputs: Sequence[np.ndarray]) -> np.ndarray | None:
        """The class of each frame, (n,) int64; None without classes."""
        return self.classes_of(outputs) if self.has_classes else None

    def classes_of(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """As predictions, of a model that has classes; raises ValueError for another."""
        values = _flat(outputs[0])
        if self.kind == SCORES:
            return values.argmax(axis=1)
        if self.kind == CLASS_NUMBER:
            return values[:, 0].astype(np.int64)
        if self.threshold is None:
            raise ValueError(f"an output of kind {self.kind!r} has no classes")
        return (values[:, 0] > self.threshold).astype(np.int64)

    def right(self, outputs: Sequence[np.ndarray], labels: np.ndarray, count: int = 1) -> np.ndarray | None:
        """Whether each label, (n,) class numbers, is the class of its frame, or among the `count` best ones: (n,) bool.
        None where that says nothing: without classes, or with no more than `count` of them."""
        if not self.has_classes or (count > 1 and self.kind != SCORES):
            return None
        values = _flat(outputs[0])
        if self.kind == SCORES:
            return in_top(values, labels, count) if values.shape[1] > count else None
        # A score that is not a number is never right.
        return (self.classes_of(outputs) == labels) & (values[:, 0] == values[:, 0])

    def decision(self, outputs: Sequence[np.ndarray]) -> np.ndarray | None:
        """The number that a binary score is, (n,) float64; None for any other kind."""
        return _flat(outputs[0])[:, 0].astype(np.float64) if self.kind == BINARY_SCORE else None

    def to_dict(self) -> dict[str, object]:
        """As in the manifest and in JSON."""
        data = asdict(self)
        data["tail_batch"] = data.pop("batch")
        for name in ("tensors", "left_out"):
            data[name] = list(data[name])
        for tensor in data["tensors"]:
            tensor["shape"] = list(tensor["shape"])
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelOutput:
        """Back from to_dict; raises ValueError for anything else."""
        try:
            tensors = tuple(
                OutputTensor(_text(part["name"]), _text(part["dtype"]), _sizes(part["shape"]), bool(part["rows"]))
                for part in data["tensors"]
            )
            out = cls(
                _text(data["kind"]),
                tensors,
                _count(data["classes"]),
                None if data["threshold"] is None else float(data["threshold"]),
                _count(data["tail_batch"]),
                _text(data["reason"]),
                tuple(map(_text, data["left_out"])),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no description of an output: {' '.join(str(error).split())[:100]}") from error
        one = out.kind in (CLASS_NUMBER, BINARY_SCORE)
        if (
            out.kind not in KINDS
            or not tensors
            or (out.has_classes and (len(tensors) > 1 or tensors[0].varies or tensors[0].size < (1 if one else 2)))
            or (one and tensors[0].size != 1)
            or (out.kind == BINARY_SCORE) != (out.threshold is not None)
            or (out.batch is None and not all(tensor.rows for tensor in tensors))
        ):
            raise ValueError(f"an output of kind {out.kind!r} that cannot be")
        return out

    def lines(self) -> tuple[str, ...]:
        """For the user: its kind, its tensors, and how it is run."""
        words = {
            SCORES: f"scores of {self.classes} classes; the largest score gives the class",
            CLASS_NUMBER: "the number of the class" + (f", of {self.classes}" if self.classes else ""),
            BINARY_SCORE: f"a binary score: class 1 above {self.threshold or 0:g}, else class 0",
            RAW: "raw: no classes are read from it",
        }[self.kind]
        names = [f"  {tensor}" for tensor in self.tensors]
        how = () if self.batch is None else (f"run {frames_at_a_time(self.batch)}",)
        left = (f"left out: {', '.join(self.left_out)}",) if self.left_out else ()
        return (words + (f" ({self.reason})" if self.reason else ""), *names, *how, *left)


def frames_at_a_time(batch: int) -> str:
    return "frame by frame" if batch == 1 else f"{batch:,} frames at a time, the last batch filled up"


def kind_of(tensors: Sequence[OutputTensor]) -> tuple[str, str]:
    """(kind, why) by types and sizes alone."""
    if len(tensors) != 1:
        return RAW, f"the model has {len(tensors)} outputs"
    tensor = tensors[0]
    if tensor.is_text:
        return RAW, "it is text"
    if tensor.varies:
        return RAW, "its size differs from frame to frame"
    if tensor.size == 0:
        return RAW, "it is empty"
    kind = np.dtype(tensor.dtype).kind
    if tensor.size == 1:
        return (CLASS_NUMBER, "one whole number a frame") if kind in "iub" else (BINARY_SCORE, "")
    if kind != "f":
        return RAW, "several whole numbers a frame"
    if sum(size > 1 for size in tensor.shape) > 1:
        return RAW, "more than one axis a frame"
    return SCORES, ""


def guessed(arrays: Sequence[np.ndarray], count: int, batch: int | None = None) -> ModelOutput:
    """The description of outputs of which there is only what a run on `count` frames gave: those of bundles that do
    not have one.  One number a frame is raw then, for nobody knows where it decides.

    Raises ValueError where the outputs do not go frame by frame.
    """
    tensors = []
    for place, array in enumerate(arrays):
        array = np.asarray(array)
        if array.ndim == 0 or len(array) != count:
            raise ValueError(f"an output of shape {array.shape} for {count} frames")
        dtype = "str" if array.dtype == object else array.dtype.name
        tensors.append(OutputTensor(f"output {place + 1}", dtype, array.shape[1:]))
    kind, why = kind_of(tensors)
    if kind == BINARY_SCORE:
        kind, why = RAW, "one number a frame, in a bundle that does not say where it decides: deploy again"
    return ModelOutput(kind, tuple(tensors), tensors[0].size if kind == SCORES else None, None, batch, why)


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _count(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise TypeError(f"{value!r} is not a count")
    return value


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(size, int) and size >= -1 for size in value):
        raise TypeError(f"{value!r} are not sizes")
    return tuple(value)
