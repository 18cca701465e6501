"""What is installed here, for what, and how to get the rest: lognet-doctor.

Packages and their oldest versions are those of the package's own extras; programs are found as the stages find them.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lognet_fpga.bitstream.open_tools.find import GETTING, find_open_tools
from lognet_fpga.bitstream.open_tools.toolchain import PART
from lognet_fpga.bitstream.vivado.run import VARIABLE, find_vivado
from lognet_fpga.errors import MissingToolError, OutputError
from lognet_fpga.machine.cache import cache_root
from lognet_fpga.machine.tools import Tool, find_cxx, find_verilator, find_yosys
from lognet_fpga.report import Report, Section, Table
from lognet_fpga.version import __version__

PROJECT = "lognet-fpga"
BOARDS = ("armv7l", "aarch64")
_PROGRAMS = ("pyosys", "verilator")  # packages that hold programs, which may come from elsewhere as well
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w,-]+)\])?\s*(?P<versions>[^;]*)(?:;\s*(?P<marker>.*))?")
_IN_EXTRA = re.compile(r"""\bextra\s*==\s*["']([\w-]+)["']""")


@dataclass(frozen=True)
class Need:
    """name: of a package, with the versions that do, or of a program.  found: its version; None where there is none
    that does, and then getting says how to get it.  present: a version that does not do."""

    name: str
    found: str | None
    getting: str
    present: str | None = None


@dataclass(frozen=True)
class Use:
    """Something that people do: its name, what it is, and what it needs."""

    name: str
    what: str
    needs: tuple[Need, ...]

    @property
    def ready(self) -> bool:
        return all(need.found is not None for need in self.needs)


# Name, what it is, the extra whose packages it needs.
_EXTRAS = (
    ("deploy", "lognet-inspect and lognet-deploy", "deploy"),
    ("stream", "lognet-stream; the host's part of a model (without onnxruntime in NumPy)", "host"),
    ("serve", "lognet-serve", "serve"),
    ("grpc", "lognet-serve --grpc-port", "grpc"),
    ("metrics", "/metrics of lognet-serve", "metrics"),
    ("retrain", "lognet-retrain", "train"),
    ("dask", "lognet-study --dask, lognet_fpga.fleet", "dask"),
    ("plot", "plots of lognet-cost and the notebooks", "plot"),
    ("video", "videos and cameras as frames", "video"),
    ("board", "the FPGA of a PYNQ board, on the board", "board"),
)


def uses() -> tuple[Use, ...]:
    """Everything there is to do, with what it needs here.  Raises MissingToolError where the package is not installed
    with its metadata."""
    found = {name: Use(name, what, _packages_of(extra)) for name, what, extra in _EXTRAS}
    if platform.machine() not in BOARDS:
        found["board"] = replace(found["board"], needs=(Need("a PYNQ board", None, "run this on the board"),))
    programs = (
        Use("verify", "checking the Verilog (lognet-deploy without --no-verify)", _programs(find_verilator, find_cxx)),
        Use("synth", "counting LUTs and flip-flops (--synth)", _programs(find_yosys)),
        Use("vivado", "bitstreams by Vivado", (_vivado(),)),
        Use("open", f"bitstreams by open tools, for {PART}", _open_tools()),
    )
    return (found.pop("deploy"), *programs[:2], *found.values(), *programs[2:])


def surroundings(known: tuple[Use, ...]) -> Report:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    cache = _cache()
    needed: dict[Need, list[str]] = {}
    for use in known:
        for need in use.needs:
            needed.setdefault(need, []).append(use.name)
    rows = tuple(
        (need.name, need.found or (f"{need.present} does not do" if need.present else "missing"), ", ".join(names))
        for need, names in needed.items()
    )
    ready, missing = ([use for use in known if use.ready == wanted] for wanted in (True, False))
    sections = (
        Section(
            "This machine",
            (f"{PROJECT} {__version__} in {python} ({sys.executable}), {machine}", f"cache: {cache['text']}"),
        ),
        Section("Ready", tuple(f"{use.name:8} {use.what}" for use in ready)),
        Section("Not ready", tuple(f"{use.name:8} {use.what}" for use in missing)),
        Section("What is needed", (), Table(("package or program", "found", "for"), rows)),
        Section(
            "How to get what is missing",
            tuple(line for need in needed if need.found is None for line in (need.name, f"  {need.getting}")),
        ),
    )
    data = {
        "version": __version__,
        "python": python,
        "machine": machine,
        "cache": cache,
        "uses": [
            {
                "name": use.name,
                "what": use.what,
                "ready": use.ready,
                "needs": [
                    {"name": need.name, "found": need.found, "present": need.present, "getting": need.getting}
                    for need in use.needs
                ],
            }
            for use in known
        ],
    }
    return Report("What is installed", tuple(section for section in sections if section.lines or section.table), data)


def require(known: tuple[Use, ...], names: list[str]) -> MissingToolError | None:
    """The error of the first of the named uses that is not ready."""
    for use in known:
        if use.name in names and not use.ready:
            absent = [need for need in use.needs if need.found is None]
            return MissingToolError(
                f"{use.name} is not ready: {', '.join(need.name for need in absent)}",
                context=tuple(f"{need.name}: {need.getting}" for need in absent),
                hint="install what is missing, as told above",
            )
    return None


def _packages_of(extra: str) -> tuple[Need, ...]:
    """Of several demands on a package those that do not hold, else the last."""
    by_name: dict[str, Need] = {}
    for need in _packages(extra):
        name = re.split(r"[^\w.-]", need.name)[0]
        if name not in by_name or by_name[name].found is not None:
            by_name[name] = need
    return tuple(by_name.values())


def _packages(extra: str) -> Iterator[Need]:
    """Of the package itself and of the extra, and of those that it names."""
    try:
        lines = importlib.metadata.requires(PROJECT) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingToolError(
            f"{PROJECT} is not installed, only lies here: what it needs is not known", hint='pip install -e ".[deploy]"'
        ) from error
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        marker = match["marker"] or ""
        of = _IN_EXTRA.search(marker)
        if (of[1] if of else None) not in (extra, None) or not _applies(marker, extra):
            continue
        if match["name"] == PROJECT:
            for other in (match["extras"] or "").split(","):
                yield from _packages(other)
        elif match["name"] not in _PROGRAMS:
            yield _package(match["name"], match["versions"].strip())


def _applies(marker: str, extra: str) -> bool:
    """Whether a marker of the package's own metadata holds here."""
    try:
        from packaging.markers import Marker
    except ImportError:
        return True
    return not marker or Marker(marker).evaluate({"extra": extra})


def _package(name: str, versions: str) -> Need:
    getting = f'pip install "{name}{versions}"'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Need(f"{name}{versions}", None, getting)
    return Need(f"{name}{versions}", version, getting) if _does(version, versions) else _old(name, versions, version)


def _old(name: str, versions: str, version: str) -> Need:
    return Need(f"{name}{versions}", None, f'pip install "{name}{versions}"', version)


def _does(version: str, versions: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:  # then any does
        return True
    return SpecifierSet(versions).contains(version, prereleases=True)


def _programs(*finders: Callable[[], Tool]) -> tuple[Need, ...]:
    needs = []
    for find in finders:
        try:
            tool = find()
            needs.append(Need(tool.name, tool.version, ""))
        except MissingToolError as error:
            name = (
                find.__name__.removeprefix("find_").replace("cxx", "C++ compiler").replace("v", "V").replace("y", "Y")
            )
            needs.append(Need(name, None, error.hint or ""))
    return tuple(needs)


def _vivado() -> Need:
    getting = f"AMD's Vivado 2020.1 to 2025.2 on PATH, or {VARIABLE}; or --remote a machine that has it"
    try:
        vivado = find_vivado(os.environ.get(VARIABLE))
    except MissingToolError as error:
        return Need("Vivado", None, str(error.hint))
    return Need("Vivado", vivado.version if vivado else None, getting)


def _open_tools() -> tuple[Need, ...]:
    tools, missing = find_open_tools(PART)
    if tools is not None:
        return tuple(Need(tool.name, tool.version, "") for tool in tools.programs.values())
    names = [line.partition(":")[0].partition(" on PATH")[0] for line in missing]
    return tuple(
        Need(name, None, f"{line}; {GETTING}" if number == 0 else line)
        for number, (name, line) in enumerate(zip(names, missing))
    )


def _cache() -> dict[str, object]:
    try:
        root = cache_root()
    except OutputError as error:
        return {"folder": None, "free_bytes": None, "text": str(error)}
    there = next(place for place in (root, *root.parents) if place.exists())
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK)
    text = f"{root}, {free / 1e9:,.1f} GB free" + ("" if writable else "; it cannot be written: set LOGNET_CACHE")
    return {"folder": str(root), "free_bytes": free, "text": text}
