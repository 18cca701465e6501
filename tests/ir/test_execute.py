"""The float graph's executor where onnx's node tests do not reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute, run_op
from lognet_fpga.ir.functions import Function, Step
from lognet_fpga.ir.graph import (
    Affine,
    AveragePool,
    Conv,
    Every,
    FpgaOp,
    Graph,
    Identity,
    Largest,
    MaxPool,
    Minimum,
    Pointwise,
    Ramp,
    Relu,
    ZeroPad,
)
from tests.models import run_onnx, save, small_cnn


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return load(save(small_cnn(), tmp_path))


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, 16, 16)).astype(np.float32)


def test_every_operator_but_the_host_s_can_run() -> None:
    """By hand: channel 0 is (-1, 2, 3, 4) in a square, channel 1 is zero."""
    x = np.zeros((1, 2, 2, 2), np.float32)
    x[0, 0] = [[-1, 2], [3, 4]]
    weight = np.array([[1.0, 0.0], [2.0, 1.0]]).reshape(2, 2, 1, 1)
    wanted = {
        Conv(weight, np.array([0.0, 1.0])): [[-1, 2, 3, 4], [-1, 5, 7, 9]],
        Affine(np.array([2.0, 1.0]), np.array([1.0, -1.0])): [[-1, 5, 7, 9], [-1] * 4],
        Relu(3.5): [[0, 2, 3, 3.5], [0] * 4],
        Largest(): [[1, 0, 0, 0]],
        Ramp(0.25, 0.5): [[0.25, 1, 1, 1], [0.5] * 4],
        Pointwise(Function((Step("LeakyRelu", (0,), (0.5,)), Step("Mul", (1, (1.0, 3.0)))))): [
            [-0.5, 2, 3, 4],
            [0] * 4,
        ],
        Minimum(2.5): [[-1, 2, 2.5, 2.5], [0] * 4],
        MaxPool((2, 2), (2, 2)): [[4], [0]],
        AveragePool((2, 2), (2, 2)): [[2], [0]],
        ZeroPad((0, 0, 1, 0)): [[-1, 2, 3, 4, 0, 0], [0] * 6],
        Every((2, 1)): [[-1, 2], [0] * 2],
        Identity(): [[-1, 2, 3, 4], [0] * 4],
    }
    assert {type(op) for op in wanted} == set(get_args(FpgaOp))
    for op, channels in wanted.items():
        np.testing.assert_array_equal(run_op(op, x).reshape(len(channels), -1), channels, str(op))


@pytest.mark.parametrize("count", [1, 3])
def test_a_network_equals_onnxruntime(graph: Graph, count: int) -> None:
    found = execute(graph, frames(count), host_evaluator(graph))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, run_onnx(small_cnn(), frames(count))[0], atol=1e-5)


def test_host_operators_are_all_named(graph: Graph) -> None:
    with pytest.raises(UnsupportedModelError, match="2 nodes that only the host") as caught:
        execute(graph, frames(1))
    assert [line.split(":")[0] for line in caught.value.context] == ["Flatten_9 (Flatten)", "Gemm_10 (Gemm)"]


def test_only_what_the_output_needs_is_executed(graph: Graph) -> None:
    """With the output in the middle no operator of the host is left."""
    middle = dataclasses.replace(graph, output=graph.nodes[5].outputs[0])
    assert execute(middle, frames(2)).shape == (2, *graph.nodes[5].out_shape)
