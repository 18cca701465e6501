"""Put something new in the place of something old, so that the place holds one of them whole at every moment.

Linux exchanges two paths in one step (renameat2).  Elsewhere, and on file systems that cannot, it takes two renames;
what a process that is killed between them has moved away is put back by the next writer (`recover`).

A scratch folder belongs to the process that has it locked: a lock ends with its process, however that ends, and holds
across containers, where process numbers mean nothing.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lognet_fpga.machine.signals import held

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_LOCK_WAIT_S, _LOCK_POLL_S = 60.0, 0.02
_ABANDONED_S = 86_400.0  # age of what nobody uses any more, where files cannot be locked
_OLD = ".old"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time is in the block, of all that write into this folder.

    Raises TimeoutError where another one does not end; does nothing on file systems without locks.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + _LOCK_WAIT_S
        while not _lock(number):
            if time.monotonic() > until:
                raise TimeoutError(f"another process keeps {folder} locked")
            time.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(number)


@contextmanager
def scratch_folder(out: Path, prefix: str, places: Sequence[Path]) -> Iterator[Path]:
    """A new folder in `out`, whose name starts with prefix, for what shall be moved to `places`; removed after.

    What writers that were killed have left there goes.  Raises OSError.
    """
    scratch, number = out / f"{prefix}{secrets.token_hex(8)}", None
    try:
        with locked(out):
            for other in out.glob(f"{prefix}*"):
                _recover(other, places)
            scratch.mkdir()
            number = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
            _lock(number)
        yield scratch
    finally:
        with held():
            shutil.rmtree(scratch, ignore_errors=True)
            if number is not None:
                os.close(number)


def swap(scratch: Path, places: Sequence[Path]) -> None:
    """Move scratch/NAME to each place of that NAME, and what was there into scratch.  After an OSError all is as it
    was."""
    done: list[tuple[Path, Path | None]] = []
    try:
        for place in places:
            done.append((place, _replace(scratch / place.name, place)))
    except OSError:
        for place, old in reversed(done):
            if old is None or not _exchange(old, place):
                os.rename(place, scratch / place.name)
                if old is not None:
                    os.rename(old, place)
        raise


def sync(path: Path) -> None:
    """Have a file or folder written to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _replace(new: Path, place: Path) -> Path | None:
    """Move new to place; where the earlier thing is then, None if there was none."""
    if not os.path.lexists(place):
        os.rename(new, place)
        return None
    if _exchange(new, place):
        return new
    old = new.with_name(f"{new.name}{_OLD}")
    os.rename(place, old)
    try:
        os.rename(new, place)
    except OSError:
        os.rename(old, place)
        raise
    return old


def _exchange(one: Path, two: Path) -> bool:
    """Exchange two paths in one step; False where that cannot be done."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28, musl 1.2.6
    return rename is not None and not rename(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(two), ctypes.c_uint(_RENAME_EXCHANGE)
    )


def _recover(scratch: Path, places: Sequence[Path]) -> None:
    """Remove a scratch folder that a killed process has left, and put back what it had moved away."""
    with suppress(OSError):  # one that is being removed, or that is somebody else's
        number = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not _lock(number, if_none=time.time() - scratch.stat().st_mtime > _ABANDONED_S):
                return
            for place in places:
                if not os.path.lexists(place) and os.path.lexists(old := scratch / f"{place.name}{_OLD}"):
                    os.rename(old, place)
            shutil.rmtree(scratch, ignore_errors=True)
        finally:
            os.close(number)


def _lock(number: int, if_none: bool = True) -> bool:
    """Lock an open folder for as long as it is open; whether nobody else has it locked.  if_none: the answer of file
    systems without locks."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return if_none
    return True
