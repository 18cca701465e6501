"""A labels.csv or labels.txt in a folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.errors import InputError
from lognet_fpga.runtime.frames import load_frames

SHAPE = (1, 2, 3)


@pytest.fixture
def folder(tmp_path, require_tool) -> Path:
    """Images a.png, b.png and "sub/c d.png", every pixel of them 1, 2 and 3."""
    require_tool("PIL")
    from PIL import Image

    (tmp_path / "sub").mkdir()
    for value, name in enumerate(("a.png", "b.png", "sub/c d.png"), 1):
        Image.fromarray(np.full(SHAPE[1:], value, np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    "name, text",
    [
        ("labels.csv", "file,label\nsub/c d.png,700\nb.png, 5\n\n"),
        ("labels.csv", '\ufeff"sub/c d.png","700"\r\n"b.png","5"\r\n'),
        ("labels.txt", "sub/c d.png 700\nb.png 5"),
    ],
    ids=["heading", "quotes", "spaces"],
)
def test_the_list_gives_files_order_and_classes(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    frames = load_frames(folder, SHAPE)
    assert frames.frames[:, 0, 0, 0].tolist() == [3, 2] and frames.labels.tolist() == [700, 5]
    assert frames.names == ("sub/c d.png", "b.png") and frames.class_names is None
    first = load_frames(folder, SHAPE, limit=1)
    assert first.labels.tolist() == [700] and len(first) == 1


@pytest.mark.parametrize(
    "text, says",
    [
        ("a.png,1\nb.png,cat", "line 2, is not a file and its class number: b.png,cat"),
        ("a.png,1\nmissing.png,2", "line 2: missing.png is not a file in this folder"),
        ("a.png,1\na.png,2", "line 2: a.png is listed before"),
        ("a.png,1\n/dev/null,2", "line 2: /dev/null is not a file in this folder"),
        ("a.png,1\nb.png,-2", "line 2, is not"),
        ("file,label\n", "lists no files"),
        ("a.png,1\nb.png," + "9" * 20, "line 2, is not"),
        ("a.png,1\nb.png," + "9" * 5000, "line 2, is not"),
        ("a.png,1\n" + "x" * 5000 + ",1", "line 2: x+ is not a file"),
        ("a.png,1\nb\0.png,1", "line 2: .* is not a file"),
        ("a.png,1\n,1", "line 2, is not"),
        ("a.png,1\nb.png,1.0", "line 2, is not"),
        ("a.png,1\nb.png,\u0661", "line 2, is not"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(folder, text, says):
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        load_frames(folder, SHAPE)


def test_a_list_that_is_no_text_is_refused(folder):
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_frames(folder, SHAPE)
