"""A folder of images: which files it has, in which order, and of which class each one is."""

from __future__ import annotations

import itertools
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError
from lognet_fpga.runtime.label_list import read_label_list

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_NAMED = 3  # of many subfolders, in a message


@dataclass(frozen=True, eq=False)
class ImageList:
    """Image files of a folder in the order in which they are taken; labels, names, class_names: as of Frames."""

    files: tuple[Path, ...]
    labels: np.ndarray | None
    names: tuple[str, ...]
    class_names: tuple[str, ...] | None


def list_images(
    folder: Path, limit: int | None = None, classes: int | None = None, class_names: Sequence[str] | None = None
) -> ImageList:
    """The images in a folder, the first `limit` of them where given; none is read.

    classes, class_names: of the model, None where not known; what they decide: see _numbered.  Raises InputError where
    there are no images, and warns of what is left out.
    """
    listed = read_label_list(folder)
    if listed is not None:
        listed = listed[:limit]
        files = tuple(path for path, _ in listed)
        return ImageList(files, np.array([number for _, number in listed], np.int64), _below(folder, files), None)
    own = _images_in(folder)
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    images = {place.name: _images_in(place) for place in subfolders}
    if not any(images.values()):
        if not own:
            deeper = next((path for place in subfolders for path in sorted(place.iterdir()) if _has_images(path)), None)
            raise InputError(
                f"{folder} holds no images",
                hint=f"give a folder of {', '.join(IMAGE_SUFFIXES)} files"
                if deeper is None
                else f"the images lie deeper, as in {deeper}: give {deeper.parent}, whose subfolders are classes",
            )
        files = tuple(own[:limit])
        return ImageList(files, None, _below(folder, files), None)
    if own:
        warnings.warn(
            f"{folder}: {len(own):,} images that lie beside the subfolders, such as {own[0].name}, are left out",
            stacklevel=2,
        )
    numbers, names = _numbered(images, folder, classes, class_names)
    # One of each class in turn, so that a limit does not leave only the first class.
    turns = itertools.zip_longest(*images.values())
    found = ((path, numbers.get(path.parent.name)) for turn in turns for path in turn if path is not None)
    chosen = list(itertools.islice(found, limit))
    files = tuple(path for path, _ in chosen)
    labels = np.array([number for _, number in chosen], np.int64) if names else None
    return ImageList(files, labels, _below(folder, files), names)


def _numbered(
    images: dict[str, list[Path]], folder: Path, classes: int | None, class_names: Sequence[str] | None
) -> tuple[dict[str, int], tuple[str, ...] | None]:
    """Class numbers by subfolder, and the names of all classes; no numbers and None where the subfolders are not the
    model's classes.

    A subfolder has the number of its name among the model's class names.  Where none is among them, or they are not
    known, the order of the subfolders decides: of all of them, for a class without images is a class all the same.
    Where the model is known to have as many classes as subfolders have images, those without are none.
    """
    filled = [name for name, files in images.items() if files]
    empty = [name for name, files in images.items() if not files]
    if class_names:
        by_name = _numbered_by_name(filled, folder, class_names)
        if by_name is not None:
            return by_name, tuple(class_names)
        classes = len(class_names)
    if empty and classes == len(filled):
        warnings.warn(f"{folder}: {_some(empty)} without images, and so no class of the model", stacklevel=3)
        order = filled
    else:
        order = list(images)
    if classes not in (None, len(order)):
        warnings.warn(
            f"{folder} has {len(order)} subfolders and the model {classes:,} classes: the frames count as "
            "without labels; to see how many get the right class, give a subfolder for each, or a labels.csv",
            stacklevel=3,
        )
        return {}, None
    if empty and order is not filled:
        warnings.warn(f"{folder}: {_some(empty)} without images, but each counts as a class", stacklevel=3)
    if all(name.isascii() and name.isdigit() for name in order) and order != sorted(order, key=int):
        warnings.warn(
            f"{folder}: subfolders are numbered in the order of their names, so that {order[1]} is class 1; where the "
            "names are the numbers, give a labels.csv",
            stacklevel=3,
        )
    return {name: number for number, name in enumerate(order)}, tuple(map(_text, order))


def _numbered_by_name(found: list[str], folder: Path, class_names: Sequence[str]) -> dict[str, int] | None:
    """Class numbers of the subfolders with images among the names of the model's classes; None where none is there."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(class_names):
        places.setdefault(_plain(name), []).append(number)
    unknown = [name for name in found if _plain(name) not in places]
    if len(unknown) == len(found):
        return None
    if unknown:
        raise InputError(
            f"{len(unknown)} of the {len(found)} subfolders of {folder} are no classes of the model: "
            f"{', '.join(unknown[:_NAMED])}{', ...' if len(unknown) > _NAMED else ''}",
            hint=f"name them as its classes ({', '.join(list(class_names)[:_NAMED])}, ...), or number the files in a "
            "labels.csv",
        )
    twice = next((name for name in found if len(places[_plain(name)]) > 1), None)
    if twice is not None:
        raise InputError(
            f"two classes of the model are called {twice}, so that the subfolder {folder / twice} could be either",
            hint="number the files in a labels.csv",
        )
    return {name: places[_plain(name)][0] for name in found}


def _plain(name: str) -> str:
    """As names are compared: file systems differ in case and in how they write accents."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _some(names: list[str]) -> str:
    count = f"{len(names):,} subfolders are" if len(names) > 1 else "1 subfolder is"
    return f"{count} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"


def _below(folder: Path, files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(_text(path.relative_to(folder).as_posix()) for path in files)


def _text(name: str) -> str:
    """A file's name as text that can be written anywhere, also where the name is not UTF-8."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _has_images(path: Path) -> bool:
    return path.is_dir() and bool(_images_in(path))


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
