"""Sums of two operands at a time, in the order that needs the fewest registers between adders.

An adder's operand that is ready before the other one waits in registers, a shifted one has registers that mask or
choose its first digits, and such a register, which delays another one, asks for a position of its own
(`synth.positions`); the adder's sum and carry do not.  da4ml's graph has adders of two operands, and seven in ten of
them have one reader: they are parts of long sums, whose order is free.  Here those are taken apart down to what others
read as well, and put together again, always next the two terms that cost the least: they are equally shifted and ready
in the same cycle wherever there are such two, and shifts come behind sums, not in front of each term.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph, Term, append_adder, shifted
from lognet_fpga.engines.clb.schedule import Number, Spliced, Tap, head_start, node_legs, registers_of, value_bits
from lognet_fpga.fabric.costs import SRL_CYCLES

# Beside a bit of a leg of an adder, which is a site: what registers behind registers are worth, masks and choices of a
# digit from one of two legs (half a site and a register that is not lone), and cycles that a sum is later, for which
# all others may have to wait.  Tried on the three layers of the shipped model: halves and doubles of them gain nothing.
_LONE, _GATE, _CYCLE = 0.8, 1.0, 8.0


class Folded(NamedTuple):
    """What the order of a sum depends on beside its terms: digits of digit_bits, legs of leg_cycles digits, outputs of
    acc_legs legs."""

    digit_bits: int
    leg_cycles: int
    acc_legs: int

    def head_start(self, number: Number, shift: int, legs: int) -> int:
        return head_start(self.digit_bits, self.leg_cycles, number, shift, legs)


def paired(graph: AdderGraph, in_bits: int, acc_bits: int, digit_bits: int, leg_cycles: int) -> AdderGraph:
    """The same outputs with other sums in between.

    in_bits: of the unsigned inputs.  Sums that `ternary` had its hands on are left as they are: where digits have one
    bit, all that have one leg, or all where a leg is one digit.
    """
    if digit_bits * leg_cycles == 1:
        return graph
    folded = Folded(digit_bits, leg_cycles, -(-acc_bits // (digit_bits * leg_cycles)))
    return _paired(graph, in_bits, folded)


@lru_cache(maxsize=64)
def _paired(graph: AdderGraph, in_bits: int, folded: Folded) -> AdderGraph:
    return _Pairing(graph, in_bits, folded).run()


class _Kind(NamedTuple):
    """What is alike in terms that cost the same.  low, high: of the node's values; ready: the cycle of its first
    digit."""

    low: int
    high: int
    number: Number
    ready: int
    shift: int
    negate: bool


@dataclass
class _Pairing:
    graph: AdderGraph
    in_bits: int
    folded: Folded
    adders: list = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)  # of the new nodes
    ready: list[int] = field(default_factory=list)
    prices: dict[tuple[_Kind, _Kind], float] = field(default_factory=dict)

    def run(self) -> AdderGraph:
        graph = self.graph
        self.ranges += [(0, 2**self.in_bits - 1)] * graph.inputs
        self.ready += [0] * graph.inputs
        made = {node: Term(node, 0, False) for node in range(graph.inputs)}
        inner = self._inner()
        for node, adder in enumerate(graph.adders, graph.inputs):
            if inner[node]:
                continue
            terms = list(adder.terms)
            if self._free(node):
                terms = list(self._leaves(terms, inner))
            terms = [shifted(made[term.node], term.shift, term.negate) for term in terms]
            made[node] = self._sum(terms) if len(adder.terms) == 2 else self._add(terms)
        outputs = (out if out.node == ZERO else shifted(made[out.node], out.shift, out.negate) for out in graph.outputs)
        return AdderGraph(graph.inputs, tuple(self.adders), tuple(outputs), graph.solver)

    def _free(self, node: int) -> bool:
        """Whether it is the sum of two terms, and no matter of `ternary`."""
        if node < self.graph.inputs or len(self.graph.adders[node - self.graph.inputs].terms) != 2:
            return False
        return (
            self.folded.digit_bits > 1 or _legs(self.folded, *self.graph.node_ranges(0, 2**self.in_bits - 1)[node]) > 1
        )

    def _inner(self) -> list[bool]:
        """Of each node: whether it is but a part of one other sum."""
        graph = self.graph
        readers: dict[int, list[int]] = defaultdict(list)
        for node, adder in enumerate(graph.adders, graph.inputs):
            for term in adder.terms:
                readers[term.node].append(node)
        read_outside = {out.node for out in graph.outputs}
        free = [self._free(node) for node in range(graph.inputs + len(graph.adders))]
        return [
            free[node] and len(readers[node]) == 1 and free[readers[node][0]] and node not in read_outside
            for node in range(len(free))
        ]

    def _leaves(self, terms: Sequence[Term], inner: list[bool]) -> Iterator[Term]:
        """Those that others read as well, of which these terms are made."""
        ahead = list(terms[::-1])
        while ahead:
            term = ahead.pop()
            if inner[term.node]:
                within = self.graph.adders[term.node - self.graph.inputs].terms
                ahead += [shifted(each, term.shift, term.negate) for each in within[::-1]]
            else:
                yield term

    def _sum(self, terms: list[Term]) -> Term:
        """Two terms at a time, the cheapest pair first, of those the one that came first."""
        waiting: dict[_Kind, list[Term]] = defaultdict(list)
        offers: list[tuple[float, int, _Kind, _Kind]] = []

        def arrive(term: Term) -> None:
            kind = self._kind(term)
            waiting[kind].append(term)
            if len(waiting[kind]) <= 2:
                others = [kind] if len(waiting[kind]) == 2 else [other for other in waiting if other != kind]
                for other in others:
                    if waiting[other]:
                        heapq.heappush(offers, (self._price(other, kind), len(offers), other, kind))

        for term in terms:
            arrive(term)
        for _ in range(len(terms) - 1):
            one, other = offers[0][2:]
            while not waiting[one] or len(waiting[other]) <= (one == other):
                heapq.heappop(offers)
                one, other = offers[0][2:]
            arrive(self._add([waiting[one].pop(0), waiting[other].pop(0)]))
        return next(left[0] for left in waiting.values() if left)

    def _add(self, terms: list[Term]) -> Term:
        made = append_adder(self.adders, self.graph.inputs, terms)
        added = self.adders[-1].terms
        least = greatest = 0
        for node, shift, negate in added:
            low, high = self.ranges[node]
            least, greatest = _plus(least, greatest, low << shift, high << shift, negate)
        self.ranges.append((least, greatest))
        legs, kinds = _legs(self.folded, least, greatest), map(self._kind, added)
        starts = (kind.ready + self.folded.head_start(kind.number, kind.shift, legs) for kind in kinds)
        self.ready.append(1 + max(0, *starts))
        return made

    def _kind(self, term: Term) -> _Kind:
        low, high = self.ranges[term.node]
        number = _number(self.folded, low, high, term.node < self.graph.inputs)
        return _Kind(low, high, number, self.ready[term.node], term.shift, term.negate)

    def _price(self, one: _Kind, other: _Kind) -> float:
        """What the sum of two such terms takes, and how late it is: as of a sum whose own first digits are not zero."""
        price = self.prices.get((one, other))
        if price is None:
            folded, common = self.folded, min(one.shift, other.shift)
            one_shift, other_shift = one.shift - common, other.shift - common
            least, greatest = _plus(0, 0, one.low << one_shift, one.high << one_shift, one.negate and not other.negate)
            least, greatest = _plus(
                least, greatest, other.low << other_shift, other.high << other_shift, other.negate and not one.negate
            )
            legs = _legs(folded, least, greatest)
            start = max(0, one.ready + folded.head_start(one.number, one_shift, legs))
            start = max(start, other.ready + folded.head_start(other.number, other_shift, legs))
            price = legs * folded.digit_bits + _CYCLE * (start - common / folded.digit_bits)
            price += _operand_price(folded, one.number, one_shift, legs, start - one.ready)
            price += _operand_price(folded, other.number, other_shift, legs, start - other.ready)
            self.prices[one, other] = price
        return price


def _plus(least: int, greatest: int, low: int, high: int, negate: bool) -> tuple[int, int]:
    return (least - high, greatest - low) if negate else (least + low, greatest + high)


@lru_cache(maxsize=1 << 14)
def _legs(folded: Folded, low: int, high: int) -> int:
    """Of a node with such values."""
    bits, signed = value_bits(low, high)
    return node_legs((bits,), (signed,), *folded)[0]


@lru_cache(maxsize=1 << 14)
def _number(folded: Folded, low: int, high: int, arrives: bool) -> Number:
    bits, signed = value_bits(low, high)
    return Number(_legs(folded, low, high), None if signed else bits, arrives)


@lru_cache(maxsize=1 << 14)
def _operand_price(folded: Folded, number: Number, shift: int, legs: int, late: int) -> float:
    """Of reading so many legs of number << shift, `late` cycles after it is ready."""
    read = _reading(folded.digit_bits, folded.leg_cycles, number, shift, legs)
    delays = sum(min(delay + late, SRL_CYCLES) for delay in read.delays if delay + late > 0)
    return _LONE * (read.cuts + delays) + _GATE * read.gates


class _Reading(NamedTuple):
    """cuts: lone registers at the end of delays; gates: registers behind a LUT; delays: of all taps, for an adder that
    starts in the cycle in which the number is ready."""

    cuts: int
    gates: int
    delays: tuple[int, ...]


@lru_cache(maxsize=1 << 14)
def _reading(digit_bits: int, leg_cycles: int, number: Number, shift: int, legs: int) -> _Reading:
    """What it takes to read so many legs of number << shift."""
    wires = registers_of(digit_bits, leg_cycles, number, shift, legs)
    cuts = sum(isinstance(wire, Spliced) and wire.then is None for wire in wires)
    gates = sum(not isinstance(wire, Tap) for wire in wires) - cuts
    return _Reading(cuts, gates, tuple(wire.delay for wire in wires if isinstance(wire, Tap)))
