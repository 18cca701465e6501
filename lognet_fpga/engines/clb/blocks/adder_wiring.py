"""The parts of the digit-serial engine of a layer, and the signals between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lognet_fpga.engines.clb.blocks.digit_blocks import (
    CARRY_REGISTER,
    CLEAR,
    CUT_STAGE,
    DELAY_STAGE,
    FULL_ADDERS,
    FULL_SUBTRACTORS,
    HOLD,
    MASK,
    RECENT_BITS,
    RECENTLY,
    RELAYED_CARRY,
    SPLICE_STAGE,
    TERNARY_ADDERS,
    TERNARY_SUBTRACTORS,
    digit_counter_leaf,
    first_digits_leaf,
)
from lognet_fpga.engines.clb.schedule import Kept, SerialSchedule, Spliced, Tap, Wire, sources
from lognet_fpga.fabric.latencies import TAP_LATENCY
from lognet_fpga.hw.control import leaf_groups
from lognet_fpga.hw.ports import Port, inputs
from lognet_fpga.hw.structure import CONTROL_LEAF, Bit, Constant, Instance, Lanes, Module, Source, joined, lookup_leaf

ADDERS = {  # (of two operands, the last one is subtracted)
    (True, False): FULL_ADDERS,
    (True, True): FULL_SUBTRACTORS,
    (False, False): TERNARY_ADDERS,
    (False, True): TERNARY_SUBTRACTORS,
}
Operands = tuple[list[Bit | bool], ...]  # of an adder, each a bit of a net a bit, or False for zero
START, STROBE = "start", "strobe"  # nets of the engine: the slots' strobe; bit k: that, k + 1 cycles late


@dataclass
class Wiring:
    """Collects instances and the nets between them; place: the bit of a net for every wire of the plan; beside: nets of
    carries to the net of the sums that they belong to.

    Cycles are counted from the one in which digit 0 of the inputs is on the taps.
    """

    plan: SerialSchedule
    instances: list[Instance] = field(default_factory=list)
    nets: list[Port] = field(default_factory=list)
    place: dict[Wire, Bit] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)

    def vector(self, name: str, width: int) -> str:
        self.nets.append(Port(name, "input", width))
        return name

    def add(self, module: Module, name: str, **wires: Source) -> None:
        self.instances.append(Instance(name, module, wires))

    def add_lanes(self, lanes: Lanes, net: str, width: int, **wires: Source) -> str:
        """Lanes with one output, on a net of that name."""
        output = next(port.name for port in lanes.ports if port.direction == "output")
        self.add(lanes.leaf(width), f"{net}_{lanes.make.__name__}", **wires, **{output: self.vector(net, width)})
        return net

    def leaf(self, source: Source, name: str) -> str:
        """A leaf of a control net: a net that shows it one cycle late."""
        self.nets += inputs(**{name: None})
        self.add(CONTROL_LEAF, f"{name}_leaf", clk="clk", d=source, q=name)
        return name

    def strobe_leaf(self, cycle: int, name: str) -> str:
        """A leaf that carries the slots' strobe in `cycle`."""
        late = cycle + TAP_LATENCY - 1
        return self.leaf(joined([Bit(STROBE, late - 1)]) if late else START, name)

    def sums(self, name: str, width: int, legs: int) -> list[list[str]]:
        """For each leg of adders their sums, one net a bit of the digit."""
        bits = range(self.plan.digit_bits)
        return [[self.vector(f"{name}_leg{leg}{self._bit(bit)}", width) for bit in bits] for leg in range(legs)]

    def _bit(self, bit: int) -> str:
        """Of a digit, in a name."""
        return f"_bit{bit}" if self.plan.digit_bits > 1 else ""

    def add_delays(self, tapped: dict[tuple[int, int, int], int], name: str) -> None:
        """Delay stages for some wires; stage t holds those that somebody needs t cycles late.

        tapped: (node, leg, bit) to the most cycles that its wire is needed late.
        """
        keys, late = list(tapped), 1
        while keys := [key for key in keys if tapped[key] >= late]:
            wires = joined([self.place[Tap(*key, late - 1)] for key in keys])
            stage = self.add_lanes(DELAY_STAGE, f"{name}_late{late}", len(keys), clk="clk", wires=wires)
            for position, key in enumerate(keys):
                self.place[Tap(*key, late)] = Bit(stage, position)
            late += 1

    def add_registers(self, wires: Iterable[Spliced | Kept]) -> None:
        """The registers of spliced and kept wires.  Those that begin together, with as many first digits, form vectors;
        each has a leaf that is on one cycle before a first digit is shown."""
        groups: dict[tuple, list[Spliced | Kept]] = defaultdict(list)
        for wire in wires:
            groups[wire.digits, wire.begin, _register_kind(wire)].append(wire)
        firsts = self._add_firsts(sorted({digits for digits, _, _ in groups}))
        made = []
        for digits, begin, kind in sorted(groups):
            alike = groups[digits, begin, kind]
            for number, run in enumerate(leaf_groups(len(alike))):
                members, name = [alike[i] for i in run], f"{kind}{begin}_{digits}_{number}"
                leaf = self.leaf(joined([Bit(firsts[digits], begin)]), f"{name}_first")
                made.append((kind, name, leaf, members))
                for position, wire in enumerate(members):
                    self.place[wire] = Bit(name, position)
        for kind, name, leaf, members in made:  # a kept sign may come from another register
            taken = [[self.place[wire] for wire in column if wire] for column in zip(*map(sources, members))]
            operands: dict[str, Source] = dict(zip(("wires", "others"), (joined(column) for column in taken if column)))
            if kind in REGISTERS:
                self.add_lanes(REGISTERS[kind], name, len(members), clk="clk", first=leaf, **operands)
                continue
            operands |= {"held": name} if kind == "keep" else {}
            passed = self.add_lanes(GATES[kind], f"{name}_passed", len(members), first=leaf, **operands)
            self.add_lanes(DELAY_STAGE, name, len(members), clk="clk", wires=passed)

    def _add_firsts(self, counts: list[int]) -> dict[int, str]:
        """For each number of digits the `soon` of its first_digits; counts: ascending."""
        late = [Bit(START, 0), *(Bit(STROBE, bit) for bit in range(max(counts, default=0)))]
        firsts: dict[int, str] = {}
        known, before = 0, list[Bit]()
        for digits in counts:
            while known < digits:  # what was recent a cycle before holds all strobes but the newest and the oldest ones
                more = min(digits, known + RECENT_BITS)
                wires = [late[TAP_LATENCY - 3], *late[TAP_LATENCY - 2 + known : TAP_LATENCY - 3 + more], *before]
                known, recent = more, f"recent{more}"
                self.nets += inputs(**{recent: None})
                lanes = RECENTLY.leaf(len(wires))
                self.add(lanes, f"{recent}_register", clk="clk", strobes=joined(wires), recent=recent)
                before = [Bit(recent, 0)]
            begins = self.plan.last_begin + 2
            firsts[digits] = self.vector(f"first{digits}", begins)
            self.add(first_digits_leaf(begins), f"first{digits}_digits", clk="clk", recent=recent, soon=firsts[digits])
        return firsts

    def add_adders(
        self, begin: int, rows: list[list[Operands]], totals: list[list[str]], subtract: bool, name: str
    ) -> None:
        """Adders that start in cycle `begin`, all adding or all subtracting, all with the same number of legs.

        rows: for each adder and each of its legs two operands, or three, each one Bit a bit or False for zero; three
        for legs that hand no carry on, or of one digit.  totals: for each leg where the sums go, one net a bit.
        """
        whole, legs, width = self.plan.leg_cycles == 1, len(totals), len(rows)
        held: list[Source] = []
        for leg in range(legs):
            part, leg_begin = f"{name}_leg{leg}", begin + leg * self.plan.leg_cycles
            carries = len(rows[0][leg]) - 1
            before = held or ([Constant(0, width)] * carries if whole or legs > 1 else [])
            # The last leg's carries of one digit end nowhere.
            keeps = not whole or leg < legs - 1
            own = [self.vector(f"{part}_held{number}", width) for number in range(carries)] if keeps else []
            carries_in: Sequence[Source]
            if whole:
                carries_in = before
            elif legs == 1:
                carries_in = own
            else:
                first = self.strobe_leaf(leg_begin, f"{part}_first")
                relayed = {"earlier": before[0], "own": own[0]}
                carries_in = [self.add_lanes(RELAYED_CARRY, f"{part}_carry", width, first=first, **relayed)]
                self.beside[f"{part}_carry"] = totals[leg][0]
            carries_out = self._add_digit([row[leg] for row in rows], carries_in, totals[leg], subtract, part)
            preset = self.strobe_leaf(begin - 1, f"{part}_preset") if legs == 1 and not whole else None
            for number, (carry, kept) in enumerate(zip(carries_out, own)):
                if preset is not None and (carries > 1 or len(totals[leg]) > 1):
                    register, wires = CARRY_REGISTER, {"preset": preset, "carry": carry, "held": kept}
                elif preset is not None:
                    cleared = self.add_lanes(CLEAR, f"{part}_cleared", width, first=preset, wires=carry)
                    self.beside[cleared] = totals[leg][-1]
                    register, wires = DELAY_STAGE, {"wires": cleared, "late": kept}
                else:
                    register, wires = DELAY_STAGE, {"wires": carry, "late": kept}
                self.add(register.leaf(width), f"{part}_carry{number}_register", clk="clk", **wires)
                self.beside[kept] = totals[leg][-1]
            held = [*own]

    def add_copies(self, rows: list[list[Operands]], totals: list[list[str]], name: str) -> None:
        """As add_adders, where all operands but the first are zero: the first ones, a cycle late."""
        for leg, digit in enumerate(totals):
            for bit, total in enumerate(digit):
                wires = joined([row[leg][0][bit] for row in rows])
                self.add(
                    DELAY_STAGE.leaf(len(rows)),
                    f"{total}_{DELAY_STAGE.make.__name__}",
                    clk="clk",
                    wires=wires,
                    late=total,
                )

    def _add_digit(
        self, rows: list[Operands], carries_in: Sequence[Source], totals: list[str], subtract: bool, name: str
    ) -> list[str]:
        """One leg of adders that start together, and the nets of their carries: one less than they have operands."""
        two, width = len(carries_in) == 1, len(rows)
        lanes = ADDERS[two, subtract].leaf(width)
        names = ("carry_in", "carry_out") if two else ("first_in", "second_in", "first_out", "second_out")
        passed: list[str] = []
        for bit, total in enumerate(totals):
            part = f"{name}{self._bit(bit)}"
            operands = {
                letter: joined([row[side][bit] for row in rows]) for side, letter in enumerate("ab" if two else "abc")
            }
            carries_out = [self.vector(f"{part}_{port}", width) for port in names[len(carries_in) :]]
            self.beside |= dict.fromkeys(carries_out, total)
            carries = dict(zip(names, (*carries_in, *carries_out), strict=True))
            self.add(lanes, f"{total}_adders", clk="clk", **operands, **carries, total=total)
            carries_in = passed = carries_out
        return passed

    def add_bias(self, bias: tuple[int, ...]) -> list[list[list[Bit | bool]]]:
        """For each output and each leg the wires of its bias, lowest bit first."""
        plan = self.plan
        modulus = 2 ** (plan.digit_bits * plan.leg_cycles * plan.acc_legs)
        places = [(c, bit) for c in range(len(bias)) for bit in range(plan.digit_bits)]
        wires: list[list[list]] = [[[] for _ in range(plan.acc_legs)] for _ in bias]
        for leg in range(plan.acc_legs):
            first_bit = leg * plan.leg_cycles * plan.digit_bits
            lanes = [(bias[c] % modulus >> first_bit, bit) for c, bit in places]
            table: Sequence[Bit | bool]
            if plan.leg_cycles > 1:
                table = self._bias_bits(lanes, leg)
            else:
                table = [bool(value >> bit & 1) for value, bit in lanes]
            for (c, _), wire in zip(places, table):
                wires[c][leg].append(wire)
        return wires

    def _bias_bits(self, lanes: Sequence[tuple[int, int]], leg: int) -> list[Bit]:
        """Tables over the digits of the leg.  Lanes of the same digits share one; behind each is a register that
        synthesis does not look into, or it would turn parts of the tables into resets of many kinds."""
        plan = self.plan
        begin = plan.out_start + leg * plan.leg_cycles
        shown = [
            tuple(bias >> (digit * plan.digit_bits + bit) & 1 for digit in range(plan.leg_cycles))
            for bias, bit in lanes
        ]
        different = list(dict.fromkeys(shown))
        wires: dict[tuple[int, ...], Bit] = {}
        for group in leaf_groups(len(different)):
            name, counting = f"leg{leg}_bias{group.start}", digit_counter_leaf(plan.leg_cycles)
            digit_bits = counting.ports[-1].width or 1
            preset = self.strobe_leaf(begin - 2, f"{name}_preset")
            count = self.vector(f"{name}_digit", digit_bits)
            self.add(counting, f"{name}_counter", clk="clk", preset=preset, count=count)
            contents = [sum(value << digit for digit, value in enumerate(different[lane])) for lane in group]
            table, soon = (lookup_leaf(digit_bits, tuple(contents)), self.vector(f"{name}_soon", len(group)))
            self.add(table, f"{name}_table", index=count, values=soon)
            for place, lane in enumerate(group):
                wires[different[lane]] = Bit(self.leaf(joined([Bit(soon, place)]), f"leg{leg}_bias{lane}"), 0)
        return [wires[digits] for digits in shown]


GATES = {"keep": HOLD, "masked": MASK}  # in front of registers
REGISTERS = {"splice": SPLICE_STAGE, "cut": CUT_STAGE}


def _register_kind(wire: Spliced | Kept) -> str:
    if isinstance(wire, Kept):
        return "keep"
    if wire.first is None:
        return "masked"
    return "splice" if wire.then else "cut"
