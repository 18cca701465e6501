"""Writing what a command leaves in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from lognet_fpga.errors import OutputError


def make_folder(folder: Path) -> None:
    """Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {error.strerror}", hint="choose another --out"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write beside its place and rename.  Raises OutputError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}", hint="choose another --out") from error
    finally:
        scratch.unlink(missing_ok=True)
