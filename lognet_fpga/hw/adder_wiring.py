"""The parts of the digit-serial engine of a layer, and the signals between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from lognet_fpga.hw.control import control_leaf, leaf_groups, lookup
from lognet_fpga.hw.digit_blocks import (
    RECENT_BITS,
    carry_register,
    cut_stage,
    delay_stage,
    digit_counter,
    first_digits,
    full_adders,
    full_subtractors,
    keep_stage,
    masked_stage,
    recently,
    relayed_carry,
    splice_stage,
    ternary_adders,
    ternary_subtractors,
    tie_high,
    tie_low,
)
from lognet_fpga.hw.wiring import Part, bits, counter, flag, join, vector
from lognet_fpga.plan.serial import Kept, SerialSchedule, Spliced, Tap, Wire, sources
from lognet_fpga.plan.timing import TAP_LATENCY

ADDERS = {  # (of two operands, the last one is subtracted)
    (True, False): full_adders,
    (True, True): full_subtractors,
    (False, False): ternary_adders,
    (False, True): ternary_subtractors,
}


@dataclass
class Wiring:
    """Collects parts; place: the signal of every wire of the plan.

    start: the slots' strobe; strobe: bit k is start, k + 1 cycles late.  Cycles are counted from the one in which
    digit 0 of the inputs is on the taps.
    """

    clk: object
    start: object
    strobe: object
    plan: SerialSchedule
    parts: list[Part] = field(default_factory=list)
    place: dict[Wire, object] = field(default_factory=dict)

    def add(self, make: Callable, name: str, **wires: object) -> None:
        self.parts.append(Part(make, wires, name))

    def strobe_leaf(self, cycle: int, name: str):
        """A leaf that carries the slots' strobe in `cycle`."""
        late, leaf = cycle + TAP_LATENCY - 1, flag()
        self.add(control_leaf, f"{name}_leaf", clk=self.clk, d=self.strobe(late - 1) if late else self.start, q=leaf)
        return leaf

    def constant(self, high: bool, like, name: str):
        """A vector as wide as `like`, all ones or all zeros."""
        wires = vector(len(like))
        self.add(tie_high if high else tie_low, name, wires=wires, like=like)
        return wires

    def add_delays(self, tapped: dict[tuple[int, int, int], int], name: str) -> None:
        """Delay stages for some wires; stage t holds those that somebody needs t cycles late.

        tapped: (node, leg, bit) to the most cycles that its wire is needed late.
        """
        keys, late = list(tapped), 1
        while keys := [key for key in keys if tapped[key] >= late]:
            stage = vector(len(keys))
            wires = join([self.place[Tap(*key, late - 1)] for key in keys])
            self.add(delay_stage, f"{name}_late{late}", clk=self.clk, wires=wires, late=stage)
            for position, key in enumerate(keys):
                self.place[Tap(*key, late)] = stage(position)
            late += 1

    def add_registers(self, wires: Iterable[Spliced | Kept]) -> None:
        """The registers of spliced and kept wires.  Those that begin together, with as many first digits, form vectors;
        each has a leaf that is on one cycle before a first digit is shown."""
        groups: dict[tuple, list[Spliced | Kept]] = defaultdict(list)
        for wire in wires:
            groups[wire.digits, wire.begin, _register_kind(wire)].append(wire)
        firsts = self._add_firsts(sorted({digits for digits, _, _ in groups}))
        made = []
        for digits, begin, kind in sorted(groups, key=lambda group: (*group[:2], group[2].__name__)):
            alike = groups[digits, begin, kind]
            for number, run in enumerate(leaf_groups(len(alike))):
                members, leaf = [alike[i] for i in run], flag()
                name, late = f"begin{begin}_{kind.__name__}{digits}_{number}", vector(len(members))
                self.add(control_leaf, f"{name}_leaf", clk=self.clk, d=firsts[digits](begin), q=leaf)
                made.append((kind, name, leaf, members, late))
                for position, wire in enumerate(members):
                    self.place[wire] = late(position)
        for kind, name, leaf, members, late in made:  # a kept sign may come from another register
            taken = [[self.place[wire] for wire in column if wire] for column in zip(*map(sources, members))]
            operands = dict(zip(("wires", "others"), (join(column) for column in taken if column)))
            self.add(kind, name, clk=self.clk, first=leaf, **operands, late=late)

    def _add_firsts(self, counts: list[int]) -> dict[int, object]:
        """For each number of digits the `soon` of its first_digits; counts: ascending."""
        late = [self.start, *(self.strobe(bit) for bit in range(max(counts, default=0)))]
        firsts, known, before = {}, 0, []
        for digits in counts:
            while known < digits:  # what was recent a cycle before holds all strobes but the newest and the oldest ones
                more = min(digits, known + RECENT_BITS)
                wires = [late[TAP_LATENCY - 3], *late[TAP_LATENCY - 2 + known : TAP_LATENCY - 3 + more], *before]
                known, recent = more, vector(1)
                self.add(recently, f"recent{known}", clk=self.clk, strobes=join(wires), recent=recent)
                before = [recent(0)]
            firsts[digits] = vector(self.plan.last_begin + 2)
            self.add(first_digits, f"first{digits}", clk=self.clk, recent=recent, soon=firsts[digits])
        return firsts

    def add_adders(
        self, begin: int, rows: list[list[tuple[list, list]]], totals: list[list], subtract: bool, name: str
    ) -> None:
        """Adders that start in cycle `begin`, all adding or all subtracting, all with the same number of legs.

        rows: for each adder and each of its legs two operands, or three, each one signal a bit or False for zero; three
        for legs that hand no carry on, or of one digit.  totals: for each leg where the sums go, one vector a bit.
        """
        whole, legs, held = self.plan.leg_cycles == 1, len(totals), []
        for leg in range(legs):
            part, like, leg_begin = f"{name}_leg{leg}", totals[leg][0], begin + leg * self.plan.leg_cycles
            before, own = held, [vector(len(rows)) for _ in rows[0][leg][1:]]
            if not before and (whole or legs > 1):
                before = [self.constant(False, like, f"{part}_no_carry")] * len(own)
            if whole:
                carries_in = before
            elif legs == 1:
                carries_in = own
            else:
                carries_in, first = [vector(len(rows))], self.strobe_leaf(leg_begin, f"{part}_first")
                relayed = {"before": before[0], "own": own[0], "carry_in": carries_in[0]}
                self.add(relayed_carry, f"{part}_relay", first=first, **relayed)
            carries = self._add_digit([row[leg] for row in rows], carries_in, totals[leg], subtract, part)
            preset = self.strobe_leaf(begin - 1, part) if legs == 1 and not whole else None
            for number, (carry, kept) in enumerate(zip(carries, own, strict=True)):
                if preset is not None:
                    self.add(
                        carry_register, f"{part}_carry{number}", clk=self.clk, preset=preset, carry=carry, held=kept
                    )
                elif not whole or leg < legs - 1:
                    self.add(delay_stage, f"{part}_carry{number}", clk=self.clk, wires=carry, late=kept)
            held = own

    def add_copies(self, rows: list[list[tuple[list, list]]], totals: list[list], name: str) -> None:
        """As add_adders, where all operands but the first are zero: the first ones, a cycle late."""
        for leg, digit in enumerate(totals):
            for bit, total in enumerate(digit):
                wires = join([row[leg][0][bit] for row in rows])
                self.add(delay_stage, f"{name}_leg{leg}_bit{bit}", clk=self.clk, wires=wires, late=total)

    def _add_digit(
        self, rows: list[tuple[list, ...]], carries_in: list, totals: list, subtract: bool, name: str
    ) -> list:
        """One leg of adders that start together, and the vectors of their carries: one less than they have operands."""
        two = len(carries_in) == 1
        plane = ADDERS[two, subtract]
        for bit, total in enumerate(totals):
            operands = {}
            for side, letter in enumerate("ab" if two else "abc"):
                signals = [row[side][bit] for row in rows]
                if any(signal is not False for signal in signals):
                    operands[letter] = join(signals)
                else:
                    operands[letter] = self.constant(False, total, f"{name}_bit{bit}_{letter}_zero")
            carries_out = [vector(len(rows)) for _ in carries_in]
            names = ("carry_in", "carry_out") if two else ("first_in", "second_in", "first_out", "second_out")
            carries = dict(zip(names, carries_in + carries_out, strict=True))
            self.add(plane, f"{name}_bit{bit}", clk=self.clk, **operands, **carries, total=total)
            carries_in = carries_out
        return carries_in

    def add_bias(self, bias: tuple[int, ...]) -> list[list[list]]:
        """For each output and each leg the wires of its bias, lowest bit first."""
        plan = self.plan
        modulus = 2 ** (plan.digit_bits * plan.leg_cycles * plan.acc_legs)
        places = [(c, bit) for c in range(len(bias)) for bit in range(plan.digit_bits)]
        wires: list[list[list]] = [[[] for _ in range(plan.acc_legs)] for _ in bias]
        for leg in range(plan.acc_legs):
            first_bit = leg * plan.leg_cycles * plan.digit_bits
            lanes = [(bias[c] % modulus >> first_bit, bit) for c, bit in places]
            table = self._bias_bits(lanes, leg) if plan.leg_cycles > 1 else self._bias_constants(lanes, leg)
            for (c, _), wire in zip(places, table):
                wires[c][leg].append(wire)
        return wires

    def _bias_constants(self, lanes: list[tuple[int, int]], leg: int) -> list:
        like = self.strobe(1, 0)
        high, low = (self.constant(value, like, f"leg{leg}_bias_{value:d}") for value in (True, False))
        return [high(0) if bias >> bit & 1 else low(0) for bias, bit in lanes]

    def _bias_bits(self, lanes: list[tuple[int, int]], leg: int) -> list:
        """Tables over the digits of the leg.  Lanes of the same digits share one; behind each is a register that
        synthesis does not look into, or it would turn parts of the tables into resets of many kinds."""
        plan = self.plan
        begin = plan.out_start + leg * plan.leg_cycles
        shown = [
            tuple(bias >> (digit * plan.digit_bits + bit) & 1 for digit in range(plan.leg_cycles))
            for bias, bit in lanes
        ]
        different, wires = list(dict.fromkeys(shown)), {}
        for group in leaf_groups(len(different)):
            name, count, soon = f"leg{leg}_bias{group.start}", counter(plan.leg_cycles), vector(len(group))
            counting = partial(digit_counter, digits=plan.leg_cycles)
            preset = self.strobe_leaf(begin - 2, f"{name}_digit")
            self.add(counting, f"{name}_digit", clk=self.clk, preset=preset, count=count)
            contents = [sum(value << digit for digit, value in enumerate(different[lane])) for lane in group]
            self.add(partial(lookup, contents=contents), f"{name}_table", index=count, values=soon)
            for lane, bit in zip(group, bits(soon)):
                wires[different[lane]] = flag()
                self.add(control_leaf, f"leg{leg}_bias{lane}", clk=self.clk, d=bit, q=wires[different[lane]])
        return [wires[digits] for digits in shown]


def _register_kind(wire: Spliced | Kept) -> Callable:
    if isinstance(wire, Kept):
        return keep_stage
    if wire.first is None:
        return masked_stage
    return splice_stage if wire.then else cut_stage
