"""Frames from files: arrays (.npz, .npy), one image, or a folder of images.

Frames are resized, cropped and reordered as the preprocessing says, which is the bundle's, and never otherwise: a frame
that is then not exactly what the model takes is refused, for a silent change of the input is a silent change of the
accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.machine.array_file import ONLY, ArrayFile
from lognet_fpga.runtime.image_folder import IMAGE_SUFFIXES, list_images
from lognet_fpga.runtime.images import RESIZE_HINT, fit_arrays, read_images

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
        labels = None if self.labels is None else self.labels[:limit]
        names = None if self.names is None else self.names[:limit]
        return Frames(self.frames[:limit], labels, names, self.class_names)


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
      an image file, or a folder of them; labels.csv or labels.txt in it gives the class numbers, else subfolders are
              classes, numbered as list_images says
    classes: how many the model has, class_names: how they are called; None where not known.
    Arrays are (n, C, H, W) or (n, H, W, C), told apart by shape (the first where both fit), of vectors (n, features),
    which are channels of one position; uint8, or another
    number type that holds only whole numbers 0..255.  Arrays of the model's size are not resized or cropped.
    Raises InputError for anything else and for labels that are none of the classes, UsageError for a preprocessing
    that cannot make frames of that shape, MissingToolError when images are given, or arrays to be resized, and pillow
    is not installed.
    """
    source = Path(source)
    preprocessing = preprocessing.for_model(shape)
    if limit is not None and limit < 1:
        raise InputError(f"the number of frames must be 1 or more, not {limit}")
    try:
        frames = _from_anything(source, shape, preprocessing, limit, classes, class_names)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputError(
            f"the frames of {source} are more than fits into memory", hint="give fewer (--limit N)"
        ) from error
    if not len(frames):
        raise InputError(f"{source} holds no frames", hint="give at least one frame")
    if classes is not None:
        require_classes(frames.labels, classes)
    return replace(frames, frames=preprocessing.reorder(frames.frames))


def _from_anything(
    source: Path,
    shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    limit: int | None,
    classes: int | None,
    class_names: Sequence[str] | None,
) -> Frames:
    file, _, name = str(source).rpartition(":")
    if file.lower().endswith(".npz") and name and not source.exists():
        return _from_arrays(Path(file), name, shape, preprocessing, limit)
    if not source.exists():
        raise InputError(f"there are no frames at {source}", hint="give an .npz or .npy file, an image or a folder")
    if source.is_dir():
        images = list_images(source, limit, classes, class_names)
        frames = read_images(list(images.files), shape, preprocessing)
        return Frames(frames, images.labels, images.names, images.class_names)
    if source.suffix.lower() in (".npz", ".npy"):
        return _from_arrays(source, None, shape, preprocessing, limit)
    if source.suffix.lower() in IMAGE_SUFFIXES and source.is_file():
        return Frames(read_images([source], shape, preprocessing), names=(source.name,))
    raise InputError(
        f"{source} is none of the kinds of frames that can be read",
        hint=f"give .npz, .npy, {', '.join(IMAGE_SUFFIXES)}, or a folder of images",
    )


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


def _from_arrays(
    source: Path, name: str | None, shape: tuple[int, int, int], preprocessing: Preprocessing, limit: int | None
) -> Frames:
    if not source.exists():
        raise InputError(f"there are no frames at {source}", hint="give an .npz or .npy file, an image or a folder")
    file = ArrayFile(source)
    key = ONLY if not file.is_archive else _key_of_frames(file, source, name)
    where = f"{source}, array {key}" if file.is_archive else str(source)
    header = file.header(key)
    layout = _layout(where, header.shape, shape, preprocessing.changes_size)
    labels = _labels(file, source, _key_of_labels(file, key), header.shape[0], limit)
    pixels = _to_uint8(where, layout(file.read(key, limit)))
    return Frames(fit_arrays(where, pixels, shape, preprocessing), labels, None, _class_names(file, source))


