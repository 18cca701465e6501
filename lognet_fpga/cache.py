"""Content-addressed cache of slow results: adder graphs, compiled simulators, synthesis figures.

An entry is a folder named by the digest of everything its content depends on.  It is made beside its place and
renamed into it, so a reader never sees half an entry and two writers do no harm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lognet_fpga.errors import OutputError


def cache_root() -> Path:
    """LOGNET_CACHE, or lognet-fpga below the user's cache folder."""
    if os.environ.get("LOGNET_CACHE"):
        return Path(os.environ["LOGNET_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lognet-fpga"


def digest(*parts: str | bytes) -> str:
    """SHA-256, hexadecimal, over the parts and their lengths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()


def cached(kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of entry (kind, key), and whether it was there already.

    make(folder) fills a new, empty folder; when it raises, nothing is kept.
    """
    place = cache_root() / kind / key[:40]
    if place.is_dir():
        return place, True
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new-"))
    except OSError as error:
        raise OutputError(f"the cache folder {place.parent} cannot be written: {error.strerror}",
                          hint="set LOGNET_CACHE to a folder with free space") from error
    try:
        make(scratch)
        try:
            os.rename(scratch, place)
        except OSError:
            if not place.is_dir():  # another process was first: its entry is as good
                raise
    except OSError as error:
        raise OutputError(f"the cache folder {place.parent} cannot be written: {error.strerror}",
                          hint="free some space, or set LOGNET_CACHE to another folder") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return place, False
