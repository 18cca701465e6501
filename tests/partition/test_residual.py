"""Residual blocks on the FPGA: the same function as the user's model, and shortcuts that lose nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import partition, run_float_layers
from lognet_fpga.partition.reach import reach
from lognet_fpga.quantize import quantize
from tests.models import ModelBuilder, run_onnx, save
from tests.partition.test_float_equality import check_equal

BLOCKS = {
    "basic": lambda net: net.residual(lambda b: b.conv(4).relu().conv(4)),
    "bias and 5x5": lambda net: net.residual(lambda b: b.conv(6, 5).relu().conv(4, 1)),
    "bottleneck": lambda net: net.residual(lambda b: b.conv(2, 1).relu().conv(2).relu().conv(4, 1)),
    "projection": lambda net: net.residual(lambda b: b.conv(5).relu().conv(6), lambda b: b.conv(6, 1)),
    "projection first": lambda net: net.residual(lambda b: b.conv(6, 1), lambda b: b.conv(5).relu().conv(6)),
    "downsampling": lambda net: net.residual(
        lambda b: b.conv(6, strides=[2, 2]).relu().conv(6), lambda b: b.conv(6, 1, strides=[2, 2])
    ),
    "one convolution": lambda net: net.residual(lambda b: b.conv(4)),
    "odd padding": lambda net: net.residual(
        lambda b: b.conv(4, 2, pads=[1, 0, 0, 1]).relu().conv(4, 2, pads=[0, 1, 1, 0])
    ),
    "bounded": lambda net: net.residual(lambda b: b.conv(4).clip(0, 1).conv(4)),
    "linear": lambda net: net.residual(lambda b: b.conv(5).conv(4)),
    "pool inside": lambda net: net.residual(
        lambda b: b.conv(4).relu().pool(2, 2, pads=[0, 0, 1, 0]).conv(6), lambda b: b.conv(6, 1, strides=[2, 2])
    ),
    "stride at its end": lambda net: net.residual(
        lambda b: b.conv(5).relu().conv(6, strides=[2, 2]), lambda b: b.conv(6, 1, strides=[2, 2])
    ),
    "grouped": lambda net: net.residual(lambda b: b.conv(8, 1).clip().conv(8, group=8).clip().conv(4, 1)),
}
LAYERS = {"bottleneck": 4, "one convolution": 2, "grouped": 4}


def network(name: str, *, pool: bool = True):
    net = ModelBuilder((3, 10, 9), seed=5).conv(4).relu()
    if pool:
        net.pool()
    BLOCKS[name](net)
    net.relu()
    return (net.add("GlobalAveragePool") if pool else net).flatten().model()


@pytest.mark.parametrize("name", BLOCKS)
def test_the_float_layers_compute_the_model(name, tmp_path):
    split = check_equal(network(name), tmp_path, LAYERS.get(name, 3))
    reasons = {placement.op_type: (placement.where, placement.reason) for placement in split.placements}
    assert reasons["Add"][0] == "FPGA" and "shortcut" in reasons["Add"][1]
    assert all(placement.where == "FPGA" for placement in split.placements if placement.op_type == "Conv")


@pytest.mark.parametrize("name", ["basic", "bottleneck", "projection"])
def test_two_blocks_in_a_row(name, tmp_path):
    net = ModelBuilder((3, 8, 8), seed=6).conv(4).relu()
    BLOCKS[name](net)
    BLOCKS["basic"](net.relu().conv(4).relu())
    depth = LAYERS.get(name, 3) + 3
    check_equal(net.relu().flatten().model(), tmp_path, depth)


def test_linear_bottlenecks_in_a_row(tmp_path):
    """As in MobileNetV2: nothing but sums between the blocks, signed."""
    net = ModelBuilder((3, 8, 8), seed=6).conv(4).clip().conv(4, 1)
    for _ in range(2):
        net.residual(lambda b: b.conv(8, 1).clip().conv(8, group=8).clip().conv(4, 1))
    split = check_equal(net.conv(6, 1).clip().flatten().model(), tmp_path, 9)
    assert [layer.linear for layer in split.layers] == [False, True] + [False, False, True] * 2 + [False]
    frames = np.random.default_rng(3).integers(0, 256, (64, 3, 8, 8), dtype=np.uint8)
    quant = quantize(split, frames, Preprocessing(1 / 255))
    outputs, wanted = quant.run_layers(frames), run_float_layers(split, Preprocessing(1 / 255).apply(frames))
    for ours, golden in zip(outputs, run_onnx(golden_onnx(quant), frames)):
        np.testing.assert_array_equal(ours, golden)
    for layer, ours, x in zip(quant.layers, outputs, wanted):
        real = (ours.astype(float) - layer.out_zero) * layer.out_scale.reshape(1, -1, 1, 1)
        assert np.mean((real - x) ** 2) < 0.1 * np.var(x), layer.name


def test_dense_concatenations(tmp_path):
    """As in a DenseNet: every convolution takes what all before it gave, the frames among them."""
    net = ModelBuilder((3, 8, 8), seed=6)
    taken, channels = [net.tensor], 3
    for _ in range(3):
        net.conv(4).relu()
        taken.insert(0, net.tensor)
        channels += 4
        net.add("Concat", *taken[1:], axis=1)
        net.channels = channels
    split = check_equal(net.conv(5, 1).relu().flatten().model(), tmp_path, 4)
    assert [len(its) for its in split.sources] == [1, 2, 3, 4]
    reasons = {placement.op_type: (placement.where, placement.reason) for placement in split.placements}
    assert reasons["Concat"][0] == "FPGA" and "takes what it joins" in reasons["Concat"][1]


def test_two_sums_of_one_tensor(tmp_path):
    """A fork of three: two sums take what one layer gives."""
    net = ModelBuilder((3, 8, 8), seed=6).conv(4).relu()
    start = net.tensor
    net.residual(lambda b: b.conv(4).relu().conv(4)).relu()
    net.conv(4).relu().conv(4).add("Add", start).relu()
    split = check_equal(net.flatten().model(), tmp_path, 5)
    assert [source.layer for source in split.sources[4]] == [3, 0]


def test_a_cut_within_a_block_is_refused_with_the_layers_that_can_go(tmp_path):
    graph = load(save(network("basic"), tmp_path))
    with pytest.raises(UnsupportedModelError) as caught:
        partition(graph, 2)
    assert "goes to 2 nodes" in str(caught.value) and "--fpga-layers 3" in caught.value.hint
    assert len(partition(graph, 1).layers) == 1


@pytest.mark.parametrize(
    "block",
    [
        lambda net: net.residual(lambda b: b.conv(4).relu().conv(4).relu()),
        lambda net: net.residual(lambda b: b.conv(4).relu().conv(4), lambda b: b.conv(4)),
        lambda net: net.residual(lambda b: b.conv(4).relu().conv(4), lambda b: b.per_channel("Mul", 0.5, 1)),
    ],
)
def test_what_is_no_such_block_stays_on_the_host(block, tmp_path):
    net = block(ModelBuilder((3, 8, 8), seed=7).conv(4).relu())
    split = check_equal(net.relu().flatten().model(), tmp_path, 1)
    assert [placement.where for placement in split.placements if placement.op_type == "Add"] == ["host"]


@pytest.mark.parametrize("act_bits", [4, 8])
def test_a_shortcut_keeps_every_bit(act_bits, tmp_path):
    """With the block's last weights zero the sum is what passed through, scaled by a power of two: no rounding."""
    split = partition(load(save(network("basic", pool=False), tmp_path)), 3)
    last = split.layers[2]
    last.weight[:, : last.weight.shape[1] - 4] = 0
    last.bias[:] = 0
    frames = np.random.default_rng(2).integers(0, 256, (16, 3, 10, 9), dtype=np.uint8)
    quant = quantize(split, frames, Preprocessing(1 / 255), act_bits=act_bits)
    first, _, end = quant.run_layers(frames)
    np.testing.assert_array_equal(end, first)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_quantized_layers_are_close_and_golden(name, tmp_path):
    split = partition(load(save(network(name), tmp_path)), LAYERS.get(name, 3))
    frames = np.random.default_rng(3).integers(0, 256, (32, 3, 10, 9), dtype=np.uint8)
    preprocessing = Preprocessing(1 / 255)
    quant = quantize(split, frames, preprocessing)
    outputs = quant.run_layers(frames)
    for ours, golden in zip(outputs, run_onnx(golden_onnx(quant), frames)):
        np.testing.assert_array_equal(ours, golden)
    x = run_float_layers(split, preprocessing.apply(frames))[-1]
    found = outputs[-1] * quant.layers[-1].out_scale.reshape(1, -1, 1, 1)
    assert np.mean((found - x) ** 2) < 0.1 * np.mean(x**2)
    last = split.layers[-1]
    if last.exact is not None and (last.exact >= 0).any():
        codes = quant.layers[-1].codes.reshape(len(last.exact), -1)[np.arange(len(last.exact)), last.exact]
        weight = codes * quant.layers[-1].alpha / quant.layers[quant.sources[-1][-1].layer].out_scale
        np.testing.assert_allclose(weight, 1)


