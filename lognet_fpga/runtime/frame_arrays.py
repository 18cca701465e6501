"""Frames as numbers, in arrays (.npz, .npy) and tables (.csv): which array is meant, its layout, its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError, did_you_mean_file
from lognet_fpga.ir.input_codes import FLOAT
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.machine.array_file import ONLY, ArrayFile
from lognet_fpga.runtime.feature_table import TABLE_SUFFIX, read_table
from lognet_fpga.runtime.images import RESIZE_HINT

FRAME_KEYS = ("frames", "x", "images", "data")
LABEL_KEYS = ("labels", "y", "label")
GIVE = "give an .npz, .npy or .csv file, an image or a folder"


@dataclass(frozen=True)
class ArrayPlace:
    """A file of numbers, and which of its arrays is meant; None: the one with a name of frames."""

    file: Path
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Arrays:
    """What such a file holds.  where: names the array in errors.  values: (n, channels, h, w) of the file's number
    type.  labels: (n,) int64, or None.  class_names: a name a class, or None."""

    where: str
    values: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None


def array_place(source: Path) -> ArrayPlace | None:
    """The file of numbers that source names, FILE.npz:NAME among them; None for anything else."""
    file, _, name = str(source).rpartition(":")
    if file.lower().endswith(".npz") and name and not source.exists():
        return ArrayPlace(Path(file), name)
    if source.suffix.lower() in (".npz", ".npy", TABLE_SUFFIX) and not source.is_dir():
        return ArrayPlace(source)
    return None


def read_arrays(place: ArrayPlace, shape: tuple[int, int, int], any_size: bool, limit: int | None) -> Arrays:
    """The first `limit` frames there.  shape: (channels, height, width) of the model; any_size: as of layout_of.

    Raises InputError for what is no frames of that shape.
    """
    if not place.file.exists():
        raise InputError(f"there are no frames at {place.file}", hint=did_you_mean_file(place.file, GIVE))
    if place.file.suffix.lower() == TABLE_SUFFIX:
        table = read_table(place.file, limit)
        layout = layout_of(str(place.file), table.values.shape, shape, False)
        return Arrays(str(place.file), layout(table.values), table.labels, None)
    file = ArrayFile(place.file)
    key = ONLY if not file.is_archive else _key_of_frames(file, place.file, place.name)
    where = f"{place.file}, array {key}" if file.is_archive else str(place.file)
    header = file.header(key)
    layout = layout_of(where, header.shape, shape, any_size)
    labels = _labels(file, place.file, _key_of_labels(file, key), header.shape[0], limit)
    return Arrays(where, layout(file.read(key, limit)), labels, _class_names(file, place.file))


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


def layout_of(
    where: str, have: tuple[int, ...], shape: tuple[int, int, int], any_size: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """What makes (n, channels, h, w) of an array of the shape `have`.

    Frames with the channels first or last, the first where both fit; of one channel without that axis; of one row, as
    (n, channels, length) or (n, length, channels); and flat, (n, numbers), where there is one channel or one position,
    so that their order is plain.  any_size: h and w may differ from those in shape.
    """
    channels, height, width = shape
    if len(have) == 2 and have[1] == channels * height * width and (channels == 1 or height == width == 1):
        return lambda array: array.reshape(-1, *shape)
    if len(have) == 3 and height == 1 and have[1:] == (channels, width):
        return lambda array: array[:, :, None]
    if len(have) == 3 and height == 1 and have[1:] == (width, channels):
        return lambda array: array.transpose(0, 2, 1)[:, :, None]
    for wanted in (shape, (channels, -1, -1)) if any_size else (shape,):
        if len(have) == 4 and _matches(have[1:], wanted):
            return lambda array: array
        if len(have) == 4 and _matches(have[1:], (*wanted[1:], channels)):
            return lambda array: array.transpose(0, 3, 1, 2)
        if len(have) == 3 and channels == 1 and _matches(have[1:], wanted[1:]):
            return lambda array: array[:, None]
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
    if len(have) == 2 and channels > 1 and have[1] == channels * height * width:
        return f"their order is not known; give them as an array (n, {channels}, {height}, {width}) in an .npz"
    if height == 1:
        flat = f" or (n, {channels * width})" if 1 in (channels, width) else ""
        return f"give (n, {channels}, {width}), (n, {width}, {channels}){flat}"
    return f"give (n, {channels}, {height}, {width}) or (n, {height}, {width}, {channels})"


def codes_of_array(array: np.ndarray, shape: tuple[int, int, int], preprocessing: Preprocessing) -> np.ndarray:
    """The frames, (n, *shape) uint8, of an array in memory, in the layouts of layout_of and with its channels in the
    model's order; preprocessing: settled.  Raises InputError as read_arrays and checked_numbers do."""
    values = layout_of("the array", array.shape, shape, False)(array)
    if not len(values):
        raise InputError("the array holds no frames", hint="give at least one")
    return preprocessing.codes(checked_numbers("the array", values, preprocessing.dtype))


def checked_numbers(where: str, array: np.ndarray, dtype: str | None) -> np.ndarray:
    """array as contiguous numbers of dtype (None: uint8), one of `DTYPES`.

    Raises InputError for what is not: for uint8 and int8 whole numbers of their range, for float32 finite ones.
    """
    if array.dtype.kind not in "uif":
        raise InputError(
            f"{where} has type {array.dtype}, but frames are numbers",
            hint="give uint8 for pixels, int8 or float32 for features",
        )
    if dtype == FLOAT:
        return _floats(where, array)
    kind = np.dtype(dtype or np.uint8)
    least, most = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    if array.dtype != kind and array.size:
        _require_finite(where, array)
        low, high = array.min(), array.max()
        whole = array.dtype.kind != "f" or bool((np.mod(array, 1) == 0).all())
        if not (low >= least and high <= most and whole):
            raise InputError(
                f"{where} has values {low:g} to {high:g}{'' if whole else ', not all whole'}, "
                f"but frames are whole numbers {least}..{most}",
                hint="give the pixels before normalization; scale, mean and std belong to lognet-deploy, which takes "
                "float features, too, and chooses their scale where none is given",
            )
        if array.dtype.kind == "f" and (low, high) in ((0, 1), (1, 1)):
            raise InputError(
                f"{where} has only the values 0.0 and 1.0: pixels of 0 and 1, or black and white scaled to 0..1?",
                hint="give uint8: frames.astype(numpy.uint8) where the model was trained on pixels of 0 and 1 of 255, "
                "(frames * 255).astype(numpy.uint8) where 1.0 is white",
            )
    return np.ascontiguousarray(array, kind)


def _floats(where: str, array: np.ndarray) -> np.ndarray:
    _require_finite(where, array)
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(numbers).all():
        raise InputError(
            f"{where} has a value of {np.abs(array).max():.3g}, which float32 does not hold", hint="scale the features"
        )
    return numbers


def _require_finite(where: str, array: np.ndarray) -> None:
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        frame, *place = np.argwhere(~finite)[0].tolist()
        raise InputError(
            f"{where}, frame {frame}, holds {array[(frame, *place)]} at channel, row and column "
            f"{', '.join(map(str, place))}; {np.count_nonzero(~finite):,} of all numbers are not finite",
            hint="leave such frames out, or write a number in its place",
        )
