"""Log2 codes for one layer's weights: alpha by search, then rounding that makes up for its own error.

Weights are rows, (out, inputs), an output channel each, of its own inputs.  What is known of the inputs comes group by
group, as those of a grouped convolution are apart: (groups, inputs, inputs) for outputs in as many runs, or
(inputs, inputs) for one group.
"""

from __future__ import annotations

import numpy as np

from lognet_fpga.numerics.log2 import Boundaries, largest_code, log2_codes
from lognet_fpga.quantize.methods import Methods

_ALPHA_STEPS = 16  # candidates an octave
_DAMPING = 0.01  # of the mean diagonal of the input correlation, at least
_SCARCE = 0.1  # the same, times inputs a window, where these are few
_RIDGE = 0.3  # the same, where earlier layers' errors are made up for: these are known less well
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

    rows: (out, inputs) real weights; importance: mean square of each input, (inputs,) or (groups, inputs), or the mean
    of their products, (groups, inputs, inputs).  Searches two octaves below and one above the LSB that puts the
    channel's largest weight at the full scale range, so the full scale range is part of the search.  unit: (out,),
    where given only powers of two times it are tried.
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
        error = _weighted(off, importance)
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


def damped(correlation: np.ndarray, windows: int) -> np.ndarray:
    """correlation, (groups, inputs, inputs), the mean over so many windows, with some of the mean diagonal, that of all
    groups, on the diagonal: positive definite, and kept from fitting the frames too well."""
    return _raised(correlation, max(_DAMPING, _SCARCE * correlation.shape[-1] / windows))


