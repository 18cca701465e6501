"""Adders of three operands: what they compute, where they are allowed, what they save."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import Adder, AdderGraph, Term, append_adder, shifted, solve
from lognet_fpga.engines.clb.cost import adder_resources
from lognet_fpga.engines.clb.counts import adder_copies, count_schedule
from lognet_fpga.engines.clb.schedule import schedule
from lognet_fpga.engines.clb.ternary import ternary
from tests.engines.clb.test_adder_graph import MATRICES, log2_matrix

IN_BITS = 5
LEG_CYCLES = (1, 6, 7, 8, 10, 13, 40)


def operands(graph: AdderGraph) -> list[int]:
    return [len(adder.terms) for adder in graph.adders]


@pytest.mark.parametrize("leg_cycles", LEG_CYCLES)
@pytest.mark.parametrize("name", MATRICES)
def test_computes_the_same_in_normal_form(name, leg_cycles):
    matrix = MATRICES[name]
    before = solve(matrix, IN_BITS)
    after = ternary(before, IN_BITS, 1, leg_cycles)
    x = np.random.default_rng(3).integers(0, 2**IN_BITS, (matrix.shape[1], 9))
    np.testing.assert_array_equal(after.evaluate(x), matrix @ x)
    assert sum(count - 1 for count in operands(after)) == len(before.adders)  # no sum is lost, none is there twice
    for number, adder in enumerate(after.adders):
        assert len(adder.terms) in (2, 3) and min(term.shift for term in adder.terms) == 0
        assert not any(term.negate for term in adder.terms[:-1])
        assert all(0 <= term.node < after.inputs + number for term in adder.terms)


@pytest.mark.parametrize("seed", range(4))
def test_only_sums_of_one_leg_or_of_single_bits_have_three(seed):
    graph = solve(log2_matrix(seed, 12, 30, 0.5), IN_BITS)
    assert ternary(graph, IN_BITS, 2, 40) == graph
    found = {}
    for leg_cycles in LEG_CYCLES:
        folded = ternary(graph, IN_BITS, 1, leg_cycles)
        legs = schedule(folded, IN_BITS, 20, 1, leg_cycles).legs[folded.inputs :]
        found[leg_cycles] = operands(folded).count(3)
        assert leg_cycles == 1 or all(n == 1 for n, count in zip(legs, operands(folded)) if count == 3)
    assert found[6] < found[8] < found[13] <= found[40] == found[1]
    assert found[40] > 0.3 * len(graph.adders)


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
    for leg_cycles in LEG_CYCLES:
        np.testing.assert_array_equal(ternary(graph, IN_BITS, 1, leg_cycles).evaluate(x), graph.evaluate(x))


def test_a_row_of_ones_is_a_tree_of_threes():
    folded = ternary(solve(np.ones((1, 9), int), IN_BITS), IN_BITS, 1, 20)
    assert operands(folded) == [3, 3, 3, 3]
    timed = schedule(folded, IN_BITS, 20, 1, 20)
    assert timed.start == (0, 0, 0, 1) and timed.out_start == 2
    counts = count_schedule(folded, timed)
    assert (counts.delay_ffs, counts.adder_sites, counts.adder_ffs) == (0, 4 * 2 + 1, 4 * 3 + 2)  # and the bias


def test_most_signs_decide():
    """-a - b + c is -(a + b - c), and -a - b - c is -(a + b + c)."""
    for signs, subtracts, negated in (
        ((-1, -1, 1), True, True),
        ((-1, -1, -1), False, True),
        ((1, -1, 1), True, False),
    ):
        folded = ternary(solve(np.array([signs]), IN_BITS), IN_BITS, 1, 12)
        (adder,), (out,) = folded.adders, folded.outputs
        assert (len(adder.terms), adder.subtracts, out.negate) == (3, subtracts, negated)


def test_first_carries_that_read_one_signal_share_a_site():
    first, second = ((Term(n, 0, False) for n in nodes) for nodes in ((0, 1, 2), (2, 3, 4)))
    outputs = (Term(5, 0, False), Term(6, 0, False))
    together = AdderGraph(5, (Adder(tuple(first)), Adder(tuple(second))), outputs, "by hand")
    copies = adder_copies(together, schedule(together, IN_BITS, 8, 1, 8))
    assert (copies.of_three, copies.paired, copies.sites) == (2, 2, 3)
    # a + b - c keeps its first carry of a and b: what is subtracted is no input of that.
    subtracted = Adder((Term(3, 0, False), Term(4, 0, False), Term(2, 0, True)))
    apart = AdderGraph(5, (together.adders[0], subtracted), outputs, "by hand")
    copies = adder_copies(apart, schedule(apart, IN_BITS, 8, 1, 8))
    assert (copies.of_three, copies.paired, copies.sites) == (2, 0, 4)


@pytest.mark.parametrize("leg_cycles", (1, 40))
def test_fewer_sites_and_registers(require_tool, leg_cycles):
    require_tool("da4ml")
    graph = solve(log2_matrix(11, 16, 60, 0.6), IN_BITS)
    folded = ternary(graph, IN_BITS, 1, leg_cycles)
    timed = [(graph, schedule(graph, IN_BITS, 20, 1, leg_cycles)) for graph in (graph, folded)]
    before, after = (adder_resources(count_schedule(*engine)) for engine in timed)
    assert after.lut < 0.94 * before.lut and after.ff < 0.94 * before.ff
    assert timed[1][1].out_start <= timed[0][1].out_start
