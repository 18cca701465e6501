"""The open tools as a toolchain."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bitstream.open_tools.commands import (
    CHIPDB,
    DATABASE,
    FASM,
    LOG,
    PINS,
    assembly,
    keep_best,
    pins_text,
    place_and_route,
    seed_fasm,
    seed_log,
    shell_script,
    synthesis,
    with_settings,
    yosys_script,
)
from lognet_fpga.bitstream.open_tools.fasm import LutSites, lut_sites
from lognet_fpga.bitstream.open_tools.find import GETTING, OpenTools, find_open_tools, require_size
from lognet_fpga.bitstream.open_tools.log import reached_mhz, read_log, state
from lognet_fpga.bitstream.open_tools.netlist import estimate_text
from lognet_fpga.bitstream.open_tools.shift_registers import MAP_FILE, map_text
from lognet_fpga.bitstream.open_tools.top import SYSTEM, system_files
from lognet_fpga.bitstream.overlay_system import OverlaySystem
from lognet_fpga.bitstream.toolchain import RESULT, RESULTS, WORK, Toolchain, Tools, required_file, tool_versions
from lognet_fpga.errors import ToolError, UsageError
from lognet_fpga.fabric.board import Board
from lognet_fpga.ir.design import is_verilog
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.ir.system import OWN_DMA_VLNV
from lognet_fpga.progress import Stage

PART = "xc7z020clg400-1"
BIT_BYTES = 4_045_564  # of an xc7z020's configuration, without a header
_LOOK_S = 0.5  # between looks at the logs of what runs
_CONSTRAINTS = "# No pins and no clocks from outside: both are the processor's.\n"
_README = """\
Project of {name} for {title} by open tools: Yosys, nextpnr for Xilinx, Project X-Ray.  Experimental: no board has run a
bitstream of this toolchain.

    {chipdb}=chipdb-xc7z020.bin {database}=prjxray-db/zynq7 sh build.sh

leaves {results}/{name}.bit in this folder.  Back in the bundle with it:

    lognet-bitstream {name}.lognet --tool open --results {name}.open/{results}
"""


def _files(overlay: OverlaySystem) -> dict[str, bytes]:
    files = system_files(overlay)
    clk_mhz = overlay.system.clock.mhz
    verilog = tuple(name for name, _ in files if is_verilog(name))
    texts = {
        "build.sh": shell_script(overlay.name, SYSTEM, PART, clk_mhz),
        "constraints.xdc": _CONSTRAINTS,
        PINS: pins_text(),
        "README.txt": _README.format(
            name=overlay.name, title=overlay.title, results=RESULTS, chipdb=CHIPDB, database=DATABASE
        ),
        "verilog/system.ys": yosys_script(verilog, SYSTEM),
        f"verilog/{MAP_FILE}": map_text(),
        **{f"verilog/{name}": text for name, text in files},
    }
    return {name: text.encode() for name, text in texts.items()}


def _find(remote: str | None) -> Tools:
    tools, missing = find_open_tools(PART)
    if tools is None:
        return Tools(None, missing)

    def run(overlay: OverlaySystem, folder: Path, stage: Stage) -> None:
        stage.note("experimental: no board has run a bitstream of this toolchain")
        for name in (WORK, RESULTS):
            (folder / name).mkdir(exist_ok=True)
        todo = [synthesis(), None, *assembly(overlay.name, PART)]
        for number, step in enumerate(todo):
            if step is None:
                _place_and_route(tools, overlay, folder, stage, (number, len(todo)))
            else:
                stage.update(number, len(todo), tools.programs[step.program].name)
                tools.run(step, folder)
                if step == synthesis():
                    with_settings(folder, SYSTEM, tools.scripted)
                    if estimate := estimate_text(folder, SYSTEM):
                        stage.note(estimate)
        yosys, nextpnr = (tools.programs[key].version for key in ("LOGNET_YOSYS", "LOGNET_NEXTPNR"))
        project = (folder / "project.txt").read_text()
        said = f"project {project}tool Yosys={yosys}\ntool nextpnr={nextpnr}\n"
        (folder / RESULTS / RESULT).write_text(said, encoding="utf-8")

    return Tools(run)


def _place_and_route(tools: OpenTools, overlay: OverlaySystem, folder: Path, stage: Stage, at: tuple[int, int]) -> None:
    """The seeds side by side; the fastest that was routed is the project's.  at: the step's number, of how many.

    Raises ToolError, of the first seed, where none was routed.
    """
    name, seeds = tools.programs["LOGNET_NEXTPNR"].name, range(1, tools.seeds + 1)

    def run(seed: int) -> None:
        tools.run(place_and_route(PART, overlay.system.clock.mhz, tools.flavour, seed, tools.scripted), folder)

    def log(seed: int) -> str:
        try:
            return (folder / seed_log(seed)).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    with ThreadPoolExecutor(max_workers=min(len(seeds), os.cpu_count() or 1)) as pool:
        tasks: dict[Future[None], int] = {pool.submit(run, seed): seed for seed in seeds}
        running = set(tasks)
        try:
            while running:
                _, running = wait(running, _LOOK_S, FIRST_COMPLETED)
                started = [seed for task, seed in tasks.items() if task in running and task.running()]
                stage.update(*at, f"{name}: " + "; ".join(f"seed {seed} {state(log(seed))}" for seed in started))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # do not start the rest after Ctrl-C
            raise
    failed = {seed: error for task, seed in tasks.items() if (error := task.exception()) is not None}
    for error in failed.values():
        if not isinstance(error, ToolError):
            raise error
    for seed in seeds:
        stage.note(f"seed {seed}: {'not routed' if seed in failed else f'{reached_mhz(log(seed))} MHz'}")
    routed = [seed for seed in seeds if seed not in failed and (folder / seed_fasm(seed)).is_file()]
    if not routed:
        raise failed.get(1) or ToolError(f"{name} ended well and wrote no {seed_fasm(1)}")
    keep_best(folder, max(routed, key=lambda seed: reached_mhz(log(seed))))


def _sites(packed: bytes) -> LutSites:
    try:
        with gzip.open(io.BytesIO(packed), "rt", encoding="utf-8", errors="replace") as lines:
            return lut_sites(lines)
    except (OSError, EOFError, zlib.error) as error:
        raise ToolError(
            f"{Path(FASM).name} is damaged: {error}", hint="copy the results again, or run the project again"
        ) from error


def _read(overlay: OverlaySystem, folder: Path, result: Mapping[str, str]) -> Bitstream:
    bit = required_file(folder, f"{overlay.name}.bit")
    require_size(bit, BIT_BYTES, f"{overlay.name}.bit")
    log = required_file(folder, Path(LOG).name)
    sites = _sites(required_file(folder, Path(FASM).name))
    return Bitstream(
        bit,
        write_hwh(replace(overlay.system, dma_vlnv=OWN_DMA_VLNV)),
        OPEN.name,
        tool_versions(result),
        read_log(log.decode(errors="replace"), overlay.system.clk_mhz, sites),
        result.get("project", ""),
        experimental=True,
        reports={Path(LOG).name: log},
    )


def _require(board: Board) -> None:
    if board.part != PART:
        raise UsageError(
            f"the open tools make bitstreams for {PART} only, and {board.title} has {board.part}",
            hint="take --bitstream vivado, or a PYNQ-Z1 or PYNQ-Z2",
        )


OPEN = Toolchain("open", "open tools", _files, _find, _read, _require, "sh build.sh", GETTING)
