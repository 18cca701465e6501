"""The multiplier-free engine: one digit-serial adder for each node of a layer's adder graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.digit_blocks import (
    bias_table,
    carry_register,
    delay_stage,
    digit_counter,
    full_adders,
    full_subtractors,
    mask_chain,
    masked_stage,
    tie_low,
)
from lognet_fpga.hw.wiring import bits, counter, join, vector
from lognet_fpga.plan.adder_graph import AdderGraph
from lognet_fpga.plan.serial import CONSTANT_ZERO, SerialSchedule, WireBit
from lognet_fpga.plan.timing import TAP_LATENCY, accumulator_latency

ROM_LANES = 16  # lanes of one bias table: constants stay far below the 32 bits of a plain Verilog number


@dataclass(frozen=True)
class AdderShape:
    """graph and schedule of one layer; bias: one integer an output, added to it."""

    graph: AdderGraph
    schedule: SerialSchedule
    bias: tuple[int, ...]

    def needed_wires(self) -> list[WireBit]:
        """Every operand wire that some adder reads, constants left out."""
        plan, wires = self.schedule, []
        for adder, begin in zip(self.graph.adders, plan.start):
            wires += plan.operand(adder.a, adder.shift_a, begin) + plan.operand(adder.b, adder.shift_b, begin)
        for out in self.graph.outputs:
            wires += plan.operand(out.node, out.shift, plan.out_start)
        return [wire for wire in wires if wire.node != CONSTANT_ZERO]

    @property
    def latency_cycles(self) -> int:
        """From a slot's start strobe to digit 0 of the accumulators."""
        return accumulator_latency(self.schedule.out_start)


@dataclass(frozen=True)
class Part:
    """A block still to be instantiated.  MyHDL wants that done in the body of the enclosing block."""

    make: Callable
    wires: dict
    name: str


@block
def serial_adders(clk, start, compute, blank, taps, acc, acc_begin, acc_blank, *, shape):
    """All accumulators of a layer: matrix times window plus bias, digit by digit.

    Ports: start, compute, blank, taps: from the window block; acc: one digit of every output, lowest output in the
    lowest bits; acc_begin: digit 0 of a computing slot is on acc, acc_blank: its result is to be zero.
    Latency: shape.latency_cycles from start.  Throughput: one slot in n_digits cycles.  Back-pressure: none.
    """
    plan = shape.schedule
    wires = shape.needed_wires()
    depth = plan.out_start + 1
    longest_mask = max((wire.mask_digits for wire in wires), default=0)
    strobe = vector(max(depth + 1, longest_mask + 1, 2) + 1)  # bit k: the start strobe, k + 1 cycles late
    computing, blanking = vector(shape.latency_cycles), vector(shape.latency_cycles)
    strobe_end, computing_end = len(strobe) - 1, len(computing) - 1

    @always(clk.posedge)
    def control():
        strobe.next = concat(strobe[strobe_end:], start)
        computing.next = concat(computing[computing_end:], compute)
        blanking.next = concat(blanking[computing_end:], blank)

    @always_comb
    def finish():
        acc_begin.next = computing[computing_end]
        acc_blank.next = blanking[computing_end]

    acc_bits, parts = wire_engine(clk, strobe, taps, wires, shape)
    joined = join(acc_bits)

    @always_comb
    def result():
        acc.next = joined

    instances = []
    for part in parts:
        instance = part.make(**part.wires)
        instance.name = part.name
        instances.append(instance)
    return control, finish, instances, result


def wire_engine(clk, strobe, taps, wires: list[WireBit], shape: AdderShape) -> tuple[list, list[Part]]:
    """All parts of the engine, and the bits of the accumulators (output by output, lowest bit first)."""
    graph, plan = shape.graph, shape.schedule
    digit_bits, single = plan.digit_bits, plan.n_digits == 1
    parts: list[Part] = []

    hides = {}
    for length in sorted({wire.mask_digits for wire in wires if wire.mask_digits}):
        hides[length] = vector(plan.out_start + 2)
        parts.append(
            Part(
                partial(mask_chain, length=length),
                {"clk": clk, "strobe": strobe, "hide": hides[length]},
                f"mask{length}",
            )
        )

    # place[(node, bit, delay)] is the signal that carries it.
    place = {(node, bit, 0): taps(node * digit_bits + bit) for node in range(graph.inputs) for bit in range(digit_bits)}
    last_use: dict[tuple[int, int], int] = defaultdict(int)
    for wire in wires:
        # The last cycle of a masked wire's delay is its masked register.
        last_use[wire.node, wire.bit] = max(last_use[wire.node, wire.bit], wire.delay - (1 if wire.mask_digits else 0))

    def add_delays(nodes, name):
        """Delay stages for all bits of nodes; stage t holds those wires that somebody needs t cycles late."""
        keys, late = [(node, bit) for node in nodes for bit in range(digit_bits)], 1
        while keys := [key for key in keys if last_use[key] >= late]:
            stage = vector(len(keys))
            parts.append(
                Part(
                    delay_stage,
                    {"clk": clk, "wires": join([place[(*key, late - 1)] for key in keys]), "late": stage},
                    f"{name}_late{late}",
                )
            )
            for position, key in enumerate(keys):
                place[(*key, late)] = stage(position)
            late += 1

    def operand(node, shift, begin):
        """The signals of node << shift for an adder that starts at `begin`, lowest bit first; False: zero."""
        return [
            False
            if wire.node == CONSTANT_ZERO
            else masked[wire]
            if wire.mask_digits
            else place[wire.node, wire.bit, wire.delay]
            for wire in plan.operand(node, shift, begin)
        ]

    # Adders that start together and do the same form a group: one vector a bit of the digit.  A shifted operand may
    # come from an adder that starts later (its first digits are zero), so all sums get their place before any wiring.
    groups = defaultdict(list)
    for index, begin in enumerate(plan.start):
        groups[begin, graph.adders[index].negate_a or graph.adders[index].negate_b].append(index)
    totals = {}
    for key, members in groups.items():
        totals[key] = [vector(len(members)) for _ in range(digit_bits)]
        for position, index in enumerate(members):
            for bit in range(digit_bits):
                place[graph.inputs + index, bit, 0] = totals[key][bit](position)
    add_delays(range(graph.inputs), "taps")
    for (begin, subtract), members in sorted(groups.items()):
        add_delays([graph.inputs + index for index in members], f"level{begin}_{'sub' if subtract else 'add'}")
    masked = add_masks(parts, clk, wires, place, hides)
    for (begin, subtract), members in sorted(groups.items()):
        rows = []
        for adder in (graph.adders[i] for i in members):
            terms = [operand(adder.a, adder.shift_a, begin), operand(adder.b, adder.shift_b, begin)]
            rows.append(terms[::-1] if adder.negate_a else terms)  # -a + b is b - a
        add_adders(
            parts,
            clk,
            strobe(begin + TAP_LATENCY - 2),
            rows,
            totals[begin, subtract],
            subtract,
            single,
            f"level{begin}",
        )

    # The last level adds the bias, and brings all outputs into step.
    bias = add_bias(parts, clk, strobe(plan.out_start + TAP_LATENCY - 3), shape)
    acc_bits = [None] * (len(graph.outputs) * digit_bits)
    for subtract in (False, True):
        members = [c for c, out in enumerate(graph.outputs) if out.negate == subtract]
        rows = [
            [
                bias[c * digit_bits : (c + 1) * digit_bits],
                operand(graph.outputs[c].node, graph.outputs[c].shift, plan.out_start),
            ]
            for c in members
        ]
        if not members:
            continue
        sums = [vector(len(members)) for _ in range(digit_bits)]
        add_adders(parts, clk, strobe(plan.out_start + TAP_LATENCY - 2), rows, sums, subtract, single, "bias")
        for position, c in enumerate(members):
            for bit in range(digit_bits):
                acc_bits[c * digit_bits + bit] = sums[bit](position)
    return acc_bits, parts


