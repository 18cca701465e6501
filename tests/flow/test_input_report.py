"""Preprocessing along the whole way: options, manifest, calibration, accuracy, streaming."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.bundle import read_bundle
from lognet_fpga.config import DeployConfig
from lognet_fpga.flow.reports.input import input_data, input_section, warn_of_scaling
from lognet_fpga.frontend import load
from lognet_fpga.ir.preprocessing import PRESETS, MeanImage, Preprocessing
from lognet_fpga.partition import partition
from lognet_fpga.partition.split import run_float_layers
from lognet_fpga.quantize import quantize
from lognet_fpga.runtime.frames import load_frames
from tests.models import ModelBuilder, run_onnx, save
from tests.patience import HANG_S
from tests.quantize.test_quantize import smooth_frames

Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).parents[2]
SHAPE, CLASSES = (3, 8, 9), 3
SCALING = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for tool in ("myhdl", "onnxruntime", "da4ml"):
        require_tool(tool)


def network(chain: ModelBuilder) -> onnx.ModelProto:
    return chain.conv(4).relu().pool().conv(4).relu().flatten().gemm(4 * 4 * 4, CLASSES).model()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A folder with a subfolder a class, of images no two of which have the same size."""
    rng = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("photos")
    for index in range(24):
        place = folder / "abc"[index % CLASSES] / f"{index:02}.{('jpg', 'png')[index // CLASSES % 2]}"
        place.parent.mkdir(exist_ok=True)
        coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((20 + 3 * index, 60 - 2 * index), Image.Resampling.BICUBIC).save(place)
    return folder


def prepared(photos: Path) -> tuple[np.ndarray, np.ndarray]:
    """Frames (n, 3, 8, 9), RGB, with the shorter side 11 and the centre cut out, and labels; by Pillow alone."""
    frames, labels = [], []
    for place in sorted(photos.glob("*/*")):
        image = Image.open(place).convert("RGB")
        width, height = image.size
        width, height = (11, int(11 * height / width)) if width <= height else (int(11 * width / height), 11)
        left, top = int(round((width - 9) / 2.0)), int(round((height - 8) / 2.0))
        image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 9, top + 8))
        frames.append(np.asarray(image).transpose(2, 0, 1))
        labels.append("abc".index(place.parent.name))
    return np.stack(frames), np.array(labels)


def command(name: str, *arguments: object) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", f"lognet_fpga.cli.{name}", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_images_of_odd_sizes_give_the_same_accuracy_everywhere(photos, tmp_path):
    model = network(ModelBuilder(SHAPE, seed=2))
    options = "--no-verify --fpga-layers 1 --fps 1000 --resize 11 --channel-order bgr --input-scale 1/255".split()
    options += ["--input-mean", "0.4,0.5,0.6", "--input-std", "0.2,0.25,0.3"]
    deployed = command("deploy", save(model, tmp_path), "--frames", photos, "--out", tmp_path, *options)
    streamed = command("stream", deployed["bundle"], "--frames", photos)
    assert streamed["top1"] == deployed["accuracy"]["deployed_top1"]
    assert deployed["input"] == {
        "shape": list(SHAPE),
        "preprocessing": {
            "scale": 1 / 255,
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.25, 0.3],
            "channel_order": "bgr",
            "resize": [11],
            "crop": True,
            "interpolation": "bilinear",
            "dtype": "uint8",
            "zero_point": 0,
        },
        "inside_model": [],
        "mean_image": None,
    }
    # The same by Pillow, NumPy and onnxruntime.
    frames, labels = prepared(photos)
    mean, std = (np.array(SCALING[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))
    scores = run_onnx(model, ((frames[:, ::-1] / 255 - mean) / std).astype(np.float32))[0]
    assert deployed["accuracy"]["float_top1"] == pytest.approx(np.mean(scores.argmax(axis=1) == labels))
    bundle = read_bundle(Path(deployed["bundle"]))
    activations = run_onnx(bundle.file("golden.onnx"), np.ascontiguousarray(frames[:, ::-1]))[-1]
    classes = run_onnx(bundle.file("tail.onnx"), np.ascontiguousarray(activations.transpose(0, 2, 3, 1)))[0].argmax(1)
    assert deployed["accuracy"]["deployed_top1"] == pytest.approx(np.mean(classes == labels))
    assert deployed["accuracy"]["agreement"] > 0.8
    assert sorted(streamed["predictions"]) == sorted(classes.tolist())


def test_bgr_with_turned_weights_is_rgb(photos, tmp_path):
    """The first convolution's input channels in reverse, frames and scaling too: the same network."""
    rgb = network(ModelBuilder(SHAPE, seed=2))
    bgr = network(ModelBuilder(SHAPE, seed=2))
    weight = onnx.numpy_helper.to_array(bgr.graph.initializer[0])
    bgr.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.ascontiguousarray(weight[:, ::-1]), bgr.graph.initializer[0].name)
    )
    activations = []
    for model, order, turn in ((rgb, "rgb", 1), (bgr, "bgr", -1)):
        scaling = {name: values[::turn] for name, values in SCALING.items()}
        how = Preprocessing(1 / 255, **scaling, channel_order=order, resize=(11,), crop=True)
        frames = load_frames(photos, SHAPE, how).frames
        parts = partition(load(save(model, tmp_path)), 1)
        activations.append(run_float_layers(parts, how.apply(frames))[0])
        quant = quantize(parts, frames, how)
        activations.append(quant.run_layers(frames)[0] * quant.layers[0].out_scale.reshape(1, -1, 1, 1))
    wanted, quantized, turned, turned_quantized = activations
    np.testing.assert_allclose(turned, wanted, atol=1e-5)
    for found in (quantized, turned_quantized):  # the codes are rounded in another order, so not the same bits
        assert ((found - wanted) ** 2).sum() < 0.02 * (wanted**2).sum()


