"""execution.onnx gives the integers of the NumPy reference and of golden.onnx, at the ends of its bounds and beyond."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest

from lognet_fpga.errors import ModelError
from lognet_fpga.ir import execution
from lognet_fpga.ir.execution import execution_onnx, fuses, fuses_average
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.quant import Average, QuantGraph, QuantLayer
from tests.ir.test_golden import random_graph
from tests.models import run_onnx
from tests.quant_models import random_frames, random_net

BOUND = 21  # bits of a result and those dropped behind it
NETS = 60


def op_types(quant: QuantGraph) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(execution_onnx(quant)).graph.node)


def check(quant: QuantGraph, frames: np.ndarray) -> None:
    """Every layer's integers are the same by all three."""
    found, golden = run_onnx(execution_onnx(quant), frames), run_onnx(golden_onnx(quant), frames)
    for layer, ours, theirs, wanted in zip(quant.layers, found, golden, quant.run_layers(frames), strict=True):
        assert ours.dtype == np.uint8
        np.testing.assert_array_equal(ours, wanted, layer.name)
        np.testing.assert_array_equal(theirs, wanted, layer.name)


def nets() -> list[QuantGraph]:
    return [random_graph(seed) for seed in range(24)] + [
        random_net(np.random.default_rng(seed), seed)[0] for seed in range(NETS)
    ]


def test_random_nets() -> None:
    for seed, quant in enumerate(nets()):
        check(quant, random_frames(quant, 4, seed))


def test_random_nets_cover_the_cases() -> None:
    layers = [layer for quant in nets() for layer in quant.layers]
    fused = [layer for layer in layers if fuses(layer)]
    assert 0.9 * len(layers) < len(fused) < len(layers)
    assert {layer.act_bits for layer in fused} == {4, 8}
    assert any(fuses_average(layer) for layer in fused) and any(isinstance(layer.pool, MaxPool) for layer in fused)
    padded = [layer for layer in fused if any(layer.pads) and layer.pad_value.any()]
    assert any(len(set(layer.pad_value.tolist())) == 1 for layer in padded)
    assert any(len(set(layer.pad_value.tolist())) > 1 for layer in padded)
    assert any(layer.channel_shift.any() for layer in fused)


def layer_of_sums(act_bits: int, down: int, **changes: object) -> QuantLayer:
    """One channel, whose sums are those that `pixels_of` is told, up to the first that are clipped."""
    most = (2**act_bits + 1) * 2**down // (64 * 255) + 2
    codes = np.array([64] * most + [1], np.int8).reshape(1, -1, 1, 1)
    ones = {"alpha": np.ones(1), "out_scale": np.ones(1), "nmse": 0.0}
    places = {"stride": (1, 1), "pads": (0, 0, 0, 0), "pad_value": np.zeros(codes.size, np.int64), "pool": None}
    sums = {"codes": codes, "channel_shift": np.zeros(1, np.int64), "bias": np.zeros(1, np.int64), "shift": down}
    layer = QuantLayer("conv1", (codes.size, 1, 1), 8, act_bits, **sums, **places, **ones)
    return replace(layer, **changes)


def pixels_of(layer: QuantLayer, sums: np.ndarray) -> np.ndarray:
    """A frame for each sum >= 0, as the layer's codes, 64 many times and one 1, give them."""
    channels = layer.codes.size
    whole, rest = np.divmod(sums, 64)
    filled = np.clip(whole[:, None] - 255 * np.arange(channels - 1), 0, 255)
    frames = np.append(filled, rest[:, None], axis=1).astype(np.uint8).reshape(-1, channels, 1, 1)
    np.testing.assert_array_equal(frames[:, :, 0, 0] @ layer.codes.reshape(-1).astype(np.int64), sums)
    return frames


def steps_of(act_bits: int, down: int) -> np.ndarray:
    """The sums on both sides of each step from one result to the next, and up to the first that is clipped."""
    steps = np.arange(2**act_bits + 1) << down
    near = np.concatenate([steps + offset for offset in (-2, -1, 0, 1, 2, 1 << down >> 1)])
    return np.unique(near[near >= 0])


@pytest.mark.parametrize("act_bits", [4, 8])
@pytest.mark.parametrize("down", [0, 1, 2, 8, *range(13, 19)])
def test_every_step(act_bits: int, down: int) -> None:
    """Results and fractions of all widths, those that are too wide for one node among them."""
    layer = layer_of_sums(act_bits, down)
    assert fuses(layer) == (act_bits + down <= BOUND)
    sums = steps_of(act_bits, down)
    quant = QuantGraph("steps", layer.in_shape, (layer,))
    frames = pixels_of(layer, sums)
    check(quant, frames)
    assert quant.run(frames).reshape(-1).tolist() == [min(int(s) >> down, 2**act_bits - 1) for s in sums]


