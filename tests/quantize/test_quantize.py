"""quantize on small float CNNs: golden.onnx, scaled back to real values, against the float model in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import InputError
from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition import Partition, partition
from lognet_fpga.quantize import quantize
from tests.models import ModelBuilder, run_onnx, save, small_cnn

PREPROCESSING = Preprocessing(scale=1 / 255, mean=(0.4, 0.5, 0.45), std=(0.25, 0.2, 0.3))
POOLS = ("MaxPool_2_out", "MaxPool_5_out", "MaxPool_8_out")  # of small_cnn
SEEDS = (1, 2, 3, 4)


def smooth_frames(count: int, seed: int, shape: tuple[int, int, int] = (3, 16, 16)) -> np.ndarray:
    """Noise blurred over 3x3 pixels, stretched to the whole range: neighbours are alike, as in images."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, shape[0], shape[1] + 2, shape[2] + 2))
    blurred = sum(noise[:, :, y : y + shape[1], x : x + shape[2]] for y in range(3) for x in range(3)) / 3
    return np.clip(np.rint(128 + 60 * blurred), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def parts(tmp_path_factory, require_tool) -> dict[int, Partition]:
    require_tool("onnxruntime")
    folder = tmp_path_factory.mktemp("models")
    return {seed: partition(load(save(small_cnn(seed), folder, f"{seed}.onnx"))) for seed in SEEDS}


def model_input(frames: np.ndarray) -> np.ndarray:
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    return ((frames / 255 - mean) / std).astype(np.float32)


def relative_errors(quant: QuantGraph, seed: int, frames: np.ndarray) -> list[float]:
    """Root mean square of error against float, over that of float, layer by layer."""
    float_values = run_onnx(small_cnn_with_layers(seed), model_input(frames))
    golden = run_onnx(golden_onnx(quant), frames)
    return [
        float(np.sqrt(np.mean((got * layer.out_scale.reshape(1, -1, 1, 1) - value) ** 2) / np.mean(value**2)))
        for layer, got, value in zip(quant.layers, golden, float_values)
    ]


def small_cnn_with_layers(seed: int):
    chain = ModelBuilder((3, 16, 16), seed=seed)
    for count in (8, 8, 12):
        chain.conv(count).relu().pool()
    return chain.model(*POOLS)


@pytest.mark.parametrize("seed", SEEDS)
def test_close_to_the_float_layers(parts, seed):
    frames, unseen = smooth_frames(64, seed), smooth_frames(32, seed + 100)
    errors = {
        bits: relative_errors(quantize(parts[seed], frames, PREPROCESSING, act_bits=bits), seed, unseen)
        for bits in (4, 8)
    }
    # Random weights in log2 codes err by some 15% of their size; averages over a window and a pool err by less.
    assert errors[8][0] < 0.15 and errors[8][2] < 0.25
    assert all(eight < four < 0.3 for eight, four in zip(errors[8], errors[4]))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("seed", SEEDS)
def test_means_are_kept(seed, bits, tmp_path):
    """Rounding of weights and of activations shifts no channel: without ReLU's kink in reach, the means are float's."""
    chain = ModelBuilder((3, 16, 16), seed=seed)
    bias = chain.constant(np.full(6, 6, np.float32))
    model = chain.add("Conv", chain.weights(6, 3, 3, 3), bias, pads=[1] * 4).relu().model()
    quant = quantize(partition(load(save(model, tmp_path)), 1), smooth_frames(64, seed), PREPROCESSING, act_bits=bits)
    unseen = smooth_frames(64, seed + 100)
    (value,) = run_onnx(model, model_input(unseen))
    (golden,) = run_onnx(golden_onnx(quant), unseen)
    shift = golden.mean(axis=(0, 2, 3)) - value.mean(axis=(0, 2, 3)) / quant.layers[0].out_scale  # in LSB
    assert np.all(np.abs(shift) < (0.2 if bits == 4 else 1)), shift


def test_what_a_layer_says_of_itself(parts):
    quant = quantize(parts[1], smooth_frames(32, 1), PREPROCESSING, act_bits=4)
    assert [(layer.in_bits, layer.out_bits) for layer in quant.layers] == [(8, 4), (4, 4), (4, 4)]
    assert [layer.out_shape for layer in quant.layers] == [(8, 8, 8), (8, 4, 4), (12, 2, 2)]
    for layer, real in zip(quant.layers, parts[1].layers):
        assert 0 < layer.nmse < 0.1 and np.all(layer.alpha > 0)
        assert set(np.abs(layer.codes).ravel()) <= {0, 1, 2, 4, 8, 16, 32, 64}
        assert layer.name == real.name
    # Zero to the model is the pixel mean * 255.
    np.testing.assert_array_equal(quant.layers[0].pad_value, np.rint(np.array(PREPROCESSING.mean) * 255))
    assert not quant.layers[1].pad_value.any()


def test_same_arguments_same_graph(parts):
    one, two = (quantize(parts[1], smooth_frames(16, 1), PREPROCESSING) for _ in range(2))
    assert golden_onnx(one) == golden_onnx(two)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_prune_is_the_least_share_of_zeros(parts, share):
    frames = smooth_frames(48, 1)
    quant = quantize(parts[1], frames, PREPROCESSING, prune=share)
    plain = quantize(parts[1], frames, PREPROCESSING)
    for layer, before in zip(quant.layers, plain.layers):
        assert layer.sparsity >= share - 0.5 / layer.codes.size
        assert layer.sparsity > before.sparsity


def test_one_frame_is_enough_to_run(parts):
    quant = quantize(parts[1], smooth_frames(1, 1), PREPROCESSING)
    assert quant.run(smooth_frames(1, 1)).shape == (1, 12, 2, 2)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 3, 16, 16), np.float32),
        np.zeros((4, 16, 16, 3), np.uint8),
        np.zeros((3, 16, 16), np.uint8),
        np.zeros((0, 3, 16, 16), np.uint8),
        np.zeros((4, 3, 16, 15), np.uint8),
    ],
    ids=["float", "channels last", "one frame without batch", "none", "width"],
)
def test_wrong_frames_are_refused(parts, frames):
    with pytest.raises(InputError, match=r"uint8 of shape \(n, 3, 16, 16\)"):
        quantize(parts[1], frames, PREPROCESSING)
