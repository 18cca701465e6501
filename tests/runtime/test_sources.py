from __future__ import annotations

import itertools

import numpy as np
import pytest

from lognet_fpga.errors import InputError, UsageError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.frames import Frames, load_frames
from lognet_fpga.runtime.sources import batches_of, in_memory, open_source, paced

SHAPE = (3, 6, 5)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


@pytest.fixture
def photos(tmp_path, require_tool):
    """A folder of two classes, pictures larger than the model's."""
    require_tool("PIL")
    from PIL import Image

    rng = np.random.default_rng(3)
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 11, 3)).astype(np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("limit", [None, 2])
def test_a_folder_gives_what_load_frames_gives_one_by_one(photos, limit):
    preprocessing = Preprocessing(resize=(6,), crop=True, channel_order="bgr")
    source = open_source(photos, SHAPE, preprocessing, limit=limit)
    expected = load_frames(photos, SHAPE, preprocessing, limit=limit)
    pieces = list(source.pieces())
    assert [len(piece) for piece in pieces] == [1] * len(expected) and source.total == len(expected)
    assert np.array_equal(np.concatenate(pieces), expected.frames)
    assert source.labels.tolist() == expected.labels.tolist() == [0, 1, 0][: len(expected)]
    assert (source.names, source.class_names) == (expected.names, expected.class_names)
    assert not source.live


def test_an_image_is_read_when_it_is_its_turn(photos):
    (photos / "dog/1.png").write_bytes(b"no picture")
    source = open_source(photos, SHAPE, Preprocessing(resize=(6,), crop=True))
    pieces = source.pieces()
    next(pieces)
    with pytest.raises(InputError, match="dog/1.png"):
        next(pieces)


def test_arrays(tmp_path):
    np.savez(tmp_path / "f.npz", frames=noise(5), labels=np.arange(5))
    source = open_source(tmp_path / "f.npz", SHAPE, limit=4)
    assert source.total == 4 and source.labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(np.concatenate(list(source.pieces())), noise(5)[:4])
    with pytest.raises(InputError, match="no frames at"):
        open_source(tmp_path / "missing", SHAPE)


@pytest.mark.parametrize("limit", [1, 64, 150])
def test_synthetic_frames_end_at_the_limit(limit):
    source = open_source("synthetic", SHAPE, limit=limit)
    pieces = list(source.pieces())
    assert sum(map(len, pieces)) == limit == source.total
    assert all(piece.dtype == np.uint8 and piece.shape[1:] == SHAPE for piece in pieces)
    assert pieces[0].std() > 50


def test_synthetic_frames_have_no_end_by_themselves():
    source = open_source("synthetic", SHAPE)
    assert source.total is None and len(list(itertools.islice(source.pieces(), 100))) == 100


@pytest.mark.parametrize("seed", range(5))
def test_batches_keep_every_frame_in_order(seed):
    """Whatever the pieces are."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 8))
    sizes = rng.integers(1, 20, 10).tolist()
    frames = noise(sum(sizes), seed)
    pieces = np.split(frames, np.cumsum(sizes)[:-1])
    batches = list(batches_of(FrameSource(lambda: iter(pieces), None, "test"), size))
    assert all(len(batch) == size for batch, _ in batches[:-1]) and 0 < len(batches[-1][0]) <= size
    assert np.array_equal(np.concatenate([batch for batch, _ in batches]), frames)
    came = np.concatenate([came for _, came in batches])
    assert len(came) == len(frames) and (np.diff(came) >= 0).all()
    for first in np.cumsum(sizes)[:-1]:
        assert came[first] > came[first - 1]  # another piece


def test_a_pace_is_kept_and_says_so(virtual_time):
    source = paced(in_memory(Frames(noise(11), np.arange(11))), 100)
    start = virtual_time.now
    pieces = list(source.pieces())
    assert virtual_time.now - start == pytest.approx(0.1, rel=1e-3)
    assert source.live and source.total == 11 and len(pieces) == 11 and "100 fps" in source.description
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="pace"):
            paced(source, wrong)


@pytest.mark.parametrize(
    "name", ["a" * 300, "a" * 300 + ".mp4", "a" * 300 + ".npz", "a" * 300 + ".npz:x", "a\0b", "x/" * 3000]
)
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(InputError, match="no frames at|no video at|cannot be read: File name too long|OpenCV is not"):
        open_source(tmp_path / name, SHAPE, Preprocessing(crop=True))
