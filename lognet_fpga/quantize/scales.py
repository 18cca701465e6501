"""The scales of a layer's activations: by which power of two each channel's sums are divided.

An output LSB of channel o stands for alpha[o] * 2**drop[o].  Sums and targets here are samples, (out, samples).
Codes are those of a `Span`, 0..top behind a ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lognet_fpga.ir.functions import Function


@dataclass(frozen=True)
class Span:
    """The activations low..top, in units of their LSB: low 0 behind a ReLU, below it for signed ones."""

    low: int
    top: int

    @classmethod
    def of(cls, bits: int, *, signed: bool) -> Span:
        half = 2 ** (bits - 1)
        return cls(-half, half - 1) if signed else cls(0, 2**bits - 1)


_PHASES = 16  # of an octave, that a common unit is looked for in
MAX_CHANNEL_SHIFT = 5  # each step is one more bit in every accumulator of the layer


def greatest_drop(alpha: np.ndarray, bound: np.ndarray, top: int) -> np.ndarray:
    """The largest drop with which the top code stays within half an LSB of bound: (out,) float64, inf for no bound."""
    return np.floor(np.log2(bound / ((top - 0.5) * alpha)))


def tied_alpha(alpha: np.ndarray, bound: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """(alpha, drop) with top * alpha * 2**drop = bound; alpha: powers of two times bound / top.

    A very large alpha is lowered, which clips only weights that take any input beyond the bound by themselves.
    """
    lsb = bound / top
    drop = np.maximum(np.rint(np.log2(lsb / alpha)), -MAX_CHANNEL_SHIFT).astype(np.int64)
    return lsb / 2.0**drop, drop


def nearest_unit(alpha: np.ndarray) -> float:
    """The number of which, times powers of two, alpha, (out,), are the nearest together."""
    phase = np.log2(alpha)
    candidates = np.arange(_PHASES) / _PHASES
    off = phase[None] - candidates[:, None]
    return float(2.0 ** candidates[np.argmin(((off - np.rint(off)) ** 2).sum(axis=1))] * 2.0 ** np.floor(phase.max()))


def squared_error(
    sums: np.ndarray, target: np.ndarray, lsb: np.ndarray, span: Span, function: Function | None = None
) -> np.ndarray:
    """(out,) mean squared error of the activations that requantizing sums gives; target: the float activations.
    function: what makes activations of requantized sums, None for nothing."""
    scale = lsb[:, None]
    values = np.clip(np.floor(sums / scale + 0.5), span.low, span.top) * scale
    return (((values if function is None else function(values, axis=0)) - target) ** 2).mean(axis=1)


def search_drop(
    sums: np.ndarray,
    target: np.ndarray,
    alpha: np.ndarray,
    limit: np.ndarray,
    span: Span,
    function: Function | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(drop, error): for each channel the drop up to limit with the least squared error, (out,) int64; function: as of
    `squared_error`.

    The error decides, not the largest sum, so that rare large values may clip.
    """
    largest, least = sums.max(axis=1), -sums.min(axis=1)
    if span.low:
        largest = np.maximum(largest, least)
    # A channel that is never above 0 shows nothing at any scale: one at which its bias is no huge number.
    largest = np.where(largest > 0, largest, least)
    start = np.ceil(np.log2(np.maximum(largest / (span.top * alpha), 2.0**-20)))
    start = np.minimum(start, limit).astype(np.int64)
    best: np.ndarray = start
    best_error: np.ndarray = np.full(len(alpha), np.inf)
    for step in range(0, -5, -1):
        error = squared_error(sums, target, alpha * 2.0 ** (start + step), span, function)
        better = error < best_error
        best, best_error = np.where(better, start + step, best), np.where(better, error, best_error)
    return best, best_error


def channel_steps(codes: np.ndarray) -> np.ndarray:
    """By how many bits each channel may be shifted up, (out,): MAX_CHANNEL_SHIFT, and more for one that only passes a
    single input on, as far as its sums stay below the widest channel's."""
    sizes = np.abs(codes.astype(np.int64)).sum(axis=1)
    single = np.count_nonzero(codes, axis=1) == 1
    spare = np.floor(np.log2(max(1, sizes.max(initial=1)) / np.maximum(sizes, 1)))
    return MAX_CHANNEL_SHIFT + np.where(single, np.maximum(spare, 0), 0).astype(np.int64)


def common_shift(
    alpha: np.ndarray, drop: np.ndarray, limit: np.ndarray, empty: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """(alpha, drop, shift) with shift - steps <= drop <= shift for every channel; steps: of `channel_steps`.

    Too low a drop is raised, which makes the channel's LSB larger.  Where that would pass limit, the high drops come
    down instead and their alphas go up: the LSB stays, and the codes must be rounded anew.  empty: (out,) bool,
    channels without weights, whose alpha is free.
    """
    ceiling = np.min((limit + steps)[~empty], initial=np.inf)
    lowered = np.minimum(drop, np.maximum(ceiling, 0))
    shift = max(0, int(np.max(lowered[~empty], initial=0)))
    lowered = np.where(empty, np.clip(drop, shift - steps, shift), lowered)
    alpha = alpha * 2.0 ** (drop - lowered)
    return alpha, np.maximum(lowered, shift - steps).astype(np.int64), shift
