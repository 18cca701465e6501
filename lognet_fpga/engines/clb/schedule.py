"""When each adder of a digit-serial engine works, and which wires it reads: start times, legs, delays, splices.

A number travels least significant digit first, digit_bits wires wide.  Shifting it left by k is a delay of
k // digit_bits cycles and a re-splicing of k % digit_bits wires (`DESIGN`: a shift is a delay).  Times are in
clock cycles, counted from the cycle in which digit 0 of the inputs is on the wires.

A new slot may come every leg_cycles cycles, which may be before the numbers of the slot before have ended.  A number
therefore runs in **legs**, as in a relay race: its first leg_cycles digits are on the wires of leg 0, the next ones on
those of leg 1, and so on; an adder has a copy for each leg, and a copy hands its carry on to the next one.  Digit x of
a node that is ready in cycle R is on the wires of leg x // leg_cycles in cycle R + x.  A node has only the legs that
its range of values needs; behind them its sign is kept in a register, or it is zero.

An adder that starts at S reads digit x of its operands at S + x and shows digit x of its sum at S + x + 1.  An operand
shifted by other than whole legs takes the first digits of a leg from the leg before: its wires are the registers of
`Spliced` and `Kept`, so that it has a delay of at least one.  In front of leg 0 lie the last digits of the slot before:
they are masked, but for those of an unsigned number that ends before them.  So the inputs of a slot that does not
compute are to be zero: it may be shorter than a leg.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeVar, Union

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph, Term


class Tap(NamedTuple):
    """Bit `bit` of the digits that `node` shows on leg `leg`, `delay` cycles late."""

    node: int
    leg: int
    bit: int
    delay: int


class Spliced(NamedTuple):
    """A register that takes `first` when it is to show the first `digits` digits of the leg that begins in cycle
    `begin`, and `then` for the others; None is zero."""

    first: Tap | None
    then: Tap | None
    digits: int
    begin: int


class Kept(NamedTuple):
    """A register that takes `source` for the first `digits` digits of the leg that begins in cycle `begin`, and keeps
    the last of them, a sign."""

    source: Tap | Kept
    digits: int
    begin: int


Wire = Union[Tap, Spliced, Kept, None]  # None: a wire that is always zero


def sources(register: Spliced | Kept) -> tuple[Wire, ...]:
    """The wires that a register takes its digits from."""
    return (register.source,) if isinstance(register, Kept) else (register.first, register.then)


class Number(NamedTuple):
    """What the wires of a node depend on.  ends: digits' bits behind which it is zero, None for a signed one, whose
    sign goes on; legs: its own; waits: for an input, whose legs all come at once."""

    legs: int
    ends: int | None
    waits: bool


@dataclass(frozen=True)
class _Operands:
    """The wires by which an adder reads a number, for digits of digit_bits and legs of leg_cycles, whatever the adder
    and the node: of node 0, ready in the cycle in which the adder starts, cycle 0."""

    digit_bits: int
    leg_cycles: int

    def wire(self, number: Number, shift: int, leg: int, bit: int) -> Wire:
        digits, bits = divmod(shift, self.digit_bits)
        late = digits + (1 if bit < bits else 0)  # a low wire carries the upper bits of the digit before
        whole, part = divmod(late, self.leg_cycles)
        source_leg, source_bit = leg - whole, (bit - bits) % self.digit_bits
        if source_leg < 0:
            return None
        first_digit = leg * self.leg_cycles - late
        if number.ends is not None and first_digit * self.digit_bits + source_bit >= number.ends:
            return None
        delay, begin, legs = late, leg * self.leg_cycles, number.legs
        if part:
            if source_leg == 0 and self._ends_before(number, source_bit, part):
                return self._tap(number, 0, source_bit, delay)
            if source_leg > legs:
                return Kept(self._sign(number, shift, leg - 1, bit), 1, begin)
            first = self._tap(number, source_leg - 1, source_bit, delay - 1) if source_leg else None
            if first and source_leg == legs and number.ends is None:
                return Kept(first, part, begin)
            then = self._tap(number, source_leg, source_bit, delay - 1) if source_leg < legs else None
            return Spliced(first, then, part, begin)
        if source_leg < legs:
            return self._tap(number, source_leg, source_bit, delay)
        if self.leg_cycles == 1:  # a leg is one digit: its sign need not be kept, only delayed
            return self._tap(number, legs - 1, self.digit_bits - 1, delay + source_leg - legs + 1)
        if source_leg == legs:
            return Kept(self._tap(number, legs - 1, self.digit_bits - 1, delay), 1, begin)
        return Kept(self._sign(number, shift, leg - 1, bit), 1, begin)

    def _ends_before(self, number: Number, bit: int, digits: int) -> bool:
        """Whether that bit of the last so many digits of leg 0 is zero, whatever the number."""
        return number.ends is not None and (self.leg_cycles - digits) * self.digit_bits + bit >= number.ends

    def _sign(self, number: Number, shift: int, leg: int, bit: int) -> Tap | Kept:
        """The wire, of a leg behind the number's last one or that itself, which ends with the sign."""
        wire = self.wire(number, shift, leg, bit)
        assert isinstance(wire, (Tap, Kept))
        return wire

    def _tap(self, number: Number, leg: int, bit: int, delay: int) -> Tap:
        return Tap(0, leg, bit, delay + (leg * self.leg_cycles if number.waits else 0))


