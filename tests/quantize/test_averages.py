"""Averages leave the FPGA with what they need: held against the same activations averaged in full precision."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.frontend import load
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.partition import Partition, partition
from lognet_fpga.quantize import quantize
from tests.ir.test_border import onnx_average
from tests.models import ModelBuilder, run_onnx, save
from tests.quantize.test_quantize import smooth_frames

SCALE = Preprocessing(1 / 255)


def sparse_net(head) -> ModelBuilder:
    """Two layers of which the second fires at one position in twenty or so, as classifiers do; head: what follows."""
    chain = ModelBuilder((3, 16, 16), seed=3)
    chain.conv(8).relu().pool().conv(12).add("Sub", chain.constant(np.full((1, 12, 1, 1), 1.2, np.float32))).relu()
    head(chain)
    return chain


HEADS = {
    "global": lambda net: net.add("GlobalAveragePool"),
    "8x8": lambda net: net.average_pool(8, 8),
    "mean": lambda net: net.add("ReduceMean", axes=[2, 3], keepdims=1),
    "halves": lambda net: net.average_pool(4, 4),
    "overlapping": lambda net: net.average_pool(5, 1),
}


def of_net(net: ModelBuilder, folder, bits: int, layers: int, frames: np.ndarray) -> tuple[Partition, QuantGraph]:
    parts = partition(load(save(net.model(), folder)), layers)
    return parts, quantize(parts, frames, SCALE, act_bits=bits)


def pooled_in_full(layer: QuantLayer, activations: np.ndarray) -> np.ndarray:
    """Means of each window in floats, in units of the layer's output."""
    (height, width), (down, right) = layer.pool.kernel, layer.pool.stride
    _, rows, cols = layer.out_shape
    sums = [
        activations[:, :, y * down : y * down + height, x * right : x * right + width].sum(axis=(2, 3), dtype=float)
        for y in range(rows)
        for x in range(cols)
    ]
    return np.stack(sums, axis=2).reshape(len(activations), -1, rows, cols) / 2.0**layer.average.shift


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("head", HEADS)
def test_a_last_average_loses_next_to_nothing(head: str, bits: int, tmp_path) -> None:
    net = sparse_net(HEADS[head])
    _, quant = of_net(net.flatten(), tmp_path, bits, 2, smooth_frames(64, 1))
    last, unseen = quant.layers[-1], smooth_frames(64, 2)
    codes = quant.run(unseen)
    before = last.activations(quant.layers[0].run(unseen))
    full = pooled_in_full(last, before)
    assert np.mean(before) < 0.1 * (2**bits - 1), "the net is not sparse"
    assert last.out_bits == min(8, bits + last.pool.sum_bits)
    error = np.sqrt(np.mean((codes - full) ** 2) / np.mean((full - full.mean(axis=0)) ** 2))
    assert error < 0.06
    np.testing.assert_array_equal(run_onnx(golden_onnx(quant), unseen)[-1], codes)


@pytest.mark.parametrize("bits", [4, 8])
def test_scores_are_as_with_the_average_on_the_host(bits: int, tmp_path) -> None:
    """Against the float model in onnxruntime, whose averages are those of the host."""
    from lognet_fpga.partition import make_float_tail, make_tail

    net = sparse_net(HEADS["global"]).flatten().gemm(12)
    parts, quant = of_net(net, tmp_path, bits, 2, smooth_frames(64, 1))
    unseen = smooth_frames(256, 2)
    last, codes = quant.layers[-1], quant.run(unseen)
    full = pooled_in_full(last, last.activations(quant.layers[0].run(unseen))) * last.out_scale.reshape(1, -1, 1, 1)
    deployed = run_onnx(make_tail(parts, quant), codes.transpose(0, 2, 3, 1))[0]
    host = run_onnx(make_float_tail(parts), full.astype(np.float32))[0]
    wanted = run_onnx(net.model(), SCALE.apply(unseen))[0]
    spread = wanted.std(axis=0)
    assert np.mean(((deployed - host) / spread) ** 2) < 0.01
    agreement = [np.mean(scores.argmax(axis=1) == wanted.argmax(axis=1)) for scores in (deployed, host)]
    assert agreement[0] > agreement[1] - 0.02


