"""Writing what a command leaves in a folder."""

from __future__ import annotations

from pathlib import Path

from lognet_fpga.errors import OutputError
from lognet_fpga.machine.output_file import new_file
from lognet_fpga.report import printable


def make_folder(folder: Path) -> None:
    """Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {(error.strerror or str(error)).lower()}", hint="choose another --out"
        ) from error


def write_text(path: Path, text: str, hint: str = "choose another --out") -> None:
    """Raises OutputError, hint being what to do then; an earlier file stays."""
    with new_file(path, hint) as scratch:
        scratch.write_text(printable(text), encoding="utf-8")
