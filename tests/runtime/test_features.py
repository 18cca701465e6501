"""Frames that are no pixels: signed and float numbers, in arrays and tables, against NumPy on what was written."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lognet_fpga.errors import InputError, UsageError
from lognet_fpga.ir.input_codes import code_parameters, dtype_of
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frames import load_frames, settle

SHAPE = (1, 5, 4)
LONG = (3, 1, 7)


def settled(place, shape=SHAPE, padding=None, **options) -> Preprocessing:
    return settle(Preprocessing(**options), place, shape, 256, lambda: padding)


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(2).normal(-3, 4, (30, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("kind", ["npz", "npy", "csv"])
def test_float_features_come_back_to_half_a_step(tmp_path, features, kind):
    place = tmp_path / f"f.{kind}"
    if kind == "npz":
        np.savez(place, frames=features[:, 0])
    elif kind == "npy":
        np.save(place, features.reshape(30, -1).astype(np.float64))
    else:
        np.savetxt(place, features.reshape(30, -1), delimiter=",", fmt="%.9g")
    how = settled(place)
    assert how.is_float and Preprocessing.from_dict(how.to_dict()) == how
    frames = load_frames(place, SHAPE, how)
    assert frames.frames.dtype == np.uint8 and frames.frames.shape == features.shape
    np.testing.assert_array_equal(frames.features, features)
    step = (features.max() - features.min()) / 255
    assert np.abs(how.apply(frames.frames) - features).max() <= step * 0.501 + step / 2
    assert {0, 255} <= set(frames.frames.ravel().tolist()) | {1, 254}  # the codes are used from end to end
    np.testing.assert_array_equal(how.apply_to_features(features), features)


def test_each_channel_has_a_scale_of_its_own(tmp_path):
    rng = np.random.default_rng(4)
    low, span = np.array([-1000, 0, 5]).reshape(1, 3, 1, 1), np.array([900, 0.01, 1]).reshape(1, 3, 1, 1)
    features = low + span * rng.uniform(size=(40, *LONG))
    np.save(tmp_path / "f.npy", features[:, :, 0])
    how = settled(tmp_path / "f.npy", LONG)
    errors = np.abs(how.apply(load_frames(tmp_path / "f.npy", LONG, how).frames) - features).max(axis=(0, 2, 3))
    assert (errors <= span.ravel() / 255 * 1.01 + 1e-4 * np.abs(low.ravel())).all()


def test_numbers_out_of_the_range_are_clipped_and_padding_is_a_code(tmp_path, features):
    np.save(tmp_path / "f.npy", np.abs(features) + 1)
    how = settled(tmp_path / "f.npy", padding=np.array([0.0]))
    assert np.abs(how.apply(how.codes(np.zeros((1, *SHAPE))))).max() < 1e-6
    assert how.codes(np.full((1, *SHAPE), 1e9)).min() == 255 and how.codes(np.full((1, *SHAPE), -1e9)).max() == 0
    without = settled(tmp_path / "f.npy")
    assert without.apply(np.zeros((1, *SHAPE), np.uint8)).min() == pytest.approx(1, abs=0.2)


def test_a_channel_that_never_varies_keeps_its_value():
    for value in (0.0, 7.5, -1e-20, 3e30):
        scale, zero_point = code_parameters(np.full((3, 1, 1, 2), value), None)
        code = np.clip(np.rint(value / scale) + zero_point, 0, 255)
        assert (code - zero_point) * scale == pytest.approx(value, rel=0.01) and abs(zero_point[0]) < 2**31


@pytest.mark.parametrize("zero_point", [0, -7, 19])
def test_signed_frames_are_what_the_quantized_model_means(tmp_path, zero_point):
    numbers = np.random.default_rng(3).integers(-128, 128, (9, *SHAPE), dtype=np.int8)
    np.savez(tmp_path / "f.npz", frames=numbers)
    how = settled(tmp_path / "f.npz", scale=0.25, zero_point=zero_point)
    assert how.dtype == "int8"
    frames = load_frames(tmp_path / "f.npz", SHAPE, how)
    np.testing.assert_array_equal(frames.frames.astype(int) - 128, numbers)
    np.testing.assert_allclose(how.apply(frames.frames), (numbers.astype(float) - zero_point) * 0.25, atol=1e-6)


def test_unsigned_frames_have_a_zero_point_too():
    frames = np.arange(20, dtype=np.uint8).reshape(1, *SHAPE)
    how = Preprocessing(scale=0.5, zero_point=3, mean=(1.0,), std=(2.0,))
    np.testing.assert_allclose(how.apply(frames), ((frames - 3.0) * 0.5 - 1) / 2)


@pytest.mark.parametrize(
    "values, expected",
    [
        (np.zeros((2, 3), np.int8), "int8"),
        (np.arange(6.0), "uint8"),
        (np.arange(6), "uint8"),
        (np.arange(6) - 0.5, "float32"),
        (np.array([-1.0, 2.0]), "float32"),
        (np.array([0.0, 256.0]), "float32"),
        (np.array([np.nan]), "float32"),
    ],
)
def test_what_frames_look_like(values, expected):
    assert dtype_of(values) == expected


def test_a_scale_without_a_zero_point_is_one_of_pixels(tmp_path, features):
    np.save(tmp_path / "f.npy", features)
    with pytest.raises(InputError, match="not all whole.*0..255"):
        settled(tmp_path / "f.npy", scale=1 / 255)
    how = settled(tmp_path / "f.npy", dtype="float32", scale=0.1, zero_point=100)
    assert (how.scale, how.zero_point) == (0.1, 100)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"dtype": "float32", "scale": 0.1}, "both or not at all"),
        ({"dtype": "float32", "zero_point": 3}, "both or not at all"),
        ({"dtype": "float32", "scale": -1.0, "zero_point": 3}, "greater than 0"),
        ({"dtype": "float32", "resize": (8,)}, "no pictures"),
        ({"dtype": "int16"}, "input dtype must be uint8 or int8 or float32"),
        ({"zero_point": 2**40}, "zero point"),
        ({"scale": (1.0, 0.0)}, "other than 0"),
    ],
)
def test_options_that_cannot_be_meant(options, says):
    with pytest.raises(UsageError, match=says):
        Preprocessing(**options)


def test_a_scale_a_channel_must_fit_the_channels():
    with pytest.raises(UsageError, match="scale has 2 values, but the model's channels are 3"):
        Preprocessing(scale=(1.0, 2.0)).for_model(LONG)


def test_float_frames_need_frames_or_a_scale():
    with pytest.raises(UsageError, match="there are none"):
        settled(None, dtype="float32")


@pytest.mark.parametrize(
    "shape, have",
    [
        (LONG, (4, 3, 7)),
        (LONG, (4, 7, 3)),
        (LONG, (4, 3, 1, 7)),
        (LONG, (4, 1, 7, 3)),
        (SHAPE, (4, 5, 4)),
        (SHAPE, (4, 20)),
        ((6, 1, 1), (4, 6)),
    ],
)
def test_layouts(tmp_path, shape, have):
    numbers = np.random.default_rng(5).integers(0, 256, have, dtype=np.uint8)
    np.save(tmp_path / "f.npy", numbers)
    found = load_frames(tmp_path / "f.npy", shape).frames
    last = shape == LONG and have[-1] == 3
    wanted = np.moveaxis(numbers.reshape(4, 7, 3), 2, 1) if last else numbers
    np.testing.assert_array_equal(found, wanted.reshape(4, *shape))


@pytest.mark.parametrize("have", [(4, 21), (4, 7), (4, 20, 1)])
def test_layouts_that_are_not_plain(tmp_path, have):
    np.save(tmp_path / "f.npy", np.zeros(have, np.uint8))
    with pytest.raises(InputError, match=re.escape(str(have))) as caught:
        load_frames(tmp_path / "f.npy", LONG)
    assert caught.value.hint


def test_a_table_with_labels(tmp_path):
    place = tmp_path / "f.csv"
    place.write_text("\ufeffa,b, Label ,c\n1,2,0,3\n\n40,50,1,60\n", encoding="utf-8")
    frames = load_frames(place, (3, 1, 1), classes=2)
    assert frames.frames[:, :, 0, 0].tolist() == [[1, 2, 3], [40, 50, 60]] and frames.labels.tolist() == [0, 1]
    assert len(load_frames(place, (3, 1, 1), limit=1)) == 1


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "is empty"),
        ("a,b,c\n", "line of names and no frames"),
        ("1,2,3\n1,2\n", "line 2: it has 2 numbers, the first line 3"),
        ("a,b,c\n1,2,3\n4,5,6,7\n", "line 3: it has 4 numbers, the first line 3"),
        ("1,2,3\nx,2,3\n", "line 2, column 1: 'x' is no number"),
        ("1,2,3\n4,,6\n", "line 2, column 2: there is no number"),
        ("1,2,3\n4,nan,6\n", "line 2, column 2: nan is not finite"),
        ("1,2,3\n4,5,-inf\n", "line 2, column 3: -inf is not finite"),
        ("1;2;3\n4;5;6\n", "line of names|no number"),
        ("1,2\n3,4\n", r"shape \(2, 2\), but the model takes frames of 3 channels"),
        ("a,b,c,label\n1,2,3,0.5\n", "line 2: the label is 0.5"),
        ("a,b,c,label\n1,2,3,-1\n", "line 2: the label is -1"),
        ("1,2,300\n", "values 1 to 300"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, says):
    place = tmp_path / "bad.csv"
    place.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        load_frames(place, (3, 1, 1))
    assert "bad.csv" in caught.value.message and caught.value.hint


def test_a_table_that_is_no_text(tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe1,2")
    with pytest.raises(InputError, match="not text in UTF-8"):
        load_frames(tmp_path / "bad.csv", (3, 1, 1))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="folder.csv"):
        load_frames(tmp_path / "folder.csv", (3, 1, 1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none(tmp_path, features, bad):
    features[7, 0, 2, 3] = bad
    np.save(tmp_path / "f.npy", features)
    for how in (None, "float32"):
        with pytest.raises(InputError, match=rf"frame 7, holds {bad} at channel, row and column 0, 2, 3"):
            settled(tmp_path / "f.npy", dtype=how)


def test_pictures_are_refused_where_features_are_wanted(tmp_path, require_tool):
    require_tool("PIL")
    from PIL import Image

    Image.new("L", (4, 5)).save(tmp_path / "a.png")
    how = replace(Preprocessing(), dtype="int8")
    with pytest.raises(InputError, match="pixels of 0 to 255, but the model takes int8"):
        load_frames(tmp_path, SHAPE, how)
