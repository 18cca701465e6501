"""What the map says is on each bit of an engine, against MyHDL's simulation of it and the graph's own arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import ZERO, Term, solve
from lognet_fpga.engines.clb.arithmetic import timed_adders
from lognet_fpga.engines.clb.blocks.adders import AdderShape, serial_adders
from lognet_fpga.fabric.latencies import TAP_LATENCY
from lognet_fpga.hw.structure import elaborate
from tests.hw.beats import digits, merge
from tests.hw.bench import run
from tests.shallow import shallow

IN_BITS, AT = 4, 6
MATRIX = np.random.default_rng(3).choice([0, 1, -1, 2, -4, 8], (4, 7))
MATRIX[2] = 0


@pytest.mark.parametrize("digit_bits,leg_cycles", [(1, None), (1, 3), (2, 2), (3, 1), (1, 1)])
def test_every_bit_shows_its_node(digit_bits, leg_cycles):
    rng = np.random.default_rng(digit_bits)
    bias = (5, -77, 30, 0)
    acc_bits = 10
    leg_cycles = leg_cycles or acc_bits
    in_digits = min(leg_cycles, -(-IN_BITS // digit_bits))
    in_legs = -(-IN_BITS // (digit_bits * in_digits))
    graph, timed = timed_adders(solve(MATRIX, IN_BITS), IN_BITS, acc_bits, digit_bits, leg_cycles)
    engine = serial_adders(AdderShape(graph, timed, bias), MATRIX.shape[1] * in_legs * digit_bits, "adders")
    nets = {net: runs for net, runs in engine.shows["nets"].items() if net not in ("acc", "taps")}
    probed = tuple(replace(net, direction="output") for net in engine.nets if net.name in nets)
    inner = tuple(net for net in engine.nets if net.name not in nets)
    engine = replace(engine, ports=engine.ports + probed, nets=inner)
    signals = {port.name: port.signal() for port in engine.ports}

    x = rng.integers(0, 2**IN_BITS, MATRIX.shape[1])
    words = {}
    for place in range(in_digits):
        lanes = [
            digits(int(value), digit_bits, in_digits * in_legs)[leg * in_digits + place]
            for value in x
            for leg in range(in_legs)
        ]
        words[AT + TAP_LATENCY + place] = merge(lanes, digit_bits)
    shown: list[dict[str, int]] = []

    def drive(cycle):
        signals["start"].next = signals["compute"].next = cycle == AT
        signals["taps"].next = words.get(cycle, 0)

    def observe(cycle):
        shown.append({name: int(signals[name]) for name in (*nets, "acc", "taps")})
        return cycle == end

    end = AT + TAP_LATENCY + timed.last_begin + 3 * leg_cycles * timed.acc_legs + 8
    run(shallow(elaborate, engine, signals), signals["clk"], drive, observe, cap=end + 2)

    # Every node as an output of its own.
    everything = tuple(Term(node, 0, False) for node in range(graph.inputs + len(graph.adders)))
    values = [int(value) for value in replace(graph, outputs=everything).evaluate(x)]
    outputs = [0 if out.node == ZERO else int(MATRIX[c] @ x) for c, out in enumerate(graph.outputs)]
    values += [total + add for total, add in zip(outputs, bias)]
    compared = set()
    for net, runs in engine.shows["nets"].items():
        for low, leg, bit, cycle, kind, nodes in runs:
            for index, node in enumerate(nodes, low):
                if kind:  # a register that joins legs shows bits of its node, shifted
                    continue
                for digit in range(leg_cycles):
                    found = shown[AT + TAP_LATENCY + cycle + digit][net] >> index & 1
                    number = (leg * leg_cycles + digit) * digit_bits + bit
                    assert found == values[node] >> number & 1, f"{net}[{index}], node {node}, bit {number}"
                compared.add(node)
    assert compared == set(range(len(values)))
