"""Read-only memories of the Verilog, through Yosys."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lognet_fpga.codegen.rom import rom_files
from lognet_fpga.fabric.memory import ROM_COLUMN_BITS
from lognet_fpga.hw.control import CONTROL_MODULES, LEAF_MODULE
from lognet_fpga.hw.structure import Rom
from lognet_fpga.synth.yosys import netlist_of

MORE = [pytest.param(depth, marks=pytest.mark.slow) for depth in (32, 72, 97)]


@pytest.mark.parametrize("depth", [2, 64, 65, 128, *MORE])
def test_a_leaf_of_an_address_steers_a_column_of_luts_at_most(depth, tmp_path, require_tool):
    require_tool("pyosys")
    rng = random.Random(depth)
    rom = Rom("rom", 80, tuple(rng.getrandbits(80) for _ in range(depth)), False)
    files = [*rom_files(rom).items(), (f"{LEAF_MODULE}.v", CONTROL_MODULES[LEAF_MODULE])]
    cells = netlist_of(files, "rom", tmp_path)["rom"]["cells"].values()
    loads = Counter(
        net
        for cell in cells
        for port, nets in cell["connections"].items()
        if cell["port_directions"][port] == "input"
        for net in nets
    )
    steered = [loads[cell["connections"]["q"][0]] for cell in cells if cell["type"] == LEAF_MODULE]
    assert steered and 0 < max(steered) <= ROM_COLUMN_BITS