@pytest.mark.parametrize("turned", [False, True])
def test_a_sum_is_a_residual_join_as_an_add_is(turned, tmp_path):
    net = ModelBuilder((3, 8, 8), seed=7).conv(4).relu().residual(lambda b: b.conv(4).relu().conv(4))
    net.nodes[-1].op_type = "Sum"
    if turned:
        net.nodes[-1].input.reverse()
    split = check_equal(net.relu().flatten().model(), tmp_path, 3)
    assert [(p.op_type, p.where) for p in split.placements if p.op_type in ("Sum", "Add")] == [("Sum", "FPGA")]


def test_a_sum_of_one_is_itself_and_one_with_constants_is_a_shift(tmp_path):
    net = ModelBuilder((3, 8, 8), seed=7).conv(4).add("Sum").relu()
    net.per_channel("Sum", 0.5, 1).conv(4, pads=[0] * 4).relu()
    check_equal(net.flatten().model(), tmp_path, 2)
    check_equal(net.flatten().model(), tmp_path, 2, normalize=False)


def three_in_one(net: ModelBuilder) -> ModelBuilder:
    """A branch, a shortcut's convolution and what both begin with, in one Sum."""
    start = net.tensor
    net.residual(lambda b: b.conv(4).relu().conv(4), lambda b: b.conv(4, 1))
    net.nodes[-1].op_type = "Sum"
    net.nodes[-1].input.append(start)
    return net


