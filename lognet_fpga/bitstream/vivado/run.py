"""Run a project's build.tcl, by a Vivado on this machine or on one that ssh reaches."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from lognet_fpga.bitstream.toolchain import RESULTS
from lognet_fpga.errors import MissingToolError, ToolError
from lognet_fpga.machine.tools import NOT_SAID, Tool, first_line, run_tool
from lognet_fpga.progress import Stage

OLDEST, NEWEST = (2020, 1), (2025, 2)
COMMAND = ("-mode", "batch", "-notrace", "-nojournal", "-log", "vivado.log", "-source", "build.tcl")
VARIABLE = "LOGNET_VIVADO"


def find_vivado(configured: str | None) -> Tool | None:
    """The program that `configured` (LOGNET_VIVADO) names, else vivado on PATH; None where there is none.

    Raises MissingToolError where `configured` names none.
    """
    program = shutil.which(configured or "vivado")
    if program is None:
        if configured:
            raise MissingToolError(f"{VARIABLE} is {configured}, which is no program", hint="give Vivado's bin/vivado")
        return None
    return Tool("Vivado", (program,), first_line([program, "-version"]) or NOT_SAID)


def run_here(vivado: Tool, folder: Path, stage: Stage) -> None:
    """Run build.tcl in folder.  Raises ToolError with the end of what Vivado said."""
    number = re.search(r"(\d{4})\.(\d)", vivado.version)
    if number is None or not OLDEST <= (int(number[1]), int(number[2])) <= NEWEST:
        which = "a Vivado that does not say its version" if vivado.version == NOT_SAID else vivado.version
        stage.note(f"{which}: the project is written for 2020.1 to 2025.2; it may work all the same")
    run_tool(vivado, COMMAND, folder, "Vivado")


def run_there(place: str, folder: Path) -> None:
    """Copy folder to place (user@host, or host), run build.tcl there, fetch out/ and vivado.log back into folder, and
    remove the copy.  ssh must not ask for anything.

    Raises MissingToolError without ssh and scp, ToolError where a step fails.
    """
    ssh, scp = (_program(name) for name in ("ssh", "scp"))

    def on_it(command: str) -> str:
        return run_tool(ssh, ["-o", "BatchMode=yes", place, command], folder, f"ssh {place}")

    try:
        there = on_it("mktemp -d /tmp/lognet-XXXXXXXX").strip().splitlines()[-1:]
    except ToolError as error:
        raise ToolError(
            f"{place} cannot be used by ssh",
            context=error.context,
            hint=f"`ssh -o BatchMode=yes {place} true` must work, which asks for no password: "
            f"check the name, and give it a key (ssh-copy-id {place})",
        ) from error
    if not there or not re.fullmatch(r"/tmp/lognet-\w+", there[0]):
        raise ToolError(f"{place} made no folder for the project: it said {' '.join(there)!r}")
    project = f"{there[0]}/{folder.name}"
    try:
        run_tool(scp, ["-q", "-r", str(folder), f"{place}:{there[0]}/"], folder, f"copy to {place}")
        try:
            # A login shell, for that is where Vivado's settings are usually read.
            command = f"cd {shlex.quote(project)} && vivado {shlex.join(COMMAND)}"
            on_it(f"bash -lc {shlex.quote(command)}")
        except ToolError as error:
            raise ToolError(
                f"Vivado on {place} failed",
                context=error.context,
                hint=f"if it was not found: `ssh {place} bash -lc vivado` must start it",
            ) from error
        back = [f"{place}:{project}/{name}" for name in (RESULTS, "vivado.log")]
        run_tool(scp, ["-q", "-r", *back, "."], folder, f"copy from {place}")
    finally:
        with suppress(ToolError):  # what went wrong before is what counts
            on_it(f"rm -rf {shlex.quote(there[0])}")


def _program(name: str) -> Tool:
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(f"{name} was not found; --remote needs it", hint="install OpenSSH's client")
    return Tool(name, (path,), NOT_SAID)
