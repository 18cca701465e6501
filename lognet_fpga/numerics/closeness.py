"""How near one model's outputs are to another's, where no classes are read from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Closeness:
    """cosine: mean over the frames of the cosine between the two models' outputs.  relative_error: root of the summed
    squares of their differences, relative to that of the outputs.  equal: share of frames whose outputs are the same
    throughout.  comparable: share of frames whose outputs are of one shape, and are numbers in the same places; cosine
    and relative_error are of those, None where there are none."""

    cosine: float | None
    relative_error: float | None
    equal: float
    comparable: float


@dataclass(frozen=True)
class ClosenessSums:
    """What Closeness is made of, so that frames may come in parts."""

    frames: int = 0
    comparable: int = 0
    equal: int = 0
    cosines: float = 0.0
    differences: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, found: np.ndarray, wanted: np.ndarray) -> ClosenessSums:
        """Of the outputs of the same frames, (n, ...) numbers, truth values or text, or an object array (n,) of one
        array a frame."""
        return cls.summed(_frame(np.asarray(a), np.asarray(b)) for a, b in zip(found, wanted))

    @classmethod
    def summed(cls, parts: Iterable[ClosenessSums]) -> ClosenessSums:
        rows = [
            (part.frames, part.comparable, part.equal, part.cosines, part.differences, part.squares) for part in parts
        ]
        return cls(*(sum(column) for column in zip(*rows)))

    def result(self) -> Closeness:
        cosine = self.cosines / self.comparable if self.comparable else None
        if not self.comparable or (self.squares == 0 and self.differences > 0):
            error = None
        else:
            error = math.sqrt(self.differences / self.squares) if self.squares else 0.0
        frames = max(1, self.frames)
        return Closeness(cosine, error, self.equal / frames, self.comparable / frames)


def _frame(found: np.ndarray, wanted: np.ndarray) -> ClosenessSums:
    if found.shape != wanted.shape:
        return ClosenessSums(1)
    if wanted.dtype.kind not in "fiub":
        return ClosenessSums(1, 0, int(np.array_equal(found, wanted)))
    a, b = found.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    numbers = np.isfinite(b)
    equal = int(np.array_equal(a, b, equal_nan=True))
    if not np.array_equal(numbers, np.isfinite(a)):
        return ClosenessSums(1, 0, equal)
    a, b = a[numbers], b[numbers]
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if min(lengths) > 0:
        cosine = float(np.clip(np.dot(a / lengths[0], b / lengths[1]), -1, 1))
    else:
        cosine = float(lengths[0] == lengths[1])
    return ClosenessSums(1, 1, equal, cosine, float(np.sum((a - b) ** 2)), lengths[1] ** 2)
