"""What every way to a bitstream has in common: a project as files, tools that are found, results in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bitstream.overlay_system import OverlaySystem
from lognet_fpga.errors import InputError
from lognet_fpga.fabric.board import Board
from lognet_fpga.progress import Stage

RESULTS, WORK = "out", "work"  # folders of a project
RESULT = "result.txt"  # lines of a key and its value: project, part, and tool NAME VERSION as often as needed

Run = Callable[[OverlaySystem, Path, Stage], None]  # run the system's project in that folder


@dataclass(frozen=True)
class Tools:
    """run: None where a tool is missing.  missing: what was looked for and is not there, a line each."""

    run: Run | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Toolchain:
    """name: as in options.  files: a project's, name to content, the same for the same system.  find: the tools, on the
    machine given (user@host) or this one.  read: the bitstream in a folder of results, given the lines of RESULT.
    require: raises UsageError for a board that it cannot serve.  by_hand: what to type in the project's folder.
    getting: how people get the tools."""

    name: str
    title: str
    files: Callable[[OverlaySystem], Mapping[str, bytes]]
    find: Callable[[str | None], Tools]
    read: Callable[[OverlaySystem, Path, Mapping[str, str]], Bitstream]
    require: Callable[[Board], None]
    by_hand: str
    getting: str


def result_lines(folder: Path) -> dict[str, str]:
    """RESULT in folder; of several tools the key is "tool NAME".  Raises InputError where it is not there."""
    try:
        text = (folder / RESULT).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(
            f"{folder} does not hold the results of a project: {RESULT}: {error.strerror}",
            hint="give the folder out/ of a project that was run to its end",
        ) from error
    lines: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "tool":
            name, _, value = value.rpartition("=")
            key = f"tool {name}"
        lines[key] = value
    return lines


def tool_versions(result: Mapping[str, str]) -> dict[str, str]:
    """The tools that RESULT names."""
    return {key.removeprefix("tool "): value for key, value in result.items() if key.startswith("tool ")}


def required_file(folder: Path, name: str) -> bytes:
    """Content of a file of the results; raises InputError where it is not there."""
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise InputError(
            f"{folder} has no {name}: {error.strerror}",
            hint="give the folder out/ of a project that was run to its end",
        ) from error
