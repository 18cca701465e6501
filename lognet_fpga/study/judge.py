"""Right or wrong, frame by frame, of any variant of a model; each answer is kept, so that a study resumes."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.machine.array_file import write_npz
from lognet_fpga.machine.cache import Files, cached, digest, find
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.numerics.ranking import points_lost
from lognet_fpga.verify.onnx_session import OnnxSession
from lognet_fpga.verify.settle_output import run_model

if TYPE_CHECKING:
    from lognet_fpga.study.workers import WorkerPool

_BATCH = 50  # frames at a time in a thread, which bounds the memory; fewer large ones
_BATCH_POSITIONS = 2**18


@dataclass(frozen=True, eq=False)
class Answers:
    """classes: (n,) the best of each frame.  right1, right5: (n,) bool, whether the label is the best or among the five
    best; None without labels, right5 also for models of up to five scores."""

    classes: np.ndarray
    right1: np.ndarray | None
    right5: np.ndarray | None

    @property
    def top1(self) -> float | None:
        return None if self.right1 is None else float(self.right1.mean())

    @property
    def top5(self) -> float | None:
        return None if self.right5 is None else float(self.right5.mean())

    def lost_from(self, before: Answers) -> tuple[float, float]:
        """(points lost, standard error) of top-1, or of agreement with `before` where there are no labels."""
        if self.right1 is None or before.right1 is None:
            same = np.ones(len(self.classes), bool)
            return points_lost(same, self.classes == before.classes)
        return points_lost(before.right1, self.right1)


Outputs = Callable[[np.ndarray], list[np.ndarray]]
"""uint8 frames, (n, channels, h, w), to outputs as of ModelOutput.collect; several threads may call it at a time."""


Marks = dict[str, np.ndarray]
"""classes, and with labels top1, and of more than five scores top5: the fields of Answers."""


class Judge:
    """frames: (n, channels, height, width) uint8; labels: (n,) class numbers or None.  output: what all models give,
    which has classes.  pool: machines that judge models; None: this one."""

    def __init__(
        self,
        frames: np.ndarray,
        labels: np.ndarray | None,
        preprocessing: Preprocessing,
        output: ModelOutput,
        pool: WorkerPool | None = None,
    ) -> None:
        self._frames, self._labels, self._preprocessing, self._pool = frames, labels, preprocessing, pool
        self._output = output
        self._shared = pool.share((frames, labels, preprocessing, output)) if pool else None
        known = b"" if labels is None else np.ascontiguousarray(labels, np.int64).tobytes()
        made = made_by(__name__, "numpy", "onnxruntime")
        self._key = digest(np.ascontiguousarray(frames).tobytes(), known, repr(preprocessing), repr(output), made)

    def __len__(self) -> int:
        return len(self._frames)

    def part(self, start: int, stop: int) -> Judge:
        """A judge of the frames from `start` up to `stop`, on this machine."""
        labels = None if self._labels is None else self._labels[start:stop]
        return Judge(self._frames[start:stop], labels, self._preprocessing, self._output)

    def frames(self, count: int) -> np.ndarray:
        """The first `count` frames, uint8."""
        return np.ascontiguousarray(self._frames[:count])

    def inputs(self, count: int) -> np.ndarray:
        """The first `count` frames as the model takes them, float32."""
        return self._preprocessing.apply(self.frames(count))

    def answers(self, model: bytes) -> Answers:
        """Of an ONNX model with one input; from the cache where the same model judged the same frames before."""
        return next(self.answers_each([model]))

    def answers_each(self, models: Iterable[bytes]) -> Iterator[Answers]:
        """As `answers`, of one model after the other; many at a time where there is a pool."""
        keyed = ((digest(digest(model), self._key), model) for model in models)
        if self._pool is None:
            for key, model in keyed:
                judged = partial(judge_model, model, self._frames, self._labels, self._preprocessing, self._output)
                yield self._kept(key, judged)
            return
        waiting: deque[Callable[[], Answers]] = deque()
        for key, model in keyed:
            files = find("study", key)
            if files is None:
                waiting.append(partial(self._kept, key, self._pool.submit(_judge_shared, model, self._shared)))
            else:
                waiting.append(partial(_answers, files))
            if len(waiting) > self._pool.window:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()

    def answers_of(self, key: str, outputs: Callable[[ModelOutput], Outputs]) -> Answers:
        """Of the function that outputs() makes for the judge's kind of output; key: of whatever its results depend
        on."""
        return self._kept(
            digest(key, self._key),
            lambda: judge_outputs(outputs(self._output), self._frames, self._labels, self._output),
        )

    def _kept(self, key: str, marks: Callable[[], Marks]) -> Answers:
        return _answers(cached("study", key, lambda folder: write_npz(folder / "answers.npz", marks())))


def judge_model(
    model: bytes,
    frames: np.ndarray,
    labels: np.ndarray | None,
    preprocessing: Preprocessing,
    output: ModelOutput,
    threads: int | None = None,
) -> Marks:
    """The answers of an ONNX model; threads: at a time, None: one for each core."""
    session = OnnxSession(model, "the model with other numbers in it", threads=1)
    outputs = partial(_outputs, output, session, preprocessing)
    return judge_outputs(outputs, frames, labels, output, threads)


def _outputs(
    output: ModelOutput, session: OnnxSession, preprocessing: Preprocessing, part: np.ndarray
) -> list[np.ndarray]:
    return run_model(output, session, preprocessing.apply(part))


def judge_outputs(
    outputs: Outputs, frames: np.ndarray, labels: np.ndarray | None, output: ModelOutput, threads: int | None = None
) -> Marks:
    """The answers of a function, some frames at a time in each thread."""
    height, width = frames.shape[2:]
    batch = max(1, min(_BATCH, _BATCH_POSITIONS // (height * width)))

    def judge(start: int) -> Marks:
        part = np.ascontiguousarray(frames[start : start + batch])
        known = None if labels is None else labels[start : start + batch]
        return _marks(output, outputs(part), known)

    with ThreadPoolExecutor(threads or _cores()) as pool:
        parts = list(pool.map(judge, range(0, len(frames), batch)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _judge_shared(model: bytes, shared: tuple[np.ndarray, np.ndarray | None, Preprocessing, ModelOutput]) -> Marks:
    return judge_model(model, *shared, threads=1)  # a worker has tasks for all its cores


def _answers(files: Files) -> Answers:
    with np.load(io.BytesIO(files["answers.npz"])) as kept:
        return Answers(kept["classes"], *(kept[name] if name in kept.files else None for name in ("top1", "top5")))


def _marks(output: ModelOutput, outputs: list[np.ndarray], labels: np.ndarray | None) -> Marks:
    marks = {"classes": output.classes_of(outputs)}
    for name, count in (("top1", 1), ("top5", 5)):
        right = None if labels is None else output.right(outputs, labels, count)
        if right is not None:
            marks[name] = right
    return marks


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
