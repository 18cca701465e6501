"""A permutation of the input's channels inside the model, against onnxruntime on the model as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.frontend import load
from lognet_fpga.ir.graph import Affine
from lognet_fpga.partition import partition
from lognet_fpga.partition.split import run_float_layers
from tests.models import ModelBuilder, run_onnx, save

LEAST = np.iinfo(np.int64).min


def permuted(*order: int, channels: int = 3, axis: int = 1) -> ModelBuilder:
    chain = ModelBuilder((channels, 6, 5), seed=1)
    return chain.add("Gather", chain.constant(np.array(order, np.int64)), axis=axis)


def sliced(start: int, end: int, step: int, axis: int = 1) -> ModelBuilder:
    chain = ModelBuilder((3, 6, 5), seed=1)
    return chain.add("Slice", *(chain.constant(np.array([value], np.int64)) for value in (start, end, axis, step)))


def scaling(chain: ModelBuilder) -> ModelBuilder:
    """Per-channel scaling of several kinds, with constants of several shapes."""
    chain.per_channel("Sub", 0.1, 0.9).per_channel("Div", 0.5, 2.0).add("Mul", chain.constant(np.float32(0.7)))
    chain.per_channel("Sub", 0.5, 1.0, first=True).batch_norm()
    flat = chain.constant(chain.rng.uniform(0.5, 1.0, (chain.channels, 1, 1)).astype(np.float32))
    return chain.add("Add", flat)


@pytest.mark.parametrize(
    "make",
    [
        lambda: permuted(2, 1, 0),
        lambda: permuted(1, 2, 0),
        lambda: permuted(-1, -2, -3),
        lambda: permuted(3, 1, 0, 2, channels=4, axis=-3),
        lambda: sliced(-1, LEAST, -1),
        lambda: sliced(2, -4, -1),
        lambda: sliced(100, -100, -1, axis=-3),
        lambda: permuted(2, 1, 0).add("Identity"),
    ],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_a_permutation_goes_into_the_convolution(make, scaled: bool, tmp_path: Path) -> None:
    chain = scaling(make()) if scaled else make()
    model = chain.conv(4, pads=[0] * 4).relu().flatten().gemm(4 * 4 * 3).model()
    graph = load(save(model, tmp_path))
    assert not {"Gather", "Slice"} & {node.op_type for node in graph.nodes}
    frames = np.random.default_rng(7).standard_normal((3, *graph.input_shape)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(graph.onnx_model, frames)[0], run_onnx(model, frames)[0], atol=1e-4)
    parts = partition(graph)
    inner = onnx.load_from_string(graph.onnx_model)
    inner.graph.output[0].name = parts.cut
    np.testing.assert_allclose(run_float_layers(parts, frames)[0], run_onnx(inner, frames)[0], atol=1e-4)
    assert any(isinstance(node.op, Affine) for node in graph.nodes) == scaled


def test_a_permutation_goes_into_two_convolutions(tmp_path: Path) -> None:
    chain = permuted(1, 2, 0)
    start = chain.tensor
    left = chain.conv(4).tensor
    chain.tensor, chain.channels = start, 3
    model = chain.conv(4).add("Add", left).relu().model()
    graph = load(save(model, tmp_path))
    assert [node.op_type for node in graph.nodes] == ["Conv", "Conv", "Add", "Relu"]
    frames = np.random.default_rng(7).standard_normal((2, 3, 6, 5)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(graph.onnx_model, frames)[0], run_onnx(model, frames)[0], atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: permuted(0, 0, 1).conv(4),
        lambda: permuted(2, 1, 0, axis=2).conv(4, pads=[2] * 4),
        lambda: permuted(2, 1, 0).conv(3, group=3),
        lambda: permuted(2, 1, 0).relu().conv(4),
    ],
)
def test_what_is_no_permutation_stays(make, tmp_path: Path) -> None:
    model = make().relu().model()
    graph = load(save(model, tmp_path))
    assert graph.nodes[0].op_type in ("Gather", "Slice")
    frames = np.random.default_rng(7).standard_normal((2, *graph.input_shape)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(graph.onnx_model, frames)[0], run_onnx(model, frames)[0], atol=1e-5)
