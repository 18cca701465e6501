"""The multiplier-free engine: one digit-serial adder for each node of a layer's adder graph."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from myhdl import always, always_comb, block, concat

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph
from lognet_fpga.engines.clb.blocks.adder_map import engine_map
from lognet_fpga.engines.clb.blocks.adder_wiring import STROBE, Operands, Wiring
from lognet_fpga.engines.clb.schedule import Kept, SerialSchedule, Spliced, Tap, Wire, engine_wires, sources
from lognet_fpga.fabric.latencies import accumulator_latency
from lognet_fpga.hw.control import leaf_groups
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.structure import Bit, Composite, Leaf, joined, same
from lognet_fpga.hw.wiring import vector


@dataclass(frozen=True)
class AdderShape:
    """graph and schedule of one layer; bias: one integer an output, added to it.  first_leg: legs below it are of no
    interest to what comes behind."""

    graph: AdderGraph
    schedule: SerialSchedule
    bias: tuple[int, ...]
    first_leg: int = 0

    @property
    def legs_out(self) -> int:
        return self.schedule.acc_legs - self.first_leg

    @property
    def out_bits(self) -> int:
        """Wires of an accumulator: a digit of each of its legs."""
        return self.legs_out * self.schedule.digit_bits

    @property
    def latency_cycles(self) -> int:
        """From a slot's start strobe to the accumulators' first digits."""
        plan = self.schedule
        return accumulator_latency(plan.out_start, plan.acc_legs, plan.leg_cycles)


def serial_adders(shape: AdderShape, taps: int, name: str) -> Composite:
    """All accumulators of a layer: matrix times window plus bias, digit by digit.

    Ports: start, compute, blank, taps (so many bits): from the window block; acc: a digit of each leg of every output,
    lowest output and leg in the lowest bits; acc_soon: the first digits of a computing slot are on acc in two cycles,
    acc_blank: its result is to be zero.
    Latency: shape.latency_cycles from start.  Throughput: one slot in leg_cycles cycles.  Back-pressure: none.
    """
    plan, graph = shape.schedule, shape.graph
    wiring, late = Wiring(plan), plan.last_begin + plan.leg_cycles + 4
    ports = inputs(clk=None, start=None, compute=None, blank=None) + outputs(strobe=late, acc_soon=None, acc_blank=None)
    control = Leaf(f"{name}_control", ports, partial(slot_strobes, latency=shape.latency_cycles))
    wiring.add(control, "control", **same(*(port.name for port in ports if port.name != STROBE)), strobe=STROBE)
    wiring.vector(STROBE, late)
    legs_in = taps // (graph.inputs * plan.digit_bits)
    for place in range(taps):
        node, leg, bit = (
            place // (legs_in * plan.digit_bits),
            place // plan.digit_bits % legs_in,
            place % plan.digit_bits,
        )
        wiring.place[Tap(node, leg, bit, 0)] = Bit("taps", place)
    acc = wire_engine(wiring, shape)
    text = (
        f"All accumulators of a layer, digit by digit: {graph.inputs} inputs, {len(graph.adders)} adders, "
        f"{len(graph.outputs)} outputs, {plan.acc_legs} legs of {plan.leg_cycles} digits of {plan.digit_bits} bits.\n"
        f"Latency: {shape.latency_cycles} cycles from start to the first digits of acc.\n"
        f"Throughput: one slot in {plan.leg_cycles} cycles.  Back-pressure: none."
    )
    return Composite(
        name,
        inputs(clk=None, start=None, compute=None, blank=None, taps=taps)
        + outputs(acc=len(graph.outputs) * shape.out_bits, acc_soon=None, acc_blank=None),
        tuple(wiring.nets),
        tuple(wiring.instances),
        text,
        assigns={"acc": joined(acc)},
        shows=engine_map(graph, plan, wiring.place, acc, wiring.beside),
    )


@block
def slot_strobes(clk, start, compute, blank, strobe, acc_soon, acc_blank, *, latency):
    """The slots' strobes, late: bit k of strobe is start, k + 1 cycles late; acc_soon, acc_blank: compute and blank,
    so late that acc holds the first digits of the slot in two cycles."""
    late, computing, blanking = vector(len(strobe)), vector(latency - 2), vector(latency - 2)
    late_end, computing_end = len(strobe) - 1, latency - 3

    @always(clk.posedge)
    def travel():
        late.next = concat(late[late_end:], start)
        computing.next = concat(computing[computing_end:], compute)
        blanking.next = concat(blanking[computing_end:], blank)

    @always_comb
    def show():
        strobe.next = late
        acc_soon.next = computing[computing_end]
        acc_blank.next = blanking[computing_end]

    return travel, show


class Group(NamedTuple):
    """Adders that start together, do the same and have as many legs; name: of their sums."""

    begin: int
    subtract: bool
    legs: int
    name: str


def wire_engine(wiring: Wiring, shape: AdderShape) -> list[Bit]:
    """Put all parts of the engine into wiring; the bits of acc, lowest first."""
    graph, plan, place = shape.graph, shape.schedule, wiring.place
    wires = _closure(set(engine_wires(graph, plan)))
    last_use: dict[tuple[int, int, int], int] = {}
    for wire in wires:
        if isinstance(wire, Tap):
            key = wire.node, wire.leg, wire.bit
            last_use[key] = max(last_use.get(key, 0), wire.delay)

    # Adders that start together, do the same and have as many legs form groups: one vector a leg and bit of the digit,
    # one leaf of the strobe.  A shifted operand may come from an adder that starts later (its first digits are zero),
    # so all sums get their place before any wiring.
    alike = defaultdict(list)
    for index, (adder, begin) in enumerate(zip(graph.adders, plan.start)):
        alike[begin, len(adder.terms), adder.subtracts, plan.legs[graph.inputs + index]].append(index)
    groups: dict[Group, list[int]] = {}
    numbers: dict[int, int] = defaultdict(int)  # of the groups that start in a cycle
    for (begin, operands, subtract, legs), members in sorted(alike.items()):
        for run in leaf_groups(len(members), _strobe_loads(operands, legs)):
            group = Group(begin, subtract, legs, f"sum{begin}_{numbers[begin]}")
            groups[group] = [members[i] for i in run]
            numbers[begin] += 1
    totals = {group: wiring.sums(group.name, len(members), group.legs) for group, members in groups.items()}
    for group, members in groups.items():
        for leg, digit in enumerate(totals[group]):
            for bit, total in enumerate(digit):
                for position, index in enumerate(members):
                    place[Tap(graph.inputs + index, leg, bit, 0)] = Bit(total, position)
    of_node: dict[int, dict] = defaultdict(dict)
    for key, delay in sorted(last_use.items()):
        of_node[key[0]][key] = delay
    inputs = {key: delay for node in range(graph.inputs) for key, delay in of_node[node].items()}
    wiring.add_delays(inputs, "taps")
    for group, members in groups.items():
        ours = {key: delay for index in members for key, delay in of_node[graph.inputs + index].items()}
        # Legs and bits one after the other, as the sums' nets lie.
        wiring.add_delays(dict(sorted(ours.items(), key=lambda item: (*item[0][1:], item[0][0]))), group.name)
    wiring.add_registers(sorted((wire for wire in wires if not isinstance(wire, Tap)), key=_source_order))

    def operand(node: int, shift: int, begin: int, leg: int) -> list:
        """The bits of a leg of node << shift for an adder that starts at `begin`; False: zero."""
        return [False if wire is None else place[wire] for wire in plan.operand(node, shift, begin, leg)]

    for group, members in groups.items():
        rows = [
            [
                tuple(operand(term.node, term.shift, group.begin, leg) for term in graph.adders[index].terms)
                for leg in range(group.legs)
            ]
            for index in members
        ]
        wiring.add_adders(group.begin, rows, totals[group], group.subtract, group.name)
    return _outputs(wiring, shape, operand)


def _outputs(wiring: Wiring, shape: AdderShape, operand) -> list[Bit]:
    """The last level: it adds the bias and brings all outputs, and then all their legs, into step."""
    graph, plan, bias = shape.graph, shape.schedule, wiring.add_bias(shape.bias)
    first_output = graph.inputs + len(graph.adders)  # outputs count on as nodes
    kinds = ["only" if out.node == ZERO else "minus" if out.negate else "plus" for out in graph.outputs]
    for kind in dict.fromkeys(kinds):
        alike = [c for c, other in enumerate(kinds) if other == kind]
        for number, run in enumerate(leaf_groups(len(alike), _strobe_loads(2, plan.acc_legs))):
            name, members = f"biased_{kind}{number}", [alike[i] for i in run]
            rows: list[list[Operands]] = [
                [
                    (bias[c][leg], operand(graph.outputs[c].node, graph.outputs[c].shift, plan.out_start, leg))
                    for leg in range(plan.acc_legs)
                ]
                for c in members
            ]
            sums = wiring.sums(name, len(members), plan.acc_legs)
            if kind == "only":  # an output without weights: nothing but its bias
                wiring.add_copies(rows, sums, name)
            else:
                wiring.add_adders(plan.out_start, rows, sums, kind == "minus", name)
            tapped = {}
            for leg in range(shape.first_leg, plan.acc_legs):
                for bit in range(plan.digit_bits):
                    for position, c in enumerate(members):
                        key = first_output + c, leg, bit
                        wiring.place[Tap(*key, 0)] = Bit(sums[leg][bit], position)
                        tapped[key] = (plan.acc_legs - 1 - leg) * plan.leg_cycles
            wiring.add_delays(tapped, name)
    return [
        wiring.place[Tap(first_output + c, leg, bit, (plan.acc_legs - 1 - leg) * plan.leg_cycles)]
        for c in range(len(graph.outputs))
        for leg in range(shape.first_leg, plan.acc_legs)
        for bit in range(plan.digit_bits)
    ]


def _source_order(wire: Tap | Spliced | Kept) -> tuple:
    """Registers in the order in which what they take lies on its net."""
    source = wire
    while not isinstance(source, Tap):
        source = next(taken for taken in sources(source) if taken is not None)
    return source.delay, source.leg, source.bit, source.node, repr(wire)


def _strobe_loads(operands: int, legs: int) -> int:
    """Of the strobe of a leg, for each adder: the resets of its carries, or the two LUTs that take over another one."""
    return 2 if legs > 1 else operands - 1


def _closure(wires: set[Wire]) -> set[Tap | Spliced | Kept]:
    """These wires and all that their registers take, but for zero."""
    found: set[Tap | Spliced | Kept] = set()
    waiting = [wire for wire in wires if wire is not None]
    while waiting:
        wire = waiting.pop()
        if wire not in found:
            found.add(wire)
            waiting += [source for source in (() if isinstance(wire, Tap) else sources(wire)) if source is not None]
    return found
