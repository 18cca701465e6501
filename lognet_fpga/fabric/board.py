"""A board's FPGA, and what parts of it are counted in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lognet_fpga.errors import UsageError
from lognet_fpga.ir.clocks import fastest_clock, hertz, mhz_text


@dataclass(frozen=True)
class Board:
    """A board and its FPGA part; lut, m_lut, ff, bram36, dsp: what the part has; clk_mhz: the clock planned for.

    lut: LUT6 sites.  m_lut: those of them in M slices, which alone hold shift registers and LUT memory: what Vivado's
    utilization reports of the part say is available as "LUT as Memory".
    host_mhz: clock of the processor, of which host_time.py makes the host's time.
    pll_mhz: of the PLL that the processor divides the clock from, as PYNQ reads it after boot; None: any clock goes.
    """

    name: str
    title: str
    part: str
    lut: int
    m_lut: int
    ff: int
    bram36: int
    dsp: int
    clk_mhz: float
    processor: str
    host_mhz: float
    power_sensor: str
    pll_mhz: float | None = None

    def plans_like(self, other: Board) -> bool:
        """Whether whatever is planned for the one is planned for the other: all but what they are called is alike."""
        return other == replace(self, name=other.name, title=other.title, power_sensor=other.power_sensor)

    def clock_mhz(self, most: float | None = None) -> float:
        """The fastest clock of the overlay that this board makes and that is not above `most`; None: what it is planned
        with.  Raises UsageError where all are faster."""
        if most is None:
            return self.clk_mhz
        if self.pll_mhz is None:
            return most
        clock = fastest_clock(hertz(self.pll_mhz), hertz(most))
        if clock.hz > hertz(most):
            raise UsageError(
                f"{self.title} makes no clock of {most:g} MHz or less",
                hint=f"its slowest is {mhz_text(clock.mhz)} MHz: ask for that or more",
            )
        return clock.mhz


@dataclass(frozen=True)
class Resources:
    """Counts of LUT6 sites, flip-flops and 36 Kb block RAMs (halves count 0.5).

    lut: sites as a placed design has them, the unit of a board's LUTs: a LUT6, or two functions of the same five
    inputs, or a bit of a carry chain.  m_lut: those of them that are shift registers or memory.  lone: flip-flops that
    no LUT of their position drives, and that so need its bypass input; dual: sites of two functions with a register
    behind each, which have no bypass to give (`synth.positions`).
    """

    lut: float
    ff: float
    bram36: float
    m_lut: float = 0
    lone: float = 0
    dual: float = 0

    @property
    def positions(self) -> float:
        """Of slices, each of a LUT and two flip-flops: those of LUT sites, and of lone flip-flops beyond these."""
        return max(self.lut, self.lone + self.dual)

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.lut + other.lut,
            self.ff + other.ff,
            self.bram36 + other.bram36,
            self.m_lut + other.m_lut,
            self.lone + other.lone,
            self.dual + other.dual,
        )

    def __mul__(self, count: float) -> Resources:
        parts = self.lut, self.ff, self.bram36, self.m_lut, self.lone, self.dual
        return Resources(*(part * count for part in parts))

    def to_json(self) -> dict[str, float]:
        """See docs/commands.md."""
        return {
            "lut": self.lut,
            "ff": self.ff,
            "bram36": self.bram36,
            "m_lut": self.m_lut,
            "lone_ffs": self.lone,
            "positions": self.positions,
        }

    @classmethod
    def total(cls, blocks: Mapping[str, Resources]) -> Resources:
        return sum(blocks.values(), cls(0, 0, 0))