def test_into_a_layer_go_the_bits_that_show(tmp_path) -> None:
    """Means of 2x2 activations of 4 bits have 6; into another layer go fewer only where that makes no difference."""
    net = ModelBuilder((3, 16, 16), seed=5).conv(8).relu().average_pool().conv(8).relu().flatten()
    _, quant = of_net(net, tmp_path, 4, 2, smooth_frames(64, 1))
    first, second = quant.layers
    assert (first.act_bits, second.in_bits, second.out_bits) == (4, first.out_bits, 4) and 4 <= first.out_bits <= 6
    frames = smooth_frames(16, 2)
    for ours, golden in zip(quant.run_layers(frames), run_onnx(golden_onnx(quant), frames), strict=True):
        np.testing.assert_array_equal(ours, golden)
    full = pooled_in_full(first, first.activations(frames))
    assert np.abs(first.run(frames) - np.minimum(full, 2**first.out_bits - 1)).max() <= 0.5


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    "pool",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},  # Caffe's
        {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [0, 0, 1, 1]},
        {"kernel_shape": [5, 4], "strides": [3, 1], "pads": [0, 0, 4, 2]},
    ],
)
def test_the_border_is_as_right_as_the_rest(pool: dict, bits: int, tmp_path) -> None:
    """Where windows reach past the frame the mean is of what is inside, as in the float model."""
    net = ModelBuilder((3, 16, 16), seed=5).conv(8).relu().add("AveragePool", **pool).conv(8).relu()
    parts, quant = of_net(net.add("GlobalAveragePool").flatten(), tmp_path, bits, 2, smooth_frames(64, 1))
    frames, first = smooth_frames(32, 2), quant.layers[0]
    assert any(first.pool.outside)
    results = quant.run_layers(frames)
    for executed in (golden_onnx(quant), execution_onnx(quant)):
        for ours, found in zip(results, run_onnx(executed, frames), strict=True):
            np.testing.assert_array_equal(ours, found)
    wanted = parts.layers[0].run(SCALE.apply(frames))
    wrong = results[0] * first.out_scale.reshape(1, -1, 1, 1) - wanted
    assert abs(wrong[:, :, -1].mean()) < 0.05 * wanted.mean() and abs(wrong[:, :, :, -1].mean()) < 0.05 * wanted.mean()
    full = onnx_average(first.pool, first.activations(frames).astype(np.float32))
    full *= first.pool.count / 2.0**first.average.shift
    assert np.abs(results[0] - np.minimum(full, 2**first.out_bits - 1)).max() < 0.76


def test_a_block_behind_an_average_takes_its_bits(tmp_path) -> None:
    """The sum is of activations of 4 bits and averages of more, whatever a layer's inputs have."""
    net = ModelBuilder((3, 12, 12), seed=5).conv(4).relu().average_pool()
    net.residual(lambda b: b.conv(4).relu().conv(4)).relu().flatten()
    _, quant = of_net(net, tmp_path, 4, 3, smooth_frames(64, 1, (3, 12, 12)))
    assert quant.layers[0].out_bits > 4 == quant.layers[1].out_bits
    assert quant.layers[2].in_bits == quant.layers[0].out_bits


def test_frames_that_show_nothing(tmp_path) -> None:
    """Activations that are all zero while calibrating leave an average that is as good as any."""
    net = ModelBuilder((3, 8, 8), seed=5)
    net.conv(4).add("Sub", net.constant(np.full((1, 4, 1, 1), 100, np.float32))).relu().add("GlobalAveragePool")
    _, quant = of_net(net.flatten(), tmp_path, 4, 1, np.zeros((4, 3, 8, 8), np.uint8))
    assert quant.layers[0].out_bits == 8 and not quant.run(np.zeros((2, 3, 8, 8), np.uint8)).any()