def _key_of_frames(file: ArrayFile, source: Path, name: str | None) -> str:
    """The array of an archive that is meant: `name` where given, else the only one with a name of frames."""
    found = [key for key in ((name,) if name else FRAME_KEYS) if key in file.names]
    if len(found) > 1:  # one of them may be something else
        found = [key for key in found if len(file.header(key).shape) in (3, 4)]
    if len(found) != 1:
        problem = f"has no array {name}" if name else f"has {'several arrays' if found else 'no array'} of frames"
        example = name if name in file.names else next(iter(found or file.names), "NAME")
        raise InputError(
            f"{source} {problem}{'' if file.names else '; it has no arrays at all'}",
            context=file.listing(),
            hint=f"say which one, such as {source}:{example}, or call it {' or '.join(FRAME_KEYS)}",
        )
    return found[0]


def _key_of_labels(file: ArrayFile, key: str) -> str | None:
    """The array of labels that belongs to an array of frames: of x y, of test_images test_labels; None without."""
    parts = key.split("_")
    for place, part in enumerate(parts):
        if part in FRAME_KEYS:
            usual = ("y", "labels", "label") if part == "x" else LABEL_KEYS
            names = ("_".join((*parts[:place], label, *parts[place + 1 :])) for label in usual)
            return next((name for name in names if name in file.names), None)
    return next((label for label in LABEL_KEYS if label in file.names), None)


def _labels(file: ArrayFile, source: Path, key: str | None, count: int, limit: int | None) -> np.ndarray | None:
    """(n,) int64 of the first n = limit of count frames."""
    if key is None:
        return None
    header = file.header(key)
    column = len(header.shape) == 2 and header.shape[1] == 1
    if not (header.shape[:1] == (count,) and (len(header.shape) == 1 or column)) or header.dtype.kind not in "ui":
        raise InputError(
            f"the labels in {source}, array {key}, are {header}, but must be {count} class numbers",
            hint="give one integer a frame, counted from 0",
        )
    labels = file.read(key, limit).reshape(-1)[:limit]
    if labels.dtype.kind == "u" and len(labels) and labels.max() > np.iinfo(np.int64).max:
        raise InputError(f"the labels in {source}, array {key}, are no class numbers: {labels.max()} is one of them")
    return labels.astype(np.int64)


def _class_names(file: ArrayFile, source: Path) -> tuple[str, ...] | None:
    if "class_names" not in file.names:
        return None
    try:
        names = file.read("class_names").ravel().tolist()
        texts = tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names)
        "".join(texts).encode()
    except (ValueError, SystemError) as error:  # code points that are no characters
        raise InputError(
            f"the class_names in {source} are no text", hint="write them as an array of strings"
        ) from error
    return texts


def _layout(
    where: str, have: tuple[int, ...], shape: tuple[int, int, int], any_size: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """What makes (n, channels, h, w) of an array of the shape `have`.  any_size: h and w may differ from those in
    shape."""
    channels, height, width = shape
    for wanted in (shape, (channels, -1, -1)) if any_size else (shape,):
        if len(have) == 4 and _matches(have[1:], wanted):
            return lambda array: array
        if len(have) == 4 and _matches(have[1:], (*wanted[1:], channels)):
            return lambda array: array.transpose(0, 3, 1, 2)
        if len(have) == 3 and channels == 1 and _matches(have[1:], wanted[1:]):
            return lambda array: array[:, None]
        if len(have) == 2 and shape == (have[1], 1, 1):
            return lambda array: array[:, :, None, None]
    raise InputError(
        f"{where} has shape {have}, but the model takes frames of {channels} "
        f"{'channel' if channels == 1 else 'channels'}, {height} high and {width} wide",
        hint=_shape_hint(have, shape),
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
        with np.errstate(invalid="ignore"):
            whole = array.dtype.kind != "f" or bool((np.mod(array, 1) == 0).all())  # NaN is not whole
        if not (low >= 0 and high <= 255 and whole):
            raise InputError(
                f"{where} has values {low:g} to {high:g}{'' if whole else ', not all whole'}, "
                "but frames are whole numbers 0..255",
                hint="give the pixels before normalization; scale, mean and std belong to lognet-deploy",
            )
        if array.dtype.kind == "f" and high == 1:
            raise InputError(
                f"{where} has only the values 0.0 and 1.0: pixels of 0 and 1, or black and white scaled to 0..1?",
                hint="give uint8: frames.astype(numpy.uint8) where the model was trained on pixels of 0 and 1 of 255, "
                "(frames * 255).astype(numpy.uint8) where 1.0 is white",
            )
    return np.ascontiguousarray(array, np.uint8)
