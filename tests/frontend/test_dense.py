"""Fully connected layers as convolutions: the same function, whatever way an exporter flattens the frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from lognet_fpga.frontend import load
from lognet_fpga.frontend.dense import dense_as_convolutions
from lognet_fpga.ir.graph import Conv
from tests.models import ModelBuilder, run_onnx, save

Build = Callable[[ModelBuilder], ModelBuilder]


def features(batch: str | int = "N") -> ModelBuilder:
    return ModelBuilder((3, 8, 8), seed=5, batch=batch).conv(4, 3, strides=[2, 2]).relu()  # (4, 4, 4)


def reshaped(net: ModelBuilder) -> ModelBuilder:
    return net.add("Reshape", net.constant(np.array([-1, 64], np.int64)))


def channels_last(net: ModelBuilder) -> ModelBuilder:
    """As a converter from TensorFlow writes it: the frame turned before it is flattened."""
    return reshaped(net.add("Transpose", perm=[0, 2, 3, 1]))


def one_row(net: ModelBuilder) -> ModelBuilder:
    return net.add("GlobalAveragePool").add("Squeeze", net.constant(np.array([2, 3], np.int64)))


def scaled(net: ModelBuilder) -> ModelBuilder:
    """alpha, beta and transposed weights of a Gemm."""
    weight, bias = net.weights(10, 64), net.constant(np.arange(10, dtype=np.float32))
    return net.add("Gemm", weight, bias, transB=1, alpha=0.5, beta=2.0)


@pytest.mark.parametrize(
    "build, layers",
    [
        (lambda m: m.flatten().gemm(64, 10), 1),
        (lambda m: reshaped(m).gemm(64, 10), 1),
        (lambda m: channels_last(m).gemm(64, 10), 1),
        (lambda m: m.add("Transpose", perm=[0, 3, 1, 2]).flatten().gemm(64, 10), 1),
        (lambda m: one_row(m).gemm(4, 10), 1),
        (lambda m: scaled(m.flatten()), 1),
        (lambda m: m.flatten().gemm(64, 16).relu().gemm(16, 12).clip().gemm(12, 10), 3),
        (lambda m: m.flatten().gemm(64, 16).gemm(16, 10).add("Softmax", axis=1), 2),
        (lambda m: m.flatten().matmul_add(64, 16).relu().matmul_add(16, 10), 2),
        (lambda m: m.flatten().add("MatMul", m.weights(64, 16)).add("Mul", m.constant(np.float32(0.5))).relu(), 1),
        (
            lambda m: (
                m.flatten()
                .add("MatMul", m.weights(64, 16))
                .add("Sub", first=m.constant(np.ones((1, 16), np.float32)))
                .relu()
                .gemm(16, 10)
            ),
            2,
        ),
        (lambda m: m.flatten().gemm(64, 16).add("Dropout").relu().add("Softmax", axis=1).gemm(16, 10), 1),
    ],
)
@pytest.mark.parametrize("batch", ["N", 1])
def test_the_model_stays_the_same_function(build: Build, layers: int, batch: str | int, tmp_path: Path) -> None:
    graph = load(save(build(features(batch)).model(), tmp_path))
    lowered = dense_as_convolutions(graph)
    assert sum(isinstance(node.op, Conv) for node in lowered.nodes) == 1 + layers
    count = 3 if batch == "N" else 1
    frames = np.random.default_rng(2).standard_normal((count, 3, 8, 8)).astype(np.float32)
    for wanted, found in zip(*(run_onnx(each.onnx_model, frames) for each in (graph, lowered)), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    kinds = {node.name: node.op_type for node in graph.nodes}
    assert all(kinds.get(node.name, node.op_type) == node.op_type for node in lowered.nodes)


@pytest.mark.parametrize(
    "build",
    [
        lambda m: m.relu(),  # no such layer
        lambda m: m.flatten().add("Softmax", axis=1),
        lambda m: m.add("MatMul", m.weights(4, 5)),  # of every row of every channel
        lambda m: m.add("Reshape", m.constant(np.array([-1, 4, 16], np.int64))).add("MatMul", m.weights(16, 5)),
        lambda m: m.add("Reshape", m.constant(np.array([-1, 32], np.int64))).add("MatMul", m.weights(32, 5)),
    ],
)
def test_what_is_none_of_them_stays_as_it_is(build: Build, tmp_path: Path) -> None:
    graph = load(save(build(features()).model(), tmp_path))
    assert dense_as_convolutions(graph) is graph


def test_rows_that_others_read_stay(tmp_path: Path) -> None:
    """A further output of the model in the middle, and a join that is the host's."""
    net = features().flatten().gemm(64, 16).relu()
    middle = net.tensor
    net.gemm(16, 16).add("Add", middle)
    model = net.model()
    model.graph.output.append(helper.make_tensor_value_info(middle, 1, ["N", 16]))
    graph = load(save(model, tmp_path))
    lowered = dense_as_convolutions(graph)
    assert lowered is not graph
    frames = np.random.default_rng(3).standard_normal((2, 3, 8, 8)).astype(np.float32)
    for wanted, found in zip(*(run_onnx(each.onnx_model, frames) for each in (graph, lowered)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
