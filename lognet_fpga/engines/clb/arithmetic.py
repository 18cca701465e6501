"""What a `clb` layer asks of its arithmetic: the parts it takes and how late its sums are, for every folding.

It is either exact (`SolvedAdders`, from a solved graph) or estimated from the weights alone
(`sketch.SketchedAdders`), and foldings treat both alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

from lognet_fpga.engines.clb.adder_graph import AdderGraph
from lognet_fpga.engines.clb.cost import adder_resources
from lognet_fpga.engines.clb.counts import adder_copies, count_schedule
from lognet_fpga.engines.clb.pairs import paired
from lognet_fpga.engines.clb.schedule import SerialSchedule, node_bits, node_legs, schedule
from lognet_fpga.engines.clb.start_times import settled
from lognet_fpga.engines.clb.ternary import ternary
from lognet_fpga.fabric.board import Resources


@dataclass(frozen=True)
class ArithmeticCost:
    """resources: of the arithmetic alone, the bias adders included.  out_start: cycle in which the bias adders read
    digit 0, counted from digit 0 of the inputs."""

    resources: Resources
    out_start: int


class Arithmetic(Protocol):
    """One layer's arithmetic.  adders: two-input adders of its graph."""

    def __hash__(self) -> int: ...

    @property
    def adders(self) -> int: ...

    def adder_bits(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> int:
        """Sites of the adders, which are most of an engine, at digit_bits of a number a cycle, leg_cycles digits a leg
        and accumulators of acc_bits."""
        ...

    def cost(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> ArithmeticCost: ...


class SolvedAdders:
    """The arithmetic of a solved adder graph: counted, not estimated.  in_bits: of its inputs."""

    def __init__(self, graph: AdderGraph, in_bits: int) -> None:
        self.graph, self._in_bits = graph, in_bits
        self.timed = lru_cache(maxsize=None)(self._timed)
        self.cost = lru_cache(maxsize=None)(self._cost)
        self.adder_bits = lru_cache(maxsize=None)(self._adder_bits)

    @property
    def adders(self) -> int:
        return len(self.graph.adders)

    def _adder_bits(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> int:
        acc_legs = -(-acc_bits // (digit_bits * leg_cycles))
        if digit_bits > 1:  # adders of two operands only: a site each, whenever they start
            legs = node_legs(*self._node_bits, digit_bits, leg_cycles, acc_legs)
            sites = sum(legs[self.graph.inputs :])
        else:
            sites = adder_copies(*self.timed(digit_bits, leg_cycles, acc_bits)).sites
        return digit_bits * (sites + len(self.graph.outputs) * acc_legs)

    @cached_property
    def _node_bits(self) -> tuple[tuple[int, ...], tuple[bool, ...]]:
        return node_bits(self.graph, self._in_bits)

    def _cost(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> ArithmeticCost:
        graph, timed = self.timed(digit_bits, leg_cycles, acc_bits)
        return ArithmeticCost(adder_resources(count_schedule(graph, timed)), timed.out_start)

    def _timed(self, digit_bits: int, leg_cycles: int, acc_bits: int) -> tuple[AdderGraph, SerialSchedule]:
        return timed_adders(self.graph, self._in_bits, acc_bits, digit_bits, leg_cycles)


def timed_adders(
    graph: AdderGraph, in_bits: int, acc_bits: int, digit_bits: int, leg_cycles: int
) -> tuple[AdderGraph, SerialSchedule]:
    """A solved graph with its sums in another order, as it is built at that folding, and when its adders start.

    in_bits: of the unsigned inputs; acc_bits: of the outputs, modulo 2**acc_bits at least.
    """
    graph = ternary(graph, in_bits, digit_bits, leg_cycles)
    graph = paired(graph, in_bits, acc_bits, digit_bits, leg_cycles)
    return graph, settled(graph, schedule(graph, in_bits, acc_bits, digit_bits, leg_cycles))
