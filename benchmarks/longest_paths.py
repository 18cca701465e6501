"""The longest path of every block of a bundle's Verilog, each synthesized by itself with Yosys.

    python benchmarks/longest_paths.py build/demo/model_log2.lognet/verilog [--only 'layer1_.*'] [--most 3]

A block, as layer2_fifo, takes half a minute; the adders of a large layer take minutes.  Nothing is placed: nets are
guessed (lognet_fpga/synth/delays.py).
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.paths import Path as TimingPath
from lognet_fpga.synth.paths import longest_path, paths
from lognet_fpga.synth.yosys import netlist_of

_MODULE = re.compile(r"^module (\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+")
_MEMORY = re.compile(r'\$readmemh\("([^"]*)"')


def blocks(texts: Mapping[str, str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Every module of files name -> text that holds no others but leaves of control nets: the files it needs."""
    home = {module: name for name, text in texts.items() for module in _MODULE.findall(text)}
    found = {}
    for module, name in home.items():
        needed = {home[word] for word in set(_WORD.findall(texts[name])) & home.keys()}
        shared = {other for other in needed if other.startswith("lognet_")}
        if needed - shared == {name} and name not in shared:
            contents = {memory for memory in _MEMORY.findall(texts[name]) if memory in texts}
            found[module] = tuple((file, texts[file]) for file in sorted(needed | contents))
    return found


def worst(modules: Mapping[str, Mapping[str, Any]], top: str, most: int) -> list[TimingPath]:
    """The latest paths between different registers, bits of a vector taken for one."""
    latest: dict[tuple[str, str], TimingPath] = {}
    for path in paths(modules, top):
        ends = re.sub(r"\d+", "", path.begin), re.sub(r"\d+", "", path.end)
        if ends not in latest or latest[ends].ns < path.ns:
            latest[ends] = path
    return sorted(latest.values(), key=lambda path: -path.ns)[:most]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verilog", type=Path, help="folder of the bundle's Verilog")
    parser.add_argument("--only", default=".*", help="regular expression for the blocks")
    parser.add_argument("--most", type=int, default=1, help="paths of each block")
    options = parser.parse_args()
    texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(options.verilog.iterdir())}
    print(
        "| block | ns | levels | carries | from | to | loads of a control net | FF |\n|---|---|---|---|---|---|---|---|"
    )
    for block, files in sorted(blocks(texts).items()):
        if not re.fullmatch(options.only, block):
            continue
        with tempfile.TemporaryDirectory() as folder:
            modules = netlist_of(files, block, Path(folder))
        loads, ff = longest_path(modules, block).control_loads, count_netlist(modules, block).ff
        for path in worst(modules, block, options.most):
            cells = (block, f"{path.ns:.1f}", path.levels, path.carries, path.begin, path.end, loads, f"{ff:,}")
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
