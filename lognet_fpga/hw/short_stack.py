"""A short answer to MyHDL's question who called.

MyHDL asks `inspect.stack()` at every block and every process, and looks at the frames and names of the functions of its
innermost entries.  Python's own answer goes through the whole stack and reads the source around each call, which is
half of the time of a conversion in a script, and more the deeper the caller's stack is.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType, SimpleNamespace
from typing import NamedTuple

from myhdl import _block, _instance

_ENTRIES = 6  # MyHDL looks at five and the caller of these


class Entry(NamedTuple):
    """As `inspect.FrameInfo`, without places in the source."""

    frame: FrameType
    filename: str
    lineno: int
    function: str


def short_stack() -> list[Entry]:
    """The innermost entries of the caller's stack, its own first."""
    entries: list[Entry] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(entries) < _ENTRIES:
        entries.append(Entry(frame, frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return entries


def shorten() -> None:
    """From now on MyHDL, and nobody else, gets the short answer."""
    for module in (_block, _instance):
        module.inspect = SimpleNamespace(**{**vars(inspect), "stack": short_stack})
