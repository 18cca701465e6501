"""The hardware plan: how each layer is laid onto the board, and what that costs and yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lognet_fpga.errors import UsageError
from lognet_fpga.ir.clocks import fastest_clock, hertz, mhz_text
from lognet_fpga.plan.bram import staged_positions


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
    inputs, or a bit of a carry chain.  m_lut: those of them that are shift registers or memory.
    """

    lut: float
    ff: float
    bram36: float
    m_lut: float = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.lut + other.lut, self.ff + other.ff, self.bram36 + other.bram36, self.m_lut + other.m_lut)

    def __mul__(self, count: float) -> Resources:
        return Resources(self.lut * count, self.ff * count, self.bram36 * count, self.m_lut * count)

    @classmethod
    def total(cls, blocks: Mapping[str, Resources]) -> Resources:
        return sum(blocks.values(), cls(0, 0, 0))


CLB, BRAM = "clb", "bram"  # where a layer's weights are: in the fabric's wiring, or in memories


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """What both kinds of a layer's engine have.

    weights: where they are, CLB or BRAM.  ii_cycles: cycles from one computing slot to the next.  acc_bits: exact
    accumulator width.  slots_per_frame: shift-only and computing slots, pads included.  channels_per_beat: of the
    output stream; in_channels_per_beat, in_beats: of the input stream.  nonzero_weights: static weights other than 0.
    fifo_depth: beats of the FIFO behind the layer; fifo_reserve: how many must be free when a slot starts; fifo_peak:
    the most it holds.
    """

    name: str
    weights: str
    ii_cycles: int
    acc_bits: int
    slots_per_frame: int
    cycles_per_frame: int
    in_channels_per_beat: int
    in_beats: int
    channels_per_beat: int
    nonzero_weights: int
    fifo_depth: int = 0
    fifo_reserve: int = 0
    fifo_peak: int = 0
    estimate: Resources = Resources(0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class ClbPlan(LayerPlan):
    """A digit-serial adder engine.

    digit_bits: bits of an activation or sum that a leg works on in one cycle.  leg_cycles: digits of a leg.  legs: of
    an accumulator, in_legs: of an input activation (`plan.serial`).  in_digits: digits of an input activation's leg,
    and cycles of a shift-only slot.  adders: two-input adders of its graph.
    """

    digit_bits: int
    leg_cycles: int
    legs: int
    in_digits: int
    in_legs: int
    adders: int

    @property
    def early_beats(self) -> int:
        """Beats that are accepted while the position before theirs still waits for its slot."""
        return 1

    @property
    def place_cycles(self) -> int:
        """From letting a slot with data go until a beat has its place: none where slots follow in every cycle."""
        return int(self.in_digits > 1 or self.in_beats > 1)

    @property
    def shift_cycles(self) -> int:
        return self.in_digits

    @property
    def folding(self) -> str:
        bits = f"{self.digit_bits} bit{'s' * (self.digit_bits > 1)} a cycle"
        return f"{bits} in {self.legs} legs" if self.legs > 1 else bits


@dataclass(frozen=True, kw_only=True)
class BramPlan(LayerPlan):
    """An array of shift-accumulate elements.

    pe, simd: output and input channels worked on side by side.  in_words: words of an input position, and cycles of a
    shift-only slot.  weight_words: depth of the weights' memory, pe * simd codes wide.
    """

    pe: int
    simd: int
    in_words: int
    weight_words: int

    @property
    def early_beats(self) -> int:
        return (staged_positions(self.in_channels_per_beat, self.in_beats, self.simd) - 2) * self.in_beats

    @property
    def place_cycles(self) -> int:
        return 1

    @property
    def shift_cycles(self) -> int:
        return self.in_words

    @property
    def folding(self) -> str:
        return f"{self.pe} x {self.simd} weights a cycle"


@dataclass(frozen=True)
class HardwarePlan:
    """cycles_per_frame: steady state; latency_cycles: from a frame's first input beat to its last output beat,
    in an idle overlay that is never stalled.  shell: estimate of what is not a layer (AXI, registers)."""

    board: Board
    clk_mhz: float
    layers: tuple[ClbPlan | BramPlan, ...]
    shell: Resources
    cycles_per_frame: int
    latency_cycles: int

    @property
    def fps(self) -> float:
        """Frames per second of the programmable logic at clk_mhz, not stalled from outside."""
        return self.clk_mhz * 1e6 / self.cycles_per_frame

    @property
    def total(self) -> Resources:
        total = self.shell
        for layer in self.layers:
            total = total + layer.estimate
        return total
