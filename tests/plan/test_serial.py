"""The schedule, run digit by digit in plain Python: every wire is a list over time."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.plan.adder_graph import ZERO, AdderGraph, solve
from lognet_fpga.plan.serial import CONSTANT_ZERO, SerialSchedule, schedule
from tests.plan.test_adder_graph import MATRICES, log2_matrix

IN_BITS = 5
BACK_TO_BACK = 4  # computing slots without a pause


def accumulator_bits(matrix: np.ndarray, in_bits: int) -> int:
    top = 2**in_bits - 1
    low, high = np.minimum(matrix, 0).sum(axis=1).min() * top, np.maximum(matrix, 0).sum(axis=1).max() * top
    return max(int(high).bit_length(), int(-low).bit_length()) + 1


def simulate(
    graph: AdderGraph, plan: SerialSchedule, slots: list[tuple[int, np.ndarray]], seed: int
) -> list[list[int]]:
    """Outputs of every slot, as integers modulo 2**(digit_bits * n_digits), before their sign.

    slots: (first cycle, inputs).  An adder is one full adder a bit and a carry register, whose content is random
    until the first slot.
    """
    rng = np.random.default_rng(seed)
    starts = [begin for begin, _ in slots]
    total = starts[-1] + plan.out_start + plan.n_digits + 2
    count, width = graph.inputs + len(graph.adders), plan.digit_bits
    wires = [[[0] * (total + 1) for _ in range(width)] for _ in range(count)]
    for begin, values in slots:
        for node, value in enumerate(values):
            for time in range(begin, total):  # until the next slot overwrites it; zero behind the last digit
                for bit in range(width):
                    wires[node][bit][time] = int(value) >> ((time - begin) * width + bit) & 1
    carries = [int(carry) for carry in rng.integers(0, 2, len(graph.adders))]
    operands = [
        [plan.operand(adder.a, adder.shift_a, begin), plan.operand(adder.b, adder.shift_b, begin)]
        for adder, begin in zip(graph.adders, plan.start)
    ]

    def read(operand, time: int, begin: int) -> list[int]:
        """The operand's bits in cycle `time` at an adder that starts at `begin`."""
        local = [time - begin - start for start in starts if start <= time - begin]
        out = []
        for wire in operand:
            if wire.node == CONSTANT_ZERO or (local and local[-1] < wire.mask_digits):
                out.append(0)
                continue
            assert wire.delay >= (1 if wire.mask_digits else 0)
            out.append(wires[wire.node][wire.bit][time - wire.delay] if time >= wire.delay else int(rng.integers(0, 2)))
        return out

    for time in range(total):
        for index, (adder, begin) in enumerate(zip(graph.adders, plan.start)):
            a, b = (read(operand, time, begin) for operand in operands[index])
            if adder.negate_a:
                a, b = b, a
            subtract = adder.negate_a or adder.negate_b
            carry = 0 if time - begin in starts else carries[index]
            for bit in range(width):
                result = a[bit] - b[bit] - carry if subtract else a[bit] + b[bit] + carry
                wires[graph.inputs + index][bit][time + 1] = result & 1
                carry = int(result < 0) if subtract else result >> 1
            carries[index] = carry
    results = []
    for begin, _ in slots:
        values = []
        for out in graph.outputs:
            operand = plan.operand(out.node, out.shift, plan.out_start)
            digits = [read(operand, begin + plan.out_start + digit, plan.out_start) for digit in range(plan.n_digits)]
            values.append(sum(bit << place for place, bit in enumerate(bit for digit in digits for bit in digit)))
        results.append(values)
    return results


def expected(graph: AdderGraph, matrix: np.ndarray, values: np.ndarray, modulus: int) -> list[int]:
    return [(-int(total) if out.negate else int(total)) % modulus for out, total in zip(graph.outputs, matrix @ values)]


@pytest.mark.parametrize(
    "name", ["random", "zero rows", "one nonzero", "negative rows", "opposite rows", "all zero", "any integers"]
)
def test_every_digit_width(name):
    matrix = MATRICES[name]
    graph = solve(matrix, IN_BITS)
    bits = accumulator_bits(matrix, IN_BITS)
    rng = np.random.default_rng(1)
    for digit_bits in range(1, bits + 1):
        n_digits = -(-bits // digit_bits)
        plan = schedule(graph, digit_bits, n_digits)
        slots = [(slot * n_digits, rng.integers(0, 2**IN_BITS, matrix.shape[1])) for slot in range(BACK_TO_BACK)]
        modulus = 2 ** (digit_bits * n_digits)
        assert simulate(graph, plan, slots, seed=digit_bits) == [expected(graph, matrix, x, modulus) for _, x in slots]


@pytest.mark.parametrize("digit_bits", [1, 2, 3, 5])
def test_short_slots_and_pauses_between(digit_bits):
    """A slot whose sums nobody needs lasts only as long as its inputs, and computing slots may lie apart."""
    matrix = log2_matrix(21, 4, 9, 0.4)
    graph = solve(matrix, IN_BITS)
    n_digits, in_digits = -(-accumulator_bits(matrix, IN_BITS) // digit_bits), -(-IN_BITS // digit_bits)
    plan = schedule(graph, digit_bits, n_digits)
    rng = np.random.default_rng(digit_bits)
    slots, computing, time = [], [], 0
    for _ in range(14):
        computes = bool(rng.integers(0, 2))
        slots.append((time, rng.integers(0, 2**IN_BITS, 9)))
        computing.append(computes)
        time += n_digits if computes else in_digits
        time += int(rng.integers(0, 3)) * int(rng.integers(0, 2))
    results = simulate(graph, plan, slots, seed=1)
    for (_, x), found, computes in zip(slots, results, computing):
        if computes:
            assert found == expected(graph, matrix, x, 2 ** (digit_bits * n_digits))
    assert 3 < sum(computing) < 11


def test_zero_is_a_constant():
    plan = schedule(solve(np.zeros((2, 3), int), 8), 2, 4)
    assert {wire.node for wire in plan.operand(ZERO, 3, 0)} == {CONSTANT_ZERO} and plan.out_start == 0


def test_a_shift_by_hand():
    """Five bits up at two bits a cycle: two cycles late and the lower wire carries the upper bit, one cycle later."""
    plan = SerialSchedule(2, 6, 1, (), 3)
    low, high = plan.operand(0, 5, 3)
    assert (low.bit, low.delay, low.mask_digits) == (1, 3 + 2 + 1, 3)
    assert (high.bit, high.delay, high.mask_digits) == (0, 3 + 2, 2)
