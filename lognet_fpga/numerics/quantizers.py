"""The scalar quantizers of Lee et al., ICASSP 2017, section 2: linear, logarithmic, and Lloyd's as the limit of both.

Each is a list of levels and the boundaries between them.  Where the print leaves a choice, docs/numerics.md,
"Quantizers of the paper", says which reading is the default; the other one is an argument here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from lognet_fpga.numerics.samples import Samples

MAX_BITS = 8
Rounding = Literal["geometric", "arithmetic"]
Small = Literal["zero", "smallest"]
Sign = Literal["twos-complement", "sign-magnitude"]


@dataclass(frozen=True, eq=False)
class Quantizer:
    """levels: (n,) float64, ascending.  boundaries: (n - 1,), boundary i between level i and level i + 1; a value on a
    boundary goes to the level farther from 0.  keep_zero: an exact 0 stays 0 even where 0 is no level."""

    levels: np.ndarray
    boundaries: np.ndarray
    keep_zero: bool = False

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x, any shape, at the nearest level; float64."""
        x = np.asarray(x, np.float64)
        up = np.searchsorted(self.boundaries, x, side="right")
        down = np.searchsorted(self.boundaries, x, side="left")
        values = self.levels[np.where(x >= 0, up, down)]
        return np.where(x == 0, 0.0, values) if self.keep_zero else values


def linear_quantizer(bits: int, fsr: float, *, signed: bool = True, sign: Sign = "twos-complement") -> Quantizer:
    """LinearQuant(x, N, FSR) = ClipLinear(Round(x / D_LSB) * D_LSB).

    fsr: full scale range > 0, the greatest magnitude that matters.  D_LSB = fsr / 2^bits for unsigned numbers, levels
    0 .. 2^bits - 1; fsr / 2^(bits - 1) for signed ones, levels -2^(bits - 1) .. 2^(bits - 1) - 1, with sign-magnitude
    without the lowest.  One signed bit is the sign alone, +-fsr / 2.
    """
    _require(bits, fsr)
    if signed and bits == 1:
        return _midway(np.array([-fsr / 2, fsr / 2]))
    if not signed:
        return _midway(np.arange(2**bits) * (fsr / 2**bits))
    half = 2 ** (bits - 1)
    lowest = -half if sign == "twos-complement" else 1 - half
    return _midway(np.arange(lowest, half) * (fsr / half))


def log_quantizer(
    bits: int,
    fsr: float,
    *,
    signed: bool = True,
    base: float = 2.0,
    small: Small = "zero",
    rounding: Rounding = "geometric",
) -> Quantizer:
    """LogQuant(x, N, FSR, alpha) = alpha * sign(x) * base^ClipLog(Round(log_base |x / alpha|)).

    fsr: the largest level > 0, that is alpha times the largest power: alpha is free to be any real number.  Signed
    numbers spend one bit on the sign.  With small="zero" one of the remaining codes is 0, which takes what rounds to
    less than the smallest power; with "smallest" all codes are powers, and only an exact 0 stays 0.
    rounding: "geometric" rounds the logarithm, as printed (boundary base^(1/2) above a level); "arithmetic" rounds to
    the nearest level, which makes the squared error least.  One signed bit is the sign alone, +-fsr / 2.
    """
    _require(bits, fsr)
    if base <= 1:
        raise ValueError(f"the base must be above 1, not {base}")
    if signed and bits == 1:
        return _midway(np.array([-fsr / 2, fsr / 2]))
    count = 2 ** (bits - 1 if signed else bits) - (small == "zero")
    powers = fsr * base ** np.arange(1.0 - count, 1.0)
    middle = powers[:-1] * base**0.5 if rounding == "geometric" else (powers[:-1] + powers[1:]) / 2
    if small == "smallest":
        if not signed:
            return Quantizer(powers, middle, keep_zero=True)
        return Quantizer(np.append(-powers[::-1], powers), np.concatenate([-middle[::-1], [0.0], middle]), True)
    lowest = powers[0] / (base**0.5 if rounding == "geometric" else 2)
    middle = np.append(lowest, middle)
    if not signed:
        return Quantizer(np.append(0.0, powers), middle)
    return Quantizer(np.concatenate([-powers[::-1], [0.0], powers]), np.append(-middle[::-1], middle))


def lloyd_quantizer(samples: Samples, bits: int, *, signed: bool = True) -> Quantizer:
    """The quantizer with the least mean square error for these samples (Lloyd, 1982), by his iteration.

    Starts at the better of the linear and the logarithmic quantizer that fit the samples best, so it is never worse
    than those.
    """
    starts = (partial(linear_quantizer, signed=signed), partial(log_quantizer, signed=signed, rounding="arithmetic"))
    fitted = (fit_by_nmse(samples, partial(start, bits)) for start in starts)
    levels = min(fitted, key=samples.nmse).levels
    return _midway(samples.lloyd(levels))


FSR_STEPS, FSR_COARSE_STEPS = 16, 4  # candidates an octave
FSR_OCTAVES = (-4, 1)  # searched, relative to the greatest magnitude


def fit_by_max(samples: Samples, kind: Callable[[float], Quantizer]) -> Quantizer:
    """kind(fsr) with the full scale range at the greatest magnitude, as the paper's linear quantizer has it."""
    return kind(samples.greatest or 1.0)


def fit_by_nmse(samples: Samples, kind: Callable[[float], Quantizer]) -> Quantizer:
    """kind(fsr) with the full scale range that gives the least mean square error."""
    return min(_candidates(samples, kind, FSR_STEPS), key=samples.nmse)


def fit_by_output(
    samples: Samples, kind: Callable[[float], Quantizer], error: Callable[[Quantizer], float]
) -> Quantizer:
    """kind(fsr) with the full scale range that gives the least error, by whatever `error` measures; slow to ask."""
    return min(_candidates(samples, kind, FSR_COARSE_STEPS), key=error)


def _candidates(samples: Samples, kind: Callable[[float], Quantizer], steps: int) -> Iterator[Quantizer]:
    low, high = (octaves * steps for octaves in FSR_OCTAVES)
    greatest = samples.greatest or 1.0
    return (kind(greatest * 2.0 ** (step / steps)) for step in range(low, high + 1))


def _midway(levels: np.ndarray) -> Quantizer:
    return Quantizer(levels, (levels[:-1] + levels[1:]) / 2)


def _require(bits: int, fsr: float) -> None:
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"bits must be 1 to {MAX_BITS}, not {bits}")
    if not fsr > 0:
        raise ValueError(f"the full scale range must be above 0, not {fsr}")
