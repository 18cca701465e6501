from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.errors import InputError
from lognet_fpga.runtime.frames import load_frames
from lognet_fpga.runtime.sources import open_source

SHAPE = (3, 6, 5)


@pytest.fixture
def pixels() -> np.ndarray:
    """(7, 3, 6, 5) uint8."""
    return np.random.default_rng(3).integers(0, 256, (7, *SHAPE)).astype(np.uint8)


@pytest.fixture
def save(require_tool):
    """save(path, array (h, w, 3) or (h, w) uint8): write an image."""
    require_tool("PIL")
    from PIL import Image

    def write(path: Path, array: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)

    return write


@pytest.mark.parametrize("key", ["frames", "x", "images", "data"])
@pytest.mark.parametrize("label_key", ["labels", "y", "label"])
def test_npz_under_every_name(tmp_path, pixels, key, label_key):
    np.savez(tmp_path / "f.npz", **{key: pixels, label_key: np.arange(7), "other": np.zeros(2)})
    frames = load_frames(tmp_path / "f.npz", SHAPE)
    assert np.array_equal(frames.frames, pixels) and frames.frames.dtype == np.uint8
    assert frames.labels.tolist() == list(range(7)) and frames.labels.dtype == np.int64


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float16"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_layout_and_type_are_recognised(tmp_path, pixels, dtype, layout):
    array = pixels.astype(dtype) if layout == "nchw" else pixels.transpose(0, 2, 3, 1).astype(dtype)
    np.save(tmp_path / "f.npy", array)
    frames = load_frames(tmp_path / "f.npy", SHAPE, limit=4)
    assert np.array_equal(frames.frames, pixels[:4]) and frames.frames.flags.c_contiguous
    assert frames.labels is None


def test_grey_frames_need_no_channel_axis(tmp_path, pixels):
    np.save(tmp_path / "f.npy", pixels[:, 0])
    assert np.array_equal(load_frames(tmp_path / "f.npy", (1, 6, 5)).frames, pixels[:, :1])


def test_class_names_and_a_column_of_labels(tmp_path, pixels):
    np.savez(tmp_path / "f.npz", x=pixels, y=np.arange(7, dtype=np.uint8)[:, None], class_names=["cat", "dog"])
    frames = load_frames(tmp_path / "f.npz", SHAPE, limit=2)
    assert frames.class_names == ("cat", "dog") and frames.labels.tolist() == [0, 1] and len(frames) == 2


@pytest.mark.parametrize(
    "bad, says",
    [
        (lambda x: x / 255.0, "whole"),
        (lambda x: x.astype(np.int16) - 1, "-1 to"),
        (lambda x: x.astype(np.int16) + 1, "to 256"),
        (lambda x: np.where(x == 0, np.nan, x.astype(np.float32)), "frame 0, holds nan"),
        (lambda x: x.astype(np.complex64), "complex64"),
        (lambda x: x > 9, "bool"),
        (lambda x: x.astype("U3"), "<U3"),
        (lambda x: x[..., :4], r"\(7, 3, 6, 4\).*3 channels, 6 high and 5 wide"),
        (lambda x: x[0], "shape"),
        (lambda x: x[:0], "no frames"),
        (lambda x: np.uint8(3), "shape"),
    ],
)
def test_other_arrays_are_refused(tmp_path, pixels, bad, says):
    np.save(tmp_path / "f.npy", bad(pixels))
    with pytest.raises(InputError, match=says) as caught:
        load_frames(tmp_path / "f.npy", SHAPE)
    assert "f.npy" in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("labels", [np.arange(6), np.arange(7.0), np.zeros((7, 2), int), np.array("x")])
def test_labels_that_do_not_match_are_refused(tmp_path, pixels, labels):
    np.savez(tmp_path / "f.npz", x=pixels, y=labels)
    with pytest.raises(InputError, match="labels"):
        load_frames(tmp_path / "f.npz", SHAPE)


