"""The size of the cache: above the limit the entries go that were not used for the longest time."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from lognet_fpga.errors import UsageError
from lognet_fpga.machine.cache.entry import INDEX, in_use
from lognet_fpga.machine.cache.place import cache_root, entry_places, remove

LIMIT_MB = 4096
_KEPT = 0.9  # share of the limit that is left, so that not every entry has to look at all others
_RECOUNT = 0.05  # share of the limit after which the cache is counted again, for other processes write too


def limit_bytes() -> int:
    """LOGNET_CACHE_MB in bytes.  Raises UsageError for what is no whole number."""
    text = os.environ.get("LOGNET_CACHE_MB", "").strip() or str(LIMIT_MB)
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise UsageError(f"LOGNET_CACHE_MB must be a whole number of megabytes, not {text!r}", hint="for example 4096")
    return int(text) * 1_000_000


class Bound:
    """Counts what this process adds, and trims the cache when that may be too much."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room: dict[Path, float] = {}  # bytes that may be added before it is counted again

    def added(self, size: int, limit: int) -> None:
        with self._lock:
            root = cache_root()
            self._room[root] = self._room.get(root, 0.0) - size
            if self._room[root] <= 0:
                total = trim(limit)
                self._room[root] = max(0.0, min(limit - total, _RECOUNT * limit))


def trim(limit: int) -> int:
    """Remove entries until the limit, in bytes, is kept, none that is in use.  Returns the bytes that are left."""
    entries = sorted((_last_use(place), _size(place), place) for place in entry_places())
    total = sum(size for _, size, _ in entries)
    if total <= limit:
        return total
    for _, size, place in entries:
        if total <= limit * _KEPT:
            break
        if not in_use(place):
            with suppress(OSError):  # somebody else's, or somebody was faster
                remove(place)
                total -= size
    return total


def _last_use(place: Path) -> float:
    for path in (place / INDEX, place):  # an entry without an index is one of earlier versions, or damaged
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _size(place: Path) -> int:
    total = 0
    for parent, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
