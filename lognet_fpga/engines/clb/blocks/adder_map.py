"""What the nets of an adder engine carry, bit by bit, as plain data for the map beside the Verilog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from lognet_fpga.engines.clb.adder_graph import AdderGraph
from lognet_fpga.engines.clb.schedule import Kept, SerialSchedule, Tap, Wire
from lognet_fpga.hw.structure import Bit


def engine_map(
    graph: AdderGraph,
    plan: SerialSchedule,
    place: Mapping[Wire, Bit],
    acc: Iterable[Bit | bool],
    beside: Mapping[str, str],
) -> dict[str, object]:
    """place: the bit of a net for each wire; acc: the bits of the port acc; beside: nets of carries, and the net of the
    sums that they belong to.

    nets: of each net its bits in runs, [lowest index, leg, bit of a digit, cycle, kind, nodes]: the numbers on bits
    lowest, lowest + 1, ... of the net, whose first digit of that leg is there in that cycle, counted from the one in
    which the first digit of a slot is on the taps.  Of a register that joins two legs it is the cycle in which the leg
    of its reader begins, and kind says which digits it shows; of others kind is "".  Nodes: first the inputs of the
    graph, then its adders, then its outputs with their biases.
    """
    shown: dict[str, dict[int, tuple]] = defaultdict(dict)
    for wire, (net, index) in place.items():
        shown[net][index] = _fact(graph, plan, wire)
    shown["acc"] = {number: shown[bit.net][bit.place] for number, bit in enumerate(acc) if not isinstance(bit, bool)}
    return {
        "digit_bits": plan.digit_bits,
        "leg_cycles": plan.leg_cycles,
        "inputs": graph.inputs,
        "adders": [[[term.node, term.shift, int(term.negate)] for term in adder.terms] for adder in graph.adders],
        "outputs": [[out.node, out.shift, int(out.negate)] for out in graph.outputs],
        "nets": {net: _runs(bits) for net, bits in sorted(shown.items())},
        "carries": dict(sorted(beside.items())),
    }


def _fact(graph: AdderGraph, plan: SerialSchedule, wire: Wire) -> tuple[int, int, int, str, int]:
    """(leg, bit, cycle, kind, node) of a wire."""
    if isinstance(wire, Tap):
        first_output = graph.inputs + len(graph.adders)
        ready = plan.out_start + 1 if wire.node >= first_output else plan.ready(wire.node)
        begin = 0 if wire.node < graph.inputs else wire.leg * plan.leg_cycles  # all legs of an input come at once
        return wire.leg, wire.bit, ready + begin + wire.delay, "", wire.node
    if isinstance(wire, Kept):
        source = wire.source
        while not isinstance(source, Tap):
            source = source.source
        return source.leg, source.bit, wire.begin, f"the last of its first {wire.digits} digits, a sign", source.node
    assert wire is not None  # zero is on no net
    shown = wire.then or wire.first
    assert shown is not None
    first = f"leg {wire.first.leg}" if wire.first else "zeros"
    then = f"leg {wire.then.leg}" if wire.then else "zeros"
    return shown.leg, shown.bit, wire.begin, f"{first} for {wire.digits} digits, then {then}", shown.node


def _runs(bits: Mapping[int, tuple]) -> list[list]:
    runs: list[list] = []
    for index, (*fact, node) in sorted(bits.items()):
        last = runs[-1] if runs else None
        if last and last[1:5] == fact and last[0] + len(last[5]) == index:
            last[5].append(node)
        else:
            runs.append([index, *fact, [node]])
    return runs