def test_unreadable_files_are_refused(tmp_path, pixels, require_tool):
    require_tool("PIL")
    np.savez_compressed(tmp_path / "whole.npz", x=pixels)
    whole = (tmp_path / "whole.npz").read_bytes()
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "unnamed.npz", pixels)
    for name, data in {
        "empty.npz": b"",
        "cut.npz": whole[:-30],
        "text.npy": b"hello",
        "kind.txt": b"hello",
        "text.png": b"hello",
    }.items():
        (tmp_path / name).write_bytes(data)
    for name in ("empty.npz", "cut.npz", "text.npy", "kind.txt", "text.png", "pickled.npy", "unnamed.npz", "missing"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            load_frames(tmp_path / name, SHAPE)
    with pytest.raises(InputError, match="arr_0|frames"):
        load_frames(tmp_path / "unnamed.npz", SHAPE)


def test_folder_of_images_in_the_order_of_their_names(tmp_path, pixels, save):
    for index in (2, 0, 1):
        save(tmp_path / f"{index}.png", pixels[index].transpose(1, 2, 0))
    (tmp_path / "readme.txt").write_text("not an image")
    frames = load_frames(tmp_path, SHAPE)
    assert np.array_equal(frames.frames, pixels[:3]) and frames.names == ("0.png", "1.png", "2.png")
    assert frames.labels is None
    assert load_frames(tmp_path, SHAPE, limit=2).names == ("0.png", "1.png")


def test_subfolders_are_classes_by_name(tmp_path, pixels, save):
    for index, place in enumerate(["dog/a.png", "cat/a.png", "cat/b.PNG"]):
        save(tmp_path / place, pixels[index].transpose(1, 2, 0))
    frames = load_frames(tmp_path, SHAPE)
    assert frames.class_names == ("cat", "dog")
    assert dict(zip(frames.names, frames.labels.tolist())) == {"cat/a.png": 0, "cat/b.PNG": 0, "dog/a.png": 1}
    for name, index in (("dog/a.png", 0), ("cat/a.png", 1), ("cat/b.PNG", 2)):
        assert np.array_equal(frames.frames[frames.names.index(name)], pixels[index])
    assert set(load_frames(tmp_path, SHAPE, limit=2).labels.tolist()) == {0, 1}


def test_some_of_the_model_s_classes_have_their_numbers(tmp_path, pixels, save):
    for index, place in enumerate(["dog/a.png", "cat/a.png"]):
        save(tmp_path / place, pixels[index].transpose(1, 2, 0))
    names = ("ant", "cat", "cow", "dog")
    frames = load_frames(tmp_path, SHAPE, class_names=names)
    assert frames.class_names == names
    assert dict(zip(frames.names, frames.labels.tolist())) == {"cat/a.png": 1, "dog/a.png": 3}
    source = open_source(tmp_path, SHAPE, class_names=names)
    assert source.labels.tolist() == frames.labels.tolist() and source.class_names == names
    # Some are its classes: then the others should be, too.
    with pytest.raises(InputError, match="1 of the 2 subfolders.*: dog(.|\n)*cat, cow"):
        load_frames(tmp_path, SHAPE, class_names=("cat", "cow"))
    # None is, but they are as many: what remains is their order.
    assert set(load_frames(tmp_path, SHAPE, class_names=("ant", "cow")).labels.tolist()) == {0, 1}
    # None is, and they are others: folders that have nothing to do with classes.
    with pytest.warns(UserWarning, match="2 subfolders and the model 3 classes"):
        foreign = load_frames(tmp_path, SHAPE, class_names=("ant", "cow", "fly"))
    assert foreign.labels is None and foreign.class_names is None and len(foreign) == 2
    with pytest.warns(UserWarning):
        assert "no classes" in open_source(tmp_path, SHAPE, class_names=("ant", "cow", "fly")).description


def test_names_of_classes_as_file_systems_write_them(tmp_path, pixels, save):
    for index, place in enumerate(["Cafe\u0301/a.png", "cat /a.png", ".thumbnails/a.png"]):
        save(tmp_path / place, pixels[index].transpose(1, 2, 0))
    frames = load_frames(tmp_path, SHAPE, class_names=("ant", "cat", "caf\u00e9"))
    assert sorted(frames.labels.tolist()) == [1, 2] and len(frames) == 2
    assert load_frames(tmp_path, SHAPE).class_names == ("Cafe\u0301", "cat ")


def test_a_class_name_that_two_classes_have(tmp_path, pixels, save):
    for index, place in enumerate(["crane/a.png", "cat/a.png"]):
        save(tmp_path / place, pixels[index].transpose(1, 2, 0))
    with pytest.raises(InputError, match="two classes of the model are called crane(.|\n)*labels.csv"):
        load_frames(tmp_path, SHAPE, class_names=("crane", "cat", "crane"))


def test_grey_and_colour_are_converted(tmp_path, pixels, save):
    save(tmp_path / "grey.png", pixels[0, 0])
    assert np.array_equal(load_frames(tmp_path / "grey.png", SHAPE).frames, pixels[:1, [0, 0, 0]])
    save(tmp_path / "colour.png", np.repeat(pixels[0, 0][..., None], 3, axis=2))
    assert np.array_equal(load_frames(tmp_path / "colour.png", (1, 6, 5)).frames, pixels[:1, :1])


def test_images_of_another_size_or_kind_are_refused(tmp_path, pixels, save):
    save(tmp_path / "size.png", pixels[0].transpose(2, 1, 0).copy())
    with pytest.raises(InputError, match="6 wide and 5 high.*5 wide and 6 high"):
        load_frames(tmp_path / "size.png", SHAPE)
    save(tmp_path / "deep.png", np.full((6, 5), 3000, np.uint16))
    with pytest.raises(InputError, match="more than 8 bits a channel"):
        load_frames(tmp_path / "deep.png", (1, 6, 5))
    whole = (tmp_path / "size.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut.png"):
        load_frames(tmp_path / "cut.png", (3, 5, 6))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no images"):
        load_frames(tmp_path / "none", SHAPE)
    with pytest.raises(InputError, match="takes 4"):
        load_frames(tmp_path / "size.png", (4, 6, 5))


# --- which array, which values ----------------------------------------------------------------------------------------


def test_several_arrays_are_listed_and_one_can_be_named(tmp_path, pixels):
    other = pixels[:3] ^ 255
    np.savez(
        tmp_path / "mnist.npz", x_train=pixels, y_train=np.arange(7), x_test=other, y_test=[5, 6, 7], labels=[9, 9]
    )
    with pytest.raises(InputError, match="mnist.npz has no array of frames") as caught:
        load_frames(tmp_path / "mnist.npz", SHAPE)
    assert "x_test: uint8 of shape (3, 3, 6, 5)" in caught.value.context and "mnist.npz:x_train" in caught.value.hint
    for read in (load_frames, open_source):
        found = read(f"{tmp_path}/mnist.npz:x_test", SHAPE)
        assert found.labels.tolist() == [5, 6, 7]
    assert np.array_equal(load_frames(tmp_path / "mnist.npz:x_train", SHAPE, limit=2).frames, pixels[:2])
    with pytest.raises(InputError, match="has no array x_val"):
        load_frames(tmp_path / "mnist.npz:x_val", SHAPE)
    np.savez(tmp_path / "both.npz", x=pixels, images=pixels, y=np.arange(7), data=np.zeros(3))
    with pytest.raises(InputError, match="several arrays of frames(.|\n)*images: uint8"):
        load_frames(tmp_path / "both.npz", SHAPE)
    assert load_frames(tmp_path / "both.npz:x", SHAPE).labels.tolist() == list(range(7))
    np.savez(tmp_path / "train_images.npz", train_images=pixels, train_labels=np.arange(7), val_images=other)
    assert load_frames(tmp_path / "train_images.npz:train_images", SHAPE).labels.tolist() == list(range(7))
    assert load_frames(tmp_path / "train_images.npz:val_images", SHAPE).labels is None
    with pytest.raises(InputError, match="no frames at"):
        load_frames(tmp_path / "none.npz:x", SHAPE)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_float_frames_of_zeros_and_ones_are_asked_about(tmp_path, dtype):
    binary = np.random.default_rng(0).integers(0, 2, (4, *SHAPE))
    np.save(tmp_path / "f.npy", binary.astype(dtype))
    with pytest.raises(InputError, match="only the values 0.0 and 1.0") as caught:
        load_frames(tmp_path / "f.npy", SHAPE)
    assert "astype(numpy.uint8)" in caught.value.hint and "* 255" in caught.value.hint


@pytest.mark.parametrize(
    "array",
    [np.ones((2, *SHAPE), np.uint8), np.ones((2, *SHAPE), np.int64), np.zeros((2, *SHAPE)), np.full((2, *SHAPE), 2.0)],
)
def test_frames_that_say_what_they_are_are_not_asked_about(tmp_path, array):
    np.save(tmp_path / "f.npy", array)
    assert np.array_equal(load_frames(tmp_path / "f.npy", SHAPE).frames, array)


def test_a_limit_reads_only_so_many_rows(tmp_path):
    """The rest is not even allocated: the file says a hundred gigabytes, and has them, as a hole."""
    with open(tmp_path / "f.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**9, *SHAPE)})
        file.truncate(file.tell() + 90 * 10**9)
    assert len(load_frames(tmp_path / "f.npy", SHAPE, limit=3)) == 3


@pytest.mark.parametrize("names", [np.array(["a"]).view(np.uint32) | 0x7FFFFFFF, np.array([0xD800], np.uint32)])
def test_class_names_that_are_no_text(tmp_path, pixels, names):
    np.savez(tmp_path / "f.npz", x=pixels, class_names=names.astype(np.uint32).view("<U1"))
    with pytest.raises(InputError, match="class_names in .* are no text"):
        load_frames(tmp_path / "f.npz", SHAPE)


def test_labels_beyond_64_bits(tmp_path, pixels):
    np.savez(tmp_path / "f.npz", x=pixels, y=np.full(7, 2**64 - 1, np.uint64))
    with pytest.raises(InputError, match="no class numbers"):
        load_frames(tmp_path / "f.npz", SHAPE)