def test_the_report_says_what_applies(tmp_path):
    chain = ModelBuilder(SHAPE, seed=2)
    chain.add("Gather", chain.constant(np.array([2, 1, 0], np.int64)), axis=1)
    chain.per_channel("Sub", 100, 130).per_channel("Div", 50, 60)
    inside = save(network(chain), tmp_path, "inside.onnx")
    plain = save(network(ModelBuilder(SHAPE, seed=2)), tmp_path, "plain.onnx")
    image = MeanImage("mean.npy", (100.0, 110.0, 120.0), 12.345)

    def said(model: Path, **more: object) -> tuple[str, dict]:
        config, parts = DeployConfig(model, **more), partition(load(model), 1)
        return " ".join(input_section(config, parts).lines), input_data(config, parts)

    text, data = said(inside)
    assert "inside the model: Sub_1, Div_2; folded into conv1" in text and "from the options: nothing" in text
    assert data["inside_model"] == ["Sub_1", "Div_2"]
    text, _ = said(inside, preprocessing=Preprocessing(scale=0.5))
    assert "both apply" in text and "(pixel * 0.5 - mean) / std" in text
    text, data = said(plain, preprocessing=Preprocessing(mean=image.mean), mean_image=image)
    assert "mean.npy" in text and "12.3" in text and "nothing before the first convolution" in text
    assert data["mean_image"] == {"file": "mean.npy", "largest_deviation": 12.345}
    text, _ = said(plain, preprocessing=Preprocessing(resize=(20, 30), crop=True, channel_order="bgr"))
    assert "20 x 30; bilinear, antialiased), centre cropped to 8 x 9, channels reversed from RGB to BGR" in text


def scaling_warnings(net: ModelBuilder, folder: Path, how: Preprocessing, frames: np.ndarray) -> list[str]:
    parts = partition(load(save(net.relu().flatten().model(), folder)), 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_scaling(parts, how, frames)
    return [str(warning.message) for warning in caught]


def normalizing(mean: float | None, deviation: float | None) -> ModelBuilder:
    net = ModelBuilder((3, 12, 12), seed=4)
    if mean is not None:
        net.add("Sub", net.constant(np.full((1, 3, 1, 1), mean, np.float32)))
    if deviation is not None:
        net.add("Div", net.constant(np.float32(deviation)))
    return net.conv(6)


PRESET_OF = {"plain": Preprocessing(), "unit": Preprocessing(1 / 255), "signed": Preprocessing(1 / 127.5, (1.0,))}
PRESET_OF |= PRESETS


@pytest.mark.parametrize(
    "mean, deviation, how, says",
    [
        (None, 255, "plain", None),
        (None, 255, "unit", "scaled twice"),
        (None, 255, "signed", "scaled twice"),
        (None, 255, "imagenet", "scaled twice"),
        (127.5, 127.5, "plain", None),
        (127.5, 127.5, "unit", "scaled twice"),
        (104, None, "plain", None),
        (104, None, "unit", "far smaller than the model was trained for"),
        (0.45, 0.225, "unit", None),
        (0.45, 0.225, "plain", "trained on smaller numbers"),
        (0.45, None, "plain", "trained on smaller numbers"),
        (None, None, "plain", None),
        (None, None, "unit", None),
        (None, None, "signed", None),
        (None, None, "imagenet", None),
        (None, None, "caffe", None),
    ],
)
@pytest.mark.parametrize("kind", ["smooth", "noise", "one", "dark"])
def test_inputs_scaled_twice_or_not_at_all_are_told(mean, deviation, how, says, kind, tmp_path: Path) -> None:
    """And none that is right, dark frames of 0 to 60 among them."""
    frames = smooth_frames(1 if kind == "one" else 24, 3, (3, 12, 12))
    if kind == "noise":
        frames = np.random.default_rng(3).integers(0, 256, frames.shape, dtype=np.uint8)
    if kind == "dark":
        frames = frames // 4
    told = scaling_warnings(normalizing(mean, deviation), tmp_path, PRESET_OF[how], frames)
    assert [] == told if says is None else len(told) == 1 and says in told[0]


def test_the_shipped_model_is_seen_at_its_scale_only(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "models" / "cifar10_64x3"
    with np.load(folder / "test_frames.npz") as arrays:
        frames = np.ascontiguousarray(arrays["frames"][:32].transpose(0, 3, 1, 2))
    for name in ("model.onnx", "model_log2.onnx"):
        parts = partition(load(folder / name), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_scaling(parts, Preprocessing(), frames)
            with pytest.raises(UserWarning, match="scaled twice"):
                warn_of_scaling(parts, Preprocessing(1 / 255), frames)
