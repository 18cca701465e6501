"""The foldings of a `clb` layer: digit widths of its adder graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.engine import Engine, EngineCost
from lognet_fpga.plan.folding import USUAL_LANES, Sends, Streams
from lognet_fpga.plan.model import CLB, ClbPlan, Resources
from lognet_fpga.plan.resources import serial_blocks
from lognet_fpga.plan.slots import SlotRaster, slot_raster
from lognet_fpga.plan.timing import LINE_MEMORY_CYCLES, result_latency

SHORT_CARRY_BITS = 4  # of a digit whose carry passes two LUTs
WIDE_PENALTY = 1.2
ADDER_NS, CARRY_NS = 3.5, 0.52  # about an adder's path, and what each bit of a digit takes of it: see `widest_digit`


@dataclass(frozen=True, eq=False)
class ClbFolding:
    """digit_bits, leg_cycles: bits that a leg of a number works on in a cycle, and for how many cycles (`plan.serial`).
    ii_cycles: leg_cycles, or more where the frame rate leaves time for narrower beats."""

    layer: QuantLayer
    engine: Engine
    raster: SlotRaster
    acc_bits: int
    digit_bits: int
    leg_cycles: int
    ii_cycles: int

    @property
    def in_channels(self) -> int:
        return self.layer.in_shape[0]

    @property
    def legs(self) -> int:
        return -(-self.acc_bits // (self.digit_bits * self.leg_cycles))

    @cached_property
    def cost(self) -> EngineCost:
        return self.engine.cost(self.digit_bits, self.leg_cycles, self.acc_bits)

    def takes(self, channels_per_beat: int) -> bool:
        return True

    def sends(self, channels_per_beat: int) -> bool:
        return True

    def plan(self, streams: Streams) -> ClbPlan:
        in_digits = input_digits(self.layer, self.digit_bits, self.leg_cycles)
        return ClbPlan(
            name=self.layer.name,
            weights=CLB,
            ii_cycles=self.ii_cycles,
            acc_bits=self.acc_bits,
            nonzero_weights=int(np.count_nonzero(self.layer.codes)),
            slots_per_frame=self.raster.slots,
            cycles_per_frame=self.raster.cycles(self.ii_cycles, in_digits),
            in_channels_per_beat=streams.in_channels_per_beat,
            in_beats=streams.in_beats,
            channels_per_beat=streams.channels_per_beat,
            digit_bits=self.digit_bits,
            leg_cycles=self.leg_cycles,
            legs=self.legs,
            in_digits=in_digits,
            in_legs=-(-self.layer.in_bits // (self.digit_bits * in_digits)),
            adders=self.engine.adders,
        )

    def beat_cycles(self, channels_per_beat: int) -> tuple[int, ...]:
        first = result_latency(self.cost.out_start, self.legs, self.leg_cycles)
        return tuple(range(first, first + -(-self.layer.codes.shape[0] // channels_per_beat)))

    def blocks(self, plan: ClbPlan) -> dict[str, Resources]:
        return serial_blocks(self.layer, plan, self.cost.resources)


class ClbLayer:
    """Foldings of a layer whose arithmetic is `engine`, solved or sketched, fit for a clock of clk_mhz."""

    def __init__(self, layer: QuantLayer, engine: Engine, clk_mhz: float) -> None:
        self._layer, self._engine = layer, engine
        self._raster, self._acc_bits = slot_raster(layer), accumulator_bits(layer)
        # Of digits: with ones wider than an input no slot would be shorter.
        self._widths = range(1, min(layer.in_bits, widest_digit(clk_mhz)) + 1)

    def paces(self) -> set[int]:
        every = (
            self._cycles(digit_bits, leg_cycles)
            for digit_bits in self._widths
            for leg_cycles in range(1, self._most_cycles(digit_bits) + 1)
        )
        return {cycles for cycles in every if cycles < math.inf}

    def fold(self, budget: float, before: Sends, bram_price: float) -> ClbFolding | None:
        """For each width of a digit the longest legs that the budget allows, and of these the least engine."""
        longest = {
            digit_bits: max(possible)
            for digit_bits in self._widths
            if (
                possible := [
                    leg_cycles
                    for leg_cycles in range(1, self._most_cycles(digit_bits) + 1)
                    if self._cycles(digit_bits, leg_cycles) <= budget
                ]
            )
        }
        if not longest:
            return None
        return min((self._folding(*widths, budget) for widths in longest.items()), key=_size)

    def _folding(self, digit_bits: int, leg_cycles: int, budget: float) -> ClbFolding:
        raster, shifting = self._raster, input_digits(self._layer, digit_bits, leg_cycles)
        spare = math.floor((budget - (raster.slots - raster.computing) * shifting) / raster.computing)
        ii_cycles = max(leg_cycles, spare)
        return ClbFolding(self._layer, self._engine, raster, self._acc_bits, digit_bits, leg_cycles, ii_cycles)

    def _most_cycles(self, digit_bits: int) -> int:
        """Digits of an accumulator, in one leg."""
        return -(-self._acc_bits // digit_bits)

    def _cycles(self, digit_bits: int, leg_cycles: int) -> float:
        """Least cycles a frame of a folding; infinite where that cannot be."""
        in_digits = input_digits(self._layer, digit_bits, leg_cycles)
        if len(self._raster.col_flags) * in_digits < LINE_MEMORY_CYCLES:
            return math.inf
        return self._raster.cycles(leg_cycles, in_digits)


def _size(folding: ClbFolding) -> float:
    """About what a folding takes, in LUT sites: without its adder graph's delays, which take longer to count.

    A full adder is a site and a flip-flop for its sum, the carry of a digit another; a board has two flip-flops for
    each site.  Wide digits have long carries, and are to be worth it.
    """
    digit_bits = folding.digit_bits
    adder_bits = folding.engine.adder_bits(digit_bits, folding.leg_cycles, folding.acc_bits)
    adders = Resources(adder_bits, adder_bits * (1 + 1 / digit_bits), 0)
    plan = folding.plan(Streams(1, folding.in_channels, USUAL_LANES))
    parts = Resources.total(serial_blocks(folding.layer, plan, adders))
    return (parts.lut + parts.ff / 2) * (WIDE_PENALTY if digit_bits > SHORT_CARRY_BITS else 1.0)


def widest_digit(clk_mhz: float) -> int:
    """Bits of the widest digit whose carry passes its adder within a period; at least one.

    By the static estimate (`build.paths`) of layers of 27 inputs with digits of 1 to 8 bits; docs/hardware.md has the
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
    return max(exact, layer.shift + layer.act_bits + 1, layer.in_bits)
