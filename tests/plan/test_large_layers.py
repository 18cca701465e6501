from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.plan import adder_graph
from lognet_fpga.plan.boards import board_names, load_board
from lognet_fpga.plan.early import require_possible
from tests.plan.test_adder_graph import log2_matrix


def test_the_search_in_another_process_finds_the_same(require_tool, tmp_path):
    require_tool("da4ml")
    matrix = log2_matrix(21, 12, 40, 0.3)
    solver = adder_graph._solver_name()
    assert adder_graph._da4ml_apart(matrix, 8, solver, tmp_path) == adder_graph._da4ml(matrix, 8, solver)
    assert not any(tmp_path.iterdir())


def test_what_cannot_fit_is_refused_with_ways_that_work():
    board = load_board("pynq-z2")
    layers = [("conv1", np.ones((64, 3, 3, 3))), ("conv2", np.ones((256, 128, 3, 3)))]
    with pytest.raises(DoesNotFitError, match="far too large for PYNQ-Z2") as caught:
        require_possible(layers, 0.0, board)
    assert caught.value.context[:2] == ("conv1: 1,728 weights", "conv2: 294,912 weights")
    prune = float(caught.value.hint.split()[1])
    require_possible(layers, prune, board)
    require_possible(layers[:1], 0.0, board)
    assert "--fpga-layers 1" in caught.value.hint
    larger = caught.value.hint.split("--board ")[1].split(" or ")
    assert larger and set(larger) <= set(board_names())
    for name in larger:
        require_possible(layers, 0.0, load_board(name))


def test_zeros_cost_nothing():
    weights = np.zeros((512, 512, 3, 3))
    weights[:, :4] = 1
    require_possible([("conv1", weights)], 0.0, load_board("pynq-z2"))
