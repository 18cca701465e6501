"""Preprocessing as a value: its geometry, its checks, its place in a manifest, presets and mean images."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from lognet_fpga.bundle import make_bundle, read_bundle, write_bundle
from lognet_fpga.cli import deploy
from lognet_fpga.cli.input_options import preprocessing_of
from lognet_fpga.errors import BundleError, InputError, UsageError
from lognet_fpga.ir.preprocessing import CHANNEL_ORDERS, INTERPOLATIONS, PRESETS, MeanImage, Preprocessing
from tests import small_bundle

WHOLE = Preprocessing(0.5, (1.0, 2.0, 3.0), (4.0,), "bgr", (9,), True, "bicubic")


@pytest.mark.parametrize(
    "resize, size, expected",
    [
        ((256,), (375, 500), (256, 341)),  # 256 * 500 / 375 = 341.3
        ((256,), (500, 375), (341, 256)),
        ((224,), (333, 500), (224, 336)),
        ((256,), (256, 256), (256, 256)),
        ((7,), (1, 3), (7, 21)),
        ((30, 40), (375, 500), (30, 40)),
        (None, (375, 500), (375, 500)),
    ],
)
def test_size_after_resizing(resize, size, expected):
    assert Preprocessing(resize=resize).resized(*size) == expected


@pytest.mark.parametrize("size, side", [((224, 224), 256), ((299, 299), 342), ((32, 32), 37), ((100, 224), 256)])
def test_the_imagenet_preset_resizes_as_256_to_224(size, side):
    settled = PRESETS["imagenet"].for_model((3, *size))
    assert settled.resize == (side,) and settled.crop and settled == settled.for_model((3, *size))


@pytest.mark.parametrize(
    "change, shape, says",
    [
        ({"channel_order": "bgr"}, (1, 8, 8), "takes 1 channel, not 3"),
        ({"mean": (1.0, 2.0)}, (3, 8, 8), "2 values"),
        ({"resize": (7,), "crop": True}, (3, 8, 9), "smaller than the model's input of 8 x 9"),
        ({"resize": (8, 10)}, (3, 8, 9), "--crop"),
        ({"resize": (8, 8), "crop": True}, (3, 8, 9), "resize to more"),
    ],
)
def test_what_the_model_cannot_take_is_refused(change, shape, says):
    with pytest.raises(UsageError, match=says):
        try:
            Preprocessing(**change).for_model(shape)
        except UsageError as error:
            raise UsageError(f"{error.message} {error.hint}") from error


@pytest.mark.parametrize(
    "change",
    [
        {"channel_order": "rbg"},
        {"interpolation": "lanczos"},
        {"resize": (0,)},
        {"resize": (1, 2, 3)},
        {"resize": ()},
        {"resize": (65_537,)},
    ],
)
def test_values_out_of_range_are_refused(change):
    with pytest.raises(UsageError):
        Preprocessing(**change)


@pytest.mark.parametrize("value", [Preprocessing(), WHOLE, replace(WHOLE, resize=(9, 8)), PRESETS["caffe"]])
def test_a_manifest_keeps_it(value, tmp_path):
    inputs = {**small_bundle.MANIFEST["input"], "shape": (3, 6, 5), "preprocessing": value.to_dict()}
    paths = write_bundle({"a": b""}, small_bundle.manifest(input=inputs), tmp_path)
    assert read_bundle(paths.folder).preprocessing == value
    assert Preprocessing.from_dict(json.loads(json.dumps(value.to_dict()))) == value


def test_a_manifest_without_the_later_fields_reads():
    assert make_bundle({}, small_bundle.manifest()).preprocessing == Preprocessing(scale=1.0)
    assert set(small_bundle.MANIFEST["input"]["preprocessing"]) == {"scale", "mean", "std"}


@pytest.mark.parametrize(
    "change",
    [
        {"scale": "1"},
        {"scale": True},
        {"scale": 10**400},
        {"scale": 0},
        {"mean": 0.0},
        {"mean": [[0.0]]},
        {"mean": [0.0, 1.0]},
        {"std": []},
        {"std": [-1.0]},
        {"channel_order": "xyz"},
        {"channel_order": None},
        {"resize": 256},
        {"resize": [2.5]},
        {"resize": [4]},
        {"crop": 1},
        {"interpolation": ["bilinear"]},
        {"rotate": 90},
        {"std": None},
    ],
)
def test_a_damaged_manifest_is_refused(change):
    inputs = {**small_bundle.MANIFEST["input"], "preprocessing": {**WHOLE.to_dict(), **change}}
    with pytest.raises(BundleError, match="preprocessing") as caught:
        _ = make_bundle({}, small_bundle.manifest(input=inputs)).preprocessing
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "x", {"scale": 1.0, "mean": [0.0]}])
def test_a_manifest_without_preprocessing_is_refused(value):
    with pytest.raises(BundleError, match="preprocessing"):
        _ = make_bundle(
            {}, small_bundle.manifest(input={**small_bundle.MANIFEST["input"], "preprocessing": value})
        ).preprocessing


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, expected",
    [
        ("", Preprocessing()),
        ("--resize 256", Preprocessing(resize=(256,), crop=True)),
        ("--resize 30,40", Preprocessing(resize=(30, 40))),
        ("--resize 30,40 --crop", Preprocessing(resize=(30, 40), crop=True)),
        ("--crop", Preprocessing(crop=True)),
        (
            "--input-preset imagenet",
            Preprocessing(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "rgb", Fraction(8, 7), True),
        ),
        (
            "--input-preset caffe --resize 256,256 --crop --interpolation bicubic --input-std 2",
            Preprocessing(1.0, (104.0, 117.0, 123.0), (2.0,), "bgr", (256, 256), True, "bicubic"),
        ),
    ],
)
def test_options(options, expected):
    found, image = preprocessing_of(deploy.parser().parse_args(["m.onnx", *options.split()]))
    assert found == expected and image is None


def test_the_parser_s_choices_are_all_there_are():
    choices = {action.dest: action.choices for action in deploy.parser()._actions}
    assert choices["channel_order"] == CHANNEL_ORDERS and choices["interpolation"] == INTERPOLATIONS
    assert set(choices["input_preset"]) == set(PRESETS)


@pytest.mark.parametrize("layout", [(0, 1, 2), (1, 2, 0), (None, 0, 1, 2)])
def test_a_mean_image_becomes_its_channels_means(tmp_path, layout):
    image = np.random.default_rng(1).uniform(90, 130, (3, 6, 5))
    array = image[None] if None in layout else image.transpose(layout)
    np.save(tmp_path / "mean.npy", array.astype(np.float32))
    arguments = deploy.parser().parse_args(["m.onnx", "--input-mean", str(tmp_path / "mean.npy")])
    preprocessing, found = preprocessing_of(arguments)
    np.testing.assert_allclose(preprocessing.mean, [image[c].mean() for c in range(3)], rtol=1e-6)
    worst = max(abs(image[c] - image[c].mean()).max() for c in range(3))
    assert found.file == "mean.npy" and found.largest_deviation == pytest.approx(worst, rel=1e-5)


@pytest.mark.parametrize(
    "array, says",
    [
        (np.zeros(3), "shape"),
        (np.zeros((2, 3, 4, 5)), "shape"),
        (np.full((3, 4, 5), np.nan), "finite"),
        (np.zeros((3, 4, 5), "U1"), "<U1"),
        (np.zeros((3, 0, 5)), "shape"),
        (None, "cannot be read|no such|No such"),
    ],
)
def test_what_is_no_mean_image_is_refused(tmp_path, array, says):
    if array is not None:
        np.save(tmp_path / "mean.npy", array)
    with pytest.raises(InputError, match=says):
        MeanImage.read(tmp_path / "mean.npy")
