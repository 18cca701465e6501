"""Content-addressed cache of slow results: adder graphs, compiled simulators, synthesis figures.

An entry is a folder named by the digest of everything its content depends on.  It is made beside its place and
renamed into it, so a reader never sees half an entry and two writers do no harm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lognet_fpga.errors import OutputError

_SCRATCH = ".new-"
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
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()


def held(kind: str, key: str) -> bool:
    """Whether entry (kind, key) is there."""
    return _place(kind, key).is_dir()


def cached(kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of entry (kind, key), and whether it was there already.

    make(folder) fills a new, empty folder; when it raises, nothing is kept.
    """
    place = _place(kind, key)
    if place.is_dir():
        return place, True
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(place.parent)
        scratch = Path(tempfile.mkdtemp(dir=place.parent, prefix=_SCRATCH))
    except OSError as error:
        raise OutputError(
            f"the cache folder {place.parent} cannot be written: {error.strerror}",
            hint="set LOGNET_CACHE to a folder with free space",
        ) from error
    try:
        make(scratch)
        try:
            os.rename(scratch, place)
        except OSError:
            if not place.is_dir():  # another process was first: its entry is as good
                raise
    except OSError as error:
        raise OutputError(
            f"the cache folder {place.parent} cannot be written: {error.strerror}",
            hint="free some space, or set LOGNET_CACHE to another folder",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return place, False


def _place(kind: str, key: str) -> Path:
    return cache_root() / kind / key[:40]


def _remove_abandoned(folder: Path) -> None:
    for scratch in folder.glob(f"{_SCRATCH}*"):
        try:
            abandoned = time.time() - scratch.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:  # just finished
            continue
        if abandoned:
            shutil.rmtree(scratch, ignore_errors=True)
