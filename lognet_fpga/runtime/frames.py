"""Frames from files: arrays (.npz, .npy), tables (.csv), one image, or a folder of images.

Frames are resized, cropped and reordered as the preprocessing says, which is the bundle's, and never otherwise: a frame
that is then not exactly what the model takes is refused, for a silent change of the input is a silent change of the
accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError, UsageError, did_you_mean_file
from lognet_fpga.ir.input_codes import dtype_of
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.runtime.frame_arrays import GIVE, array_place, checked_numbers, read_arrays
from lognet_fpga.runtime.image_folder import IMAGE_SUFFIXES, list_images
from lognet_fpga.runtime.images import fit_arrays, read_images


@dataclass(frozen=True, eq=False)
class Frames:
    """frames: (n, channels, height, width) uint8.  labels: (n,) int64, class numbers.  names: file names, where
    the frames come from image files.  class_names: a name a class.  features: the float32 numbers that the frames are
    the codes of, of the same shape; None where frames are given as whole numbers."""

    frames: np.ndarray
    labels: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    features: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def first(self, limit: int | None) -> Frames:
        """The first `limit` frames with all that belongs to them; all for None."""
        return self[:limit]

    def __getitem__(self, part: slice) -> Frames:
        """Some of the frames with all that belongs to them."""
        labels = None if self.labels is None else self.labels[part]
        names = None if self.names is None else self.names[part]
        features = None if self.features is None else self.features[part]
        return Frames(self.frames[part], labels, names, self.class_names, features)


def load_frames(
    source: Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing = Preprocessing(),
    *,
    limit: int | None = None,
    classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Frames:
    """The frames in source, the first `limit` of them where given, as the FPGA takes them.

    shape: (channels, height, width) that the model takes.  preprocessing: its resize, crop and channel order are
    applied; its numeric part is not, for the first FPGA layer has it.  source is one of
      .npz    an array named frames, x, images or data; optionally labels, y or label, and class_names; FILE.npz:NAME
              takes the array NAME, and of x_test the labels y_test, of train_images train_labels
      .npy    an array
      .csv    a line a frame, its numbers separated by commas, as of read_table
      an image file, or a folder of them; labels.csv or labels.txt in it gives the class numbers, else subfolders are
              classes, numbered as list_images says
    classes: how many the model has, class_names: how they are called; None where not known.
    Arrays are (n, C, H, W) or (n, H, W, C), told apart by shape (the first where both fit), see
    `frame_arrays.layout_of`.  Their numbers are those of preprocessing.dtype, whatever type holds them.  Arrays of the
    model's size are not resized or cropped.
    Raises InputError for anything else and for labels that are none of the classes, UsageError for a preprocessing
    that cannot make frames of that shape, MissingToolError when images are given, or arrays to be resized, and pillow
    is not installed.
    """
    source = Path(source)
    preprocessing = preprocessing.for_model(shape)
    if limit is not None and limit < 1:
        raise InputError(f"the number of frames must be 1 or more, not {limit}")
    with _readable(source):
        frames = _from_anything(source, shape, preprocessing, limit, classes, class_names)
    if not len(frames):
        raise InputError(f"{source} holds no frames", hint="give at least one frame")
    if classes is not None:
        require_classes(frames.labels, classes)
    ordered = preprocessing.reorder(frames.frames)
    if not preprocessing.is_float:
        return replace(frames, frames=ordered)
    return replace(frames, frames=preprocessing.codes(ordered), features=ordered)


def settle(
    preprocessing: Preprocessing,
    source: Path | None,
    shape: tuple[int, int, int],
    limit: int | None,
    padding: Callable[[], np.ndarray | None],
) -> Preprocessing:
    """preprocessing settled for a model of that shape and for the first `limit` frames of source (None: all), which
    calibrate.

    source: as of load_frames; None for noise.  padding: as of Preprocessing.settled.  Without a dtype, frames are what
    they look like (`dtype_of`), but a scale that is given without a zero point is one of pixels.  Raises what
    load_frames does for frames that cannot be read, UsageError where there are none to choose a scale from.
    """
    preprocessing = preprocessing.for_model(shape)
    if preprocessing.is_settled:
        return preprocessing
    place = None if source is None else array_place(source)
    if place is not None:
        with _readable(place.file):
            arrays = read_arrays(place, shape, preprocessing.changes_size, limit)
        pixels = preprocessing.scale is not None and preprocessing.zero_point is None
        dtype = preprocessing.dtype or ("uint8" if pixels else dtype_of(arrays.values))
        if len(arrays.values):
            values = checked_numbers(arrays.where, arrays.values, dtype)
            settled = replace(preprocessing, dtype=dtype).settled(preprocessing.reorder(values), padding())
            return settled.for_model(shape)
    if preprocessing.is_float:
        raise UsageError(
            "the scale of float frames is chosen from the frames that calibrate, and there are none",
            hint="give --frames, an .npz, .npy or .csv of features; or --input-scale and --input-zero-point",
        )
    return preprocessing.of_codes()


def _from_anything(
    source: Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    limit: int | None,
    classes: int | None,
    class_names: Sequence[str] | None,
) -> Frames:
    """float numbers as they are, in `features`; the frames of them are made by load_frames."""
    if (place := array_place(source)) is not None:
        arrays = read_arrays(place, shape, preprocessing.changes_size, limit)
        numbers = checked_numbers(arrays.where, arrays.values, preprocessing.dtype)
        if preprocessing.is_float:
            return Frames(numbers, arrays.labels, None, arrays.class_names, numbers)
        codes = fit_arrays(arrays.where, preprocessing.codes(numbers), shape, preprocessing)
        return Frames(codes, arrays.labels, None, arrays.class_names)
    if not source.exists():
        raise InputError(f"there are no frames at {source}", hint=did_you_mean_file(source, GIVE))
    if source.is_dir():
        images = list_images(source, limit, classes, class_names)
        frames = read_images(list(images.files), shape, preprocessing)
        return Frames(frames, images.labels, images.names, images.class_names)
    if source.suffix.lower() in IMAGE_SUFFIXES and source.is_file():
        return Frames(read_images([source], shape, preprocessing), names=(source.name,))
    raise InputError(
        f"{source} is none of the kinds of frames that can be read",
        hint=f"give .npz, .npy, .csv, {', '.join(IMAGE_SUFFIXES)}, or a folder of images",
    )


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputError(
            f"the frames of {source} are more than fits into memory", hint="give fewer (--limit N)"
        ) from error


def require_classes(labels: np.ndarray | None, classes: int) -> None:
    """Raise InputError where a label is not the number of one of `classes` classes."""
    if labels is None:
        return
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise InputError(
            f"{len(wrong):,} of {len(labels):,} labels are no class of the model, which has {classes:,} scores "
            f"(classes 0 to {classes - 1:,}): frame {wrong[0]} has label {labels[wrong[0]]}",
            hint="number the classes the way the model was trained; where the frames are a folder, its "
            "subfolders must be the model's classes in the order of their names",
        )
