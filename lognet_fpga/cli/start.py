"""The first moments of a command, before anything slow is imported."""

from __future__ import annotations

import errno
import io
import os
import sys

from lognet_fpga.errors import EXIT_INTERRUPTED
from lognet_fpga.machine import signals

_PREFIX = "lognet-"
INTERRUPTED = "interrupted; nothing was left half written"


class ClosedStream(io.TextIOBase):
    """In the place of a stdout that the user has closed: whoever writes is told."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def fileno(self) -> int:
        return 1


def begin() -> None:
    """Have Ctrl-C end the process with a line instead of a traceback, and the numbers 0 to 2 belong to no other file.

    Little is imported before.  Does nothing unless this process is one of the commands: the package may be imported for
    other reasons.
    """
    program = os.path.basename(sys.argv[0]) if sys.argv else ""  # -m: Python is looking for the module to run
    if program != "-m" and not (program.startswith(_PREFIX) and program[len(_PREFIX) :].isalpha()):
        return
    signals.leave(lambda: _interrupted(program))
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = ClosedStream()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # what may be lost goes there


def _interrupted(program: str) -> int:
    """Nothing was done so far: say so, and return the exit code."""
    from json import dumps

    if program == "-m":
        program = f"{_PREFIX}{sys.orig_argv[sys.orig_argv.index('-m') + 1].rpartition('.')[2]}"
    error = {"kind": "Interrupted", "message": INTERRUPTED, "exit_code": EXIT_INTERRUPTED}
    said = [(2, f"{program}: error: {INTERRUPTED}\n")]
    if "--json" in sys.argv or "--json" in sys.orig_argv:
        said.append((1, dumps({"error": error}) + "\n"))
    for number, text in said:
        try:
            os.write(number, text.encode())
        except OSError:
            pass
    return EXIT_INTERRUPTED
