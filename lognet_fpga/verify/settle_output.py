"""Settling what a model's outputs are, by their types, by the model's last nodes, and by running it on a few frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from lognet_fpga.errors import ModelError, UnsupportedModelError
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.output import BINARY_SCORE, CLASS_NUMBER, RAW, SCORES, ModelOutput, OutputTensor, kind_of
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.verify.onnx_session import OnnxSession

PROBES = 64  # of the user's frames, to see whether a binary score is a probability
_MADE_UP, _MADE_UP_POSITIONS, _BLOCKS = 32, 2**18, 3  # frames to run the model on; fewer large ones
_TOLERANCE = 1e-4  # of the greatest output: float sums of another order, not another frame in them
# Operators whose outputs are as large as the data make them.
_DATA_DEPENDENT = ("Compress", "NonMaxSuppression", "NonZero", "Unique")
# Operators behind the last one that says something; they change form and type, not values.
_PASSING = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_PROBABILITIES = ("HardSigmoid", "Sigmoid", "Softmax")
_LEAST_RECONSTRUCTED = 32  # numbers of a frame: a classifier of less may have as many classes
_NUMBERING = ("ArgMax", "ArgMin")
_DTYPES = {"tensor(string)": "str"}


def settle_output(graph: Graph, preprocessing: Preprocessing) -> ModelOutput:
    """What the outputs of graph.onnx_model are, by running it on made-up frames; preprocessing makes its input of them.

    Raises ModelError where onnxruntime does not run the model, UnsupportedModelError for outputs that cannot be told
    apart by frame, and for those that are no tensors.
    """
    model = onnx.ModelProto.FromString(graph.onnx_model)
    session = OnnxSession(graph.onnx_model, "the model")
    foreign = [value.name for value in session.outputs if not value.type.startswith("tensor(")]
    if foreign:
        raise UnsupportedModelError(
            f"the model's output {foreign[0]} is no tensor", hint="export the model without it: a list or a map of them"
        )
    frames = preprocessing.apply(_made_up(graph.input_shape))
    tensors, batch = _by_running(model, session, frames)
    kind, reason = kind_of(tensors)
    ending = _ending(model)
    if kind == BINARY_SCORE and ending is not None and ending.op_type in _NUMBERING:
        kind, reason = CLASS_NUMBER, "one whole number a frame"
    if kind != RAW and not tensors[0].rows and session.batch is None:
        kind, reason = RAW, "it is one for a whole batch"
    if kind == SCORES and not _is_probability(ending) and _LEAST_RECONSTRUCTED <= tensors[0].size == frames[0].size:
        kind, reason = RAW, "it has as many numbers as a frame: a reconstruction"
    out = ModelOutput(kind, tensors, None, None, batch, reason, graph.left_out)
    if kind == SCORES:
        return replace(out, classes=tensors[0].size)
    if kind == CLASS_NUMBER:
        return replace(out, classes=2 if tensors[0].dtype == "bool" else _numbered(graph, ending))
    if kind == BINARY_SCORE:
        if ending is not None and _is_probability(ending):
            return replace(out, classes=2, threshold=0.5, reason=f"it ends with {ending.op_type}")
        return _threshold(replace(out, classes=2), session, frames)
    return out


def settle_threshold(output: ModelOutput, graph: Graph, inputs: np.ndarray) -> ModelOutput:
    """output, of settle_output, with the threshold of a binary score judged by the user's frames too.

    inputs: (n, channels, h, w) float32 as the model takes them; PROBES of them are plenty.
    """
    if output.kind != BINARY_SCORE or not output.threshold:
        return output
    if _is_probability(_ending(onnx.ModelProto.FromString(graph.onnx_model))):
        return output
    return _threshold(output, OnnxSession(graph.onnx_model, "the model"), inputs)


def run_model(output: ModelOutput, session: OnnxSession, inputs: np.ndarray) -> list[np.ndarray]:
    """The session's outputs for all inputs, as of ModelOutput.collect.  Raises ModelError."""
    try:
        return output.collect(session.run, inputs)
    except ValueError as error:
        raise ModelError(f"{session.what} does not give what it gave before: {error}") from error


