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
`Spliced` and `Kept`, so that it has a delay of at least one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Union

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph
from lognet_fpga.fabric.costs import SRL_CYCLES

# Sites that the lower sums of two bits were seen to share, for each of them: in digits of several bits, and of two in
# several legs.
SHARING_SUMS, SHARING_SUMS_OF_TWO_BITS = 0.28, 0.08


@dataclass(frozen=True)
class Tap:
    """Bit `bit` of the digits that `node` shows on leg `leg`, `delay` cycles late."""

    node: int
    leg: int
    bit: int
    delay: int


@dataclass(frozen=True)
class Spliced:
    """A register that takes `first` when it is to show the first `digits` digits of the leg that begins in cycle
    `begin`, and `then` for the others; None is zero."""

    first: Tap | None
    then: Tap | None
    digits: int
    begin: int


@dataclass(frozen=True)
class Kept:
    """A register that takes `source` for the first `digits` digits of the leg that begins in cycle `begin`, and keeps
    the last of them, a sign."""

    source: Tap | Kept
    digits: int
    begin: int


Wire = Union[Tap, Spliced, Kept, None]  # None: a wire that is always zero


def sources(register: Spliced | Kept) -> tuple[Wire, ...]:
    """The wires that a register takes its digits from."""
    return (register.source,) if isinstance(register, Kept) else (register.first, register.then)


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
            self._operands[key] = tuple(self._wire(*key, bit) for bit in range(self.digit_bits))
        return self._operands[key]

    @cached_property
    def _operands(self) -> dict[tuple[int, int, int, int], tuple[Wire, ...]]:
        """Those asked for before: counting and wiring ask for each several times."""
        return {}

    def _wire(self, node: int, shift: int, start: int, leg: int, bit: int) -> Wire:
        digits, bits = divmod(shift, self.digit_bits)
        late = digits + (1 if bit < bits else 0)  # a low wire carries the upper bits of the digit before
        whole, part = divmod(late, self.leg_cycles)
        source_leg, source_bit = leg - whole, (bit - bits) % self.digit_bits
        if source_leg < 0:
            return None
        first_digit = leg * self.leg_cycles - late
        if not self.signed[node] and first_digit * self.digit_bits + source_bit >= self.bits[node]:
            return None
        delay, begin, legs = start - self.ready(node) + late, start + leg * self.leg_cycles, self.legs[node]
        if part:
            if source_leg > legs:
                return Kept(self._sign(node, shift, start, leg - 1, bit), 1, begin)
            first = self._tap(node, source_leg - 1, source_bit, delay - 1) if source_leg else None
            if first and source_leg == legs and self.signed[node]:
                return Kept(first, part, begin)
            then = self._tap(node, source_leg, source_bit, delay - 1) if source_leg < legs else None
            return Spliced(first, then, part, begin)
        if source_leg < legs:
            return self._tap(node, source_leg, source_bit, delay)
        if self.leg_cycles == 1:  # a leg is one digit: its sign need not be kept, only delayed
            return self._tap(node, legs - 1, self.digit_bits - 1, delay + source_leg - legs + 1)
        if source_leg == legs:
            return Kept(self._tap(node, legs - 1, self.digit_bits - 1, delay), 1, begin)
        return Kept(self._sign(node, shift, start, leg - 1, bit), 1, begin)

    def _sign(self, node: int, shift: int, start: int, leg: int, bit: int) -> Tap | Kept:
        """The wire, of a leg behind the node's last one or that itself, which ends with the sign."""
        wire = self._wire(node, shift, start, leg, bit)
        assert isinstance(wire, (Tap, Kept))
        return wire

    def _tap(self, node: int, leg: int, bit: int, delay: int) -> Tap:
        """All legs of an input come at once."""
        return Tap(node, leg, bit, delay + (leg * self.leg_cycles if node < self.inputs else 0))


