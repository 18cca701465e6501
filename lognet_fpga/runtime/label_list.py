"""A folder's list of labels: a text file that gives image files their class numbers."""

from __future__ import annotations

from pathlib import Path

from lognet_fpga.errors import InputError

LABEL_FILES = ("labels.csv", "labels.txt")
_LABEL_DIGITS = 9
_FORMAT = "one line a frame: the file's path below the folder, a comma or a space, the class number"


def read_label_list(folder: Path) -> list[tuple[Path, int]] | None:
    """(image file, class number) in the order of the list; None for a folder without one.

    A line is `path,number` or `path number`; the path is relative to the folder.  Empty lines are skipped, and so is a
    first line without a number, the heading.  Files that the list does not name are no frames.
    Raises InputError for a line of another form and for a file that is not there or listed twice.
    """
    source = next((folder / name for name in LABEL_FILES if (folder / name).is_file()), None)
    if source is None:
        return None
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text", hint=_FORMAT) from error
    listed: dict[Path, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition("," if "," in line else " ")
        name, label = name.strip().strip('"'), label.strip().strip('"')
        if not (name and label.isascii() and label.isdigit() and len(label) <= _LABEL_DIGITS):
            if number == 1:
                continue
            raise InputError(f"{source}, line {number}, is not a file and its class number: {line[:80]}", hint=_FORMAT)
        path = folder / name
        if path in listed or Path(name).is_absolute() or not _is_file(path):
            why = "is listed before" if path in listed else "is not a file in this folder"
            raise InputError(f"{source}, line {number}: {name} {why}", hint=_FORMAT)
        listed[path] = int(label)
    if not listed:
        raise InputError(f"{source} lists no files", hint=_FORMAT)
    return list(listed.items())


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