def two_of_before(net: ModelBuilder, op_type: str = "Sum") -> ModelBuilder:
    """A convolution of a layer, that layer and the one in front of it."""
    start = net.tensor
    between = net.conv(4).relu().tensor
    net.conv(4)
    return net.add("Sum", start, between) if op_type == "Sum" else net.add("Add", start).add("Add", between)


def of_one_tensor(net: ModelBuilder) -> ModelBuilder:
    """RepVGG's: all of one tensor, and one convolution."""
    start = net.tensor
    return net.residual(lambda b: b.conv(4), lambda b: b.conv(4, 1)).add("Add", start)


def four(net: ModelBuilder) -> ModelBuilder:
    start = net.tensor
    one = net.conv(4).relu().tensor
    two = net.conv(4).relu().tensor
    return net.conv(4).add("Sum", two, start, one)


@pytest.mark.parametrize(
    "block, layers",
    [(three_in_one, 4), (two_of_before, 4), (lambda n: two_of_before(n, "Add"), 4), (of_one_tensor, 3), (four, 5)],
)
def test_a_sum_of_more_is_taken_whole(block, layers, tmp_path):
    """With the float graph's values, and no node of it on the host."""
    net = block(ModelBuilder((3, 8, 8), seed=7).conv(4).relu()).relu().conv(4).relu()
    graph = load(save(net.model(), tmp_path))
    assert reach(graph).possible == reach(graph).available == layers
    assert {placement.where for placement in partition(graph, layers).placements} == {"FPGA"}
    check_equal(net.flatten().model(), tmp_path, layers)


@pytest.mark.parametrize(
    "block",
    [
        lambda net: net.residual(lambda b: b.conv(4, 3, pads=[0] * 4).relu().conv(4, 3, pads=[2] * 4)),
        lambda net: net.residual(lambda b: b.conv(4, 8, pads=[0] * 4)),
        lambda net: net.residual(
            lambda b: b.conv(4, 4, strides=[2, 2], pads=[0] * 4).relu().conv(6, pads=[2, 2, 1, 1]),
            lambda b: b.conv(6, 1, strides=[2, 2]),
        ),
    ],
)
def test_a_block_that_loses_positions_of_its_shortcut_stays_on_the_host(block, tmp_path):
    """The frame shrinks inside the block, or the sum spreads one value over the frame."""
    net = block(ModelBuilder((3, 8, 8), seed=7).conv(4).relu())
    model = net.relu().flatten().model()
    split = check_equal(model, tmp_path, 1)
    assert [placement.where for placement in split.placements if placement.op_type == "Add"] == ["host"]
    with pytest.raises(UnsupportedModelError):
        partition(load(save(model, tmp_path)), 2)
