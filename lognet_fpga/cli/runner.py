"""What every command has around it: options, errors, Ctrl-C, exit codes."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import re
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from lognet_fpga.cli.reporter import Reporter, debugging, escape_output, print_out
from lognet_fpga.cli.start import INTERRUPTED
from lognet_fpga.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    LogNetError,
    MissingToolError,
    OutputError,
    UsageError,
    did_you_mean,
)
from lognet_fpga.machine import signals
from lognet_fpga.machine.cache import cache_root
from lognet_fpga.machine.tools import stop_tools

EXIT_CODES = """\
exit codes:
  0  done                             6  does not fit the board
  1  a bug in this program            7  verification failed
  2  wrong option or argument         8  damaged or foreign bundle
  3  not a readable ONNX model        9  a tool or package is missing
  4  the FPGA cannot take the model  10  the result cannot be written
  5  unusable frames                 11  an external program failed
 12  more accuracy lost than allowed  13  the board or a transfer failed
 14  the routed design is too slow   130  interrupted
"""

Command = Callable[[argparse.Namespace, Reporter], int | None]  # the exit code where it is not EXIT_OK
# More of them before they are searched for cycles: adder graphs are hundreds of thousands of tuples that stay, and
# going through them again and again took a sixth of planning.
_OBJECTS = 50_000
# Of a full, read-only or failing disk, wherever it shows: not a defect.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
# Of paths that no file system takes.
_NAME_ERRORS = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
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


def _names(action: argparse.Action) -> set[str]:
    """What argparse may call it in its messages."""
    return {"/".join(action.option_strings), str(action.metavar), action.dest}


class _Help(argparse.HelpFormatter):
    """Paragraphs as wide as the terminal; blocks with indented lines, such as examples, as they are written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = text.strip("\n").split("\n\n")
        filled = [
            textwrap.indent(block, indent)
            if re.search(r"^ ", block, re.MULTILINE)
            else textwrap.fill(" ".join(block.split()), width, initial_indent=indent, subsequent_indent=indent)
            for block in blocks
        ]
        return "\n\n".join(filled)


class Parser(argparse.ArgumentParser):
    """ArgumentParser that raises UsageError where the original prints and exits."""

    def __init__(self, program: str, description: str, examples: str) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=f"{examples}\n{EXIT_CODES}",
            allow_abbrev=False,
            formatter_class=_Help,
        )
        self._printing = shown = self.add_argument_group("what is printed")
        shown.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")
        shown.add_argument(
            "--progress", choices=("text", "json"), default="text", help="on stderr: lines of text, or JSON objects"
        )

    def parsed(self, arguments: Sequence[str]) -> argparse.Namespace:
        """As parse_args, which makes an empty list of --option=-- where one value is wanted."""
        found = self.parse_args(arguments)
        for action in self._actions:
            if action.nargs is None and getattr(found, action.dest, None) == []:
                self.error(f"argument {'/'.join(action.option_strings) or action.metavar}: expected one argument")
        return found

    def format_help(self) -> str:
        self._action_groups.sort(key=lambda group: group is self._printing)  # what all commands have comes last
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=did_you_mean(*self._unknown(message), f"see {self.prog} --help"))

    def _unknown(self, message: str) -> tuple[str, list[str]]:
        """What the message says is none, and what there is: options, or the choices of one."""
        if unknown := re.match(r"unrecognized arguments: (-[^\s=]*)", message):
            known = [name for action in self._actions for name in action.option_strings]
        elif unknown := re.match(r"argument \S+: invalid choice: '([^']*)'", message):
            choices = [
                action.choices or () for action in self._actions if message.split()[1].rstrip(":") in _names(action)
            ]
            known = [str(choice) for some in choices for choice in some]
        else:
            return "", []
        return unknown[1], known

    def _print_message(self, message: str, file: object = None) -> None:
        print_out(message)  # the help, for errors go the way of all others


def run(parser: Parser, command: Command, arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command, and turn every way it may end into an exit code.

    A LogNetError is said in its own words.  Any other exception is a defect: one line says so and where the traceback
    was saved.  LOGNET_DEBUG=1 shows tracebacks.  Behind a signal everything ends as interrupted.
    """
    _complete(parser)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    reporter = Reporter(parser.prog, "--json" in arguments, _wants_events(arguments))
    escape_output()
    gc.set_threshold(_OBJECTS)
    warnings.showwarning = lambda message, *_, **__: reporter.warning(" ".join(str(message).split()))
    signals.on_interrupt(stop_tools)
    signals.catch()
    try:
        exit_code = _outcome(parser, command, arguments, reporter)
        signals.check()  # one that was swallowed
        signals.leave(lambda: exit_code)  # all is said, Python has only to end
    except KeyboardInterrupt:
        exit_code = _say(reporter, LogNetError(INTERRUPTED), EXIT_INTERRUPTED, "Interrupted")
        # CPython remembers one that went through exec of a text, as dataclasses do it, and would end by SIGINT in spite
        # of the exit code; at the next such text it forgets.
        exec("")
    return exit_code


def _complete(parser: Parser) -> None:
    """Answer a shell that asks how the line goes on, and end; shells do where argcomplete is installed and set up
    (docs/commands.md)."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def _wants_events(arguments: Sequence[str]) -> bool:
    """Known before the arguments are parsed, for errors in them are events as well."""
    last = next((place for place in reversed(range(len(arguments))) if arguments[place].startswith("--progress")), None)
    return last is not None and "json" in (arguments[last].partition("=")[2], *arguments[last + 1 : last + 2])


def _outcome(parser: Parser, command: Command, arguments: Sequence[str], reporter: Reporter) -> int:
    """As run, but raises KeyboardInterrupt where a signal came."""
    try:
        return command(parser.parsed(arguments), reporter) or EXIT_OK
    except SystemExit as end:  # of --help
        return end.code if isinstance(end.code, int) else EXIT_OK
    except Exception as error:
        signals.check()
        told = _told(error)
        return _say_defect(parser.prog, reporter, error) if told is None else _say(reporter, told, told.exit_code)


def _told(error: Exception) -> LogNetError | None:
    """What the user is told of it; None for a bug in this program."""
    if isinstance(error, LogNetError):
        return error
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        return (
            package in _PACKAGES
            and MissingToolError(
                f"the Python package {package} is not installed",
                hint=f"pip install {_PACKAGES[package]}, or all that this command needs: "
                f"pip install 'lognet-fpga[{'train' if package == 'torch' else 'deploy'}]'",
            )
            or None
        )
    if not isinstance(error, OSError):
        return None
    no_folder = "temporary directory" in str(error)  # tempfile's words when every candidate is full
    what = f"{error.strerror or error}".lower() + (f": {error.filename}" if error.filename and not no_folder else "")
    if error.errno in _DISK_ERRORS or no_folder:
        return OutputError(
            what,
            hint="free some space, or set TMPDIR (temporary files) and LOGNET_CACHE (results) to folders "
            "with more; a bundle that was there before is unchanged",
        )
    if error.errno in _NAME_ERRORS:
        return OutputError(what, hint="give another path, or set TMPDIR and LOGNET_CACHE to other folders")
    return None


def _say(reporter: Reporter, error: LogNetError, exit_code: int, kind: str = "") -> int:
    detail = traceback.format_exc() if debugging() else ""
    try:
        reporter.error(
            str(error),
            kind=kind or type(error).__name__,
            exit_code=exit_code,
            detail=detail,
            for_people=error.for_people(),
        )
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
        path.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
    except (OSError, OutputError):
        return "no file, because none could be written; set LOGNET_DEBUG=1 to see it"
    return path
