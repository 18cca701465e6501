"""What a convolution pads with is an activation that codes can say, or is refused: against the float model's border."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.flow.inspection import inspect
from lognet_fpga.flow.layer_choice import choose_layers, quantize_choice, target_of
from lognet_fpga.frontend import load
from lognet_fpga.ir.preprocessing import PRESETS, Preprocessing
from lognet_fpga.partition import partition, with_pixels
from lognet_fpga.partition.reach import reach
from lognet_fpga.progress import NoProgress
from lognet_fpga.quantize import AskedBits, PaddingError, quantize
from tests.models import ModelBuilder, run_onnx, save
from tests.quantize.test_quantize import smooth_frames

SCALE = Preprocessing(1 / 255)


def first_layer(shape=(3, 16, 16), **attributes) -> ModelBuilder:
    return ModelBuilder(shape, seed=5).conv(6, **attributes).relu()


def refusal(path: Path, how: Preprocessing) -> str | None:
    try:
        partition(with_pixels(load(path), how), 1)
    except UnsupportedModelError as error:
        return error.context[0]
    return None


@pytest.mark.parametrize(
    "how, pixel",
    [
        (Preprocessing(), None),
        (SCALE, None),
        (PRESETS["imagenet"], None),
        (PRESETS["caffe"], None),
        (Preprocessing(1 / 127.5, (1.0,)), None),  # 127.5, half a pixel off
        (Preprocessing(1 / 255, (1.0,)), None),
        (Preprocessing(1.0, (255.4,)), None),
        (Preprocessing(1.0, (-0.4,)), None),
        (Preprocessing(-1 / 255, (-1.0,)), None),  # inverted: zero is white
        (Preprocessing(1 / 255, (-1.0,)), "-255"),
        (Preprocessing(1 / 255, (0.5, 0.5, 1.1)), "280.5"),
        (Preprocessing(1.0, (-1.0, 0.0, 0.0)), "-1"),
        (Preprocessing(-1 / 255, (1.0,)), "-255"),
    ],
)
def test_a_frames_border_is_a_pixel_or_refused(how: Preprocessing, pixel: str | None, tmp_path: Path) -> None:
    path = save(first_layer().flatten().model(), tmp_path)
    said = refusal(path, how)
    assert (said is None) if pixel is None else f"stands for a pixel of {pixel} in channel" in said
    frames = smooth_frames(16, 1)
    graph = load(path)
    if pixel is None:
        quant = quantize(partition(graph, 1), frames, how)
        want = partition(graph, 1).layers[0].run(how.apply(frames))
        error = quant.run(frames) * quant.layers[0].out_scale.reshape(1, -1, 1, 1) - want
        border = np.ones((16, 16), bool)
        border[1:-1, 1:-1] = False
        size = np.sqrt(np.mean(want**2))
        assert np.sqrt(np.mean(error[:, :, border] ** 2)) < 0.2 * size
    else:  # who partitions without the options learns it from the quantizer
        with pytest.raises(PaddingError, match=f"stands for {pixel} in channel .* pixels are 0 to 255"):
            quantize(partition(graph, 1), frames, how)


def test_a_normalization_inside_the_model_counts_as_well(tmp_path: Path) -> None:
    net = ModelBuilder((3, 16, 16), seed=5)
    net.add("Sub", net.constant(np.full((1, 3, 1, 1), -0.5, np.float32))).conv(6).relu().flatten()
    path = save(net.model(), tmp_path)
    assert "a pixel of -127.5" in refusal(path, SCALE)
    assert refusal(path, Preprocessing(1 / 127.5, (1.0,))) is None  # zero is -0.5 of -1 to 1
    assert refusal(path, Preprocessing()) is None  # half a pixel below 0


def test_nothing_to_pad_is_nothing_to_refuse(tmp_path: Path) -> None:
    path = save(first_layer(pads=[0, 0, 0, 0]).flatten().model(), tmp_path)
    assert refusal(path, Preprocessing(1 / 255, (-1.0,))) is None


def test_inspect_says_it_too(tmp_path: Path) -> None:
    path = save(first_layer().flatten().model(), tmp_path)
    seen = inspect(DeployConfig(model=path, preprocessing=Preprocessing(1 / 255, (-1.0,))), "pynq-z2")
    assert seen.reach.possible == 0 and "pixel of -255" in str(seen.error)
    assert inspect(DeployConfig(model=path, preprocessing=SCALE), "pynq-z2").parts is not None


def shifted(offset: float, *, bound: float | None = None, pool: str | None = None, channels: int = 8) -> ModelBuilder:
    """Two layers; behind the first one's ReLU `offset` is taken away from one channel, so that zero stands for it."""
    net = ModelBuilder((3, 12, 12), seed=3).conv(channels)
    net.relu() if bound is None else net.clip(0, bound)
    if pool:
        net.add(pool, kernel_shape=[2, 2], strides=[2, 2])
    values = np.zeros((1, channels, 1, 1), np.float32)
    values[0, 2] = offset
    net.add("Sub", net.constant(values))
    return net.conv(8).relu()


