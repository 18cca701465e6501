"""Where the open tools are: on PATH, or where the settings say."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bitstream.open_tools.commands import (
    CHIPDB,
    DATABASE,
    DEFAULT_SEEDS,
    HIMBAECHEL,
    MOST_SEEDS,
    PROGRAMS,
    SEEDS,
    XILINX,
    Step,
    runs_scripts,
)
from lognet_fpga.errors import LogNetError, MissingToolError, ToolError, UsageError
from lognet_fpga.machine.tools import NOT_SAID, Tool, find_yosys, first_line, run_tool

GETTING = (
    "openXC7 (its toolchain-installer, snap or nix) has nextpnr-xilinx, fasm2frames, xc7frames2bit and both databases; "
    "or build YosysHQ's nextpnr with the himbaechel architecture and its xilinx microarchitecture beside a clone of "
    "prjxray-db. docs/bitstream.md says which variable names what"
)


@dataclass(frozen=True)
class OpenTools:
    """programs: by their variables in commands.PROGRAMS.  flavour: of nextpnr.  chipdb: a file.  database: a folder.
    seeds: placements that are tried, of which the fastest counts.  scripted: nextpnr runs commands.PINS."""

    programs: Mapping[str, Tool]
    flavour: str
    chipdb: str
    database: str
    seeds: int
    scripted: bool

    def run(self, step: Step, project: Path) -> str:
        """Raises ToolError or OutputError."""
        tool = self.programs[step.program]
        values = {"$CHIPDB": self.chipdb, "$DATABASE": self.database}
        arguments = []
        for word in step.arguments:
            for name, value in values.items():
                word = word.replace(name, value)
            arguments.append(word)
        return run_tool(tool, arguments, project / step.folder, tool.name)


def find_open_tools(part: str, environment: Mapping[str, str] = os.environ) -> tuple[OpenTools | None, tuple[str, ...]]:
    """The tools, None where one is missing, and what is missing.

    Raises UsageError for a number of seeds that is none.
    """
    missing, programs = [], {}
    for variable, name in PROGRAMS.items():
        try:
            tool = _yosys(environment) if variable == "LOGNET_YOSYS" else _program(variable, name, environment)
        except MissingToolError:
            tool = None
        if tool is None:
            missing.append(f"{name} on PATH, or the program that {variable} names")
        else:
            programs[variable] = tool
    chipdb, database = environment.get(CHIPDB, ""), environment.get(DATABASE, "")
    if not Path(chipdb).is_file():
        missing.append(f"nextpnr's chip database: {CHIPDB} names the file, chipdb-xc7z020.bin or so")
    if not Path(database, part, "part.yaml").is_file():
        missing.append(f"prjxray-db: {DATABASE} names its folder zynq7, with {part}/part.yaml in it")
    if missing:
        return None, tuple(missing)
    flavour = programs["LOGNET_NEXTPNR"].name
    seeds = _seeds(environment.get(SEEDS) or str(DEFAULT_SEEDS))
    scripted = runs_scripts(flavour, _help(programs["LOGNET_NEXTPNR"]))
    databases = str(Path(chipdb).absolute()), str(Path(database).absolute())
    return OpenTools(programs, flavour, *databases, seeds, scripted), ()


def _help(tool: Tool) -> str:
    """Empty where it ends otherwise."""
    try:
        return run_tool(tool, ["--help"], Path(), tool.name)
    except LogNetError:
        return ""


def _seeds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SEEDS:
        raise UsageError(f"{SEEDS} is {text!r}, which is no number from 1 to {MOST_SEEDS}")
    return int(text)


def _yosys(environment: Mapping[str, str]) -> Tool | None:
    given = environment.get("LOGNET_YOSYS")
    if not given:
        return find_yosys()
    path = shutil.which(given)
    return Tool("Yosys", (path, "-q", "-s"), first_line([path, "--version"]) or NOT_SAID) if path else None


def _program(variable: str, name: str, environment: Mapping[str, str]) -> Tool | None:
    """A Python script is run by this Python.  nextpnr is known by either name, its flavour being the tool's name."""
    candidates = [environment[variable]] if environment.get(variable) else [name, f"{name}.py"]
    if variable == "LOGNET_NEXTPNR" and not environment.get(variable):
        candidates.append(XILINX)
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None and candidate.endswith(".py") and Path(candidate).is_file():
            path = candidate
        if path is None:
            continue
        command = (sys.executable, path) if path.endswith(".py") else (path,)
        if variable != "LOGNET_NEXTPNR":
            return Tool(name, command, NOT_SAID)
        flavour = XILINX if Path(path).name.startswith(XILINX) else HIMBAECHEL
        return Tool(flavour, command, first_line([path, "--version"]) or NOT_SAID)
    return None


def require_size(bit: bytes, least: int, name: str) -> None:
    """Raise ToolError for a bitstream shorter than the chip's frames."""
    if len(bit) < least:
        raise ToolError(
            f"{name} has {len(bit):,} bytes; a bitstream of this chip has {least:,} and more",
            hint="run the project again; if it stays, fasm2frames or xc7frames2bit has another chip's database",
        )