def add_adders(
    parts: list[Part], clk, preset, rows: list, totals: list, subtract: bool, single: bool, level: str
) -> None:
    """Adders that start together, all adding or all subtracting.

    rows: for each adder two operands, each one signal a bit.  totals: where the sums go, one vector a bit.
    single: numbers of one digit, whose carry never crosses a cycle.
    """
    name, plane = (f"{level}_sub", full_subtractors) if subtract else (f"{level}_add", full_adders)
    digit_bits, count = len(rows[0][0]), len(rows)
    carries = [vector(count) for _ in range(digit_bits)]
    held = vector(count)

    def tied_low(what):
        zero = vector(count)
        parts.append(Part(tie_low, {"wires": zero, "like": totals[0]}, f"{name}_{what}"))
        return zero

    for bit in range(digit_bits):
        operands = {}
        for side, letter in enumerate("ab"):
            signals = [row[side][bit] for row in rows]
            tied = all(signal is False for signal in signals)
            operands[letter] = tied_low(f"bit{bit}_{letter}_zero") if tied else join(signals)
        if bit > 0:
            carry_in = carries[bit - 1]
        else:
            carry_in = tied_low("no_carry") if single else held
        parts.append(
            Part(
                plane,
                {"clk": clk, **operands, "carry_in": carry_in, "total": totals[bit], "carry_out": carries[bit]},
                f"{name}_bit{bit}",
            )
        )
    if not single:
        parts.append(
            Part(carry_register, {"clk": clk, "preset": preset, "carry": carries[-1], "held": held}, f"{name}_carry")
        )


def add_masks(parts: list[Part], clk, wires: list[WireBit], place: dict, hides: dict) -> dict:
    """The masked registers: wire to signal.  Those with the same mask form one vector."""
    groups = defaultdict(dict)
    for wire in wires:
        if wire.mask_digits:
            groups[wire.start, wire.mask_digits][wire] = place[wire.node, wire.bit, wire.delay - 1]
    masked = {}
    for (start, length), sources in sorted(groups.items()):
        late = vector(len(sources))
        parts.append(
            Part(
                masked_stage,
                {"clk": clk, "hide": hides[length](start), "wires": join(list(sources.values())), "late": late},
                f"start{start}_masked{length}",
            )
        )
        for position, wire in enumerate(sources):
            masked[wire] = late(position)
    return masked


def add_bias(parts: list[Part], clk, preset, shape: AdderShape) -> list:
    """Wires of all biases' digits, output by output; digit 0 comes two cycles after preset."""
    plan = shape.schedule
    count = counter(plan.n_digits)
    parts.append(
        Part(partial(digit_counter, digits=plan.n_digits), {"clk": clk, "preset": preset, "count": count}, "bias_digit")
    )
    wires = []
    modulus = 2 ** (plan.digit_bits * plan.n_digits)
    lanes = [(bias % modulus, bit) for bias in shape.bias for bit in range(plan.digit_bits)]
    for first in range(0, len(lanes), ROM_LANES):
        group = lanes[first : first + ROM_LANES]
        content = tuple(
            sum((bias >> (digit * plan.digit_bits + bit) & 1) << lane for lane, (bias, bit) in enumerate(group))
            for digit in range(plan.n_digits)
        )
        table = vector(len(group))
        parts.append(
            Part(
                partial(bias_table, content=content),
                {"clk": clk, "count": count, "table": table},
                f"bias_table{first // ROM_LANES}",
            )
        )
        wires += bits(table)
    return wires
