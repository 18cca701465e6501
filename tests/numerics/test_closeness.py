"""Closeness of outputs, against NumPy on all frames at once."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.numerics.closeness import ClosenessSums


def closeness(found, wanted, parts: int = 1):
    places = np.array_split(np.arange(len(wanted)), parts)
    return ClosenessSums.summed(ClosenessSums.of(found[place], wanted[place]) for place in places).result()


def objects(*frames) -> np.ndarray:
    out = np.empty(len(frames), object)
    for place, frame in enumerate(frames):
        out[place] = np.asarray(frame)
    return out


@pytest.mark.parametrize("parts", [1, 3])
def test_cosine_and_error_are_numpy_s(parts):
    rng = np.random.default_rng(0)
    wanted = rng.standard_normal((10, 4, 5))
    found = wanted + 0.1 * rng.standard_normal(wanted.shape)
    found[3] = wanted[3]
    got = closeness(found.astype(np.float32), wanted.astype(np.float32), parts)
    a, b = found.reshape(10, -1), wanted.reshape(10, -1)
    cosines = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    assert got.cosine == pytest.approx(cosines.mean(), abs=1e-6)
    assert got.relative_error == pytest.approx(np.sqrt(((a - b) ** 2).sum() / (b * b).sum()), rel=1e-5)
    assert (got.equal, got.comparable) == (0.1, 1.0)


def test_what_cannot_be_compared_is_said():
    wanted = objects([[1.0, 2.0]], [[3.0, 4.0]], np.zeros((0, 2)), [[1.0, np.inf]], [[5.0, np.nan]])
    found = objects([[1.0, 2.0]], [[3.0, 4.0], [0.0, 1.0]], np.zeros((0, 2)), [[1.0, np.inf]], [[5.0, 6.0]])
    got = closeness(found, wanted)
    assert (got.cosine, got.relative_error, got.equal, got.comparable) == (1.0, 0.0, 0.6, 0.6)


@pytest.mark.parametrize(
    "found, wanted, cosine, error",
    [
        ([[0.0, 0.0]], [[0.0, 0.0]], 1.0, 0.0),
        ([[0.0, 1.0]], [[0.0, 0.0]], 0.0, None),
        ([[0.0, 0.0]], [[0.0, 2.0]], 0.0, 1.0),
        ([[-2.0, 0.0]], [[1.0, 0.0]], -1.0, 3.0),
        ([[3, 4]], [[3, 4]], 1.0, 0.0),
        ([[True, False]], [[True, True]], 0.5**0.5, 0.5**0.5),
    ],
)
def test_zeros_integers_and_truth_values(found, wanted, cosine, error):
    got = closeness(np.array(found), np.array(wanted))
    assert got.cosine == pytest.approx(cosine) and got.relative_error == (error and pytest.approx(error))


def test_text_is_equal_or_not():
    got = closeness(np.array(["a", "bb", "c"]), np.array(["a", "b", "c"]))
    assert (got.cosine, got.relative_error, got.comparable) == (None, None, 0.0)
    assert got.equal == pytest.approx(2 / 3)
