"""Every error a user can meet, and the exit code each one ends a command with.

Imports nothing of the package, so that every stage may raise from here.  A message says what is wrong and
where; `context` lists the particulars one to a line; `hint` says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


_LONGEST_WORD = 56  # of text for people


def brief(text: str, longest: int = _LONGEST_WORD) -> str:
    """text for people: names without end, as TensorFlow Lite's of 190 characters, shortened in the middle to `longest`
    characters; not those of ONNX files, which are places to look at."""
    end = (longest - 3) * 19 // 53

    def shortened(match: re.Match[str]) -> str:
        return match[0] if ".onnx" in match[0] else f"{match[0][: longest - 3 - end]}...{match[0][-end:]}"

    return re.sub(rf"\S{{{longest + 1},}}", shortened, text)


class LogNetError(Exception):
    """Base of all errors meant for the user.  exit_code is the command's exit status."""

    exit_code = EXIT_INTERNAL

    def __init__(self, message: str, *, context: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.context = tuple(context)
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.context)]
        if self.hint:
            lines.append(f"What to do: {self.hint}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """As every command's JSON has it."""
        return {"kind": type(self).__name__, "message": str(self), "exit_code": self.exit_code}

    def for_people(self) -> str:
        """As str, which programs get; errors that name a model's nodes and tensors shorten them."""
        return str(self)


class UsageError(LogNetError):
    """An option or an argument that cannot be used as given."""

    exit_code = EXIT_USAGE


class ModelError(LogNetError):
    """The model file is not a valid ONNX model that this project can read."""

    exit_code = 3

    def for_people(self) -> str:
        return brief(str(self))


class UnsupportedModelError(LogNetError):
    """A valid model, but the part meant for the FPGA holds what the FPGA cannot do."""

    exit_code = 4

    def for_people(self) -> str:
        return brief(str(self))


class InputError(LogNetError):
    """Frames or other input data that are missing, unreadable or of the wrong size or type."""

    exit_code = 5


class DoesNotFitError(LogNetError):
    """No plan fits the board, or none reaches the frame rate asked for."""

    exit_code = 6


class VerificationError(LogNetError):
    """Two levels of the design disagree: a defect of this project, never of the user's model."""

    exit_code = 7


class BundleError(LogNetError):
    """A bundle that is damaged, changed by hand, or written by an incompatible version."""

    exit_code = 8


class MissingToolError(LogNetError):
    """A program or package that a step needs is not installed."""

    exit_code = 9


class OutputError(LogNetError):
    """The result cannot be written: no space, no permission, or the place is taken by something else."""

    exit_code = 10


class ToolError(LogNetError):
    """An external program (Verilator, Yosys, a compiler) ran and failed."""

    exit_code = 11


class AccuracyError(LogNetError):
    """The deployed model loses more accuracy than the user allows."""

    exit_code = 12


class BoardError(LogNetError):
    """The board, its bitstream or a transfer to it is not as it must be."""

    exit_code = 13


class TimingError(LogNetError):
    """A placed and routed design is slower than its clock, and the user did not allow that."""

    exit_code = 14


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for a word that is none of those known: the one most like it, if one is, and what else to do."""
    meant = get_close_matches(word, list(known), 1)
    return f"did you mean {meant[0]}? Else {otherwise}" if meant else otherwise


def did_you_mean_file(path: Path, otherwise: str) -> str:
    """A hint for a file that is missing: the one beside its place whose name is most like it, if one is."""
    try:
        beside = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        return otherwise
    meant = get_close_matches(path.name, beside, 1)
    return f"did you mean {path.parent / meant[0]}? Else {otherwise}" if meant else otherwise
