"""Right or wrong: the labels' rank among the scores, and how sure a difference between two models is."""

from __future__ import annotations

import math

import numpy as np


def in_top(scores: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Whether each label is among the `count` greatest scores of its frame, (n,) bool.

    scores: (n, classes) float; labels: (n,) class numbers, 0 to classes - 1.  Of equal scores the first class counts as
    the greater, as with argmax.  A score that is not a number is never right and stands above every other.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    above = ~(scores <= own) | ((scores == own) & earlier)
    return above.sum(axis=1) < count


def points_lost(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """(points lost from before to after, their standard error), both in percent of the frames.

    before, after: (n,) bool, whether two models are right on the same n frames.  Only frames on which they differ
    count for the error, with half a frame more in each cell of the 2 x 2 table, so that it is not 0 where few
    frames happen to agree (Agresti and Min, Statistics in Medicine 24, 2005).
    """
    lost, won, n = int(np.sum(before & ~after)), int(np.sum(~before & after)), len(before) + 2
    error = math.sqrt(lost + won + 1 - (lost - won) ** 2 / n) / n
    return 100 * (lost - won) / len(before), 100 * error


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the receiver operating characteristic: the share of all pairs of a frame of class 1 and one of class 0
    in which the first has the greater score, equal scores counting half.  None where one of the classes has no frame.

    scores: (n,) float; labels: (n,) 0 or 1.  A score that is not a number loses all its pairs.
    """
    ones, zeros = (np.sort(scores[labels == label].astype(np.float64)) for label in (1, 0))
    pairs = len(ones) * len(zeros)
    if not pairs:
        return None
    ones, zeros = (part[~np.isnan(part)] for part in (ones, zeros))
    below, not_above = (np.searchsorted(zeros, ones, side) for side in ("left", "right"))
    return float((below.sum(dtype=np.float64) + not_above.sum(dtype=np.float64)) / 2 / pairs)
