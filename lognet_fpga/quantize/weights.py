"""Log2 codes for one layer's weights: alpha by search, then rounding that makes up for its own error."""

from __future__ import annotations

import numpy as np

from lognet_fpga.numerics.log2 import Boundaries, largest_code, log2_codes
from lognet_fpga.quantize.methods import Methods

_ALPHA_STEPS = 16  # candidates an octave
_DAMPING = 0.01  # of the mean diagonal of the input correlation
_SWEEPS = 10  # over the weights of a channel, at most


def magnitude_prune(weight: np.ndarray, share: float) -> np.ndarray:
    """weight with at least `share` of its elements zero, the smallest first; zeros it has already count."""
    count = int(round(share * weight.size))
    if count == 0:
        return weight
    threshold = np.partition(np.abs(weight).ravel(), count - 1)[count - 1]
    return np.where(np.abs(weight) <= threshold, 0.0, weight)


def search_alpha(
    rows: np.ndarray, importance: np.ndarray, unit: np.ndarray | None = None, methods: Methods = Methods()
) -> np.ndarray:
    """The LSB of each output channel, (out,) > 0, with the least weighted error of plain rounding.

    rows: (out, inputs) real weights; importance: (inputs,) mean square of each input, or (inputs, inputs) mean of their
    products.  Searches two octaves below and one above the LSB that puts the channel's largest weight at the full scale
    range, so the full scale range is part of the search.  unit: (out,), where given only powers of two times it are
    tried.
    """
    top = np.abs(rows).max(axis=1)
    if not methods.per_channel:
        top = np.full(len(top), top.max())
    base = np.where(top > 0, top, 1.0) / largest_code()
    per_octave = _ALPHA_STEPS
    if unit is not None:
        base, per_octave = unit * 2.0 ** np.floor(np.log2(base / unit)), 1
    elif methods.alpha == "max":
        return base
    best: np.ndarray = base
    best_error: np.ndarray = np.full(len(rows), np.inf)
    for step in range(-2 * per_octave, per_octave + 1):
        alpha = base * 2.0 ** (step / per_octave)
        off = rows - log2_codes(rows / alpha[:, None], boundaries=methods.boundaries) * alpha[:, None]
        error = off**2 @ importance if importance.ndim == 1 else ((off @ importance) * off).sum(axis=1)
        if not methods.per_channel and unit is None:
            error = np.full(len(error), error.sum())
        better = error < best_error
        best, best_error = np.where(better, alpha, best), np.where(better, error, best_error)
    return best


def keep_exact(alpha: np.ndarray, rows: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """alpha, for channels with an exact weight the nearest power of two of which that is a code.

    exact: (out,) its place in the row, -1 for none.
    """
    has = exact >= 0
    weight = np.where(has, np.abs(rows[np.arange(len(rows)), exact]), alpha)
    exponent = np.clip(np.rint(np.log2(weight / alpha)), 0, np.log2(largest_code()))
    return np.where(has, weight / 2.0**exponent, alpha)


def round_by_output(
    rows: np.ndarray,
    alpha: np.ndarray,
    correlation: np.ndarray,
    exact: np.ndarray | None = None,
    boundaries: Boundaries = "arithmetic",
) -> np.ndarray:
    """Codes, (out, inputs) int8, rounded one input after the other, each error passed on to the inputs to come.

    This is the greedy rounding of GPTQ (Frantar et al., 2023), on the grid of log2 codes.  correlation:
    (inputs, inputs), mean of x x^T over the layer's inputs.  Weights that are zero stay zero.  exact: (out,) place in
    the row of a weight that is a code times alpha and stays it, -1 for none; no error is passed on to it.
    """
    inputs = rows.shape[1]
    pruned = rows == 0
    damped = _damped(correlation)
    # The exact ones first: what comes before them in a row is zero.
    first = np.isin(np.arange(inputs), [] if exact is None else exact)
    order = np.lexsort((-np.diag(damped), ~first))
    damped = damped[np.ix_(order, order)]
    # Upper Cholesky factor of the inverse: its rows are the updates that later inputs owe to each rounding error.
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    work, fixed = (rows / alpha[:, None])[:, order], pruned[:, order]
    codes = np.zeros(rows.shape, np.int8)
    for j in range(inputs):
        code = np.where(fixed[:, j], 0, log2_codes(work[:, j], boundaries=boundaries))
        error = (work[:, j] - code) / upper[j, j]
        work[:, j + 1 :] -= error[:, None] * upper[j, j + 1 :][None, :]
        codes[:, order[j]] = code
    return codes


def descend(
    rows: np.ndarray,
    codes: np.ndarray,
    alpha: np.ndarray,
    correlation: np.ndarray,
    wanted: np.ndarray,
    exact: np.ndarray | None = None,
) -> np.ndarray:
    """Better codes, as of round_by_output: one weight of each channel after the other gets the code that is best beside
    the channel's other codes, until nothing changes.

    wanted: (inputs, inputs), mean of y x^T, y being the inputs whose sums with rows are wanted, such as those without
    the errors of earlier layers; correlation, where they are x.  The squared error of the sums never grows.
    """
    damped = _damped(correlation)
    work, codes = rows / alpha[:, None], codes.astype(np.float64)
    fixed = rows == 0
    if exact is not None:
        fixed[exact >= 0, exact[exact >= 0]] = True
    pull = (work - codes) @ damped + work @ (wanted - correlation)
    for _ in range(_SWEEPS):
        changes = 0
        for j in np.argsort(-np.diag(damped)):
            best = log2_codes(codes[:, j] + pull[:, j] / damped[j, j])
            change = np.where(fixed[:, j], 0, best - codes[:, j])
            moved = np.flatnonzero(change)
            codes[moved, j] += change[moved]
            pull[moved] -= change[moved, None] * damped[j]
            changes += len(moved)
        if not changes:
            break
    return codes.astype(np.int8)


def fit_alpha(
    rows: np.ndarray,
    codes: np.ndarray,
    correlation: np.ndarray,
    wanted: np.ndarray,
    fallback: np.ndarray,
    *,
    per_channel: bool = True,
) -> np.ndarray:
    """The LSB of each channel with the least output error for given codes, (out,); or of all channels together.

    wanted: as of descend.
    """
    floats = codes.astype(np.float64)
    overlap, power = ((rows @ wanted) * floats).sum(axis=1), ((floats @ correlation) * floats).sum(axis=1)
    if not per_channel:
        overlap, power = (np.full(len(rows), part.sum()) for part in (overlap, power))
    usable = (power > 0) & (overlap > 0)
    return np.where(usable, overlap / np.where(power > 0, power, 1.0), fallback)


def nmse(rows: np.ndarray, approximation: np.ndarray) -> float:
    """Squared error relative to the squared weights; 0 for a layer of zeros."""
    power = float((rows**2).sum())
    return float(((rows - approximation) ** 2).sum() / power) if power else 0.0


def _damped(correlation: np.ndarray) -> np.ndarray:
    """With some of the mean diagonal on the diagonal: positive definite, and kept from fitting the frames too well."""
    inputs = len(correlation)
    return correlation + (_DAMPING * np.mean(np.diag(correlation)) + 1e-12) * np.eye(inputs)
