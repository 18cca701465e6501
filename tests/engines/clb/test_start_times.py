"""Adders that start later: what the engine computes, and that it takes fewer registers."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import solve
from lognet_fpga.engines.clb.counts import count_schedule
from lognet_fpga.engines.clb.pairs import paired
from lognet_fpga.engines.clb.schedule import SerialSchedule, Tap, engine_wires, schedule, sources
from lognet_fpga.engines.clb.start_times import settled
from lognet_fpga.engines.clb.ternary import ternary
from tests.engines.clb.test_adder_graph import MATRICES, log2_matrix
from tests.engines.clb.test_schedule import accumulator_bits, expected, simulate

IN_BITS = 5
FOLDINGS = [(1, 1), (1, 3), (1, 8), (1, 20), (2, 1), (2, 4), (2, 10), (3, 1), (5, 4), (20, 1)]


def both(matrix: np.ndarray, digit_bits: int, leg_cycles: int):
    """The graph as it is built, its schedule as soon as possible, and the settled one."""
    acc_bits = accumulator_bits(matrix, IN_BITS)
    graph = ternary(solve(matrix, IN_BITS), IN_BITS, digit_bits, leg_cycles)
    graph = paired(graph, IN_BITS, acc_bits, digit_bits, leg_cycles)
    soonest = schedule(graph, IN_BITS, acc_bits, digit_bits, leg_cycles)
    return graph, soonest, settled(graph, soonest)


def delays(graph, plan: SerialSchedule) -> list[int]:
    found, ahead = [], [wire for wire in engine_wires(graph, plan) if wire is not None]
    while ahead:
        wire = ahead.pop()
        if isinstance(wire, Tap):
            found.append(wire.delay)
        else:
            ahead += [source for source in sources(wire) if source is not None]
    return found


@pytest.mark.parametrize("digit_bits,leg_cycles", FOLDINGS)
@pytest.mark.parametrize("name", MATRICES)
def test_nothing_is_read_before_it_is_there(name, digit_bits, leg_cycles):
    graph, soonest, plan = both(MATRICES[name], digit_bits, leg_cycles)
    assert all(late >= early for late, early in zip(plan.start, soonest.start))
    assert (plan.out_start, plan.last_begin) == (soonest.out_start, soonest.last_begin)
    assert min(delays(graph, plan), default=0) >= 0


@pytest.mark.parametrize("digit_bits,leg_cycles", [(1, 1), (1, 3), (2, 4), (3, 1)])
def test_the_engine_computes_the_sums(digit_bits, leg_cycles):
    matrix = log2_matrix(3, 12, 20, 0.3)
    graph, soonest, plan = both(matrix, digit_bits, leg_cycles)
    assert plan.start != soonest.start
    rng = np.random.default_rng(7)
    slots = [(slot * leg_cycles, rng.integers(0, 2**IN_BITS, matrix.shape[1])) for slot in range(4)]
    modulus = 2 ** (plan.acc_legs * leg_cycles * digit_bits)
    found = simulate(graph, plan, slots, seed=1)
    assert found == [expected(graph, matrix, x, modulus) for _, x in slots]


@pytest.mark.parametrize("digit_bits,leg_cycles", FOLDINGS)
def test_fewer_registers(digit_bits, leg_cycles):
    """Counted by `counts`: of lone ones and shift registers together never more, and in all layers some less."""
    saved = 0
    for seed in range(4):
        graph, soonest, plan = both(log2_matrix(seed, 24, 36, 0.5), digit_bits, leg_cycles)
        before, after = count_schedule(graph, soonest), count_schedule(graph, plan)
        assert after.adder_sites <= 1.01 * before.adder_sites  # first carries share a site where adders start together
        saved += before.lone_ffs + before.shift_registers - after.lone_ffs - after.shift_registers
    assert saved > 0 or leg_cycles * digit_bits >= 20