def making_up(rows: np.ndarray, correlation: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(out, inputs) real weights whose sums of wrong inputs are nearest to those of rows and the right ones.

    correlation: mean of x x^T over the inputs of each group, not damped; wanted: mean of y x^T, y being what x should
    be, without the errors of earlier layers.  By ridge regression.
    """
    moved = _apart(rows, correlation) @ (wanted - correlation)
    change = np.linalg.solve(_raised(correlation, _RIDGE), moved.transpose(0, 2, 1)).transpose(0, 2, 1)
    return rows + change.reshape(rows.shape)


def round_by_output(
    rows: np.ndarray,
    alpha: np.ndarray,
    correlation: np.ndarray,
    exact: np.ndarray | None = None,
    boundaries: Boundaries = "arithmetic",
    best: np.ndarray | None = None,
) -> np.ndarray:
    """Codes, (out, inputs) int8, rounded one input after the other, each error passed on to the inputs to come.

    This is the greedy rounding of GPTQ (Frantar et al., 2023), on the grid of log2 codes.  correlation: mean of x x^T
    over the inputs of each group, damped.  Weights that are zero stay zero.  exact: (out,) place in the row of a weight
    that is a code times alpha and stays it, -1 for none.  best: as of making_up, what is rounded in place of rows.
    """
    correlation = _by_group(correlation)
    groups, inputs = correlation.shape[:2]
    group = np.arange(groups)
    # The exact ones first: what comes before them in a row is zero.
    first = np.zeros((groups, inputs), bool)
    if exact is not None:
        first[np.repeat(group, len(rows) // groups)[exact >= 0], exact[exact >= 0]] = True
    order = np.lexsort((-np.diagonal(correlation, axis1=1, axis2=2), ~first), axis=-1)
    ordered = correlation[group[:, None, None], order[:, :, None], order[:, None, :]]
    # Upper Cholesky factor of the inverse: its rows are the updates that later inputs owe to each rounding error.
    upper = np.linalg.cholesky(np.linalg.inv(ordered)).transpose(0, 2, 1)
    places = order[:, None, :].repeat(len(rows) // groups, axis=1)
    fixed = _fixed(rows, exact)
    kept = np.where(fixed, log2_codes(rows / alpha[:, None]), 0)
    work = (rows if best is None else best) / alpha[:, None]
    work, kept, fixed = (np.take_along_axis(_apart(part, correlation), places, axis=2) for part in (work, kept, fixed))
    rounded = np.zeros(places.shape, np.int8)
    for j in range(inputs):
        code = np.where(fixed[:, :, j], kept[:, :, j], log2_codes(work[:, :, j], boundaries=boundaries))
        error = (work[:, :, j] - code) / upper[:, j, j, None]
        work[:, :, j + 1 :] -= error[:, :, None] * upper[:, None, j, j + 1 :]
        rounded[:, :, j] = code
    codes = np.empty_like(rounded)
    np.put_along_axis(codes, places, rounded, axis=2)
    return codes.reshape(rows.shape)


def descend(
    rows: np.ndarray,
    codes: np.ndarray,
    alpha: np.ndarray,
    correlation: np.ndarray,
    exact: np.ndarray | None = None,
    best: np.ndarray | None = None,
) -> np.ndarray:
    """Better codes, as of round_by_output: one weight of each channel after the other gets the code that is best beside
    the channel's other codes, until nothing changes.  The squared error of the sums never grows."""
    correlation = _by_group(correlation)
    fixed = _apart(_fixed(rows, exact), correlation)
    work = _apart((rows if best is None else best) / alpha[:, None], correlation)
    found = _apart(codes, correlation).astype(np.float64)
    pull = (work - found) @ correlation
    power, group = np.diagonal(correlation, axis1=1, axis2=2), np.arange(len(correlation))
    order = np.argsort(-power, axis=1)
    for _ in range(_SWEEPS):
        changes = 0
        for place in order.T:
            now = found[group, :, place]
            nearest = log2_codes(now + pull[group, :, place] / power[group, place, None])
            change = np.where(fixed[group, :, place], 0, nearest - now)
            its, moved = np.nonzero(change)
            if len(moved):
                found[its, moved, place[its]] += change[its, moved]
                pull[its, moved] -= change[its, moved, None] * correlation[its, place[its]]
                changes += len(moved)
        if not changes:
            break
    return found.reshape(rows.shape).astype(np.int8)


def fit_alpha(
    best: np.ndarray, codes: np.ndarray, correlation: np.ndarray, fallback: np.ndarray, *, per_channel: bool = True
) -> np.ndarray:
    """The LSB of each channel with the least output error for given codes, (out,); or of all channels together.

    best: real weights, the sums of which are wanted.
    """
    overlap, power = _overlap_and_power(best, codes, correlation)
    if not per_channel:
        overlap, power = (np.full(len(best), part.sum()) for part in (overlap, power))
    usable = (power > 0) & (overlap > 0)
    return np.where(usable, overlap / np.where(power > 0, power, 1.0), fallback)


def gain(best: np.ndarray, codes: np.ndarray, correlation: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(out,): by how much codes lower the squared error of the sums that no weights would have.  best: as of
    fit_alpha; alpha: (out,)."""
    overlap, power = _overlap_and_power(best, codes, correlation)
    return (2 * overlap - alpha * power) * alpha


def nmse(rows: np.ndarray, approximation: np.ndarray) -> float:
    """Squared error relative to the squared weights; 0 for a layer of zeros."""
    power = float((rows**2).sum())
    return float(((rows - approximation) ** 2).sum() / power) if power else 0.0


def _fixed(rows: np.ndarray, exact: np.ndarray | None) -> np.ndarray:
    """(out, inputs) bool: weights that stay what they are."""
    fixed = rows == 0
    if exact is not None:
        fixed[exact >= 0, exact[exact >= 0]] = True
    return fixed


def _overlap_and_power(best: np.ndarray, codes: np.ndarray, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(out,) each, means over the frames: of the sums of best times those of the codes, and of these squared."""
    correlation = _by_group(correlation)
    floats = _apart(codes.astype(np.float64), correlation)
    sums = floats @ correlation
    return (_apart(best, correlation) * sums).sum(axis=2).ravel(), (sums * floats).sum(axis=2).ravel()


def _weighted(off: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """(out,) weighted squares of off, (out, inputs); importance: as of search_alpha."""
    if importance.ndim == 3:
        apart = off.reshape(len(importance), -1, off.shape[1])
        return ((apart @ importance) * apart).sum(axis=2).ravel()
    groups = np.atleast_2d(importance)
    return (off.reshape(len(groups), -1, off.shape[1]) ** 2 @ groups[:, :, None]).ravel()


def _by_group(correlation: np.ndarray) -> np.ndarray:
    """(groups, inputs, inputs)."""
    return correlation if correlation.ndim == 3 else correlation[None]


def _apart(rows: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """rows, (out, inputs), by group: (groups, outputs of a group, inputs)."""
    return rows.reshape(len(correlation), -1, rows.shape[1])


def _raised(correlation: np.ndarray, share: float) -> np.ndarray:
    """With a share of the mean diagonal on the diagonal."""
    mean = np.mean(np.diagonal(correlation, axis1=1, axis2=2))
    return correlation + (share * mean + 1e-12) * np.eye(correlation.shape[-1])