def largest_activation(net_of, tmp_path: Path) -> float:
    parts = partition(load(save(net_of(0.0).flatten().model(), tmp_path, "zero.onnx")), 2)
    return float(parts.layers[0].run(SCALE.apply(smooth_frames(32, 1, (3, 12, 12))))[:, 2].max())


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("pool", [None, "MaxPool", "AveragePool"])
@pytest.mark.parametrize("share", [0.3, 0.99, 1.2])
def test_padding_within_reach_of_the_activations_is_exact(share: float, pool, bits: int, tmp_path: Path) -> None:
    """Also a little above what the calibration frames reach: the codes are made to reach as far."""
    offset = share * largest_activation(lambda value: shifted(value, pool=pool), tmp_path)
    net = shifted(offset, pool=pool).flatten()
    parts, frames = partition(load(save(net.model(), tmp_path)), 2), smooth_frames(32, 1, (3, 12, 12))
    quant = quantize(parts, frames, SCALE, act_bits=bits)
    first, second = quant.layers
    assert second.pad_value[2] <= 2**second.in_bits - 1
    np.testing.assert_allclose(second.pad_value[2] * first.out_scale[2], offset, atol=0.51 * first.out_scale[2])
    unseen = smooth_frames(16, 2, (3, 12, 12))
    want = run_onnx(net.model(), SCALE.apply(unseen))[0].reshape(16, *second.out_shape)
    error = quant.run(unseen) * second.out_scale.reshape(1, -1, 1, 1) - want
    border = np.ones(want.shape[2:], bool)
    border[1:-1, 1:-1] = False
    at_border, inside = (np.sqrt(np.mean(error[:, :, where] ** 2)) for where in (border, ~border))
    assert at_border < 2.5 * max(inside, 0.03 * np.sqrt(np.mean(want**2)))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("times", [30, 1000])
def test_padding_far_above_the_activations_is_refused(times: float, bits: int, tmp_path: Path) -> None:
    offset = times * largest_activation(shifted, tmp_path)
    graph = load(save(shifted(offset).flatten().model(), tmp_path))
    frames = smooth_frames(32, 1, (3, 12, 12))
    with pytest.raises(
        PaddingError, match=r"pads with zero, which stands for .* in channel 3, where activations are 0"
    ):
        quantize(partition(graph, 2), frames, SCALE, act_bits=bits)
    # As many as can go: the first one, and why.
    config = DeployConfig(model=tmp_path / "model.onnx", preprocessing=SCALE)
    target = target_of(config, load_board("pynq-z2"))
    with pytest.warns(UserWarning, match="1 convolution layer goes onto the FPGA, not 2: .* pads with zero"):
        first = choose_layers(config, graph, target, AskedBits(bits))
        choice, quant, _ = quantize_choice(config, first, target, AskedBits(bits), frames, NoProgress())
    assert len(quant.layers) == len(choice.parts.layers) == 1
    asked = DeployConfig(model=tmp_path / "model.onnx", preprocessing=SCALE, fpga_layers=2)
    with pytest.raises(PaddingError, match="pads with zero") as caught:
        first = choose_layers(asked, graph, target, AskedBits())
        quantize_choice(asked, first, target, AskedBits(), frames, NoProgress())
    assert "--fpga-layers 1" in caught.value.hint


def test_padding_that_no_activation_can_be_is_an_obstacle(tmp_path: Path) -> None:
    for number, (net, says) in enumerate(
        [(shifted(-0.5), "negative activation"), (shifted(6.5, bound=6), "an activation of 6.5, above the 6")]
    ):
        far = reach(load(save(net.flatten().model(), tmp_path, f"{number}.onnx")))
        assert far.possible == 1 and any(says in obstacle.problem.why for obstacle in far.obstacles)


@pytest.mark.parametrize("bits", [4, 8])
def test_padding_with_the_bound_itself(bits: int, tmp_path: Path) -> None:
    graph = load(save(shifted(6.0, bound=6).flatten().model(), tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quant = quantize(partition(graph, 2), smooth_frames(32, 1, (3, 12, 12)), SCALE, act_bits=bits)
    np.testing.assert_allclose(quant.layers[1].pad_value[2] * quant.layers[0].out_scale[2], 6.0, rtol=0.04)
