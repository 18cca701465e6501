from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import solve
from lognet_fpga.engines.clb.arithmetic import timed_adders
from lognet_fpga.engines.clb.blocks.adders import AdderShape, serial_adders
from lognet_fpga.fabric.latencies import TAP_LATENCY
from lognet_fpga.hw.structure import elaborate
from tests.hw.beats import digits, merge
from tests.hw.bench import run
from tests.shallow import shallow

IN_BITS = 4
MATRICES = {
    "mixed": np.array([[1, -2, 0, 8], [0, 0, 4, -4], [-16, 1, 1, 2]]),
    "a zero row, a negative row": np.array([[0, 0, 0], [-1, -2, -8], [4, 0, 0], [0, -4, 0]]),
    "one weight": np.array([[64]]),
    # Every sum is shifted at the end, so adders start later than the bias does.
    "a common factor": np.array([[-16, 64, -32, -64, -64, -64, -32, -64, 64], [32, 0, 16, 0, 0, -16, 64, 64, 0]]),
    "random": np.random.default_rng(1).choice([0, 0, 1, -1, 2, -4, 8, -32], (4, 6)),
}


# (bits of a digit, digits of a leg; None: as many as the accumulators have)
FOLDINGS = [(1, None), (1, 1), (1, 2), (1, 3), (1, 4), (1, 7), (2, None), (2, 1), (2, 3), (3, 2), (5, None), (30, 1)]


@pytest.mark.parametrize("digit_bits,leg_cycles", FOLDINGS)
@pytest.mark.parametrize("name", MATRICES)
def test_matrix_times_window_plus_bias(name, digit_bits, leg_cycles):
    """Computing slots and shorter ones between them, whose inputs are zero, as close together as they may be, some with
    a pause."""
    matrix = MATRICES[name]
    rng = np.random.default_rng(digit_bits)
    bias = rng.integers(-200, 200, len(matrix))
    top = 2**IN_BITS - 1
    high, low = np.maximum(matrix, 0).sum(axis=1) * top + bias, np.minimum(matrix, 0).sum(axis=1) * top + bias
    acc_bits = int(max(high.max(), -low.min())).bit_length() + 1
    digit_bits = min(digit_bits, acc_bits)
    leg_cycles = min(leg_cycles or acc_bits, -(-acc_bits // digit_bits))
    in_digits = min(leg_cycles, -(-IN_BITS // digit_bits))
    in_legs = -(-IN_BITS // (digit_bits * in_digits))
    graph, timed = timed_adders(solve(matrix, IN_BITS), IN_BITS, acc_bits, digit_bits, leg_cycles)
    shape = AdderShape(graph, timed, tuple(int(b) for b in bias))

    slots, at = [], 5
    for number in range(24):
        computes = bool(rng.integers(0, 3)) or number == 23
        slots.append((at, computes, rng.integers(0, top + 1, matrix.shape[1]) * computes))
        at += leg_cycles if computes else in_digits
        at += int(rng.integers(1, 5)) if rng.integers(0, 4) == 0 else 0
    starts = {begin: computes for begin, computes, _ in slots}
    words = {}  # cycle: taps
    for begin, _, values in slots:
        for place in range(in_digits):
            lanes = [
                digits(int(value), digit_bits, in_digits * in_legs)[leg * in_digits + place]
                for value in values
                for leg in range(in_legs)
            ]
            words[begin + TAP_LATENCY + place] = merge(lanes, digit_bits)

    engine = serial_adders(shape, matrix.shape[1] * in_legs * digit_bits, "adders")
    signals = {port.name: port.signal() for port in engine.ports}
    clk, start, compute, taps = (signals[name] for name in ("clk", "start", "compute", "taps"))
    acc, acc_soon = signals["acc"], signals["acc_soon"]
    dut = shallow(elaborate, engine, signals)
    shown, begins = [], []
    end = slots[-1][0] + shape.latency_cycles + leg_cycles + 1

    def drive(cycle):
        start.next, compute.next = cycle in starts, starts.get(cycle, False)
        taps.next = words.get(cycle, 0)

    def observe(cycle):
        shown.append(int(acc))
        if acc_soon:
            begins.append(cycle + 2)
        return cycle == end

    run(dut, clk, drive, observe, cap=end + 2)
    assert begins == [begin + shape.latency_cycles for begin, computes, _ in slots if computes]
    modulus = 2 ** (digit_bits * leg_cycles * timed.acc_legs)
    for begin, (_, values) in zip(begins, [(at, values) for at, computes, values in slots if computes]):
        found = [
            sum(
                (shown[begin + place] >> (c * timed.acc_legs + leg) * digit_bits & 2**digit_bits - 1)
                << digit_bits * (leg * leg_cycles + place)
                for leg in range(timed.acc_legs)
                for place in range(leg_cycles)
            )
            for c in range(len(matrix))
        ]
        assert found == [int(total) % modulus for total in matrix @ values + bias], f"accumulators of cycle {begin}"
