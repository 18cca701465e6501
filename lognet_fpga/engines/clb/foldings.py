"""The foldings of a `clb` layer: digit widths of its adder graph."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from lognet_fpga.engines.clb.adder_graph import AdderGraph
from lognet_fpga.engines.clb.arithmetic import Arithmetic, ArithmeticCost, SolvedAdders
from lognet_fpga.engines.clb.cost import serial_blocks
from lognet_fpga.engines.clb.schedule import SerialSchedule
from lognet_fpga.engines.folding import USUAL_LANES, Sends, Streams, Widths
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.latencies import LINE_MEMORY_CYCLES, result_latency
from lognet_fpga.fabric.slots import SlotRaster, slot_raster
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.machine.provenance import made_by

if TYPE_CHECKING:
    from lognet_fpga.hw.ports import Port
    from lognet_fpga.hw.structure import Instance

CLB = "clb"
SHORT_CARRY_BITS = 4  # of a digit whose carry passes two LUTs
WIDE_PENALTY = 1.2
ADDER_NS, CARRY_NS = 3.5, 0.52  # about an adder's path, and what each bit of a digit takes of it: see `widest_digit`


@dataclass(frozen=True)
class ClbFolding:
    """digit_bits, leg_cycles: bits that a leg of a number works on in a cycle, and for how many cycles (`schedule`).
    ii_cycles: leg_cycles, or more where the frame rate leaves time for narrower beats."""

    layer: QuantLayer
    arithmetic: Arithmetic
    raster: SlotRaster = field(compare=False)
    acc_bits: int
    digit_bits: int
    leg_cycles: int
    ii_cycles: int

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Of what is looked up for every budget, board and number of layers."""
        return hash((self.layer, self.arithmetic, self.acc_bits, self.digit_bits, self.leg_cycles, self.ii_cycles))

    @property
    def store(self) -> str:
        return CLB

    @property
    def text(self) -> str:
        bits = f"{self.digit_bits} bit{'s' * (self.digit_bits > 1)} a cycle"
        return f"{bits} in {self.legs} legs" if self.legs > 1 else bits

    @property
    def in_digits(self) -> int:
        """Digits of an input activation's leg, and cycles of a slot that only shifts."""
        return input_digits(self.layer, self.digit_bits, self.leg_cycles)

    @property
    def shift_cycles(self) -> int:
        return self.in_digits

    @property
    def in_legs(self) -> int:
        """Of an input activation."""
        return -(-self.layer.in_bits // (self.digit_bits * self.in_digits))

    @cached_property
    def cycles_per_frame(self) -> int:
        return self.raster.cycles(self.ii_cycles, self.in_digits)

    @property
    def legs(self) -> int:
        """Of an accumulator."""
        return -(-self.acc_bits // (self.digit_bits * self.leg_cycles))

    @cached_property
    def cost(self) -> ArithmeticCost:
        return self.arithmetic.cost(self.digit_bits, self.leg_cycles, self.acc_bits)

    def takes(self, channels_per_beat: int) -> bool:
        return True

    def sends(self, channels_per_beat: int) -> bool:
        return True

    def early_beats(self, streams: Streams) -> int:
        return 1

    def place_cycles(self, streams: Streams) -> int:
        """None where slots follow in every cycle."""
        return int(self.in_digits > 1 or streams.in_beats > 1)

    def beat_cycles(self, channels_per_beat: int) -> tuple[int, ...]:
        first = result_latency(self.cost.out_start, self.legs, self.leg_cycles)
        return tuple(range(first, first + -(-self.layer.codes.shape[0] // channels_per_beat)))

    def blocks(self, streams: Streams) -> dict[str, Resources]:
        return serial_blocks(self.layer, self, streams, self.cost.resources)

    def modules(self, streams: Streams, name: str) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
        from lognet_fpga.engines.clb.modules import serial_engine

        return serial_engine(self, streams, name)

    def solved(self) -> tuple[AdderGraph, SerialSchedule]:
        """The adders as they are built, and when each of them works."""
        if not isinstance(self.arithmetic, SolvedAdders):
            raise TypeError(f"{self.layer.name} is sketched: it has no adder graph to build")
        return self.arithmetic.timed(self.digit_bits, self.leg_cycles, self.acc_bits)

    def to_json(self) -> dict[str, int]:
        names = ("digit_bits", "leg_cycles", "legs", "in_digits", "in_legs")
        return {name: getattr(self, name) for name in names} | {"adders": self.arithmetic.adders}

    def nets(self) -> dict[str, list[list]]:
        return {}

    def content(self) -> str:
        return made_by(__name__, "myhdl") + self.solved()[0].to_json()


class ClbFoldings:
    """Foldings of a layer whose arithmetic is solved or sketched, fit for a clock of clk_mhz."""

    def __init__(self, layer: QuantLayer, arithmetic: Arithmetic, clk_mhz: float) -> None:
        self._layer, self._arithmetic = layer, arithmetic
        self._raster, self._acc_bits = slot_raster(layer), accumulator_bits(layer)
        # Of digits: with ones wider than an input no slot would be shorter.
        widths = range(1, min(layer.in_bits, widest_digit(clk_mhz)) + 1)
        # By width of a digit: cycles a frame with legs of least .. most cycles, ascending.
        self._cycles_by_legs = {digit_bits: self._cycles(digit_bits) for digit_bits in widths}
        self._paces = sorted({cycles for _, every in self._cycles_by_legs.values() for cycles in every})
        self._widths = lru_cache(maxsize=None)(self._cheapest_widths)
        self._size = lru_cache(maxsize=None)(self._size_of)
        self._made = lru_cache(maxsize=None)(self._make)

    def paces(self) -> set[int]:
        return set(self._paces)

    @property
    def flexible(self) -> ClbFoldings:
        return self

    def fold(self, budget: float, before: Sends, bram_price: float, behind: Widths | None = None) -> ClbFolding | None:
        """For each width of a digit the longest legs that the budget allows, and of these the least engine."""
        place = bisect_right(self._paces, budget)
        return self._folding(*self._widths(self._paces[place - 1]), budget) if place else None

    def _cheapest_widths(self, pace: int) -> tuple[int, int]:
        """(digit_bits, leg_cycles) for a frame in that many cycles, one of the paces."""
        longest = [
            (digit_bits, least + fast_enough - 1)
            for digit_bits, (least, cycles) in self._cycles_by_legs.items()
            if (fast_enough := bisect_right(cycles, pace))
        ]
        return min(longest, key=lambda widths: self._size(*widths))

    def _folding(self, digit_bits: int, leg_cycles: int, budget: float) -> ClbFolding:
        raster, shifting = self._raster, input_digits(self._layer, digit_bits, leg_cycles)
        spare = math.floor((budget - (raster.slots - raster.computing) * shifting) / raster.computing)
        return self._made(digit_bits, leg_cycles, max(leg_cycles, spare))

    def _make(self, digit_bits: int, leg_cycles: int, ii_cycles: int) -> ClbFolding:
        layer, arithmetic = self._layer, self._arithmetic
        return ClbFolding(layer, arithmetic, self._raster, self._acc_bits, digit_bits, leg_cycles, ii_cycles)

    def _cycles(self, digit_bits: int) -> tuple[int, list[int]]:
        """Of the shortest legs that there may be, and least cycles a frame with these and each longer one, up to one
        that has all of an accumulator's digits."""
        raster, most = self._raster, -(-self._acc_bits // digit_bits)
        digits = {legs: input_digits(self._layer, digit_bits, legs) for legs in range(1, most + 1)}
        least = next((legs for legs in digits if len(raster.col_flags) * digits[legs] >= LINE_MEMORY_CYCLES), most + 1)
        return least, [raster.cycles(legs, digits[legs]) for legs in range(least, most + 1)]

    def _size_of(self, digit_bits: int, leg_cycles: int) -> float:
        return _size(self._folding(digit_bits, leg_cycles, 0))


@lru_cache(maxsize=1 << 12)
def clb_foldings(layer: QuantLayer, arithmetic: Arithmetic, clk_mhz: float) -> ClbFoldings:
    """The same object for the same layer, which keeps what it has counted."""
    return ClbFoldings(layer, arithmetic, clk_mhz)


def _size(folding: ClbFolding) -> float:
    """About what a folding takes, in LUT sites: without its adder graph's delays, which take longer to count.

    A full adder is a site and a flip-flop for its sum, the carry of a digit another; a board has two flip-flops for
    each site.  Wide digits have long carries, and are to be worth it.
    """
    digit_bits = folding.digit_bits
    adder_bits = folding.arithmetic.adder_bits(digit_bits, folding.leg_cycles, folding.acc_bits)
    adders = Resources(adder_bits, adder_bits * (1 + 1 / digit_bits), 0)
    streams = Streams(1, folding.layer.in_shape[0], USUAL_LANES)
    parts = Resources.total(serial_blocks(folding.layer, folding, streams, adders))
    return (parts.lut + parts.ff / 2) * (WIDE_PENALTY if digit_bits > SHORT_CARRY_BITS else 1.0)


def widest_digit(clk_mhz: float) -> int:
    """Bits of the widest digit whose carry passes its adder within a period; at least one.

    By the static estimate (`synth.paths`) of layers of 27 inputs with digits of 1 to 8 bits; docs/hardware.md has the
    table and its command.
    """
    return max(1, math.floor((1000 / clk_mhz - ADDER_NS) / CARRY_NS))


def input_digits(layer: QuantLayer, digit_bits: int, leg_cycles: int) -> int:
    """Digits of a leg of an input activation."""
    return min(leg_cycles, -(-layer.in_bits // digit_bits))


def accumulator_bits(layer: QuantLayer) -> int:
    """Bits of a two's complement accumulator that cannot overflow and whose sign lies above the bits kept.

    Never fewer than an input activation has, so that a computing slot is long enough to shift its input in.
    """
    low, high = layer.accumulator_range()
    exact = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
    return max(exact, layer.shift + layer.code_bits + 1, layer.in_bits)
