"""Where the cache is: its folders, who may write them, and how something in it goes."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from lognet_fpga.errors import OutputError
from lognet_fpga.machine.signals import held

SCRATCH = ".new-"
_REMOVED = ".old-"
_KEY_LENGTH = 40
_ABANDONED_S = 86_400.0  # age from which an unfinished entry belongs to a process that was killed


def cache_root() -> Path:
    """LOGNET_CACHE, or lognet-fpga below the user's cache folder; absolute."""
    if os.environ.get("LOGNET_CACHE"):
        return Path(os.environ["LOGNET_CACHE"]).absolute()
    try:
        return (Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lognet-fpga").absolute()
    except RuntimeError as error:  # a user without a home
        raise OutputError(
            f"there is no place for the cache: {error}", hint="set LOGNET_CACHE to a folder with free space"
        ) from error


def digest(*parts: str | bytes) -> str:
    """SHA-256, hexadecimal, over the parts and their lengths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()


def place_of(kind: str, key: str) -> Path:
    return cache_root() / kind / key[:_KEY_LENGTH]


def entry_places() -> list[Path]:
    """Of all entries, damaged ones too; nothing else that lies in the cache's folder."""
    return [
        path
        for path in cache_root().glob("*/*")
        if len(path.name) == _KEY_LENGTH and not set(path.name) - set("0123456789abcdef") and path.is_dir()
    ]


def new_scratch(parent: Path) -> Path:
    """A name for an entry that is being made, not yet a folder."""
    return parent / f"{SCRATCH}{secrets.token_hex(8)}"


def make_parent(folder: Path) -> None:
    """The folder of a kind of entries, as open to others as the cache itself.  Raises OSError."""
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        open_up(folder)


def open_up(path: Path) -> None:
    """Give a folder the permissions of the cache's root, a file those of them that files have: who may read and write
    the cache's root may use all that is in it."""
    allowed, present = stat.S_IMODE(cache_root().stat().st_mode), path.stat().st_mode
    if not stat.S_ISDIR(present):
        allowed &= 0o777 if present & stat.S_IXUSR else 0o666
    if stat.S_IMODE(present) != allowed:
        path.chmod(allowed)


def sync(path: Path) -> None:
    """Have a file or folder written to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def remove(place: Path) -> None:
    """Remove an entry, or whatever lies there, in one step as others see it.  Raises OSError."""
    removed = place.parent / f"{_REMOVED}{secrets.token_hex(8)}"
    with held():
        os.rename(place, removed)
        _delete(removed)


def remove_abandoned(folder: Path) -> None:
    for scratch in (*folder.glob(f"{SCRATCH}*"), *folder.glob(f"{_REMOVED}*")):
        with suppress(OSError):  # just finished
            if time.time() - scratch.lstat().st_mtime > _ABANDONED_S:
                _delete(scratch)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        with suppress(RecursionError):  # of folders nested very deep, which then stay
            shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