def node_legs(
    bits: Sequence[int], signed: Sequence[bool], digit_bits: int, leg_cycles: int, acc_legs: int
) -> tuple[int, ...]:
    """Legs of nodes whose values have so many bits, the sign included; acc_legs: of the outputs."""
    spare, leg_bits = digit_bits - 1 if leg_cycles > 1 else 0, digit_bits * leg_cycles
    needed = (own + (spare if sign else 0) for own, sign in zip(bits, signed))
    return tuple(min(acc_legs, max(1, -(-own // leg_bits))) for own in needed)


def node_bits(graph: AdderGraph, in_bits: int) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """(bits, signed) of every node's values, in_bits those of the unsigned inputs."""
    ranges = graph.node_ranges(0, 2**in_bits - 1)
    signed = tuple(low < 0 for low, _ in ranges)
    magnitudes = (max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) for low, high in ranges)
    return tuple(magnitude + sign for magnitude, sign in zip(magnitudes, signed)), signed


def schedule(graph: AdderGraph, in_bits: int, acc_bits: int, digit_bits: int, leg_cycles: int) -> SerialSchedule:
    """As-soon-as-possible start times for a whole graph.

    in_bits: of the unsigned inputs; acc_bits: of the outputs, modulo 2**acc_bits at least.
    """
    ready = [0] * graph.inputs

    def earliest(node: int, shift: int) -> int:
        digits = shift // digit_bits
        return ready[node] - digits + (1 if digits % leg_cycles else 0)  # a spliced operand needs a delay of one

    start = []
    for adder in graph.adders:
        start.append(max(0, *(earliest(term.node, term.shift) for term in adder.terms)))
        ready.append(start[-1] + 1)
    out_start = max([0, *(earliest(out.node, out.shift) for out in graph.outputs if out.node != ZERO)])
    bits, signed = node_bits(graph, in_bits)
    acc_legs = -(-acc_bits // (digit_bits * leg_cycles))
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


@dataclass(frozen=True)
class AdderCopies:
    """Copies of a graph's adders, one for each of their legs, by how many operands they have; those of three that only
    pass one on are with those of two.

    paired: those of three operands that share a site with another one for their first carries, by a signal that both
    read; ends: copies of either kind at the end of legs of one digit, whose carries nobody needs.
    """

    of_two: int
    of_three: int = 0
    paired: int = 0
    ends_of_two: int = 0
    ends_of_three: int = 0

    @property
    def total(self) -> int:
        return self.of_two + self.of_three

    @property
    def sites(self) -> int:
        """A bit of each, but for what the ends spare."""
        return self.of_two + 2 * self.of_three - self.paired // 2


def adder_copies(graph: AdderGraph, plan: SerialSchedule) -> AdderCopies:
    whole = plan.leg_cycles == 1
    legs = [plan.legs[graph.inputs + index] for index in range(len(graph.adders))]
    three = [index for index, adder in enumerate(graph.adders) if len(adder.terms) == 3]
    passed = passed_digits(graph, plan) if three else {}
    readers: dict[Wire, list[tuple[int, int]]] = defaultdict(list)
    of_three = 0
    for index in three:
        adder, start = graph.adders[index], plan.start[index]
        full = [leg for leg in range(legs[index]) if (graph.inputs + index, leg, 0) not in passed]
        of_three += len(full)
        for leg in full:
            for term in adder.terms[:2] if adder.subtracts else adder.terms:
                wire = plan.operand(term.node, term.shift, start, leg)[0]
                if wire is not None and not (whole and leg == legs[index] - 1):
                    readers[wire].append((index, leg))
    paired: set[tuple[int, int]] = set()
    for copies in sorted(readers.values(), key=len):
        free = [copy for copy in dict.fromkeys(copies) if copy not in paired]
        paired.update(free[: len(free) // 2 * 2])
    return AdderCopies(
        sum(legs) - of_three,
        of_three,
        len(paired),
        len(graph.adders) - len(three) if whole else 0,
        len(three) if whole else 0,
    )


@dataclass(frozen=True)
class SerialCounts:
    """What an engine is made of, for estimates.

    adder_sites: LUT6 sites of all copies of the adders, those of the biases included, a sum and a carry in one, and
    the first carries of two adders of three operands in one; adder_ffs: registers of sums and carries; delay_ffs: of
    all operand delays, less those sums that are in a shift register and have none; shift_registers: SRLs of long
    delays; splice_luts: LUTs in front of operands that are spliced from two legs; bias_luts: LUTs of the bias tables;
    control_ffs: strobes, masks, tables.
    """

    adder_sites: int
    adder_ffs: int
    delay_ffs: int
    shift_registers: int
    splice_luts: int
    bias_luts: int
    control_ffs: int


def count_schedule(graph: AdderGraph, plan: SerialSchedule) -> SerialCounts:
    """Count the parts of the engine, the bias adders included."""
    taps: dict[tuple[int, int, int], set[int]] = {}
    registers: set[Spliced | Kept] = set()
    passed = passed_digits(graph, plan)

    def read(wire: Wire) -> None:
        while isinstance(wire, Tap) and (wire.node, wire.leg, wire.bit) in passed:
            before = passed[wire.node, wire.leg, wire.bit]
            wire = before and replace(before, delay=before.delay + wire.delay + 1)
        if isinstance(wire, Tap):
            taps.setdefault((wire.node, wire.leg, wire.bit), set()).add(wire.delay)
        elif wire is not None and wire not in registers:
            registers.add(wire)
            for source in sources(wire):
                read(source)

    for wire in engine_wires(graph, plan):
        read(wire)
    delay_ffs, shift_registers = len(registers), 0
    for (node, *_), delays in taps.items():
        # The register of a sum, which is among the adders', is the first of its delays.
        reached = 0 if node < graph.inputs else -1
        delay_ffs -= 0 if node < graph.inputs else 1
        for delay in sorted(delays):
            if delay - reached >= SRL_CYCLES:
                shift_registers += 1
            else:
                delay_ffs += delay - reached
            reached = delay
    counts = serial_counts(
        len(graph.adders),
        adder_copies(graph, plan),
        len(graph.outputs),
        plan.acc_legs,
        plan.digit_bits,
        plan.leg_cycles,
        plan.out_start,
        delay_ffs,
        shift_registers,
        sum(isinstance(wire, Spliced) and None not in (wire.first, wire.then) for wire in registers),
    )
    carries = sum(1 for node, leg, bit in passed if bit == plan.digit_bits - 1)
    # Wires of a last digit above the range of its number, which nobody reads.
    wires = sum(plan.legs[graph.inputs :]) * plan.digit_bits
    unread = wires - len(passed) - sum(node >= graph.inputs for node, *_ in taps)
    return replace(
        counts,
        adder_sites=counts.adder_sites - len(passed) - unread,
        adder_ffs=counts.adder_ffs - len(passed) - carries - unread,
    )


def passed_digits(graph: AdderGraph, plan: SerialSchedule) -> dict[tuple[int, int, int], Tap | None]:
    """The sums, (node, leg, bit), that are no more than a register behind a wire, or zero: in front of the first digit
    of the one operand those of the other.  Where a leg is one digit they need no LUT and have no carry, and their
    registers are those of the wire's own delays.
    """
    passed: dict[tuple[int, int, int], Tap | None] = {}
    if plan.leg_cycles > 1:
        return passed
    for index, (adder, start) in enumerate(zip(graph.adders, plan.start)):
        node = graph.inputs + index
        digits = (
            (leg, bit, wires)
            for leg in range(plan.legs[node])
            for bit, wires in enumerate(
                zip(*(plan.operand(term.node, term.shift, start, leg) for term in adder.terms), strict=True)
            )
        )
        for leg, bit, wires in digits:
            there = [wire for wire in wires if wire is not None]
            if len(there) > 1 or (adder.subtracts and wires[-1] is not None):
                break
            passed[node, leg, bit] = there[0] if there else None
    return passed


def serial_counts(
    adders: int,
    copies: AdderCopies,
    outputs: int,
    acc_legs: int,
    digit_bits: int,
    leg_cycles: int,
    out_start: int,
    delay_ffs: int,
    shift_registers: int,
    splice_luts: int,
) -> SerialCounts:
    """The parts of an engine; adders and copies: of its graph, without the bias adders."""
    whole = leg_cycles == 1
    legs = copies.total + outputs * acc_legs
    ends_of_two = copies.ends_of_two + (outputs if whole else 0)
    paired_ends = ends_of_two if digit_bits % 2 == 0 else 0  # the upper two of whose sums share a site
    # The carry of a leg behind the first has two sources, one input too many for two bits in a site; two such choices
    # by one strobe share a site.
    handed = (legs - adders - outputs) / 2 if digit_bits > 1 and not whole else 0
    # The lower sum of two bits has three inputs, and may share a site with another one that reads one of them.
    sharing = SHARING_SUMS if digit_bits > 2 or acc_legs == 1 else SHARING_SUMS_OF_TWO_BITS
    shared = sharing * (digit_bits // 2) * legs
    bias_luts = 0 if whole else acc_legs * min(outputs * digit_bits, 2**leg_cycles)  # lanes of the same digits share
    majorities = copies.of_three - copies.ends_of_three
    return SerialCounts(
        adder_sites=round(
            (copies.sites + outputs * acc_legs - copies.ends_of_three) * digit_bits - paired_ends + handed - shared
        ),
        adder_ffs=legs * (digit_bits + 1) - ends_of_two - copies.ends_of_three + majorities,
        delay_ffs=delay_ffs,
        shift_registers=shift_registers,
        splice_luts=splice_luts,
        bias_luts=bias_luts,
        control_ffs=bias_luts + 4 * (out_start + acc_legs * leg_cycles) + 20,
    )