def _made_up(shape: tuple[int, int, int]) -> np.ndarray:
    """Frames, (n, *shape) uint8, that differ: noise, blocks of colour, and both dark, bright and full of contrast."""
    channels, height, width = shape
    count = max(2, min(_MADE_UP, _MADE_UP_POSITIONS // (height * width)))
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    rows, columns = (np.arange(size) * _BLOCKS // size for size in (height, width))
    blocks = rng.integers(0, 256, (count, channels, _BLOCKS, _BLOCKS), dtype=np.uint8)[:, :, rows][..., columns]
    frames[1::2] = blocks[1::2]
    frames[4::8] >>= 2
    frames[5::8] |= 192
    return frames


def _by_running(
    model: onnx.ModelProto, session: OnnxSession, frames: np.ndarray
) -> tuple[tuple[OutputTensor, ...], int | None]:
    """The outputs' tensors, and how many frames the model takes at a time, None for any number."""
    if session.batch is not None and session.batch > 1:
        return _of_a_fixed_batch(session, session.batch, frames), session.batch
    singles = [[np.asarray(array) for array in session.run(frame[None])] for frame in frames[:3]]
    dynamic = _data_dependent(model)
    known = _static_shapes(model)
    tensors = []
    for place, value in enumerate(session.outputs):
        several = [arrays[place] for arrays in singles]
        shapes = {array.shape for array in several}
        first = next(iter(shapes))
        stated = known.get(value.name)
        rows = all(shape[:1] == (1,) for shape in shapes) and (not dynamic or (stated or (0,))[0] == 1)
        if len(shapes) > 1 or (dynamic and (stated is None or min(stated, default=0) < 0)):
            ranks = {len(shape) for shape in shapes}
            if len(ranks) > 1:
                raise UnsupportedModelError(
                    f"the model's output {value.name} has {min(ranks)} axes for one frame and {max(ranks)} for another"
                )
            sizes = stated or (-1,) * len(first)
            # What is not stated may differ though it did not.
            first = tuple(size if size >= 0 else -1 for size in sizes)
        dtype = _DTYPES.get(value.type) or several[0].dtype.name
        tensors.append(OutputTensor(value.name, dtype, first[1:] if rows else first, rows))
    apart = session.batch == 1 or dynamic or not _same_together(session, frames[:2], singles[:2])
    if not apart:
        tensors = [replace(tensor, rows=True) for tensor in tensors]
    return tuple(tensors), 1 if apart else None


def _same_together(session: OnnxSession, frames: np.ndarray, singles: Sequence[Sequence[np.ndarray]]) -> bool:
    """Whether two frames at a time give what each gives alone."""
    try:
        together = session.run(frames)
    except ModelError:
        return False
    for pair, *alone in zip(together, *singles):
        pair = np.asarray(pair)
        if pair.shape[:1] != (2,):
            return False
        parts = [pair[index : index + 1].ravel() for index in range(2)]
        if not all(part.size == one.size and _close(part, one.ravel()) for part, one in zip(parts, alone)):
            return False
    return True


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    if wanted.dtype.kind != "f":
        return np.array_equal(found, wanted)
    scale = float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0))
    return np.allclose(found, wanted, rtol=0, atol=_TOLERANCE * scale, equal_nan=True)


def _of_a_fixed_batch(session: OnnxSession, batch: int, frames: np.ndarray) -> tuple[OutputTensor, ...]:
    """Of a model that takes only `batch` frames at a time."""
    filled = np.concatenate([frames] * -(-batch // len(frames)))[:batch]
    tensors = []
    for value, array in zip(session.outputs, session.run(filled)):
        array = np.asarray(array)
        if array.shape[:1] != (batch,):
            raise UnsupportedModelError(
                f"the model takes {batch} frames at a time, and its output {value.name} of shape "
                f"{array.shape} does not say which of them it belongs to",
                hint="export the model with a batch of 1, or with one that is open",
            )
        tensors.append(OutputTensor(value.name, _DTYPES.get(value.type) or array.dtype.name, array.shape[1:]))
    return tuple(tensors)


def _data_dependent(model: onnx.ModelProto) -> bool:
    """Whether an output's size may depend on the data."""
    return any(node.op_type in _DATA_DEPENDENT for node in model.graph.node)


def _static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of the outputs for one frame, as onnx infers them; -1 for what it cannot know."""
    one = onnx.ModelProto.FromString(model.SerializeToString())
    one.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    one.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del one.graph.value_info[:]
    for value in one.graph.output:
        kind = value.type.tensor_type.elem_type
        value.type.Clear()
        value.type.tensor_type.elem_type = kind or TensorProto.FLOAT
    try:
        inferred = onnx.shape_inference.infer_shapes(one, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return {}
    return {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim
        )
        for value in inferred.graph.output
        if value.type.tensor_type.HasField("shape")
    }


@dataclass(frozen=True)
class _Ending:
    """The last node in front of the first output that says something about its values."""

    op_type: str
    source: str
    axis: int | None


def _ending(model: onnx.ModelProto) -> _Ending | None:
    makers = {name: node for node in model.graph.node for name in node.output[:1]}
    node = makers.get(model.graph.output[0].name)
    while node is not None and node.op_type in _PASSING:
        node = makers.get(node.input[0])
    if node is None:
        return None
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    axis = int(attributes.get("axis", 0)) if node.op_type in _NUMBERING else None
    return _Ending(node.op_type, node.input[0] if node.input else "", axis)


def _is_probability(ending: _Ending | None) -> bool:
    return ending is not None and ending.op_type in _PROBABILITIES


def _numbered(graph: Graph, ending: _Ending | None) -> int | None:
    """How many classes an ArgMax at the end numbers; None where that is not known."""
    if ending is None or ending.axis in (None, 0):
        return None
    shape = next((node.out_shape for node in graph.nodes if ending.source in node.outputs[:1]), ())
    axis = ending.axis - 1 if ending.axis > 0 else ending.axis  # these shapes are without the batch
    if not -len(shape) <= axis < len(shape) or shape[axis] < 1:
        return None
    return shape[axis]


def _threshold(output: ModelOutput, session: OnnxSession, inputs: np.ndarray) -> ModelOutput:
    """A binary score's, by whether it leaves 0 to 1."""
    values = run_model(output, session, inputs)[0].astype(np.float64)
    within = bool(np.all((values >= 0) & (values <= 1)))
    reason = (
        "it lies in 0 to 1 on every frame that was tried" if within else "it leaves 0 to 1, so it is taken for a logit"
    )
    return replace(output, threshold=0.5 if within else 0.0, reason=reason)
