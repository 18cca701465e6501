"""Frames from files: arrays (.npz, .npy), one image, or a folder of images.

Frames are resized, cropped and reordered as the preprocessing says, which is the bundle's, and never otherwise: a frame
that is then not exactly what the model takes is refused, for a silent change of the input is a silent change of the
accuracy.
"""

from __future__ import annotations

import itertools
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError
from lognet_fpga.preprocessing import Preprocessing
from lognet_fpga.runtime.images import RESIZE_HINT, fit_arrays, read_images
from lognet_fpga.runtime.label_list import read_label_list

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
FRAME_KEYS = ("frames", "x", "images", "data")
LABEL_KEYS = ("labels", "y", "label")


@dataclass(frozen=True, eq=False)
class Frames:
    """frames: (n, channels, height, width) uint8.  labels: (n,) int64, class numbers.  names: file names, where
    the frames come from image files.  class_names: a name a class."""

    frames: np.ndarray
    labels: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def first(self, limit: int | None) -> Frames:
        """The first `limit` frames with all that belongs to them; all for None."""
        labels, names = (None if part is None else part[:limit] for part in (self.labels, self.names))
        return Frames(self.frames[:limit], labels, names, self.class_names)


def load_frames(
    source: Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing = Preprocessing(),
    *,
    limit: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Frames:
    """The frames in source, the first `limit` of them where given, as the FPGA takes them.

    shape: (channels, height, width) that the model takes.  preprocessing: its resize, crop and channel order are
    applied; its numeric part is not, for the first FPGA layer has it.  source is one of
      .npz    an array named frames, x, images or data; optionally labels, y or label, and class_names
      .npy    an array
      a PNG or JPEG file, or a folder of them; labels.csv or labels.txt in it gives the class numbers, else
              subfolders are classes, numbered in the order of their names; with class_names, those of the model
              in their order, they have their numbers there, and are no classes where none of them is there and they
              are not as many
    Arrays are (n, C, H, W) or (n, H, W, C), told apart by shape (the first where both fit); uint8, or another
    number type that holds only whole numbers 0..255.  Arrays of the model's size are not resized or cropped.
    Raises InputError for anything else, UsageError for a preprocessing that cannot make frames of that shape,
    MissingToolError when images are given, or arrays to be resized, and pillow is not installed.
    """
    source = Path(source)
    preprocessing = preprocessing.for_model(shape)
    if limit is not None and limit < 1:
        raise InputError(f"the number of frames must be 1 or more, not {limit}")
    if not source.exists():
        raise InputError(f"there are no frames at {source}", hint="give an .npz or .npy file, an image or a folder")
    try:
        if source.is_dir():
            frames = _from_folder(source, shape, preprocessing, limit, class_names)
        elif source.suffix.lower() in (".npz", ".npy"):
            frames = _from_arrays(source, shape, preprocessing, limit)
        elif source.suffix.lower() in IMAGE_SUFFIXES:
            frames = Frames(read_images([source], shape, preprocessing), names=(source.name,))
        else:
            raise InputError(
                f"{source} is none of the kinds of frames that can be read",
                hint="give .npz, .npy, .png, .jpg, or a folder of images",
            )
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    if not len(frames):
        raise InputError(f"{source} holds no frames", hint="give at least one frame")
    return replace(frames, frames=preprocessing.reorder(frames.frames))


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


def _from_arrays(source: Path, shape: tuple[int, int, int], preprocessing: Preprocessing, limit: int | None) -> Frames:
    arrays = _load_arrays(source)
    key = next((key for key in FRAME_KEYS if key in arrays), None)
    if key is None:
        raise InputError(
            f"{source} has no array of frames; it has {', '.join(arrays) or 'none'}",
            hint=f"name the array {' or '.join(FRAME_KEYS)}",
        )
    where = f"{source}, array {key}" if source.suffix.lower() == ".npz" else str(source)
    labels = next((arrays[key] for key in LABEL_KEYS if key in arrays), None)
    if labels is not None:
        labels = _check_labels(source, labels, len(arrays[key]) if arrays[key].ndim else 0)[:limit]
    names = arrays.get("class_names")
    class_names = (
        None
        if names is None
        else tuple(
            name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names.ravel().tolist()
        )
    )
    pixels = _to_uint8(where, _to_nchw(where, arrays[key], shape, preprocessing.changes_size)[:limit])
    return Frames(fit_arrays(where, pixels, shape, preprocessing), labels, None, class_names)


def _load_arrays(source: Path) -> dict[str, np.ndarray]:
    """Arrays by name; a lone .npy array is called frames.  Other entries of an .npz are not read."""
    try:
        loaded = np.load(source, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {FRAME_KEYS[0]: loaded}
        with loaded:
            return {key: loaded[key] for key in loaded.files if key in (*FRAME_KEYS, *LABEL_KEYS, "class_names")}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, MemoryError) as error:
        raise InputError(
            f"{source} is not a whole NumPy file of plain arrays: {' '.join(str(error).split())}",
            hint="write it again with numpy.savez(file, frames=..., labels=...)",
        ) from error


def _to_nchw(where: str, array: np.ndarray, shape: tuple[int, int, int], any_size: bool) -> np.ndarray:
    """array as (n, channels, h, w).  any_size: h and w may differ from those in shape."""
    channels, height, width = shape
    for wanted in (shape, (channels, -1, -1)) if any_size else (shape,):
        if array.ndim == 4 and _matches(array.shape[1:], wanted):
            return array
        if array.ndim == 4 and _matches(array.shape[1:], (*wanted[1:], channels)):
            return array.transpose(0, 3, 1, 2)
        if array.ndim == 3 and channels == 1 and _matches(array.shape[1:], wanted[1:]):
            return array[:, None]
    raise InputError(
        f"{where} has shape {array.shape}, but the model takes frames of {channels} "
        f"{'channel' if channels == 1 else 'channels'}, {height} high and {width} wide",
        hint=_shape_hint(array.shape, shape),
    )


def _matches(sizes: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """wanted: -1 stands for any size from 1 up."""
    return all(size == want or (want == -1 and size > 0) for size, want in zip(sizes, wanted))


def _shape_hint(have: tuple[int, ...], shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    if have in (shape, (height, width, channels)):
        return f"this is one frame; give it as (1, {', '.join(map(str, have))})"
    if channels > 1 and (len(have) == 3 or (len(have) == 4 and 1 in (have[1], have[3]))):
        return f"these are grey frames; repeat each {channels} times along an axis of channels (numpy.repeat)"
    if channels == 1 and len(have) == 4 and 3 in (have[1], have[3]):
        return "these are colour frames; make them grey first, or give image files, which are converted"
    if len(have) == 4 and channels in (have[1], have[3]):
        return RESIZE_HINT
    return f"give (n, {channels}, {height}, {width}) or (n, {height}, {width}, {channels})"


def _to_uint8(where: str, array: np.ndarray) -> np.ndarray:
    """A contiguous uint8 copy; refuses what is not whole numbers 0..255."""
    if array.dtype.kind not in "uif":
        raise InputError(f"{where} has type {array.dtype}, but frames are whole numbers 0..255", hint="give uint8")
    if array.dtype != np.uint8 and array.size:
        low, high = array.min(), array.max()
        whole = array.dtype.kind != "f" or bool((np.mod(array, 1) == 0).all())  # NaN is not whole
        if not (low >= 0 and high <= 255 and whole):
            raise InputError(
                f"{where} has values {low:g} to {high:g}{'' if whole else ', not all whole'}, "
                "but frames are whole numbers 0..255",
                hint="give the pixels before normalization; scale, mean and std belong to lognet-deploy",
            )
    return np.ascontiguousarray(array, np.uint8)


def _check_labels(source: Path, labels: np.ndarray, count: int) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "ui" or len(labels) != count:
        raise InputError(
            f"the labels in {source} are {labels.dtype} of shape {labels.shape}, but must be {count} class numbers",
            hint="give one integer a frame, counted from 0",
        )
    return labels.astype(np.int64)


@dataclass(frozen=True, eq=False)
class ImageList:
    """Image files of a folder in the order in which they are taken; labels, names, class_names: as of Frames."""

    files: tuple[Path, ...]
    labels: np.ndarray | None
    names: tuple[str, ...]
    class_names: tuple[str, ...] | None


def list_images(folder: Path, limit: int | None = None, class_names: Sequence[str] | None = None) -> ImageList:
    """The images in a folder, the first `limit` of them where given; none is read.  class_names: as of load_frames.
    Raises InputError without any."""
    listed = read_label_list(folder)
    if listed is not None:
        files, labels = zip(*listed[:limit])
        names = tuple(path.relative_to(folder).as_posix() for path in files)
        return ImageList(files, np.array(labels, np.int64), names, None)
    classes = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".") and any(_images_in(path))
    )
    if not classes:
        files = tuple(itertools.islice(_images_in(folder), limit))
        if not files:
            raise InputError(f"{folder} holds no images", hint=f"give a folder of {', '.join(IMAGE_SUFFIXES)} files")
        return ImageList(files, None, tuple(path.name for path in files), None)
    numbers, names = _numbered([place.name for place in classes], folder, class_names)
    # One of each class in turn, so that a limit does not leave only the first class.
    turns = itertools.zip_longest(
        *[[(path, number) for path in _images_in(place)] for number, place in zip(numbers, classes)]
    )
    chosen = list(itertools.islice((pair for turn in turns for pair in turn if pair is not None), limit))
    files = tuple(path for path, _ in chosen)
    labels = None if names is None else np.array([number for _, number in chosen], np.int64)
    return ImageList(files, labels, tuple(path.relative_to(folder).as_posix() for path in files), names)


def _numbered(
    found: list[str], folder: Path, class_names: Sequence[str] | None
) -> tuple[Sequence[int], tuple[str, ...] | None]:
    """The class numbers of subfolders of these names, in order, and the names of all classes; None where they are no
    classes of the model's."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(class_names or ()):
        places.setdefault(_plain(name), []).append(number)
    unknown = [name for name in found if _plain(name) not in places]
    if len(unknown) == len(found):
        # Without names of the model's, or as many others in their place: the order is what is left to go by.
        own = not class_names or len(class_names) == len(found)
        return range(len(found)), tuple(found) if own else None
    if unknown:
        raise InputError(
            f"{len(unknown)} of the {len(found)} subfolders of {folder} are no classes of the model: "
            f"{', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''}",
            hint=f"name them as its classes ({', '.join(list(class_names)[:3])}, ...), or number the files in a "
            "labels.csv",
        )
    twice = next((name for name in found if len(places[_plain(name)]) > 1), None)
    if twice is not None:
        raise InputError(
            f"two classes of the model are called {twice}, so that the subfolder {folder / twice} could be either",
            hint="number the files in a labels.csv",
        )
    return [places[_plain(name)][0] for name in found], tuple(class_names)


def _plain(name: str) -> str:
    """As names are compared: file systems differ in case and in how they write accents."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _from_folder(
    folder: Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    limit: int | None,
    class_names: Sequence[str] | None,
) -> Frames:
    images = list_images(folder, limit, class_names)
    frames = read_images(list(images.files), shape, preprocessing)
    return Frames(frames, images.labels, images.names, images.class_names)


def _images_in(folder: Path) -> Iterable[Path]:
    return iter(
        sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    )
