"""What Yosys' netlist of the whole system says before anything is placed: size, and its longest path with guessed nets.

Unlike the estimates of a plan and of `--synth`, which go part by part, it has the DMA, the bridge and all that lies
between the blocks (`synth.paths`, `synth.positions`).
"""

from __future__ import annotations

import json
from pathlib import Path

from lognet_fpga.bitstream.open_tools.commands import NETLIST
from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.paths import longest_path


def estimate_text(folder: Path, top: str) -> str | None:
    """In a line; None where the netlist of the project in folder has no module top."""
    modules = json.loads((folder / NETLIST).read_text(encoding="utf-8")).get("modules", {})
    if top not in modules:
        return None
    counts, path = count_netlist(modules, top), longest_path(modules, top)
    return (
        f"netlist of the whole system: {counts.lut_sites:,} LUT6 sites, {counts.ff:,} flip-flops, {counts.positions:,} "
        f"positions; {path.mhz:.0f} MHz estimated before placement, by {path.begin} to {path.end}"
    )
