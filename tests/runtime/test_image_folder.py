"""Folders of classes: which number each subfolder has, whatever lies among them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.errors import InputError
from lognet_fpga.runtime.frames import load_frames
from lognet_fpga.runtime.image_folder import list_images
from lognet_fpga.runtime.sources import open_source

Image = pytest.importorskip("PIL.Image")
NAMES = ("ant", "bee", "cat", "dog")


def folder_of(path: Path, *filled: str, empty: tuple[str, ...] = ()) -> Path:
    """An image in each of `filled`, whose pixels are the place of its name in NAMES; `empty` subfolders beside."""
    for name in filled:
        (path / name).mkdir(parents=True)
        value = NAMES.index(name) if name in NAMES else 99
        Image.fromarray(np.full((4, 4), value, np.uint8)).save(path / name / "1.png")
    for name in empty:
        (path / name).mkdir(parents=True)
    return path


def labels_of(path: Path, **known: object) -> dict[int, int] | None:
    """Class number by pixel, the same from load_frames and from open_source."""
    frames, source = load_frames(path, (1, 4, 4), **known), open_source(path, (1, 4, 4), **known)
    assert (frames.names, frames.class_names) == (source.names, source.class_names)
    if frames.labels is None:
        assert source.labels is None
        return None
    assert frames.labels.tolist() == source.labels.tolist()
    return dict(zip(frames.frames[:, 0, 0, 0].tolist(), frames.labels.tolist()))


@pytest.mark.parametrize("without", NAMES)
@pytest.mark.parametrize("classes", [None, 4])
def test_a_class_without_images_is_a_class_all_the_same(tmp_path, without, classes):
    folder_of(tmp_path, *(name for name in NAMES if name != without), empty=(without,))
    with pytest.warns(UserWarning, match=rf"1 subfolder is \({without}\) without images, but each counts"):
        found = labels_of(tmp_path, classes=classes)
    assert found == {value: value for value in range(4) if NAMES[value] != without}
    with pytest.warns(UserWarning):
        assert list_images(tmp_path, classes=classes).class_names == NAMES


@pytest.mark.parametrize("inside", ["notes.txt", "deeper/1.png", "._1.png", "1.npy"])
def test_a_class_whose_files_are_no_images(tmp_path, inside):
    folder_of(tmp_path, "ant", "cat", "dog")
    (tmp_path / "bee" / inside).parent.mkdir(parents=True)
    (tmp_path / "bee" / inside).write_bytes(b"")
    with pytest.warns(UserWarning, match="bee"):
        assert labels_of(tmp_path, classes=4) == {0: 0, 2: 2, 3: 3}


def test_a_subfolder_beside_the_classes_is_none(tmp_path):
    """The model has as many classes as subfolders have images."""
    folder_of(tmp_path, *NAMES, empty=("__MACOSX", "backup"))
    with pytest.warns(UserWarning, match=r"2 subfolders are \(__MACOSX, backup\) without images, and so no class"):
        assert labels_of(tmp_path, classes=4) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_the_model_s_names_decide_before_the_order(tmp_path):
    folder_of(tmp_path, "bee", "dog", empty=("ant", "zebra"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert labels_of(tmp_path, classes=4, class_names=NAMES) == {1: 1, 3: 3}


@pytest.mark.parametrize("classes", [3, 5, 1000])
def test_subfolders_that_are_not_as_many_as_the_classes_are_no_labels(tmp_path, classes):
    with pytest.warns(UserWarning, match=rf"4 subfolders and the model {classes:,} classes"):
        assert labels_of(folder_of(tmp_path, *NAMES), classes=classes) is None


def test_numbers_as_names_are_told_apart_from_their_order(tmp_path):
    folder_of(tmp_path / "few", *map(str, range(10)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list_images(tmp_path / "few").labels.tolist() == list(range(10))
    folder_of(tmp_path / "many", *map(str, range(11)))
    with pytest.warns(UserWarning, match="10 is class 2|10 is class 1|in the order of their names"):
        assert list_images(tmp_path / "many").class_names[2] == "10"


def test_images_beside_the_subfolders_are_left_out_aloud(tmp_path):
    folder_of(tmp_path, *NAMES)
    Image.new("L", (4, 4), 77).save(tmp_path / "preview.png")
    with pytest.warns(UserWarning, match="1 images that lie beside the subfolders, such as preview.png"):
        assert 77 not in labels_of(tmp_path)


def test_images_with_an_empty_subfolder_are_no_classes(tmp_path):
    (tmp_path / "raw").mkdir()
    Image.new("L", (4, 4), 77).save(tmp_path / "1.png")
    assert labels_of(tmp_path, classes=4) is None


def test_labels_beyond_the_model_s_classes(tmp_path):
    folder_of(tmp_path, *NAMES)
    (tmp_path / "labels.csv").write_text("ant/1.png,0\nbee/1.png,4\n")
    for read in (load_frames, open_source):
        with pytest.raises(InputError, match="frame 1 has label 4"):
            read(tmp_path, (1, 4, 4), classes=4)
    np.savez(tmp_path / "f.npz", x=np.zeros((2, 1, 4, 4), np.uint8), y=[0, 4])
    for read in (load_frames, open_source):
        with pytest.raises(InputError, match="frame 1 has label 4"):
            read(tmp_path / "f.npz", (1, 4, 4), classes=4)


def test_names_that_are_not_utf_8_can_be_written(tmp_path):
    for name in (b"caf\xe9", b"dog"):
        os.mkdir(os.fsencode(tmp_path) + b"/" + name)
        Image.new("L", (4, 4)).save(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b"/\xff.png"))
    listed = list_images(tmp_path)
    assert listed.class_names == ("caf\ufffd", "dog")
    "".join((*listed.names, *listed.class_names)).encode()
    assert len(load_frames(tmp_path, (1, 4, 4))) == 2


def test_a_folder_above_the_right_one_is_told(tmp_path):
    folder_of(tmp_path / "train", *NAMES)
    folder_of(tmp_path / "val", *NAMES)
    with pytest.raises(InputError, match="holds no images") as caught:
        load_frames(tmp_path, (1, 4, 4), classes=4)
    assert f"give {tmp_path / 'train'}, whose subfolders are classes" in caught.value.hint
