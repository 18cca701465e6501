"""A retrained file deploys to the integers that were trained, whatever net it is of; a changed file is told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lognet_fpga.frontend import load
from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import partition
from lognet_fpga.partition.reach import cut
from lognet_fpga.quantize import quantize
from lognet_fpga.quantize.grid import pinned_bits
from tests.models import ModelBuilder, run_onnx, save
from tests.quantize.test_quantize import smooth_frames

HOW = Preprocessing(scale=1 / 255, mean=(0.4, 0.5, 0.45), std=(0.25, 0.2, 0.3))


@pytest.fixture(autouse=True)
def torch(require_tool):
    require_tool("torch")
    return pytest.importorskip("torch")


def random_net(rng: np.random.Generator) -> ModelBuilder:
    """One to three layers of any kernel and padding, with pools, averages, bounds, and padding behind a shift."""
    net = ModelBuilder((3, 14, 14), seed=int(rng.integers(1000)))
    for number in range(int(rng.integers(1, 4))):
        if number and rng.random() < 0.4:
            net.add("Sub", net.constant(rng.uniform(0, 0.2, (1, net.channels, 1, 1)).astype(np.float32)))
        kernel = int(rng.choice([1, 2, 3]))
        pads = [int(rng.integers(0, kernel)) for _ in range(4)]
        net.conv(int(rng.integers(2, 9)), kernel, pads=pads)
        net.relu() if rng.random() < 0.6 else net.clip(0, 6)
        kind = rng.integers(0, 4)
        if kind == 1:
            net.pool()
        elif kind == 2:
            net.average_pool(int(rng.integers(2, 4)), 1, pads=[0, 0, 1, 1] if rng.integers(2) else [0] * 4)
    return net.flatten()


def whole_net(rng: np.random.Generator) -> ModelBuilder:
    """Up to its scores: residual sums, depthwise and linear layers, pools without a ReLU, one or two dense layers."""
    net = ModelBuilder((3, 10, 10), seed=int(rng.integers(1000))).conv(4).relu()
    for kind in rng.permutation(["residual", "strided", "inverted", "linear", "pooled"])[: int(rng.integers(1, 4))]:
        if kind == "residual":
            net.residual(lambda block: block.conv(4).relu().conv(4)).relu()
        elif kind == "strided":
            net.residual(
                lambda block: block.conv(4, strides=[2, 2]).relu().conv(4),
                lambda block: block.conv(4, 1, strides=[2, 2]),
            ).relu()
        elif kind == "inverted":
            net.residual(lambda block: block.conv(8, 1).relu().conv(8, group=8).relu().conv(4, 1))
        elif kind == "linear":
            net.conv(6).conv(4, 1).relu()
        else:
            net.conv(4).pool().relu()
    if rng.random() < 0.5:
        net.conv(6, 1).relu().add("GlobalAveragePool").flatten()
        return net.gemm(6, 3)
    width = net.flatten().model().graph.output[0].type.tensor_type.shape.dim[1].dim_value
    net.gemm(width, 5)
    return (net.relu() if rng.random() < 0.5 else net).gemm(5, 3)


def trained_network(parts, quant, frames: np.ndarray, how: Preprocessing, rng: np.random.Generator):
    """As after some steps of training: every weight and every mean moved."""
    import torch

    from lognet_fpga.train.network import LogNetwork

    network = LogNetwork(parts, quant, frames, how, "ste")
    with torch.no_grad():
        for layer in network.layers:
            for parameter in (layer.weight, layer.mean):
                moved = torch.from_numpy(rng.normal(0, 0.1, tuple(parameter.shape)).astype(np.float32))
                parameter += moved * parameter.abs().mean()
    return network.eval()


def written(
    folder: Path,
    seed: int,
    bits: int | None,
    how: Preprocessing = HOW,
    net: ModelBuilder | None = None,
    layers: Literal["all"] | None = None,
):
    """(path of the file, its FPGA layers, frames, the integers that were trained for them).  bits None: all kinds."""
    import torch

    from lognet_fpga.train.network import write_model

    rng = np.random.default_rng(seed)
    net = net or random_net(rng)
    parts = cut(load(save(net.model(), folder, f"float{seed}.onnx")), layers)
    shape = parts.graph.input_shape
    frames = smooth_frames(16, seed, shape)
    act_bits = rng.integers(4, 9, len(parts.layers)).tolist() if bits is None else bits
    quant = quantize(parts, frames, how, act_bits=act_bits)
    network = trained_network(parts, quant, frames, how, rng)
    path = folder / f"trained{seed}.onnx"
    path.write_bytes(write_model(network, parts, quant, how))
    judged = smooth_frames(4, seed + 100, shape)
    with torch.no_grad():
        return path, len(parts.layers), judged, network.integers(torch.from_numpy(judged).float()).numpy()


def deployed(path: Path, layers: int, frames: np.ndarray, bits: int, how: Preprocessing = HOW) -> np.ndarray:
    """Calibrated on frames that training never saw."""
    calibration = smooth_frames(6, 77, frames.shape[1:])
    return quantize(partition(load(path), layers), calibration, how, act_bits=bits).run(frames)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 60))], ids="seed {}".format
)
def test_any_net_deploys_to_what_was_trained(seed: int, bits: int, tmp_path: Path) -> None:
    path, layers, frames, integers = written(tmp_path, seed, bits)
    assert pinned_bits(load(path)) == (bits,) * layers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(deployed(path, layers, frames, bits), integers)


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 80))], ids="seed {}".format
)
def test_any_whole_net_deploys_to_what_was_trained(seed: int, tmp_path: Path) -> None:
    """Signed activations and whole scores too, with bits of all numbers."""
    net = whole_net(np.random.default_rng(seed))
    path, layers, frames, integers = written(tmp_path, seed, None, net=net, layers="all")
    parts = partition(load(path), layers)
    assert parts.layers[-1].linear and len(np.unique(integers)) > 8, seed
    calibration = smooth_frames(6, 77, frames.shape[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quant = quantize(parts, calibration, HOW, act_bits=pinned_bits(parts.graph))
    np.testing.assert_array_equal(quant.run(frames) - np.int64(quant.layers[-1].out_zero), integers, f"seed {seed}")
    # And the file in float is near to that: activations are not rounded there, and signed ones not clipped.
    scores = run_onnx(onnx.load(path), HOW.apply(frames))[0]
    real = (integers * quant.layers[-1].out_scale.reshape(1, -1, 1, 1))[:, :, 0, 0]
    assert np.abs(scores - real).mean() < 0.5 * real.std(), seed


def without_metadata(path: Path) -> Path:
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    return path


def test_a_grid_that_the_numbers_do_not_tell(tmp_path: Path) -> None:
    """One weight of 1x1, a code of 2 or more: it does not show how fine its layer's grid is, nor does a bias that is
    nearly whole.  Guessed, as older versions did, some of these end beside what was trained."""
    how, shape, differ = Preprocessing(1 / 255), (1, 6, 6), 0
    for seed in range(12):
        net = ModelBuilder(shape, seed=seed).conv(1, 1).relu().flatten()
        path, layers, frames, integers = written(tmp_path, seed, 4, how, net)
        np.testing.assert_array_equal(deployed(path, layers, frames, 4, how), integers)
        guessed = deployed(without_metadata(path), layers, frames, 4, how)
        assert np.abs(guessed - integers).max() <= 1
        differ += not np.array_equal(guessed, integers)
    assert differ, "the metadata would not be needed"


def test_a_file_of_an_older_version_still_deploys(tmp_path: Path) -> None:
    """Without metadata, by what its numbers tell."""
    for seed in range(6):
        path, layers, frames, integers = written(tmp_path, seed, 4)
        parts = partition(load(without_metadata(path)), layers)
        if not any(isinstance(layer.pool, AveragePool) for layer in parts.layers):  # which older versions wrote others
            found = deployed(path, layers, frames, 4)
            assert np.mean(found != integers) < 0.01 and np.abs(found - integers).max() <= 1


def edit(path: Path, name: str, change) -> None:
    model = onnx.load(path)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    value = numpy_helper.to_array(tensor).copy()
    change(value)
    tensor.CopyFrom(numpy_helper.from_array(value, name))
    onnx.save(model, path)


def double(value: np.ndarray) -> None:
    value.flat[np.flatnonzero(value)[0]] *= 2


def raise_a_little(value: np.ndarray) -> None:
    value.flat[-1] += 0.03


@pytest.mark.parametrize(
    "name, change, says", [("conv1.weight", double, "its weights are not"), ("conv1.bias", raise_a_little, "biases")]
)
def test_an_edited_file_is_told(name: str, change, says: str, tmp_path: Path) -> None:
    path, layers, frames, integers = written(tmp_path, 3, 8)
    edit(path, name, change)
    with pytest.warns(UserWarning, match=f"written by lognet-retrain, but .*{says}"):
        deployed(path, layers, frames, 8)


def test_other_input_options_are_told(tmp_path: Path) -> None:
    path, layers, frames, _ = written(tmp_path, 3, 4)
    with pytest.warns(UserWarning, match="input options were others"):
        deployed(path, layers, frames, 4, Preprocessing(scale=1 / 255))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 1}', '{"version": 2, "layers": []}', '{"version": 1, "layers": [{}]}']
)
def test_metadata_that_cannot_be_read_is_told(text: str, tmp_path: Path) -> None:
    path, layers, frames, _ = written(tmp_path, 3, 4)
    model = onnx.load(path)
    model.metadata_props[0].value = text
    onnx.save(model, path)
    with pytest.warns(UserWarning, match="its metadata cannot be read"):
        deployed(path, layers, frames, 4)


def test_other_bits_or_zeros_are_the_users_own(tmp_path: Path) -> None:
    """Asked for, so without a warning."""
    path, layers, frames, _ = written(tmp_path, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deployed(path, layers, frames, 8)
        parts = partition(load(path), layers)
        quantize(parts, frames, HOW, act_bits=4, prune=0.9)
