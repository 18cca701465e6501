"""Right or wrong, frame by frame, of any variant of a model; each answer is kept, so that a study resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.cache import cached, digest
from lognet_fpga.numerics.ranking import in_top, points_lost
from lognet_fpga.preprocessing import Preprocessing
from lognet_fpga.verify.onnx_session import OnnxSession

_BATCH = 50  # frames at a time, which bounds the memory
_FORMAT = "1"


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


class Judge:
    """frames: (n, channels, height, width) uint8; labels: (n,) class numbers or None."""

    def __init__(self, frames: np.ndarray, labels: np.ndarray | None, preprocessing: Preprocessing) -> None:
        self._frames, self._labels, self._preprocessing = frames, labels, preprocessing
        known = b"" if labels is None else np.ascontiguousarray(labels, np.int64).tobytes()
        self._key = digest(np.ascontiguousarray(frames).tobytes(), known, repr(preprocessing), _FORMAT)

    def __len__(self) -> int:
        return len(self._frames)

    def part(self, start: int, stop: int) -> Judge:
        """A judge of the frames from `start` up to `stop`."""
        labels = None if self._labels is None else self._labels[start:stop]
        return Judge(self._frames[start:stop], labels, self._preprocessing)

    def frames(self, count: int) -> np.ndarray:
        """The first `count` frames, uint8."""
        return np.ascontiguousarray(self._frames[:count])

    def inputs(self, count: int) -> np.ndarray:
        """The first `count` frames as the model takes them, float32."""
        return self._preprocessing.apply(self.frames(count))

    def answers(self, model: bytes) -> Answers:
        """Of an ONNX model with one input; from the cache where the same model judged the same frames before."""
        sessions: list[OnnxSession] = []  # made when it is asked for

        def scores(frames: np.ndarray) -> np.ndarray:
            if not sessions:
                sessions.append(OnnxSession(model, "the model with other numbers in it"))
            return sessions[0](self._preprocessing.apply(frames))[0]

        return self.answers_of(digest(model), scores)

    def answers_of(self, key: str, scores: Callable[[np.ndarray], np.ndarray]) -> Answers:
        """Of a function from uint8 frames to scores, (n, classes); key: of whatever its results depend on."""

        def make(folder: Path) -> None:
            parts = []
            for start in range(0, len(self), _BATCH):
                part = np.ascontiguousarray(self._frames[start : start + _BATCH])
                parts.append(self._mark(scores(part).reshape(len(part), -1), start))
            np.savez(folder / "answers.npz", **{name: np.concatenate([p[name] for p in parts]) for name in parts[0]})

        folder, _ = cached("study", digest(key, self._key), make)
        with np.load(folder / "answers.npz") as kept:
            return Answers(kept["classes"], *(kept[name] if name in kept.files else None for name in ("top1", "top5")))

    def _mark(self, scores: np.ndarray, start: int) -> dict[str, np.ndarray]:
        marks = {"classes": scores.argmax(axis=1)}
        if self._labels is not None:
            labels = self._labels[start : start + len(scores)]
            marks["top1"] = in_top(scores, labels, 1)
            if scores.shape[1] > 5:
                marks["top5"] = in_top(scores, labels, 5)
        return marks
