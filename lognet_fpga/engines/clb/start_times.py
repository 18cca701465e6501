"""Adders that start later than they could, where that takes fewer registers.

As soon as possible is not the cheapest: where all readers of a sum wait for something else, its operands may wait in
its place.  That is cheaper where others wait for them as well, for a delay is shared by all that read it, and where the
delay behind the sum is then short enough to be none, or long enough for a shift register.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph
from lognet_fpga.engines.clb.schedule import Number, SerialSchedule, Spliced, Tap, head_start, registers_of
from lognet_fpga.fabric.costs import SRL_CYCLES

# A register that another one drives, a shift register, a masked or spliced digit.  A design that fills seven tenths of
# its sites has a lone register at three fifths of the bypasses that these leave (`synth.positions`): one of each is
# about as dear as the other.  In tenths: sums of whole numbers tie where they should, in any order and any Python.
_LONE, _SHIFT_REGISTER, _GATE = 10, 9, 5
_OUTPUTS = -1  # who reads, where it is no adder


class _Reader(NamedTuple):
    """adder: which, or _OUTPUTS; legs: that it reads of the node, shifted by so many bits."""

    adder: int
    shift: int
    legs: int


class _Read(NamedTuple):
    """A number is read shifted, so many legs of it, by an adder that starts `late` cycles after it is ready."""

    shift: int
    legs: int
    late: int


def settled(graph: AdderGraph, plan: SerialSchedule) -> SerialSchedule:
    """The plan with adders as late as saves registers; the outputs come when they did.  plan: as soon as possible."""
    return _Settling(graph, plan).run()


class _Settling:
    def __init__(self, graph: AdderGraph, plan: SerialSchedule) -> None:
        self.graph, self.plan, self.start = graph, plan, list(plan.start)
        self.numbers = [plan.number(node) for node in range(graph.inputs + len(graph.adders))]
        self.readers: dict[int, list[_Reader]] = defaultdict(list)
        for index, adder in enumerate(graph.adders):
            for term in adder.terms:
                self.readers[term.node].append(_Reader(index, term.shift, plan.legs[graph.inputs + index]))
        for out in graph.outputs:
            self.readers[out.node].append(_Reader(_OUTPUTS, out.shift, plan.acc_legs))

    def run(self) -> SerialSchedule:
        latest = max(self.plan.out_start, *self.plan.start, 0)
        for index in reversed(range(len(self.start))):  # its readers stand where they stay
            node, earliest = self.graph.inputs + index, self.start[index]
            last = min([latest, *(self._start(reader) - 1 - self._head(node, reader) for reader in self.readers[node])])
            if last > earliest:
                touched = {node, *(term.node for term in self.graph.adders[index].terms if term.node != ZERO)}
                self.start[index] = min(range(earliest, last + 1), key=lambda at: (self._price(touched, index, at), at))
        return replace(self.plan, start=tuple(self.start))

    def _start(self, reader: _Reader) -> int:
        return self.plan.out_start if reader.adder == _OUTPUTS else self.start[reader.adder]

    def _head(self, node: int, reader: _Reader) -> int:
        plan = self.plan
        return head_start(plan.digit_bits, plan.leg_cycles, self.numbers[node], reader.shift, reader.legs)

    def _price(self, nodes: set[int], index: int, at: int) -> int:
        """Of the registers behind the nodes if adder `index` starts then."""
        self.start[index] = at
        return sum(self._price_of(node) for node in nodes)

    def _price_of(self, node: int) -> int:
        plan, inputs = self.plan, self.graph.inputs
        ready = 0 if node < inputs else self.start[node - inputs] + 1
        reads = {_Read(reader.shift, reader.legs, self._start(reader) - ready) for reader in self.readers[node]}
        return _registers_price(plan.digit_bits, plan.leg_cycles, self.numbers[node], tuple(sorted(reads)))


@lru_cache(maxsize=1 << 15)
def _registers_price(digit_bits: int, leg_cycles: int, number: Number, reads: tuple[_Read, ...]) -> int:
    """Of all registers behind a number that is read so, counted as in `counts`."""
    price, needed, beside = 0, defaultdict(set), set()
    for shift, legs, late in reads:
        for wire in registers_of(digit_bits, leg_cycles, number, shift, legs):
            if isinstance(wire, Tap):
                needed[wire.leg, wire.bit].add(wire.delay + late)
            elif (wire, late) not in beside:
                beside.add((wire, late))
                price += _LONE if isinstance(wire, Spliced) and wire.then is None else _GATE
    for delays in needed.values():
        reached = 0 if number.waits else -1  # a sum's own register is the first of its delays, and not lone
        for delay in sorted(delays):
            if delay - reached >= SRL_CYCLES:
                price += _SHIFT_REGISTER
            else:
                price += _LONE * (delay - max(reached, 0))
            reached = delay
    return price
