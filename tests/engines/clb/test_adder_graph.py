from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from lognet_fpga.engines.clb import adder_graph
from lognet_fpga.engines.clb.adder_graph import ZERO, AdderGraph, solve
from lognet_fpga.errors import VerificationError


def log2_matrix(seed: int, outputs: int, inputs: int, zeros: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.choice([-1, 1], (outputs, inputs)) * 2 ** rng.integers(0, 7, (outputs, inputs))
    return np.where(rng.random((outputs, inputs)) < zeros, 0, values) << rng.integers(0, 4, (outputs, 1))


def with_zero_rows(seed: int) -> np.ndarray:
    matrix = log2_matrix(seed, 6, 10, 0.4)
    matrix[[0, 3]] = 0
    return matrix


MATRICES = {
    "random": log2_matrix(1, 5, 9, 0.5),
    "dense": log2_matrix(2, 8, 8, 0.0),
    "sparse": log2_matrix(3, 12, 30, 0.9),
    "tall": log2_matrix(4, 20, 2, 0.3),
    "zero rows": with_zero_rows(5),
    "all zero": np.zeros((3, 4), int),
    "one nonzero": np.diag([0, 0, -8, 0]),
    "one by one": np.array([[-64]]),
    "one": np.array([[1]]),
    "negative rows": -np.abs(log2_matrix(6, 4, 7, 0.3)),
    "equal rows": np.tile(log2_matrix(7, 1, 9, 0.2), (4, 1)),
    "opposite rows": np.vstack([log2_matrix(8, 1, 9, 0.2) * sign for sign in (1, -1, 2, -4)]),
    "any integers": np.random.default_rng(9).integers(-100, 101, (4, 6)),
}


@pytest.fixture(params=["da4ml", "balanced tree"])
def solver(request, require_tool, monkeypatch):
    if request.param == "da4ml":
        require_tool("da4ml")
    else:
        monkeypatch.setattr(adder_graph, "_solver_name", lambda: "balanced tree")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "da4ml is not installed")
        yield request.param


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("in_bits", [4, 8])
def test_computes_the_matrix(solver, name, in_bits):
    matrix = MATRICES[name]
    graph = solve(matrix, in_bits)
    assert graph.solver.startswith(solver)
    x = np.random.default_rng(1).integers(0, 2**in_bits, (matrix.shape[1], 7))
    np.testing.assert_array_equal(graph.evaluate(x), matrix @ x)
    assert [out.node == ZERO for out in graph.outputs] == [not row.any() for row in matrix]


@pytest.mark.parametrize("name", MATRICES)
def test_normal_form(solver, name):
    """What the hardware is built for: see the module's docstring."""
    graph = solve(MATRICES[name], 8)
    for number, adder in enumerate(graph.adders):
        assert len(adder.terms) == 2 and min(term.shift for term in adder.terms) == 0
        assert not any(term.negate for term in adder.terms[:-1])
        assert all(0 <= term.node < graph.inputs + number for term in adder.terms)
    assert all(out.shift >= 0 for out in graph.outputs)


@pytest.mark.parametrize("name", ["random", "zero rows", "opposite rows"])
def test_node_ranges_hold(solver, name):
    matrix = MATRICES[name]
    graph = solve(matrix, 4)
    nodes = dataclasses.replace(
        graph, outputs=tuple(adder_graph.Term(node, 0, False) for node in range(graph.inputs + len(graph.adders)))
    )
    # All corners of a cube come close enough: random ones here.
    x = np.random.default_rng(2).choice([0, 15], (graph.inputs, 400))
    values = nodes.evaluate(x)
    for row, (least, greatest) in zip(values, graph.node_ranges(0, 15)):
        assert least <= row.min() and row.max() <= greatest
    assert all(least <= 0 and greatest <= 15 * np.abs(matrix).sum() for least, greatest in graph.node_ranges(0, 15))


def test_json_round_trip(solver):
    graph = solve(MATRICES["zero rows"], 8)
    assert AdderGraph.from_json(graph.to_json()) == graph


def test_sharing_needs_fewer_adders(require_tool, monkeypatch):
    require_tool("da4ml")
    matrix = log2_matrix(11, 16, 18, 0.3)
    shared = solve(matrix, 8)
    monkeypatch.setattr(adder_graph, "_solver_name", lambda: "balanced tree")
    with pytest.warns(UserWarning, match="da4ml is not installed"):
        plain = solve(matrix, 8)
    assert len(plain.adders) == sum(max(0, np.count_nonzero(row) - 1) for row in matrix)
    assert len(shared.adders) < 0.9 * len(plain.adders)


def test_solved_once(monkeypatch):
    matrix = log2_matrix(12, 3, 5, 0.2)
    first = solve(matrix, 8)
    for name in ("_da4ml", "_balanced"):
        monkeypatch.setattr(adder_graph, name, lambda *_: pytest.fail("solved again"))
    assert solve(matrix.copy(), 8) == first
    with pytest.raises(pytest.fail.Exception):
        solve(matrix, 7)


def test_a_wrong_graph_is_an_error_and_is_not_kept(monkeypatch):
    matrix = log2_matrix(13, 3, 5, 0.2)
    right = adder_graph._balanced
    monkeypatch.setattr(adder_graph, "_solver_name", lambda: "balanced tree")
    monkeypatch.setattr(adder_graph, "_balanced", lambda weights: right(weights * (1 - 2 * np.eye(3, 5, dtype=int))))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "da4ml is not installed")
        with pytest.raises(VerificationError, match="balanced tree does not compute"):
            solve(matrix, 8)
        monkeypatch.setattr(adder_graph, "_balanced", right)
        np.testing.assert_array_equal(solve(matrix, 8).evaluate(np.eye(5, dtype=int)), matrix)
