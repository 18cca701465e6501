"""Frames from videos that OpenCV has written itself, and from a camera that is one in name."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lognet_fpga.errors import InputError, MissingToolError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.sources import open_source

SHAPE = (3, 6, 5)
CUT = Preprocessing(resize=(6,), crop=True)
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 20), (20, 20, 20)]  # red, green, blue


@pytest.fixture
def cv2(require_tool):
    require_tool("cv2")
    import cv2

    return cv2


@pytest.fixture
def film(cv2, tmp_path):
    """A second of each colour in one picture each, 48 wide and 32 high."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 1, (48, 32))
    assert writer.isOpened()
    for colour in COLOURS:
        writer.write(np.full((32, 48, 3), colour[::-1], np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("limit", [None, 2])
def test_a_video_s_pictures_in_order(film, limit, order):
    source = open_source(film, SHAPE, Preprocessing(resize=(6,), crop=True, channel_order=order), limit=limit)
    assert source.total is None and not source.live
    frames = np.concatenate(list(source.pieces()))
    expected = np.array(COLOURS[:limit])[:, :: 1 if order == "rgb" else -1]
    assert frames.shape == (len(expected), *SHAPE) and frames.dtype == np.uint8
    assert np.abs(frames - expected[:, :, None, None]).max() < 16  # MJPEG loses something


def test_a_grey_model_gets_what_pillow_makes_of_colours(film):
    frames = np.concatenate(list(open_source(film, (1, 6, 5), CUT).pieces()))
    luma = np.array(COLOURS) @ [0.299, 0.587, 0.114]
    assert np.abs(frames - luma[:, None, None, None]).max() < 8


def test_it_can_be_read_again(film):
    source = open_source(film, SHAPE, CUT)
    assert len(list(source.pieces())) == len(list(source.pieces())) == len(COLOURS)


def test_pictures_of_another_size_are_refused(film):
    with pytest.raises(InputError, match="film.avi is 48 wide and 32 high, but the model takes 5 wide"):
        next(open_source(film, SHAPE).pieces())


def test_what_is_no_video(cv2, tmp_path):
    (tmp_path / "text.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match="text.mp4"):
        next(open_source(tmp_path / "text.mp4", SHAPE, CUT).pieces())
    with pytest.raises(InputError, match="no video at"):
        open_source(tmp_path / "missing.mkv", SHAPE, CUT)
    with pytest.raises(InputError, match="1 or 3 channels"):
        open_source(tmp_path / "text.mp4", (4, 6, 5), CUT)


def test_a_camera(cv2, monkeypatch):
    """By its number; its pictures end when the cable is drawn."""
    opened = []

    class Capture:
        def __init__(self, place) -> None:
            opened.append(place)
            self.left = 3

        def isOpened(self) -> bool:
            return True

        def get(self, name: int) -> float:
            return {cv2.CAP_PROP_FRAME_WIDTH: 48.0, cv2.CAP_PROP_FRAME_HEIGHT: 32.0}[name]

        def set(self, name: int, value: float) -> bool:
            return True

        def read(self):
            self.left -= 1
            return self.left >= 0, np.full((32, 48, 3), (10, 20, 200), np.uint8)

        def release(self) -> None:
            opened.append("released")

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    source = open_source("camera:1", SHAPE, CUT)
    assert source.live and source.total is None and source.description == "camera 1"
    seen = []
    with pytest.raises(InputError, match="camera 1 gives no more pictures"):
        for piece in source.pieces():
            seen.append(piece)
    assert len(seen) == 3 and seen[0][0, :, 0, 0].tolist() == [200, 20, 10]
    assert len(list(open_source("camera", SHAPE, CUT, limit=2).pieces())) == 2
    next(open_source("camera:/dev/video7", SHAPE, CUT).pieces())
    assert [place for place in opened if place != "released"] == [1, 0, "/dev/video7"]
    assert opened.count("released") == 3
    address = "rtsp://user:secret@door:554/live"
    with pytest.raises(
        InputError, match="camera rtsp://door:554/live gives no more"
    ):  # who has the report has no password
        list(open_source(f"camera:{address}", SHAPE, CUT).pieces())
    assert address in opened
    assert open_source(f"camera:{address}", SHAPE, CUT).description == "camera rtsp://door:554/live"


def test_a_camera_that_is_not_there(cv2, tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        next(open_source(f"camera:{tmp_path}/video0", SHAPE, CUT).pieces())


def test_without_opencv_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr("lognet_fpga.runtime.video.find_spec", lambda name: None)
    for where in (tmp_path / "x.mp4", "camera"):
        with pytest.raises(MissingToolError, match=r"lognet-fpga\[video\]"):
            open_source(where, SHAPE)


def test_pictures_too_large_are_not_decoded(cv2, monkeypatch, tmp_path):
    class Capture:
        isOpened, release = (lambda self: True), (lambda self: None)

        def __init__(self, place) -> None:
            pass

        def get(self, name: int) -> float:
            return 15_360.0

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    (tmp_path / "v.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="15360 wide and 15360 high, more than the 33,554,432 pixels"):
        next(open_source(tmp_path / "v.mp4", SHAPE, CUT).pieces())
