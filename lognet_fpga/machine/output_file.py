"""Files that a command leaves: whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lognet_fpga.errors import OutputError
from lognet_fpga.machine.signals import held


@contextmanager
def new_file(path: Path, hint: str = "choose another --out") -> Iterator[Path]:
    """A path beside `path` to write to; behind the block it takes the place of the file there, if there is one.

    When the block raises, nothing is left and the earlier file stays.  A link keeps its place, and what is no file is
    left alone.  Raises OutputError where it cannot be written, hint being what to do then.
    """
    place = Path(os.path.realpath(path))
    scratch = place.with_name(f".new-{secrets.token_hex(8)}")
    try:
        if os.path.lexists(place) and not place.is_file():
            raise OutputError(f"{path} is in the way: it is not a file; it was left as it is", hint=hint)
        yield scratch
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        with held():
            os.replace(scratch, place)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{path} cannot be written: {reason}", hint=hint) from error
    finally:
        with held(), suppress(OSError):
            scratch.unlink(missing_ok=True)
