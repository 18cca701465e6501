"""Engines estimated from the weights alone: no adder graph is searched, so that a plan takes milliseconds.

The laws below were fitted by least squares to the graphs that da4ml found for 95 layers, random and of trained models,
of 40 to 23,000 weights and 3% to 100% of them other than zero; docs/architecture.md, "Sketches", has their errors and
the command that measures them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.plan.adder_graph import GROUP_WEIGHTS
from lognet_fpga.plan.engine import EngineCost
from lognet_fpga.plan.resources import adder_resources
from lognet_fpga.plan.serial import AdderCopies, serial_counts


@dataclass(frozen=True)
class SketchedEngine:
    """nonzero: weights other than zero, of outputs * inputs; rows, cols: outputs and inputs that have any; in_bits: of
    an input."""

    nonzero: int
    outputs: int
    inputs: int
    rows: int
    cols: int
    in_bits: int = 8

    @classmethod
    def of(cls, layer: QuantLayer) -> SketchedEngine:
        used = layer.codes.reshape(len(layer.codes), -1) != 0
        rows, cols = int(used.any(axis=1).sum()), int(used.any(axis=0).sum())
        return cls(int(used.sum()), *used.shape, rows, cols, layer.in_bits)

    def pruned(self, share: float) -> SketchedEngine:
        """With at least that share of all weights zero."""
        nonzero = min(self.nonzero, round((1 - share) * self.outputs * self.inputs))
        return replace(self, nonzero=nonzero, rows=min(self.rows, nonzero), cols=min(self.cols, nonzero))

    @property
    def adders(self) -> int:
        """After sharing; layers of many weights are solved in groups of outputs, which share nothing."""
        unshared = self.nonzero - self.rows
        if unshared <= 0:
            return 0
        groups = -(-self.nonzero // GROUP_WEIGHTS)
        return round(unshared * min(1.0, 0.99 * (self.nonzero / groups) ** -0.074 * self._density**-0.122))

    def adder_bits(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> int:
        leg_bits = digit_bits * leg_cycles
        return digit_bits * (self._legs(leg_bits) + self.outputs * -(-acc_bits // leg_bits))

    def cost(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> EngineCost:
        legs, out_start, delay_ffs, shift_registers = self._legs(digit_bits * leg_cycles), 0, 0.0, 0.0
        if self.adders:
            terms = math.log2(self.nonzero / self.rows)
            out_start = max(0, round(1.29 * terms + 1.31 * min(2.0, math.log2(digit_bits)) - 1.98))
            spread = self.nonzero**0.71 * self.rows**0.238 * digit_bits**0.518
            delay_ffs = 1.7 * spread * self._density ** (0.326 - 0.125 * math.log(digit_bits))
            delay_ffs *= legs / self.adders * (1.0 if leg_cycles > 1 else 0.8)
            shift_registers = (0.04 if leg_cycles > 2 else 0.17) * (3 * self._density) ** -0.7 * digit_bits * legs
        splices = 0.25 * digit_bits**0.5 * (legs - self.adders) if leg_cycles > 1 else 0.0
        if leg_cycles > 2:  # the upper legs of the inputs wait for their turn
            shift_registers += self.inputs * (-(-self.in_bits // (digit_bits * leg_cycles)) - 1) * digit_bits
        return EngineCost(
            adder_resources(
                serial_counts(
                    self.adders,
                    AdderCopies(legs),
                    self.outputs,
                    -(-acc_bits // (digit_bits * leg_cycles)),
                    digit_bits,
                    leg_cycles,
                    out_start,
                    round(delay_ffs),
                    round(shift_registers),
                    round(splices),
                )
            ),
            out_start,
        )

    def _legs(self, leg_bits: int) -> int:
        """Of the adders of the graph: their sums are of in_bits + 1 bits and up, the widest ones rare; weights of many
        sizes, as unpruned ones are, make them wider."""
        if not self.adders:
            return 0
        usual = 2 + 8 * max(0.0, self._density - 0.5)
        widths = range(max(1, round(math.log2(self.nonzero / self.rows) + usual - 0.4)))
        shares = [min(1.0, 2.0 ** (0.55 * (usual - extra))) for extra in widths]
        legs = sum(share * -(-(self.in_bits + 1 + extra) // leg_bits) for extra, share in zip(widths, shares))
        return round(self.adders * legs / sum(shares))

    @property
    def _density(self) -> float:
        return self.nonzero / (self.rows * self.cols)


def sketched_engines(quant: QuantGraph) -> tuple[SketchedEngine, ...]:
    return tuple(SketchedEngine.of(layer) for layer in quant.layers)
