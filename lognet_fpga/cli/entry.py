"""What every command has around it: options, errors, Ctrl-C, exit codes."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from lognet_fpga.cache import cache_root
from lognet_fpga.cli.reporter import Reporter, debugging
from lognet_fpga.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    LogNetError,
    MissingToolError,
    OutputError,
    UsageError,
)
from lognet_fpga.tools import stop_tools

EXIT_CODES = """\
exit codes:
  0  done                             6  does not fit the board
  1  defect of this program           7  verification failed
  2  wrong option or argument         8  damaged or foreign bundle
  3  not a readable ONNX model        9  a tool or package is missing
  4  the FPGA cannot take the model  10  the result cannot be written
  5  unusable frames                 11  an external program failed
 12  more accuracy lost than allowed  13  the board or a transfer failed
 14  the routed design is too slow   130  interrupted
"""

Command = Callable[[argparse.Namespace, Reporter], int | None]  # the exit code where it is not EXIT_OK
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Of a full, read-only or failing disk, wherever it shows: not a defect.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
# Package that is imported: what to install for it.
_PACKAGES = {
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "PIL": "pillow",
    "myhdl": "myhdl==0.11.52",
    "google": "protobuf",
    "da4ml": "da4ml",
    "torch": "torch",
}


class Parser(argparse.ArgumentParser):
    """ArgumentParser that raises UsageError where the original prints and exits."""

    def __init__(self, program: str, description: str, examples: str) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=f"{examples}\n{EXIT_CODES}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see {self.prog} --help")


def run(parser: Parser, command: Command, arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command, and turn every way it may end into an exit code.

    A LogNetError is said in its own words.  Any other exception is a defect: one line says so and where the traceback
    was saved.  LOGNET_DEBUG=1 shows tracebacks.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    reporter = Reporter(parser.prog, "--json" in arguments)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _interrupt)
    warnings.showwarning = lambda message, *_, **__: reporter.warning(" ".join(str(message).split()))
    try:
        return command(parser.parse_args(arguments), reporter) or EXIT_OK
    except KeyboardInterrupt:
        stop = LogNetError("interrupted; nothing was left half written")
        return _say(reporter, stop, EXIT_INTERRUPTED, "Interrupted")
    except LogNetError as error:
        return _say(reporter, error, error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            return _say_defect(parser.prog, reporter, error)
        missing = MissingToolError(
            f"the Python package {package} is not installed",
            hint=f"pip install {_PACKAGES[package]}, or all that this command needs: "
            f"pip install 'lognet-fpga[{'train' if package == 'torch' else 'deploy'}]'",
        )
        return _say(reporter, missing, missing.exit_code)
    except OSError as error:
        no_folder = "temporary directory" in str(error)  # tempfile's words when every candidate is full
        if error.errno not in _DISK_ERRORS and not no_folder:
            return _say_defect(parser.prog, reporter, error)
        reason = (error.strerror or str(error)).lower()
        full = OutputError(
            f"{reason}{f': {error.filename}' if error.filename and not no_folder else ''}",
            hint="free some space, or set TMPDIR (temporary files) and LOGNET_CACHE (results) to folders "
            "with more; a bundle that was there before is unchanged",
        )
        return _say(reporter, full, full.exit_code)
    except Exception as error:
        return _say_defect(parser.prog, reporter, error)


def _interrupt(number: int, frame: object) -> NoReturn:
    """End the programs that are running, in whichever thread, then end this one.

    Once is enough: the second signal of an impatient user would cut the cleaning up short.
    """
    for again in _SIGNALS:
        signal.signal(again, signal.SIG_IGN)
    stop_tools()
    raise KeyboardInterrupt


def _say(reporter: Reporter, error: LogNetError, exit_code: int, kind: str = "") -> int:
    detail = traceback.format_exc() if debugging() else ""
    try:
        reporter.error(str(error), kind=kind or type(error).__name__, exit_code=exit_code, detail=detail)
    except OutputError:  # stdout is full; stderr has the error already
        pass
    return exit_code


def _say_defect(program: str, reporter: Reporter, error: Exception) -> int:
    place = f"the traceback is in {_save_traceback(program)}" if not debugging() else "the traceback is above"
    summary = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return _say(reporter, LogNetError(f"defect in this program: {summary}; {place}"), EXIT_INTERNAL, "InternalError")


def _save_traceback(program: str) -> Path | str:
    try:
        path = cache_root() / "logs" / f"{program}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc())
    except (OSError, OutputError):
        return "no file, for none could be written; set LOGNET_DEBUG=1 to see it"
    return path
