"""The overlay's clock on a board: the first PL clock, which pynq.Clocks divides from a PLL that the boot has set."""

from __future__ import annotations

from dataclasses import dataclass

import pynq

from lognet_fpga.errors import BoardError
from lognet_fpga.ir.clocks import DIVISORS, fastest_clock, hertz, mhz_text

_SLOWEST = DIVISORS[-1]


@dataclass(frozen=True)
class OverlayClock:
    """mhz: as the board reports it.  most_mhz: the most that was allowed.  pll_mhz: what it is divided from."""

    mhz: float
    most_mhz: float
    pll_mhz: float

    @property
    def note(self) -> str:
        """What there is to say where the board makes another clock than was planned; empty where it does not."""
        if hertz(self.mhz) == hertz(self.most_mhz):
            return ""
        return (
            f"clock {mhz_text(self.mhz)} MHz: this board makes none between that and the {mhz_text(self.most_mhz)} MHz "
            f"allowed, from its PLL of {mhz_text(round(self.pll_mhz, 3))} MHz"
        )


def set_clock(most_mhz: float) -> OverlayClock:
    """Give the overlay the fastest clock that the board makes and that is not above most_mhz.

    What counts is what the board reports afterwards.  No clock on the way is faster than the one before or the one
    that is set.  Raises BoardError where all that the board makes are faster, or where pynq cannot set any.
    """
    most_hz = hertz(most_mhz)
    slowest_hz = _set(_SLOWEST, _SLOWEST)
    # Of the PLL, which pynq has no public name for, this is known to 2 ppm: a clock just above most_hz may have to give
    # way to the next one.
    pll_hz = slowest_hz * _SLOWEST**2
    wanted = fastest_clock(pll_hz - _SLOWEST**2 // 2, most_hz)
    found_hz = _set(wanted.first, wanted.second)
    if found_hz > most_hz:
        wanted = fastest_clock(found_hz * wanted.first * wanted.second, most_hz)
        found_hz = _set(wanted.first, wanted.second)
    if found_hz > most_hz:
        raise BoardError(
            f"the board makes no clock of {mhz_text(most_mhz)} MHz or less, which the overlay was made for",
            hint=f"its slowest clock is {mhz_text(slowest_hz / 1e6)} MHz: deploy with a --clk-mhz of that or more",
        )
    return OverlayClock(found_hz / 1e6, most_mhz, found_hz * wanted.first * wanted.second / 1e6)


def _set(first: int, second: int) -> int:
    """Set the divisors; the hertz that the board then reports."""
    clocks = pynq.Clocks
    try:
        # pynq writes one after the other: the second stays at its greatest until the first is there.
        for divisors in ((_SLOWEST, _SLOWEST), (first, _SLOWEST), (first, second)):
            clocks.set_pl_clk(0, *divisors)
        return round(clocks.fclk0_mhz * 1e6)
    except Exception as error:  # of registers that say what pynq does not know
        raise BoardError(
            f"pynq cannot set the overlay's clock: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
            hint="reboot the board, with the image that its pynq came with",
        ) from error
