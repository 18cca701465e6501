"""Groups stay groups from the file to golden.onnx; the engines make them dense."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lognet_fpga.engines.bram.layout import bram_shape, weight_words
from lognet_fpga.engines.clb.sketch import SketchedAdders
from lognet_fpga.engines.stores import STORES, sketch_layers
from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.groups import dense_kernel
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition import Partition, partition, run_float_layers
from lognet_fpga.partition.work import node_work
from lognet_fpga.progress import NoProgress
from lognet_fpga.quantize import quantize
from lognet_fpga.quantize.sketch import sketch_graph
from tests.models import ModelBuilder, run_onnx, save
from tests.partition.test_float_equality import check_equal

PREPROCESSING = Preprocessing(1 / 255)


def separable() -> ModelBuilder:
    """A depthwise convolution behind a scaling of its own, then a pointwise one."""
    net = ModelBuilder((3, 12, 10), seed=8).conv(8).relu().per_channel("Mul", 0.5, 1.5)
    return net.conv(8, group=8).batch_norm().relu().pool().conv(6, 1).relu().flatten().gemm(6 * 30)


def inverted_residual() -> ModelBuilder:
    """MobileNet's block, with plain Relus: wide and depthwise inside, the shortcut around it."""
    net = ModelBuilder((3, 8, 8), seed=9).conv(4).relu()
    return net.residual(lambda b: b.conv(6, 1).relu().conv(6, group=6).relu().conv(4, 1)).relu().flatten().gemm(256)


def quantized(parts: Partition, prune: float = 0.0) -> tuple[QuantGraph, np.ndarray]:
    frames = np.random.default_rng(3).integers(0, 256, (24, *parts.graph.input_shape), dtype=np.uint8)
    return quantize(parts, frames, PREPROCESSING, prune=prune), frames


@pytest.mark.parametrize(
    "net, groups",
    [
        (separable, [1, 8, 1]),
        (inverted_residual, [1, 1, 6, 1]),
        (lambda: ModelBuilder((4, 9, 9), seed=3).conv(6, group=2).relu().conv(12, group=3).relu().flatten(), [2, 3]),
    ],
)
def test_from_the_file_to_golden_onnx(net, groups: list[int], tmp_path: Path) -> None:
    parts = check_equal(net().model(), tmp_path, len(groups))
    assert [layer.groups for layer in parts.layers] == groups
    quant, frames = quantized(parts)
    assert [layer.groups for layer in quant.layers] == groups
    for layer in quant.layers:
        assert layer.codes.shape[1] * layer.groups == layer.in_shape[0]
    golden = golden_onnx(quant)
    nodes = [node for node in onnx.load_from_string(golden).graph.node if node.op_type == "ConvInteger"]
    assert [next((a.i for a in node.attribute if a.name == "group"), 1) for node in nodes] == groups
    outputs = quant.run_layers(frames)
    for ours, theirs in zip(outputs, run_onnx(golden, frames)):
        assert ours.any()
        np.testing.assert_array_equal(ours, theirs)
    x = run_float_layers(parts, PREPROCESSING.apply(frames))[-1]
    found = outputs[-1] * quant.layers[-1].out_scale.reshape(1, -1, 1, 1)
    assert np.mean((found - x) ** 2) < 0.1 * np.mean(x**2)


def test_branches_that_become_one_are_dense(tmp_path: Path) -> None:
    net = ModelBuilder((4, 8, 8), seed=4).conv(4).relu()
    net.parallel(lambda m: m.conv(4, 1).relu(), lambda m: m.conv(4, group=4).relu()).conv(4).relu().flatten()
    assert [layer.groups for layer in check_equal(net.model(), tmp_path, 3).layers] == [1, 1, 1]


def test_weights_that_are_none_are_not_counted(tmp_path: Path) -> None:
    graph = load(save(separable().model(), tmp_path))
    parts = partition(graph, 3)
    (macs,) = (node_work(graph)[node.outputs[0]].macs for node in graph.nodes if node.name == parts.layers[1].nodes[1])
    depthwise = parts.layers[1]
    assert depthwise.weight.size == 8 * 9 and macs == 8 * 9 * math.prod(depthwise.conv_shape[1:])
    quant, _ = quantized(parts, prune=0.5)
    for layer in (*quant.layers, *sketch_graph("sketch", parts.layers, parts.sources, prune=0.5).layers):
        assert 0.5 <= layer.sparsity < 0.75 and layer.codes.any()


def test_engines_have_the_weights_of_its_groups(tmp_path: Path) -> None:
    """By what golden.onnx holds: the adder graph's sums, and every word of the memory."""
    parts = partition(load(save(separable().model(), tmp_path)), 3)
    quant, _ = quantized(parts)
    layer = quant.layers[1]
    tensors = onnx.load_from_string(golden_onnx(quant)).graph.initializer
    codes = next(numpy_helper.to_array(t) for t in tensors if t.name == "conv2/codes").astype(int) - 128
    dense = np.zeros((8, 8, 3, 3), int)
    for channel in range(8):
        dense[channel, channel] = codes[channel, 0]
    np.testing.assert_array_equal(dense_kernel(layer.codes, 8), dense)

    (engine,) = STORES["clb"].solve([layer], NoProgress())
    x = np.random.default_rng(5).integers(0, 256, (8 * 9, 4))
    weights = dense.reshape(8, -1) << layer.channel_shift[:, None]
    np.testing.assert_array_equal(engine.arithmetic.graph.evaluate(x), weights @ x)

    words = weight_words(layer, bram_shape(layer, 8, 1))  # a tap each; lowest the code of output 0
    nibbles = np.array([[word >> 4 * place & 15 for place in range(8)] for word in words])
    found = np.where(nibbles & 7, 1 << np.maximum((nibbles & 7) - 1, 0), 0) * np.where(nibbles & 8, -1, 1)
    np.testing.assert_array_equal(found, codes[:, 0].reshape(8, 9).T)

    sketched = SketchedAdders.of(layer)
    assert sketched.nonzero == np.count_nonzero(codes) and sketched.pruned(0.5).nonzero == 36
    assert all(foldings for foldings in sketch_layers([layer], ("clb", "bram")))
