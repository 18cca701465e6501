"""Arithmetic estimated from the weights alone: no adder graph is searched, so that a plan takes milliseconds.

The laws below were fitted by least squares to the graphs that da4ml found for 95 layers, random and of trained models,
of 40 to 23,000 weights and 3% to 100% of them other than zero; docs/architecture.md, "Sketches", has their errors and
the command that measures them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lognet_fpga.engines.clb.adder_graph import GROUP_WEIGHTS
from lognet_fpga.engines.clb.arithmetic import ArithmeticCost
from lognet_fpga.engines.clb.cost import adder_resources
from lognet_fpga.engines.clb.counts import AdderCopies, serial_counts
from lognet_fpga.ir.groups import dense_kernel
from lognet_fpga.ir.quant import QuantLayer


@dataclass(frozen=True)
class SketchedAdders:
    """nonzero: weights other than zero, of outputs * inputs; rows, cols: outputs and inputs that have any; in_bits: of
    an input; groups: of the layer, between which there are no weights."""

    nonzero: int
    outputs: int
    inputs: int
    rows: int
    cols: int
    in_bits: int = 8
    groups: int = 1

    @classmethod
    def of(cls, layer: QuantLayer) -> SketchedAdders:
        used = dense_kernel(layer.codes, layer.groups).reshape(len(layer.codes), -1) != 0
        rows, cols = int(used.any(axis=1).sum()), int(used.any(axis=0).sum())
        outputs, inputs = used.shape
        return cls(int(used.sum()), outputs, inputs, rows, cols, layer.in_bits, layer.groups)

    def pruned(self, share: float) -> SketchedAdders:
        """With at least that share of all weights zero."""
        nonzero = min(self.nonzero, round((1 - share) * self.outputs * self.inputs / self.groups))
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
        legs = self.outputs * -(-acc_bits // (digit_bits * leg_cycles))
        return digit_bits * (self._copies(digit_bits, leg_cycles).sites + legs)

    def cost(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> ArithmeticCost:
        copies, out_start, delay_ffs, shift_registers = self._copies(digit_bits, leg_cycles), 0, 0.0, 0.0
        legs = self._legs(digit_bits * leg_cycles)
        if self.adders:
            terms, alike = math.log2(self.nonzero / self.rows), self._summed_by_three(digit_bits, leg_cycles)
            by_two = 1.29 * terms + 1.31 * min(2.0, math.log2(digit_bits)) - 1.98
            out_start = max(0, round(by_two * (1 - 0.4 * alike)))
            spread = self.nonzero**0.71 * self.rows**0.238 * digit_bits**0.518
            delay_ffs = 1.7 * spread * self._density ** (0.326 - 0.125 * math.log(digit_bits))
            delay_ffs *= legs / self.adders * (1.0 if leg_cycles > 1 else 0.8) * (1 + 1.25 * alike - 1.5 * alike**2)
            shift_registers = (0.04 if leg_cycles > 2 else 0.17) * (3 * self._density) ** -0.7 * digit_bits * legs
        # Sums are put in another order, so that most of them wait for nothing (`pairs`).
        delay_ffs *= 0.75 if leg_cycles > 1 else 0.85
        lone_ffs = delay_ffs * (0.42 if leg_cycles > 1 else 1.0)  # the others are masks, choices and kept signs
        if leg_cycles > 2:  # the upper legs of the inputs wait for their turn
            shift_registers += self.inputs * (-(-self.in_bits // (digit_bits * leg_cycles)) - 1) * digit_bits
        return ArithmeticCost(
            adder_resources(
                serial_counts(
                    self.adders,
                    copies,
                    self.outputs,
                    -(-acc_bits // (digit_bits * leg_cycles)),
                    digit_bits,
                    leg_cycles,
                    out_start,
                    round(delay_ffs),
                    round(lone_ffs),
                    round(shift_registers),
                    round(delay_ffs - lone_ffs),
                )
            ),
            out_start,
        )

    def _copies(self, digit_bits: int, leg_cycles: int) -> AdderCopies:
        """Three quarters of the graph's adders go into ones of three operands, two into each, where all may."""
        share = 0.38 * self._summed_by_three(digit_bits, leg_cycles)
        legs, whole = self._legs(digit_bits * leg_cycles), leg_cycles == 1
        of_three, ends_of_three = round(share * legs), round(share * self.adders) if whole else 0
        return AdderCopies(
            legs - 2 * of_three,
            of_three,
            round(0.6 * (of_three - ends_of_three)),
            self.adders - 2 * ends_of_three if whole else 0,
            ends_of_three,
        )

    def _summed_by_three(self, digit_bits: int, leg_cycles: int) -> float:
        """Which share of the sums that could be of three operands in numbers of one leg may be: `ternary`."""
        if digit_bits > 1:
            return 0.0
        if leg_cycles == 1:
            return 1.0
        widths = self._sum_widths()
        return (
            math.fsum(share for bits, share in widths if bits <= leg_cycles) / math.fsum(share for _, share in widths)
        ) ** 2

    def _legs(self, leg_bits: int) -> int:
        """Of the adders of the graph."""
        widths = self._sum_widths()
        legs = math.fsum(share * -(-bits // leg_bits) for bits, share in widths)
        return round(self.adders * legs / math.fsum(share for _, share in widths)) if self.adders else 0

    def _sum_widths(self) -> list[tuple[int, float]]:
        """(bits, weight): sums are of in_bits + 1 bits and up, the widest ones rare; weights of many sizes, as unpruned
        ones are, make them wider."""
        usual = 2 + 8 * max(0.0, self._density - 0.5)
        widest = math.log2(max(1, self.nonzero) / max(1, self.rows)) + usual - 0.4
        widths = range(max(1, round(widest)))
        return [(self.in_bits + 1 + extra, min(1.0, 2.0 ** (0.55 * (usual - extra)))) for extra in widths]

    @property
    def _density(self) -> float:
        return self.nonzero / max(1, self.rows * self.cols)
