"""Signals that end a process: each is remembered, and held back while something must not be cut in half."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C comes last: put back last, it cannot interrupt the putting back of the others.
_NAMES = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGINT")
TERMINATING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""What ends a process that does not say otherwise and may be sent by a user, a terminal or a batch system."""

_AGAIN_S = 0.05  # from a signal during an import to the next look

_received: list[int] = []
_on_interrupt: list[Callable[[], None]] = []


def catch() -> None:
    """From now on the first of them raises KeyboardInterrupt in the main thread, the others do nothing.

    Once is enough: the second signal of an impatient user would cut the cleaning up short.  What was ignored stays
    so, as nohup sets it.
    """
    _received.clear()
    _set(_interrupt)


def leave(last: Callable[[], int]) -> None:
    """From now on the first of them ends the process at once, with the exit code that last() returns."""

    def end(number: int, frame: object) -> None:
        _ignore()
        os._exit(last())

    _set(end)


def received() -> bool:
    """Whether a signal has come since catch().  What fails behind it does so for its sake: code in C may turn the
    KeyboardInterrupt into an error of its own."""
    return bool(_received)


def taken() -> None:
    """The signal has had its effect, an end in good order: what comes behind it is meant."""
    _received.clear()


def check() -> None:
    """Raise KeyboardInterrupt where a signal has come: again, if somebody has swallowed the first one."""
    if _received and threading.current_thread() is threading.main_thread():
        _end()


def on_interrupt(act: Callable[[], None]) -> None:
    """Have act called when a signal comes, before KeyboardInterrupt is raised."""
    if act not in _on_interrupt:
        _on_interrupt.append(act)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if _in_import(frame) and signal.getsignal(signal.SIGALRM) is _interrupt:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        _end()


def _end() -> None:
    _ignore()
    for act in _on_interrupt:
        act()
    raise KeyboardInterrupt


def _in_import(frame: FrameType | None) -> bool:
    """Whether a module is being imported, which not all that is written in C survives an exception in."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _set(handler: Callable[[int, FrameType | None], None]) -> None:
    if threading.current_thread() is threading.main_thread():  # Python lets no other
        for number in TERMINATING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)


def _ignore() -> None:
    for number in TERMINATING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Signals take effect only behind the block, which must be short.

    They interrupt the main thread only; in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before = {}
    try:
        for number in TERMINATING:
            handler = signal.getsignal(number)
            if handler not in (None, signal.SIG_IGN):  # None: not set from Python
                before[number] = handler
                signal.signal(number, lambda number, frame: pending.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in pending[:1]:
            signal.raise_signal(number)
