"""Frames from video files and cameras, by OpenCV, which is only needed for these."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError, MissingToolError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.images import MAX_PIXELS, check_pictures, frame_of

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
CAMERA = "camera"


def video_file(
    path: Path, shape: tuple[int, int, int], preprocessing: Preprocessing, limit: int | None = None
) -> FrameSource:
    """The pictures of a video file, as fast as they are taken; how many, nobody knows before the end.

    shape: (channels, height, width) of the model.  preprocessing: settled for it.  Raises MissingToolError without
    OpenCV, InputError where there is no file; while it runs, InputError for a file that is no video.
    """
    _require_opencv("video files are read")
    check_pictures("videos", shape, preprocessing)
    if not os.path.isfile(path):
        raise InputError(f"there is no video at {path}", hint="give a video file, or another source of frames")

    def pieces() -> Iterator[np.ndarray]:
        pictures = _pictures(str(path), str(path), shape, preprocessing)
        empty = True
        for picture in itertools.islice(pictures, limit):
            empty = False
            yield picture
        if empty:
            raise InputError(f"{path} holds no pictures that OpenCV can read", hint="convert it, for example to MJPEG")

    return FrameSource(pieces, None, str(path))


def camera(
    which: str, shape: tuple[int, int, int], preprocessing: Preprocessing, limit: int | None = None
) -> FrameSource:
    """A camera's pictures.  which: its number from 0, its device (/dev/video0) or its address (rtsp://...).

    shape, preprocessing: as of video_file.  Raises MissingToolError without OpenCV; while it runs, InputError where
    there is no such camera, and when it gives no more pictures.
    """
    _require_opencv("cameras are read")
    check_pictures("cameras", shape, preprocessing)
    shown = re.sub(r"(?<=://)[^/@]*@", "", which)  # without the name and the password of its address

    def pieces() -> Iterator[np.ndarray]:
        yield from itertools.islice(_pictures(which, f"camera {shown}", shape, preprocessing), limit)
        if limit is None:
            raise InputError(f"camera {shown} gives no more pictures", hint="check its cable, or give --limit N")

    return FrameSource(pieces, None, f"camera {shown}", live=True)


def _pictures(
    place: str, where: str, shape: tuple[int, int, int], preprocessing: Preprocessing
) -> Iterator[np.ndarray]:
    """One by one, (1, *shape) uint8, until there are no more."""
    cv2 = _opencv()
    capture = cv2.VideoCapture(int(place) if place.isdecimal() else place)
    try:
        if not capture.isOpened():
            raise InputError(
                f"{where} cannot be opened", hint="check that it is there, and that no other program uses it"
            )
        width, height = (capture.get(which) for which in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            raise InputError(
                f"the pictures of {where} are {width:.0f} wide and {height:.0f} high, more than the {MAX_PIXELS:,} "
                "pixels that are read",
                hint="make them smaller",
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # of a camera the newest picture, not what came while nobody looked
        while True:
            there, picture = capture.read()
            if not there:
                return
            frame = frame_of(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), where, shape, preprocessing)
            yield preprocessing.reorder(frame[np.newaxis])
    finally:
        capture.release()


def _require_opencv(purpose: str) -> None:
    if find_spec("cv2") is None:
        raise MissingToolError(
            f"OpenCV is not installed, and {purpose} with it",
            hint="pip install 'lognet-fpga[video]' (Debian, Ubuntu and the images of PYNQ: apt install python3-opencv)",
        )


def _opencv():
    """The module cv2, which says nothing on stderr: its errors are raised here."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    return cv2
