"""The clocks that a Zynq's processor makes for its programmable logic: a PLL, divided by two numbers of six bits.

Whoever plans, writes a .hwh or Tcl, or sets a board's divisors asks here.  Frequencies are whole hertz, as pynq.Clocks
reads them: a quotient that is none is rounded, to the nearest one, and asking for that gives the same clock again.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

DIVISORS = range(1, 64)
_PAIRS = {
    first * second: (first, second) for first in reversed(DIVISORS) for second in DIVISORS if second <= first
}  # of several pairs the one with the least first divisor
_PRODUCTS = sorted(_PAIRS)


@dataclass(frozen=True)
class PlClock:
    """pll_hz / (first * second)."""

    pll_hz: int
    first: int
    second: int

    @property
    def hz(self) -> int:
        return round(Fraction(self.pll_hz, self.first * self.second))

    @property
    def mhz(self) -> float:
        return megahertz(self.hz)


def fastest_clock(pll_hz: int, most_hz: int) -> PlClock:
    """The fastest clock that is divided from pll_hz and not above most_hz; the slowest of all where there is none."""
    allowed = bisect_left(_PRODUCTS, True, key=lambda product: PlClock(pll_hz, *_PAIRS[product]).hz <= most_hz)
    return PlClock(pll_hz, *_PAIRS[_PRODUCTS[min(allowed, len(_PRODUCTS) - 1)]])


def hertz(mhz: float) -> int:
    """Whole hertz of a frequency in MHz as it is written, rounded down: none of them is above it."""
    return math.floor(Decimal(repr(float(mhz))).scaleb(6))


def megahertz(hz: int) -> float:
    """The inverse of hertz."""
    return hz / 1e6


def mhz_text(mhz: float) -> str:
    """To the hertz, without zeros at the end: 187.498125."""
    return f"{mhz:.6f}".rstrip("0").rstrip(".")