@lru_cache(maxsize=1 << 14)
def wires_of(digit_bits: int, leg_cycles: int, number: Number, shift: int, leg: int) -> tuple[Wire, ...]:
    """The digit_bits wires of leg `leg` of a number << shift, lowest bit first, as of _Operands."""
    operands = _Operands(digit_bits, leg_cycles)
    return tuple(operands.wire(number, shift, leg, bit) for bit in range(digit_bits))


@lru_cache(maxsize=1 << 14)
def registers_of(digit_bits: int, leg_cycles: int, number: Number, shift: int, legs: int) -> tuple[Wire, ...]:
    """The wires of the first legs of a number << shift, each once, and all that their registers take; without zero."""
    found: dict[Wire, None] = {}
    ahead = [wire for leg in range(legs) for wire in wires_of(digit_bits, leg_cycles, number, shift, leg)]
    while ahead:
        wire = ahead.pop()
        if wire is not None and wire not in found:
            found[wire] = None
            ahead += [] if isinstance(wire, Tap) else sources(wire)
    return tuple(found)


@lru_cache(maxsize=1 << 14)
def head_start(digit_bits: int, leg_cycles: int, number: Number, shift: int, legs: int) -> int:
    """Cycles from the one in which a number is ready until an adder of so many legs may start that reads it shifted;
    before that, if negative, for the first digits are zero."""
    wires = registers_of(digit_bits, leg_cycles, number, shift, legs)
    return -min((wire.delay for wire in wires if isinstance(wire, Tap)), default=shift // digit_bits)


SomeWire = TypeVar("SomeWire", bound=Union[Tap, Spliced, Kept])


def moved(wire: SomeWire, node: int, late: int, start: int) -> SomeWire:
    """A wire as of wires_of for another node, ready `late` cycles before the adder starts, in cycle `start`."""
    if isinstance(wire, Tap):
        return wire._replace(node=node, delay=wire.delay + late)
    begin = wire.begin + start
    if isinstance(wire, Spliced):
        first, then = (tap and moved(tap, node, late, start) for tap in (wire.first, wire.then))
        return wire._replace(first=first, then=then, begin=begin)
    return wire._replace(source=moved(wire.source, node, late, start), begin=begin)


@dataclass(frozen=True)
class SerialSchedule:
    """start[i]: cycle in which adder i reads digit 0; out_start: the same for the bias adders behind all outputs.

    bits: of every node's values, the sign included; signed: whether it has one.  acc_legs: legs of the outputs.
    """

    digit_bits: int
    leg_cycles: int
    acc_legs: int
    inputs: int
    bits: tuple[int, ...]
    signed: tuple[bool, ...]
    start: tuple[int, ...]
    out_start: int

    @property
    def last_begin(self) -> int:
        """The latest cycle in which a leg of an adder begins.  Adders may start later than out_start where every
        output is a shifted sum, whose first digits are zero."""
        return max(self.out_start, *self.start, 0) + (self.acc_legs - 1) * self.leg_cycles

    @cached_property
    def legs(self) -> tuple[int, ...]:
        """Of every node.  The last digit of a signed node is all sign where it may be kept, in legs of several."""
        return node_legs(self.bits, self.signed, self.digit_bits, self.leg_cycles, self.acc_legs)

    def ready(self, node: int) -> int:
        """Cycle in which digit 0 of the node is on the wires."""
        return 0 if node < self.inputs else self.start[node - self.inputs] + 1

    def operand(self, node: int, shift: int, start: int, leg: int) -> tuple[Wire, ...]:
        """The digit_bits wires that carry leg `leg` of node << shift to an adder that starts at `start`, lowest bit
        first."""
        if node == ZERO:
            return (None,) * self.digit_bits
        key = node, shift, start, leg
        if key not in self._operands:
            wires = wires_of(self.digit_bits, self.leg_cycles, self.number(node), shift, leg)
            self._operands[key] = tuple(wire and moved(wire, node, start - self.ready(node), start) for wire in wires)
        return self._operands[key]

    @cached_property
    def _operands(self) -> dict[tuple[int, int, int, int], tuple[Wire, ...]]:
        """Those asked for before: wiring asks for each several times."""
        return {}

    def number(self, node: int) -> Number:
        return Number(self.legs[node], None if self.signed[node] else self.bits[node], node < self.inputs)


def node_legs(
    bits: Sequence[int], signed: Sequence[bool], digit_bits: int, leg_cycles: int, acc_legs: int
) -> tuple[int, ...]:
    """Legs of nodes whose values have so many bits, the sign included; acc_legs: of the outputs."""
    spare, leg_bits = digit_bits - 1 if leg_cycles > 1 else 0, digit_bits * leg_cycles
    needed = (own + (spare if sign else 0) for own, sign in zip(bits, signed))
    return tuple(min(acc_legs, max(1, -(-own // leg_bits))) for own in needed)


def node_bits(graph: AdderGraph, in_bits: int) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """(bits, signed) of every node's values, in_bits those of the unsigned inputs."""
    bits, signed = zip(*(value_bits(low, high) for low, high in graph.node_ranges(0, 2**in_bits - 1)))
    return bits, signed


def value_bits(low: int, high: int) -> tuple[int, bool]:
    """Bits of values from low to high, the sign included, and whether there is one."""
    signed = low < 0
    return max(high.bit_length(), (-low - 1).bit_length() if signed else 0) + signed, signed


def schedule(graph: AdderGraph, in_bits: int, acc_bits: int, digit_bits: int, leg_cycles: int) -> SerialSchedule:
    """As-soon-as-possible start times for a whole graph.

    in_bits: of the unsigned inputs; acc_bits: of the outputs, modulo 2**acc_bits at least.
    """
    bits, signed = node_bits(graph, in_bits)
    acc_legs = -(-acc_bits // (digit_bits * leg_cycles))
    legs = node_legs(bits, signed, digit_bits, leg_cycles, acc_legs)
    numbers = [
        Number(own, None if sign else width, node < graph.inputs)
        for node, (own, width, sign) in enumerate(zip(legs, bits, signed))
    ]
    ready, start = [0] * graph.inputs, []

    def begin(terms: Iterable[Term], legs: int) -> int:
        read = (
            ready[node] + head_start(digit_bits, leg_cycles, numbers[node], shift, legs)
            for node, shift, _ in terms
            if node != ZERO
        )
        return max(0, 0, *read)

    for adder, own in zip(graph.adders, legs[graph.inputs :]):
        start.append(begin(adder.terms, own))
        ready.append(start[-1] + 1)
    out_start = begin(graph.outputs, acc_legs)
    return SerialSchedule(digit_bits, leg_cycles, acc_legs, graph.inputs, bits, signed, tuple(start), out_start)


def engine_wires(graph: AdderGraph, plan: SerialSchedule) -> Iterator[Wire]:
    """Every wire that some adder reads."""
    for index, (adder, start) in enumerate(zip(graph.adders, plan.start)):
        for leg in range(plan.legs[graph.inputs + index]):
            for term in adder.terms:
                yield from plan.operand(term.node, term.shift, start, leg)
    for out in graph.outputs:
        for leg in range(plan.acc_legs):
            yield from plan.operand(out.node, out.shift, plan.out_start, leg)
