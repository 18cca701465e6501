"""Count LUTs, flip-flops and block RAMs of each part of a design, by synthesizing it with Yosys for 7-series."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from lognet_fpga.errors import ToolError
from lognet_fpga.ir.design import VerilogDesign, below_header, is_verilog
from lognet_fpga.machine.cache import cached, digest
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.machine.tools import find_yosys, run_tool
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.paths import PathEstimate, longest_path
from lognet_fpga.synth.synthesis import PartCounts, SynthesisReport

_WORD = re.compile(r"\b[A-Za-z_][A-Za-z0-9_$]*\b")
_CONTENT = re.compile(r'\$readmemh\("([^"]*)"')
_MODULE = re.compile(r"^\s*module\s+([A-Za-z_][A-Za-z0-9_$]*)", re.MULTILINE)
_KEPT = "A:keep_hierarchy"


def synthesize(design: VerilogDesign, progress: Progress = NoProgress(), jobs: int = 2) -> SynthesisReport:
    """Synthesize the parts of design, each by itself, `jobs` side by side (about 1 GB of memory for each).

    A module that is several parts is synthesized once and counted for each.  Results are kept in the cache by the
    content of the files that the module needs.  Raises MissingToolError or ToolError.
    """
    yosys = find_yosys()
    modules = list(dict.fromkeys(module for _, module in design.parts))
    with progress.stage("synthesize with Yosys") as stage, ThreadPoolExecutor(max(1, jobs)) as pool:
        tasks = {pool.submit(_synthesize_module, design, module): module for module in modules}
        made: dict[str, tuple[PartCounts, PathEstimate]] = {}
        try:
            for task in as_completed(tasks):
                made[tasks[task]] = task.result()
                stage.update(len(made), len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    counts = tuple((name, made[module][0]) for name, module in design.parts)
    paths = tuple((name, made[module][1]) for name, module in design.parts)
    return SynthesisReport(counts, paths, yosys.version)


def files_of(design: VerilogDesign, module: str) -> tuple[tuple[str, str], ...]:
    """(file name, text) of the files that hold module, all modules below it and their memories' contents, in the
    design's order."""
    home = {name: file for file, text in design.verilog_files for name in _MODULE.findall(text)}
    if module not in home:
        raise ToolError(f"no file of the design holds module {module}", context=tuple(sorted(home)))
    texts: Mapping[str, str] = dict(design.files)
    needed: set[str] = set()
    waiting = [home[module]]
    while waiting:
        file = waiting.pop()
        if file not in needed:
            needed.add(file)
            waiting += [home[word] for word in set(_WORD.findall(texts[file])) if word in home]
            needed |= {name for name in _CONTENT.findall(texts[file]) if name in texts}
    return tuple((file, text) for file, text in design.files if file in needed)


def netlist_of(files: Sequence[tuple[str, str]], top: str, folder: Path, options: str = "") -> dict[str, Any]:
    """The modules of the flat 7-series netlist of module top, as Yosys' write_json gives them; folder is left with its
    files.  options: more of synth_xilinx.  Raises MissingToolError or ToolError."""
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "script.ys").write_text(_script(files, top, options), encoding="utf-8")
    run_tool(find_yosys(), ["script.ys"], folder, f"synthesis of {top}")
    return json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]


def netlist_key(files: Sequence[tuple[str, str]], top: str, options: str = "") -> str:
    """Digest of all that netlist_of's result depends on: the same for a module that several models have."""
    contents = (part for name, text in files for part in (name, below_header(text)))
    return digest(_script(files, top, options), find_yosys().version, *contents)


def synthesis_commands(top: str, options: str = "") -> list[str]:
    """Synthesis of module top for 7-series.  options: more of synth_xilinx.

    It makes shift registers of three flip-flops and more; here those with an enable are as soon as they are two, for
    the second asks for a position of its own (`synth.positions`).

    What is left beside top are the modules that keep their hierarchy (`hw.control`).  They are mapped to LUTs in a
    design of their own: for each module that it maps, Yosys rewrites the nets of all of the design twice, and top has
    most of these.  While top is mapped they are black boxes, which is what they are to its mapper in any case.
    """
    whole = f"synth_xilinx -family xc7 -flatten {options and f'{options} '}-top {top} -run"
    kept = f"synth_xilinx -family xc7 -flatten {options and f'{options} '}-run"
    return [
        f"{whole} begin:map_ffs",
        "xilinx_srl -fixed -minlen 2 t:$_DFFE_PP_",
        "techmap -map +/xilinx/cells_map.v t:$__XILINX_SHREG_",
        f"{whole} map_ffs:map_luts",
        "design -save whole",
        f"delete {top}",
        f"{kept} map_luts:finalize",
        "design -stash kept",
        "design -load whole",
        f"blackbox {_KEPT} {top} %d",
        f"{whole} map_luts:finalize",
        f"delete ={_KEPT} {top} %d",
        f"design -copy-from kept {_KEPT}",
        f"{whole} finalize:",
    ]


def _script(files: Sequence[tuple[str, str]], top: str, options: str) -> str:
    return (
        "\n".join(
            [
                *(f"read_verilog {name}" for name, _ in files if is_verilog(name)),
                *synthesis_commands(top, f"-noiopad -noclkbuf{options and ' '}{options}"),
                "setattr -unset src",
                "write_json netlist.json",
            ]
        )
        + "\n"
    )


def _synthesize_module(design: VerilogDesign, module: str) -> tuple[PartCounts, PathEstimate]:
    files = files_of(design, module)

    def make(folder: Path) -> None:
        scratch = folder / "scratch"
        scratch.mkdir()
        modules = netlist_of(files, module, scratch)
        found = {"counts": count_netlist(modules, module).to_json(), "path": longest_path(modules, module).to_json()}
        (folder / "part.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        shutil.rmtree(scratch)

    key = digest(made_by(__name__), netlist_key(files, module))
    found = json.loads(cached("yosys", key, make)["part.json"])
    return PartCounts.from_json(found["counts"]), PathEstimate.from_json(found["path"])