@pytest.mark.parametrize("bits", [BOUND + 1, BOUND + 2])
def test_the_bound_is_needed(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wider one the steps of a layer that is too wide are wrong: test_every_step would see it."""
    layer = layer_of_sums(8, bits - 8)
    monkeypatch.setattr(execution, "_EXACT_BITS", bits)
    frames = pixels_of(layer, steps_of(8, bits - 8))
    found = run_onnx(execution_onnx(QuantGraph("wide", layer.in_shape, (layer,))), frames)[0]
    assert np.any(found != layer.run(frames))


@pytest.mark.parametrize("bias", [-(2**25), -(2**25) + 2**12 - 1, -(2**26), 2**30])
def test_sums_beyond_24_bits_that_the_bias_brings_back(bias: int) -> None:
    layer = layer_of_sums(8, 19)  # inputs for sums of 27 bits
    layer = replace(layer, shift=12, bias=np.array([bias]))
    assert fuses(layer)
    sums = np.unique(np.clip(steps_of(8, 12) - min(bias, 0), 0, None))
    check(QuantGraph("brought back", layer.in_shape, (layer,)), pixels_of(layer, sums))


@pytest.mark.parametrize("sign", [-1, 1])
def test_pairs_of_products_do_not_saturate(sign: int) -> None:
    """Pixels of 255 and codes of 64: where instructions add products in 16 bits, 32,640 is the most."""
    layer = layer_of_sums(8, 13, codes=np.full((1, 132, 1, 1), 64 * sign, np.int8))
    total = 132 * 64 * 255
    layer = replace(layer, in_shape=(132, 1, 1), bias=np.array([0 if sign > 0 else total + 77 * 2**13]))
    layer = replace(layer, pad_value=np.zeros(132, np.int64))
    assert fuses(layer)
    frames = np.full((1, 132, 1, 1), 255, np.uint8)
    check(QuantGraph("extreme", layer.in_shape, (layer,)), frames)
    assert layer.run(frames).item() == (min(total >> 13, 255) if sign > 0 else 77)


@pytest.mark.parametrize(
    "change",
    [
        {"channel_shift": np.array([8]), "shift": 7},  # more than the shift
        {"codes": np.full((1, 129, 1, 1), 65, np.int8)},  # beyond log2 codes
        {"bias": np.array([2**31 - 3 * 2**20])},  # the sum with QLinearConv's zero and half might pass 32 bits
    ],
    ids=["shift", "codes", "bias"],
)
def test_layers_beyond_the_bounds_have_the_nodes_of_golden(change: dict[str, object]) -> None:
    layer = replace(layer_of_sums(8, 13), in_shape=(129, 1, 1), codes=np.full((1, 129, 1, 1), 64, np.int8))
    layer = replace(layer, pad_value=np.zeros(129, np.int64), **change)
    quant = QuantGraph("beyond", layer.in_shape, (layer,))
    assert not fuses(layer)
    assert op_types(quant)["QLinearConv"] == 0 and op_types(quant)["ConvInteger"] == 1
    check(quant, np.random.default_rng(1).integers(0, 256, (9, *layer.in_shape)).astype(np.uint8))


@pytest.mark.parametrize("kernel, shift", [((3, 3), 3), ((2, 3), 12), ((3, 3), 14)])
@pytest.mark.parametrize("out_bits", [5, 8])
def test_averages_of_any_width(kernel: tuple[int, int], shift: int, out_bits: int) -> None:
    rng = np.random.default_rng(3)
    pool = AveragePool(kernel, (2, 1), (1, 0, 1, 1))
    layer = layer_of_sums(8, 0, codes=np.ones((1, 1, 1, 1), np.int8), in_shape=(1, 9, 8), pad_value=np.zeros(1, int))
    layer = replace(layer, out_bits=out_bits, pool=pool, average=Average(8, shift))
    quant = QuantGraph("mean", layer.in_shape, (layer,))
    assert fuses_average(layer) == (out_bits + shift <= BOUND)
    assert (op_types(quant)["AveragePool"] == 0) == fuses_average(layer)
    check(quant, rng.integers(0, 256, (20, 1, 9, 8)).astype(np.uint8))


@pytest.mark.parametrize("groups, outputs", [(8, 8), (8, 16), (2, 6), (1, 5)])
@pytest.mark.parametrize("pad_value", [0, 7, None])
def test_groups(groups: int, outputs: int, pad_value: int | None) -> None:
    """Depthwise, with a multiplier, grouped, dense; padded with zero, one value, one value a channel."""
    rng = np.random.default_rng(groups + outputs)
    shape = outputs, 8 // groups, 3, 3
    layer = layer_of_sums(8, 0, codes=(1 << rng.integers(0, 7, shape)) * rng.choice([-1, 0, 1], shape).astype(np.int8))
    shifts = {"channel_shift": rng.integers(0, 4, outputs), "bias": rng.integers(-(2**15), 2**16, outputs), "shift": 9}
    values = np.arange(8) * 30 if pad_value is None else np.full(8, pad_value)
    layer = replace(layer, in_shape=(8, 9, 7), pads=(1, 0, 2, 1), stride=(2, 1), pad_value=values, **shifts)
    quant = QuantGraph("grouped", layer.in_shape, (layer,))
    assert layer.groups == groups and fuses(layer)
    frames = random_frames(quant, 4, 1)
    assert len(np.unique(layer.run(frames))) > 20
    check(quant, frames)


def test_nothing_is_as_wide_as_32_bits_between_layers() -> None:
    """What makes it fast: one node a convolution, and bytes everywhere."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(execution_onnx(random_graph(5))), strict_mode=True)
    assert {value.type.tensor_type.elem_type for value in model.graph.value_info} == {onnx.TensorProto.UINT8}


def test_sums_beyond_32_bits_are_refused() -> None:
    layer = layer_of_sums(8, 13, bias=np.array([2**31]))
    with pytest.raises(ModelError, match="conv1"):
        execution_onnx(QuantGraph("wide", layer.in_shape, (layer,)))
