"""Sums of two operands in another order: what they compute, and that they need fewer registers."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import AdderGraph, Term, append_adder, shifted, solve
from lognet_fpga.engines.clb.arithmetic import timed_adders
from lognet_fpga.engines.clb.counts import count_schedule
from lognet_fpga.engines.clb.pairs import paired
from lognet_fpga.engines.clb.schedule import schedule
from lognet_fpga.engines.clb.ternary import ternary
from tests.engines.clb.test_adder_graph import MATRICES, log2_matrix

IN_BITS, ACC_BITS = 5, 20
FOLDINGS = [(1, 1), (1, 3), (1, 8), (1, 20), (2, 1), (2, 4), (2, 10), (3, 1), (5, 4), (20, 1)]


@pytest.mark.parametrize("digit_bits,leg_cycles", FOLDINGS)
@pytest.mark.parametrize("name", MATRICES)
def test_computes_the_same_in_normal_form(name, digit_bits, leg_cycles):
    matrix = MATRICES[name]
    before = solve(matrix, IN_BITS)
    after = paired(ternary(before, IN_BITS, digit_bits, leg_cycles), IN_BITS, ACC_BITS, digit_bits, leg_cycles)
    x = np.random.default_rng(3).integers(0, 2**IN_BITS, (matrix.shape[1], 9))
    np.testing.assert_array_equal(after.evaluate(x), matrix @ x)
    assert sum(len(adder.terms) - 1 for adder in after.adders) == len(before.adders)
    for number, adder in enumerate(after.adders):
        assert min(term.shift for term in adder.terms) == 0
        assert not any(term.negate for term in adder.terms[:-1])
        assert all(0 <= term.node < after.inputs + number for term in adder.terms)


@pytest.mark.parametrize("seed", range(40))
def test_graphs_that_no_solver_would_make(seed):
    """Sums that read a node twice, or take it off again."""
    rng, inputs, adders = np.random.default_rng(seed), 4, []
    values = [Term(node, 0, False) for node in range(inputs)]
    for _ in range(12):
        terms = [values[rng.integers(len(values))] for _ in range(2)]
        values.append(
            append_adder(adders, inputs, [shifted(term, int(rng.integers(2)), bool(rng.integers(2))) for term in terms])
        )
    graph = AdderGraph(inputs, tuple(adders), tuple(values[-2:]), "test")
    x = rng.integers(0, 2**IN_BITS, (inputs, 9))
    for digit_bits, leg_cycles in FOLDINGS:
        after = paired(graph, IN_BITS, ACC_BITS, digit_bits, leg_cycles)
        np.testing.assert_array_equal(after.evaluate(x), graph.evaluate(x))


def test_sums_of_one_leg_are_left_to_ternary():
    graph = ternary(solve(log2_matrix(5, 12, 30, 0.5), IN_BITS), IN_BITS, 1, 20)
    assert paired(graph, IN_BITS, ACC_BITS, 1, 20) == graph
    assert paired(graph, IN_BITS, ACC_BITS, 1, 1) == graph


def test_equal_shifts_first():
    """x0 + 4 x1 + x2 + 4 x3 + x4 + 4 x5 + x6 + 4 x7, one after the other: of two bits a cycle, a shift by 2 is a
    masked register, one in front of each of the four."""
    adders: list = []
    total = Term(0, 0, False)
    for node in range(1, 8):
        total = append_adder(adders, 8, (total, Term(node, 2 * (node % 2), False)))
    chain = AdderGraph(8, tuple(adders), (total,), "test")
    after = paired(chain, IN_BITS, ACC_BITS, 2, 10)
    shifts = sorted(term.shift for adder in after.adders for term in adder.terms)
    assert shifts == [0] * 13 + [2] and schedule(after, IN_BITS, ACC_BITS, 2, 10).out_start <= 4
    np.testing.assert_array_equal(after.evaluate(np.arange(8)), chain.evaluate(np.arange(8)))


@pytest.mark.parametrize("digit_bits,leg_cycles", [(2, 4), (2, 10), (3, 1), (1, 3)])
def test_fewer_registers_and_sites_and_no_later(digit_bits, leg_cycles):
    graph = solve(log2_matrix(6, 24, 60, 0.6), IN_BITS)
    before = schedule(graph, IN_BITS, ACC_BITS, digit_bits, leg_cycles)
    after, timed = timed_adders(graph, IN_BITS, ACC_BITS, digit_bits, leg_cycles)
    counted, was = count_schedule(after, timed), count_schedule(graph, before)
    assert timed.out_start <= before.out_start
    assert counted.lone_ffs < 0.8 * was.lone_ffs
    sites, were = (some.adder_sites + some.shift_registers + some.gate_luts / 2 for some in (counted, was))
    assert sites < were
