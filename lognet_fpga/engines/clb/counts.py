"""What a digit-serial engine is made of: its adders, delays, splices and tables, counted by its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph
from lognet_fpga.engines.clb.schedule import Kept, SerialSchedule, Spliced, Tap, Wire, moved, sources, wires_of
from lognet_fpga.fabric.costs import SRL_CYCLES

# Sites that the lower sums of two bits were seen to share, for each of them: in digits of several bits, and of two in
# several legs.
SHARING_SUMS, SHARING_SUMS_OF_TWO_BITS = 0.28, 0.08

Digit = tuple[int, int, int]
"""(node, leg, bit)."""


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
    return _adder_copies(graph, plan, _reads(graph, plan), passed_digits(graph, plan))


def _adder_copies(
    graph: AdderGraph, plan: SerialSchedule, reads: _Reads, passed: Mapping[Digit, Tap | None]
) -> AdderCopies:
    whole, legs = plan.leg_cycles == 1, np.array(plan.legs[graph.inputs :], np.int64)
    three = np.array([len(adder.terms) == 3 for adder in graph.adders], bool)
    of_three, paired = 0, 0
    if three.any():  # of digits of one bit
        copies = three[:, np.newaxis] & (np.arange(legs.max()) < legs[:, np.newaxis])  # by adder and leg
        for node, leg, _ in passed:
            copies[node - graph.inputs, leg] = False
        of_three = int(copies.sum())
        if whole:
            copies[np.arange(len(legs)), legs - 1] = False
        paired = _paired(graph, reads, copies)
    return AdderCopies(
        int(legs.sum()) - of_three,
        of_three,
        paired,
        int((~three).sum()) if whole else 0,
        int(three.sum()) if whole else 0,
    )


def _paired(graph: AdderGraph, reads: _Reads, copies: np.ndarray) -> int:
    """How many copies, by adder and leg where there is one, have a first carry that shares a site with another one's,
    by a wire that both read; those of wires with the fewest readers first."""
    added = np.array([2 if adder.subtracts else 3 for adder in graph.adders], np.int64)  # terms of a first carry
    ours = np.flatnonzero((reads.adder >= 0) & (reads.wire >= 0) & (reads.term < added[reads.adder]))
    ours = ours[copies[reads.adder[ours], reads.leg[ours]]]
    ours = ours[np.lexsort((reads.term[ours], reads.leg[ours], reads.adder[ours]))]
    copy = reads.adder[ours] * copies.shape[1] + reads.leg[ours]
    _, first, readers, number = np.unique(reads.wire[ours], return_index=True, return_inverse=True, return_counts=True)
    of_wire, end = copy[np.argsort(readers, kind="stable")].tolist(), np.cumsum(number)
    paired: set[int] = set()
    for wire in np.lexsort((first, number)).tolist():
        if number[wire] > 1:
            each = dict.fromkeys(of_wire[end[wire] - number[wire] : end[wire]])
            free = [some for some in each if some not in paired]
            paired.update(free[: len(free) // 2 * 2])
    return len(paired)


@dataclass(frozen=True)
class SerialCounts:
    """What an engine is made of, for estimates.

    adder_sites: LUT6 sites of all copies of the adders, those of the biases included, a sum and a carry in one, and
    the first carries of two adders of three operands in one; dual_sites: those of them with two registers; adder_ffs:
    registers of sums and carries; delay_ffs: of
    all operand delays, less those sums that are in a shift register and have none; lone_ffs: those of them that take
    their digits from another register; shift_registers: SRLs of long delays; gate_luts: LUTs in front of operands that
    are spliced from two legs, masked or kept; bias_luts: LUTs of the bias tables; control_ffs: strobes, masks, tables.
    """

    adder_sites: int
    dual_sites: int
    adder_ffs: int
    delay_ffs: int
    lone_ffs: int
    shift_registers: int
    gate_luts: int
    bias_luts: int
    control_ffs: int


def count_schedule(graph: AdderGraph, plan: SerialSchedule) -> SerialCounts:
    """Count the parts of the engine, the bias adders included."""
    reads, passed = _reads(graph, plan), passed_digits(graph, plan)
    node, leg, bit, delay = _behind_passed(reads.taps, passed)
    each, _ = _distinct(node, leg, bit, delay)  # in this order
    node, leg, bit, delay = node[each], leg[each], bit[each], delay[each]
    again = np.zeros(len(node), bool)  # the digit of the tap before, later
    again[1:] = (node[1:] == node[:-1]) & (leg[1:] == leg[:-1]) & (bit[1:] == bit[:-1])
    # The register of a sum, which is among the adders', is the first of its delays.
    reached = np.where(node < graph.inputs, 0, -1)
    reached[again] = delay[:-1][again[1:]]
    is_long = delay - reached >= SRL_CYCLES
    sums = ~again & (node >= graph.inputs)
    read_sums, short = int(sums.sum()), int((delay - reached)[~is_long].sum())
    delay_ffs = reads.registers + short - read_sums
    lone_ffs = reads.cuts + short - int((sums & ~is_long).sum())
    shift_registers = int(is_long.sum())
    counts = serial_counts(
        len(graph.adders),
        _adder_copies(graph, plan, reads, passed),
        len(graph.outputs),
        plan.acc_legs,
        plan.digit_bits,
        plan.leg_cycles,
        plan.out_start,
        delay_ffs,
        lone_ffs,
        shift_registers,
        reads.registers - reads.cuts,
    )
    carries = sum(1 for node, leg, bit in passed if bit == plan.digit_bits - 1)
    # Wires of a last digit above the range of its number, which nobody reads.
    wires = sum(plan.legs[graph.inputs :]) * plan.digit_bits
    unread = wires - len(passed) - read_sums
    return replace(
        counts,
        adder_sites=counts.adder_sites - len(passed) - unread,
        dual_sites=counts.dual_sites - carries - int((sums & is_long).sum()) // plan.digit_bits,
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
    lone_ffs: int,
    shift_registers: int,
    gate_luts: int,
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
        dual_sites=round(legs - ends_of_two + paired_ends - copies.ends_of_three + copies.paired // 2 + shared),
        adder_ffs=legs * (digit_bits + 1) - ends_of_two - copies.ends_of_three + majorities,
        delay_ffs=delay_ffs,
        lone_ffs=lone_ffs,
        shift_registers=shift_registers,
        gate_luts=gate_luts,
        bias_luts=bias_luts,
        control_ffs=bias_luts + 3 * (out_start + acc_legs * leg_cycles) + 10,
    )


def _behind_passed(taps: np.ndarray, passed: Mapping[Digit, Tap | None]) -> np.ndarray:
    """taps, rows of node, leg, bit and delay by columns, of what is no sum in place of sums that are passed on."""
    if not passed:
        return taps
    place = {digit: number for number, digit in enumerate(passed)}
    to = np.array([(*tap, 1) if tap else (0, 0, 0, 0, 0) for tap in passed.values()], np.int64)
    while True:
        at = np.array([place.get(digit, -1) for digit in zip(*taps[:3].tolist())], np.int64)
        if (at < 0).all():
            return taps
        behind = to[at].T
        taps = np.where(at < 0, taps, [*behind[:3], behind[3] + taps[3] + 1])
        taps = taps[:, (at < 0) | (behind[4] > 0)]


class _Reads:
    """Every wire that some adder reads, as arrays of an entry for every bit of every leg of an operand.

    adder, term: whose operand it is, and which; -1 of an output.  leg: of the operand.  wire: a number for each wire,
    -1 for one that is always zero.
    """

    def __init__(self, graph: AdderGraph, plan: SerialSchedule) -> None:
        legs, start = np.array(plan.legs, np.int64), np.array(plan.start, np.int64)
        ready = np.concatenate([np.zeros(graph.inputs, np.int64), start + 1])
        outputs = [(-1, -1, out.node, out.shift) for out in graph.outputs if out.node != ZERO]
        rows = np.concatenate([graph.term_rows, np.array(outputs, np.int64).reshape(-1, 4)])
        adder, term, node, shift = rows.T
        inner = adder >= 0
        times, begin = np.full(len(adder), plan.acc_legs), np.full(len(adder), plan.out_start)
        times[inner], begin[inner] = legs[graph.inputs + adder[inner]], start[adder[inner]]
        of = np.repeat(np.arange(len(adder)), times)
        leg = np.arange(len(of)) - np.repeat(np.cumsum(times) - times, times)
        adder, term, node, shift, begin = adder[of], term[of], node[of], shift[of], begin[of]
        # What a wire is follows from what number it is of, the shift and the leg, but for where it lies in time.
        ends = np.where(plan.signed, -1, plan.bits)
        some, alike = _distinct(legs[node], ends[node], node < graph.inputs, shift, leg)
        self._shapes: dict[Spliced | Kept, int] = {}
        kinds = [
            self._row(wire)
            for each in some.tolist()
            for wire in wires_of(
                plan.digit_bits, plan.leg_cycles, plan.number(int(node[each])), int(shift[each]), int(leg[each])
            )
        ]
        table = np.array(kinds, np.int64).reshape(len(some), plan.digit_bits, len(_Row._fields))
        shape, at, taps, *of_taps = table[alike].reshape(-1, len(_Row._fields)).T
        self.adder, self.term, self.leg, node, late, begin = (
            np.repeat(column, plan.digit_bits) for column in (adder, term, leg, node, begin - ready[node], begin)
        )
        tap_leg, tap_bit, tap_delay = of_taps[:3]
        each = [
            np.stack([node, leg, bit, delay + late])[:, taps > number]
            for number, (leg, bit, delay) in enumerate((of_taps[:3], of_taps[3:]))
        ]
        self.taps = np.concatenate(each, axis=1)
        is_tap, is_register = shape == 0, shape > 0
        self.wire = np.full(len(node), -1)
        digit = np.where(is_tap, tap_leg * plan.digit_bits + tap_bit, 0)
        since = np.where(is_tap, tap_delay + late, at + begin)
        there = is_tap | is_register
        _, self.wire[there] = _distinct(*(column[there] for column in (shape, node, digit, since)))
        registers, _ = _distinct(*(column[is_register] for column in (shape, node, since)))
        cut = [n for like, n in self._shapes.items() if isinstance(like, Spliced) and like.then is None]
        self.registers = len(registers)
        self.cuts = int(np.isin(shape[is_register][registers], cut).sum())

    def _row(self, wire: Wire) -> _Row:
        if wire is None:
            return _Row(-1)
        if isinstance(wire, Tap):
            return _Row(0, 0, 1, *wire[1:])
        shape = self._shapes.setdefault(moved(wire, 0, -wire.begin, -wire.begin), 1 + len(self._shapes))
        within: Wire = wire
        while isinstance(within, Kept):  # the inner ones are the operands of the legs before
            within = within.source
        taps = [tap for tap in (sources(within) if isinstance(within, Spliced) else (within,)) if isinstance(tap, Tap)]
        return _Row(shape, wire.begin, len(taps), *(value for tap in taps for value in tap[1:]))


_reads = lru_cache(maxsize=8)(_Reads)  # an engine's adders are compared with others', and soon after counted with all


class _Row(NamedTuple):
    """A wire as of `wires_of`.  shape: -1 for none, 0 for a tap; of registers a number, of those that differ only in
    when they begin the same.  taps: how many, with leg, bit and delay each."""

    shape: int
    begin: int = 0
    taps: int = 0
    leg: int = 0
    bit: int = 0
    delay: int = 0
    second_leg: int = 0
    second_bit: int = 0
    second_delay: int = 0


def _distinct(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by columns: where each occurs first, in their order, the first column first; and the number of every one."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        least, most = (int(column.min()), int(column.max())) if len(column) else (0, 0)
        if len(code) and (int(code.max()) + 1) * (most - least + 1) >= 1 << 62:
            _, code = np.unique(code, return_inverse=True)
        code = code * (most - least + 1) + (column - least)
    _, first, number = np.unique(code, return_index=True, return_inverse=True)
    return first, number
