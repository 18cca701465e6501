"""Where a stream's frames come from, piece by piece: files that are read while others are worked on, noise, a pace."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError, UsageError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.frames import Frames, load_frames, require_classes
from lognet_fpga.runtime.image_folder import list_images
from lognet_fpga.runtime.images import read_images
from lognet_fpga.runtime.video import CAMERA, VIDEO_SUFFIXES, camera, video_file

SYNTHETIC = "synthetic"
SYNTHETIC_FRAMES = 64  # different ones, over and over: making them must not be what limits a stream


def open_source(
    where: str | Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing = Preprocessing(),
    *,
    limit: int | None = None,
    pace_fps: float | None = None,
    classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> FrameSource:
    """The frames at `where`, the first `limit` of them where given.

    where: as of load_frames, of which the images of a folder are read one by one while the stream runs; a video file;
    "camera", or "camera:" and its number, device or address; or "synthetic", random frames without end.  shape,
    preprocessing, classes, class_names: as of load_frames.  pace_fps: as of paced.  Raises what load_frames,
    video_file and camera raise; what is wrong with a single image shows when it is its turn.
    """
    if limit is not None and limit < 1:
        raise InputError(f"the number of frames must be 1 or more, not {limit}")
    preprocessing = preprocessing.for_model(shape)
    if str(where) == SYNTHETIC:
        source = _synthetic(shape, limit)
    elif str(where).partition(":")[0] == CAMERA:
        source = camera(str(where).partition(":")[2] or "0", shape, preprocessing, limit)
    elif Path(where).suffix.lower() in VIDEO_SUFFIXES:
        source = video_file(Path(where), shape, preprocessing, limit)
    elif os.path.isdir(where):  # which takes names of any length
        source = _folder(Path(where), shape, preprocessing, limit, classes, class_names)
    else:
        source = in_memory(load_frames(Path(where), shape, preprocessing, limit=limit, classes=classes), str(where))
    return source if pace_fps is None else paced(source, pace_fps)


def in_memory(frames: Frames, description: str = "frames in memory") -> FrameSource:
    """Frames that are there already."""
    return FrameSource(
        lambda: iter([frames.frames] if len(frames) else []),
        len(frames),
        description,
        frames.labels,
        frames.names,
        frames.class_names,
    )


def paced(source: FrameSource, fps: float) -> FrameSource:
    """The same frames, one by one at `fps` frames a second, as a camera would give them: for trying out what happens
    where the rest is slower.  Raises UsageError for a pace that is none."""
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"the pace must be a number of frames a second above 0, not {fps:g}")

    def pieces() -> Iterator[np.ndarray]:
        due = time.monotonic()
        for piece in source.pieces():
            for index in range(len(piece)):
                time.sleep(max(0.0, due - time.monotonic()))
                yield piece[index : index + 1]
                due += 1 / fps

    return replace(source, pieces=pieces, live=True, description=f"{source.description}, at {fps:g} fps")


def _synthetic(shape: tuple[int, int, int], limit: int | None) -> FrameSource:
    def pieces() -> Iterator[np.ndarray]:
        pool = np.random.default_rng(0).integers(0, 256, (SYNTHETIC_FRAMES, *shape), np.uint8)
        left = math.inf if limit is None else limit
        while left > 0:
            yield pool[: int(min(left, SYNTHETIC_FRAMES))]
            left -= SYNTHETIC_FRAMES

    return FrameSource(pieces, limit, "random frames")


def _folder(
    folder: Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    limit: int | None,
    classes: int | None,
    class_names: Sequence[str] | None,
) -> FrameSource:
    try:
        images = list_images(folder, limit, classes, class_names)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error
    if classes is not None:
        require_classes(images.labels, classes)

    def pieces() -> Iterator[np.ndarray]:
        for path in images.files:
            yield preprocessing.reorder(read_images([path], shape, preprocessing))

    foreign = images.labels is None and any("/" in name for name in images.names)
    description = f"{folder}, whose subfolders are no classes of the model" if foreign else str(folder)
    return FrameSource(pieces, len(images.files), description, images.labels, images.names, images.class_names)


def batches_of(source: FrameSource, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The source's frames, `size` at a time (the last batch may be smaller), each with the time.perf_counter() at which
    it came, (n,) float64.  Frames that lie side by side already are not copied."""
    waiting: list[np.ndarray] = []
    came: list[np.ndarray] = []
    count = 0
    for piece in source.pieces():
        now = time.perf_counter()
        first = 0
        while first < len(piece):
            part = piece[first : first + size - count]
            waiting.append(part)
            came.append(np.full(len(part), now))
            count += len(part)
            first += len(part)
            if count == size:
                yield _joined(waiting), _joined(came)
                waiting, came, count = [], [], 0
    if waiting:
        yield _joined(waiting), _joined(came)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
