"""Find an entry or make it."""

from __future__ import annotations

import atexit
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lognet_fpga.errors import LogNetError, OutputError
from lognet_fpga.machine.cache.bound import Bound, limit_bytes, trim
from lognet_fpga.machine.cache.entry import DAMAGE, Files, contents, seal, share, touch
from lognet_fpga.machine.cache.place import make_parent, new_scratch, place_of, remove, remove_abandoned, sync
from lognet_fpga.machine.signals import held

_ATTEMPTS = 5
_bound = Bound()
IN_USE = 200  # entries that a process keeps others from removing; each is an open file
_in_use: dict[Path, int] = {}  # those entries, to the files, the longest unused one first
_in_use_lock = threading.Lock()


def find(kind: str, key: str) -> Files | None:
    """The files of entry (kind, key), just those bytes that were checked; None where it is not there whole."""
    place = place_of(kind, key)
    try:
        files = contents(place, kind, key)
    except DAMAGE:
        return None
    touch(place)
    return files


def cached(kind: str, key: str, make: Callable[[Path], None]) -> Files:
    """The files of entry (kind, key), made now unless they are there.

    make(folder) fills a new, empty folder; when it raises, nothing is kept.  Raises OutputError where the cache cannot
    be written.
    """
    files = find(kind, key)
    return _make(kind, key, make)[0] if files is None else files


def cached_folder(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """As `cached`, for programs that need files: the folder.

    It is not removed before this process ends or has asked for IN_USE others.
    """
    place = place_of(kind, key)
    for _ in range(_ATTEMPTS):
        with suppress(*DAMAGE):
            number = share(place)
            try:
                contents(place, kind, key, keep=False)
            except BaseException:
                os.close(number)
                raise
            _keep(place, number)
            touch(place)
            return place
        if _make(kind, key, make, use=True)[1]:
            return place
    raise OutputError(
        f"the cache folder {place.parent} is changed by somebody else all the time",
        hint="set LOGNET_CACHE to another folder",
    )


def _keep(place: Path, number: int) -> None:
    with _in_use_lock:
        released = [_in_use.pop(place)] if place in _in_use else []
        _in_use[place] = number
        while len(_in_use) > IN_USE:
            released.append(_in_use.pop(next(iter(_in_use))))
    for earlier in released:
        os.close(earlier)


@atexit.register
def _finish() -> None:
    """What this process used may be more than the limit allows."""
    if _in_use:
        while _in_use:
            os.close(_in_use.popitem()[1])
        with suppress(OSError, LogNetError):
            trim(limit_bytes())


def _make(kind: str, key: str, make: Callable[[Path], None], use: bool = False) -> tuple[Files, bool]:
    """The files, and whether it is they that lie in the entry's place now; with `use` they stay there then."""
    limit, place = limit_bytes(), place_of(kind, key)
    for attempt in range(_ATTEMPTS):
        scratch = new_scratch(place.parent)
        try:
            make_parent(place.parent)
            remove_abandoned(place.parent)
            scratch.mkdir()
            make(scratch)
            files = seal(scratch, kind, key)
            number = share(scratch) if use else None
            ours = _put(scratch, place, kind, key)
            if number is not None:
                _keep(place, number) if ours else os.close(number)
            break
        except Exception as error:
            if not scratch.is_dir() and attempt < _ATTEMPTS - 1:  # the cache may be deleted at any time
                continue
            if not isinstance(error, OSError):
                raise
            raise OutputError(
                f"the cache folder {place.parent} cannot be written: {(error.strerror or str(error)).lower()}",
                hint="free some space, or set LOGNET_CACHE to another folder",
            ) from error
        finally:
            with held():
                shutil.rmtree(scratch, ignore_errors=True)
    _bound.added(sum(map(len, files.values())), limit)
    return files, ours


def _put(scratch: Path, place: Path, kind: str, key: str) -> bool:
    """Rename scratch to place, and say whether; False where another process was first with an entry as good.  A damaged
    one goes.  Raises OSError."""
    for _ in range(_ATTEMPTS):
        try:
            os.rename(scratch, place)
        except OSError as error:
            failure = error
        else:
            with suppress(OSError):  # gone again
                sync(place.parent)
            return True
        with suppress(*DAMAGE):
            contents(place, kind, key, keep=False)
            return False
        if os.path.lexists(place):
            with suppress(FileNotFoundError):
                remove(place)
    raise failure
