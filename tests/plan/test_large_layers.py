from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.engines.clb import adder_graph
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.far_too_large import require_possible
from tests.engines.clb.test_adder_graph import log2_matrix
from tests.quant_models import Spec, random_graph, target

LARGE = (Spec(64, zeros=0.1), Spec(256, zeros=0.1), Spec(256, zeros=0.1))


def test_the_search_in_another_process_finds_the_same(require_tool, tmp_path):
    require_tool("da4ml")
    matrix = log2_matrix(21, 12, 40, 0.3)
    solver = adder_graph._solver_name()
    assert adder_graph._da4ml_apart(matrix, 8, solver, tmp_path) == adder_graph._da4ml(matrix, 8, solver)
    assert not any(tmp_path.iterdir())


def with_zeros(quant: QuantGraph, share: float) -> QuantGraph:
    """Each layer with that share of zeros at least."""
    rng = np.random.default_rng(1)
    layers = [
        dataclasses.replace(layer, codes=np.where(rng.random(layer.codes.shape) < share, 0, layer.codes))
        for layer in quant.layers
    ]
    return dataclasses.replace(quant, layers=tuple(layers))


def test_what_cannot_fit_is_refused_with_ways_that_work():
    board = load_board("pynq-z2")
    quant = random_graph(1, (3, 16, 16), *LARGE)
    with pytest.raises(DoesNotFitError, match="far too large for PYNQ-Z2") as caught:
        require_possible(quant, target(board))
    for layer, line in zip(quant.layers, caught.value.context):
        assert line.startswith(f"{layer.name}: {np.count_nonzero(layer.codes):,} weights")
    assert "--weights auto" in caught.value.hint
    require_possible(quant, target(board, weights="auto"))
    require_possible(with_zeros(quant, float(caught.value.hint.split("--prune ")[1].split()[0])), target(board))
    layers = int(caught.value.hint.split("--fpga-layers ")[1].split(";")[0])
    require_possible(quant.first(layers), target(board))
    with pytest.raises(DoesNotFitError):
        require_possible(quant.first(layers + 1), target(board))


def test_larger_boards_are_named_where_one_is_large_enough():
    quant = random_graph(1, (64, 16, 16), LARGE[1])
    with pytest.raises(DoesNotFitError) as caught:
        require_possible(quant, target(load_board("pynq-z2")))
    larger = caught.value.hint.split("--board ")[1].split(" or ")
    assert larger and set(larger) <= set(board_names())
    for name in larger:
        require_possible(quant, target(load_board(name)))


def test_zeros_cost_nothing():
    quant = with_zeros(random_graph(1, (3, 16, 16), *LARGE), 0.95)
    require_possible(quant, target(load_board("pynq-z2")))
