"""The schedule, run digit by digit in plain Python: every wire is a list over time."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph, solve
from lognet_fpga.engines.clb.arithmetic import timed_adders
from lognet_fpga.engines.clb.schedule import Kept, SerialSchedule, Spliced, Tap, Wire, engine_wires, schedule
from tests.engines.clb.test_adder_graph import MATRICES, log2_matrix

IN_BITS = 5
BACK_TO_BACK = 4  # computing slots without a pause


def accumulator_bits(matrix: np.ndarray, in_bits: int) -> int:
    top = 2**in_bits - 1
    low, high = np.minimum(matrix, 0).sum(axis=1).min() * top, np.maximum(matrix, 0).sum(axis=1).max() * top
    return max(int(high).bit_length(), int(-low).bit_length()) + 1


def simulate(
    graph: AdderGraph, plan: SerialSchedule, slots: list[tuple[int, np.ndarray]], seed: int
) -> list[list[int]]:
    """Outputs of every slot, as integers modulo 2**bits of all their legs, before their sign.

    slots: (first cycle, inputs).  A leg of an adder is a sum a bit and a carry register, which takes over the
    carry of the leg before with the first digit.  Registers are random until they are written, but for those of
    unsigned numbers, which inputs of zero have made zero.
    """
    rng = np.random.default_rng(seed)
    starts, width, leg_cycles = [begin for begin, _ in slots], plan.digit_bits, plan.leg_cycles
    total = starts[-1] + plan.last_begin + leg_cycles + 2
    shown: dict[tuple[int, int, int], list[int]] = {}  # (node, leg, bit): values over time
    for node, legs in enumerate(plan.legs):
        for leg in range(legs):
            for bit in range(width):
                shown[node, leg, bit] = [0] * (total + 1)
    for begin, values in slots:
        for node, value in enumerate(values):
            for leg in range(plan.legs[node]):
                for time in range(begin, total):  # until the next slot overwrites it
                    digit = leg * leg_cycles + time - begin
                    for bit in range(width):
                        behind = time - begin >= leg_cycles  # zero behind the last digit of the leg
                        shown[node, leg, bit][time] = 0 if behind else int(value) >> (digit * width + bit) & 1
    registers: dict[Wire, int] = {}  # Kept wires: what they show
    carries: dict[tuple[int, int], int] = {}

    def digit_now(time: int, begin: int) -> int | None:
        """Digit that a leg that begins in cycle `begin` works on in cycle `time`; None: no slot has come that far."""
        local = [time - begin - start for start in starts if start <= time - begin]
        return local[-1] if local else None

    def read(wire: Wire, time: int, late: int = 0) -> int:
        """What the wire showed `late` cycles before `time`."""
        if wire is None:
            return 0
        if isinstance(wire, Tap):
            at = time - late - wire.delay
            assert wire.delay >= 0
            random = plan.signed[wire.node] and rng.integers(0, 2)
            return shown[wire.node, wire.leg, wire.bit][at] if at >= 0 else int(random)
        digit = digit_now(time, wire.begin)
        early = digit is not None and digit < wire.digits
        if isinstance(wire, Spliced):
            assert late == 0
            return read(wire.first if early else wire.then, time, late=1)
        return registers.get(wire, 0)

    kept = {wire for wire in engine_wires(graph, plan) if isinstance(wire, Kept)}
    while inner := {wire.source for wire in kept if isinstance(wire.source, Kept)} - kept:
        kept |= inner
    operands = [
        [
            [plan.operand(term.node, term.shift, begin, leg) for term in adder.terms]
            for leg in range(plan.legs[graph.inputs + index])
        ]
        for index, (adder, begin) in enumerate(zip(graph.adders, plan.start))
    ]
    outputs = [
        [plan.operand(out.node, out.shift, plan.out_start, leg) for leg in range(plan.acc_legs)]
        for out in graph.outputs
    ]
    results = [[0] * len(graph.outputs) for _ in slots]
    for time in range(total):
        before = dict(registers)
        for wire in kept:
            digit = digit_now(time, wire.begin)
            if digit is not None and digit < wire.digits:
                source = wire.source
                registers[wire] = before.get(source, 0) if isinstance(source, Kept) else read(source, time, late=1)
        carries_before = dict(carries)
        for index, (adder, begin) in enumerate(zip(graph.adders, plan.start)):
            signs = [-1 if term.negate else 1 for term in adder.terms]
            for leg, sides in enumerate(operands[index]):
                values = [[read(wire, time) for wire in side] for side in sides]
                first = digit_now(time, begin + leg * leg_cycles) == 0
                carry = carries_before.get((index, leg), 0)
                if first:
                    carry = carries_before.get((index, leg - 1), 0) if leg else 0
                for bit in range(width):
                    result = sum(sign * value[bit] for sign, value in zip(signs, values)) + carry
                    shown[graph.inputs + index, leg, bit][time + 1] = result & 1
                    carry = result >> 1
                carries[index, leg] = carry
        for slot, start in enumerate(starts):
            leg, digit = divmod(time - start - plan.out_start, leg_cycles)
            if 0 <= leg < plan.acc_legs:
                for c in range(len(graph.outputs)):
                    for bit, wire in enumerate(outputs[c][leg]):
                        results[slot][c] |= read(wire, time) << ((leg * leg_cycles + digit) * width + bit)
    return results


def expected(graph: AdderGraph, matrix: np.ndarray, values: np.ndarray, modulus: int) -> list[int]:
    return [(-int(total) if out.negate else int(total)) % modulus for out, total in zip(graph.outputs, matrix @ values)]


@pytest.mark.parametrize(
    "name", ["random", "zero rows", "one nonzero", "negative rows", "opposite rows", "all zero", "any integers"]
)
def test_every_folding(name):
    matrix = MATRICES[name]
    graph = solve(matrix, IN_BITS)
    bits = accumulator_bits(matrix, IN_BITS)
    rng = np.random.default_rng(1)
    for digit_bits in (1, 2, 3, 5, bits):
        digits = -(-bits // digit_bits)
        for leg_cycles in sorted({1, 2, 3, 5, digits} & set(range(1, digits + 1))):
            folded, plan = timed_adders(graph, IN_BITS, bits, digit_bits, leg_cycles)
            slots = [(slot * leg_cycles, rng.integers(0, 2**IN_BITS, matrix.shape[1])) for slot in range(BACK_TO_BACK)]
            modulus = 2 ** (digit_bits * leg_cycles * plan.acc_legs)
            found = simulate(folded, plan, slots, seed=digit_bits)
            assert found == [expected(folded, matrix, x, modulus) for _, x in slots], (digit_bits, leg_cycles)


@pytest.mark.parametrize("digit_bits,leg_cycles", [(1, 3), (1, 7), (1, 16), (2, 2), (2, 8), (3, 3), (5, 4)])
def test_short_slots_and_pauses_between(digit_bits, leg_cycles):
    """A slot whose sums nobody needs has inputs of zero and lasts only as long as an input, and computing slots may lie
    apart."""
    matrix = log2_matrix(21, 4, 9, 0.4)
    graph, bits = solve(matrix, IN_BITS), accumulator_bits(matrix, IN_BITS)
    in_digits = min(leg_cycles, -(-IN_BITS // digit_bits))
    graph, plan = timed_adders(graph, IN_BITS, bits, digit_bits, leg_cycles)
    rng = np.random.default_rng(digit_bits)
    slots, computing, time = [], [], 0
    for _ in range(14):
        computes = bool(rng.integers(0, 2))
        slots.append((time, rng.integers(0, 2**IN_BITS, 9) * computes))
        computing.append(computes)
        time += leg_cycles if computes else in_digits
        time += int(rng.integers(0, 3)) * int(rng.integers(0, 2))
    results = simulate(graph, plan, slots, seed=1)
    for (_, x), found, computes in zip(slots, results, computing):
        if computes:
            assert found == expected(graph, matrix, x, 2 ** (digit_bits * leg_cycles * plan.acc_legs))
    assert 3 < sum(computing) < 11


def test_zero_is_a_constant():
    plan = schedule(solve(np.zeros((2, 3), int), 8), 8, 8, 2, 4)
    assert plan.operand(ZERO, 3, 0, 0) == (None, None) and plan.out_start == 0


def by_hand(digit_bits: int, leg_cycles: int, acc_legs: int, bits: int) -> SerialSchedule:
    """One adder, signed, of two inputs; ready in cycle 1."""
    return SerialSchedule(digit_bits, leg_cycles, acc_legs, 2, (4, 4, bits), (False, False, True), (0,), 3)


def test_a_shift_by_hand():
    """Five bits up at two bits a cycle: two cycles late and the lower wire carries the upper bit, one cycle later."""
    low, high = by_hand(2, 6, 1, 9).operand(2, 5, 3, 0)
    assert low == Spliced(None, Tap(2, 0, 1, 2 + 2 + 1 - 1), 3, 3)
    assert high == Spliced(None, Tap(2, 0, 0, 2 + 2 - 1), 2, 3)


def test_legs_by_hand():
    """Seven bits in legs of three cycles, two bits up: three legs, spliced, behind them the sign."""
    plan = by_hand(1, 3, 5, 7)
    assert plan.legs[2] == 3 and plan.last_begin == 3 + 4 * 3
    wires = [plan.operand(2, 2, 3, leg)[0] for leg in range(5)]
    delay = 3 - 1 + 2 - 1  # the last cycle is the register's
    assert wires[0] == Spliced(None, Tap(2, 0, 0, delay), 2, 3)
    assert wires[1] == Spliced(Tap(2, 0, 0, delay), Tap(2, 1, 0, delay), 2, 6)
    assert wires[2] == Spliced(Tap(2, 1, 0, delay), Tap(2, 2, 0, delay), 2, 9)
    assert wires[3] == Kept(Tap(2, 2, 0, delay), 2, 12)
    assert wires[4] == Kept(wires[3], 1, 15)


def test_a_shift_by_whole_legs_costs_nothing():
    plan = by_hand(1, 3, 5, 7)
    assert [plan.operand(2, 3, 1, leg)[0] for leg in range(4)] == [None, *(Tap(2, leg, 0, 3) for leg in range(3))]


def test_an_unsigned_number_ends():
    plan = by_hand(1, 3, 4, 7)
    wires = [plan.operand(0, 1, 1, leg)[0] for leg in range(4)]
    # All legs of an input come at once, and wait for their turn.
    assert wires == [Spliced(None, Tap(0, 0, 0, 1), 1, 1), Spliced(Tap(0, 0, 0, 1), Tap(0, 1, 0, 4), 1, 4), None, None]
