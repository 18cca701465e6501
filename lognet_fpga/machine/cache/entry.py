"""One entry: a folder of files and the index of their digests.

The index has a heading that names the entry, then a line a file: SHA-256, size, x where it is a program, path.  It is
written last, and its time of change says when the entry was used.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from lognet_fpga.machine.cache.place import open_up, sync

Files = dict[str, bytes]
"""Content of the files of an entry, by their path below it."""

INDEX = ".index"
DAMAGE = (OSError, ValueError, RecursionError)  # what `contents` raises, the last one for folders nested very deep
_CHUNK = 1 << 20


def seal(folder: Path, kind: str, key: str) -> Files:
    """Write the index of a folder that is an entry now, and everything to the disk.

    Returns the files, just those bytes that the index is of.  Raises OSError.
    """
    files = {name: (folder / name).read_bytes() for name in _names(folder)}
    lines = [_heading(kind, key)]
    for name, data in files.items():
        lines.append(f"{hashlib.sha256(data).hexdigest()} {len(data)} {_program(folder / name)} {name}")
    (folder / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for path in (*(folder / name for name in files), folder / INDEX, *filter(Path.is_dir, folder.rglob("*")), folder):
        open_up(path)
        sync(path)
    return files


def contents(folder: Path, kind: str, key: str, keep: bool = True) -> Files:
    """The files of an entry, just those bytes that were checked; without their content unless `keep`.

    Raises one of DAMAGE unless everything is as the index says.
    """
    heading, *lines, end = _read(folder / INDEX).decode().split("\n")
    files: Files = {}
    for line in lines:
        sha256, size, program, name = line.split(" ", 3)
        files[name] = _read(folder / name, int(size), sha256, keep)
        if _program(folder / name) != program:
            raise ValueError(f"{name} has other permissions")
    if end or heading != _heading(kind, key) or sorted(files) != _names(folder):
        raise ValueError("other files, or another entry")
    return files


def touch(place: Path) -> None:
    """Note that the entry was used just now."""
    with suppress(OSError):  # it is somebody else's
        os.utime(place / INDEX)


def share(place: Path) -> int:
    """Keep others from removing the entry as long as the file that is returned stays open.  Raises OSError where it is
    not there, or being removed."""
    number = os.open(place / INDEX, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _lock(number, fcntl.LOCK_SH)
        if not os.path.samestat(os.fstat(number), os.stat(place / INDEX)):
            raise FileNotFoundError(f"{place} was removed")
    except BaseException:
        os.close(number)
        raise
    return number


def in_use(place: Path) -> bool:
    """Whether a process shares the entry."""
    try:
        number = os.open(place / INDEX, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # it is damaged, so that nobody can
        return False
    try:
        _lock(number, fcntl.LOCK_EX)
    except OSError:
        return True
    finally:
        os.close(number)
    return False


def _lock(number: int, kind: int) -> None:
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks, where one must not delete what others use
        pass


def _heading(kind: str, key: str) -> str:
    return f"lognet-cache 2 {kind} {key}"


def _names(folder: Path) -> list[str]:
    """Paths of the files below folder but the index.  Raises ValueError for anything but files and folders."""
    names = []
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            names.append(path.relative_to(folder).as_posix())
        elif not stat.S_ISDIR(mode):
            raise ValueError(f"{path} is no plain file")
    return sorted(name for name in names if name != INDEX)


def _read(path: Path, size: int | None = None, sha256: str | None = None, keep: bool = True) -> bytes:
    """Content of a plain file, b"" unless `keep`.  Raises ValueError unless size and digest are these, OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or size not in (None, status.st_size):
            raise ValueError(f"{path} is changed")
        total, chunks = hashlib.sha256(), []
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            if keep:
                chunks.append(chunk)
        if sha256 not in (None, total.hexdigest()):
            raise ValueError(f"{path} is changed")
        return b"".join(chunks)


def _program(path: Path) -> str:
    return "x" if path.stat().st_mode & stat.S_IXUSR else "-"
