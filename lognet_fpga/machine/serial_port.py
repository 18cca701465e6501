"""Serial ports and pseudo-terminals as file descriptors: raw bytes, 8 bits, no parity, no echo."""

from __future__ import annotations

import os
import pty
import termios
import tty
from pathlib import Path

from lognet_fpga.errors import UsageError


def open_serial_port(path: Path, baud: int, flags: int, what: str = "the serial port") -> int:
    """A descriptor of the port at path, opened with flags of os.open.  what: names it in hints.

    Raises UsageError for a port or a rate that is not there.
    """
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise UsageError(f"{baud} baud is no rate of a serial port", hint="give one such as 9600 or 115200")
    try:
        descriptor = os.open(path, flags | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}", hint=f"give {what}") from error
    try:
        tty.setraw(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = speed
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    except termios.error as error:
        os.close(descriptor)
        raise UsageError(f"{path} is no serial port", hint=f"give {what}") from error
    return descriptor


def open_pseudo_terminal() -> tuple[int, int, str]:
    """(our end, the other end, the other end's path).  Who holds the other end open keeps ours from ending with each
    client that leaves."""
    ours, other = pty.openpty()
    tty.setraw(other)
    os.set_blocking(ours, False)
    return ours, other, os.ttyname(other)
