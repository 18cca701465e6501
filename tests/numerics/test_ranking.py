"""Top-k against sorting, and the error of a paired difference against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.numerics.ranking import area_under_curve, in_top, points_lost


@pytest.mark.parametrize("count", [1, 2, 5, 10])
@pytest.mark.parametrize("levels", [3, 1000])
def test_in_top_is_as_sorting_says(count, levels):
    """3 levels: most scores are equal, and the first class comes first."""
    rng = np.random.default_rng(levels + count)
    scores = rng.integers(0, levels, (200, 10)).astype(np.float32)
    labels = rng.integers(0, 10, 200)
    best = [sorted(range(10), key=lambda index: (-row[index], index))[:count] for row in scores]
    assert in_top(scores, labels, count).tolist() == [label in some for label, some in zip(labels, best)]
    if count == 1:
        assert in_top(scores, labels, 1).tolist() == (scores.argmax(axis=1) == labels).tolist()


def test_a_score_that_is_no_number_is_never_right():
    scores = np.array([[np.nan, 1, 2], [1, np.nan, 3], [np.nan] * 3])
    assert in_top(scores, np.array([0, 2, 1]), 1).tolist() == [False, False, False]
    assert in_top(scores, np.array([2, 2, 1]), 2).tolist() == [True, True, False]


@pytest.mark.parametrize("both, lost, won, neither", [(50, 7, 3, 40), (0, 5, 0, 0), (90, 0, 0, 10), (1, 0, 1, 0)])
def test_points_lost_and_their_error(both, lost, won, neither):
    counts = (both, lost, won, neither)
    before = np.repeat([True, True, False, False], counts)
    after = np.repeat([True, False, True, False], counts)
    points, error = points_lost(before, after)
    assert points == pytest.approx(100 * (before.mean() - after.mean()))
    # The variance of the mean of the differences, each of the four cells holding half a frame more.
    weight = np.array(counts) + 0.5
    difference = np.array([0, 1, -1, 0])
    mean = np.average(difference, weights=weight)
    variance = np.average((difference - mean) ** 2, weights=weight) / weight.sum()
    assert error == pytest.approx(100 * variance**0.5)


def test_two_errors_cover_the_true_difference_in_19_of_20_cases():
    """Frames drawn at random, 100 at a time, of which the second model loses 4% and wins 1%."""
    rng = np.random.default_rng(5)
    kinds = rng.choice(4, (2000, 100), p=[0.7, 0.04, 0.01, 0.25])
    covered = 0
    for kind in kinds:
        points, error = points_lost(kind < 2, (kind == 0) | (kind == 2))
        covered += abs(points - 3) <= 2 * error
    assert 0.92 < covered / len(kinds) < 0.995


@pytest.mark.parametrize("seed", range(6))
def test_area_under_the_curve_counts_pairs(seed):
    """Against every pair, with many equal scores and some that are no numbers."""
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 6, 60).astype(np.float32), rng.integers(0, 2, 60)
    scores[rng.random(60) < 0.1] = np.nan
    pairs = [(one, zero) for one in scores[labels == 1] for zero in scores[labels == 0]]
    expected = np.mean([(one > zero) + 0.5 * (one == zero) for one, zero in pairs])
    assert area_under_curve(scores, labels) == pytest.approx(expected, abs=1e-12)


def test_area_under_the_curve_needs_both_classes():
    assert area_under_curve(np.array([0.1, 0.2]), np.array([1, 1])) is None
    assert area_under_curve(np.array([0.1, 0.2]), np.array([0, 1])) == 1.0
    assert area_under_curve(np.array([0.3, 0.2]), np.array([0, 1])) == 0.0
