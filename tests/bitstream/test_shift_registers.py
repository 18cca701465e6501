"""Shift registers with enables as flip-flops: the same to Yosys' own models of the cells, and none is left."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from lognet_fpga.bitstream.open_tools.shift_registers import KINDS, MAP_FILE, map_text, techmap_commands
from lognet_fpga.machine.tools import find_yosys, run_tool

TOP = """module top(input clk, input enable, input d, input [4:0] a, output q);
{kind} #(.INIT({init})) cell_ (.Q(q), .CE({enable}), .CLK(clk), .D(d), {address});
endmodule
"""


def address(kind: str, last: int) -> str:
    if KINDS[kind] == 5:
        return f".A(5'd{last})"
    return ", ".join(f".A{bit}(1'b{last >> bit & 1})" for bit in range(4))


def mapped(folder: Path, text: str) -> Counter[str]:
    """Kinds of the cells behind the map; mapped.v is what became of top."""
    (folder / "top.v").write_text(text)
    (folder / MAP_FILE).write_text(map_text())
    lines = ["read_verilog -lib +/xilinx/cells_sim.v", "read_verilog top.v", "hierarchy -top top", *techmap_commands()]
    lines += ["rename top mapped", "select mapped", "write_verilog -noattr -selected mapped.v"]
    (folder / "map.ys").write_text("\n".join(lines) + "\n")
    run_tool(find_yosys(), ["map.ys"], folder, "the map")
    return Counter(re.findall(r"^  (SRL\w+|FD\w+) ", (folder / "mapped.v").read_text(), re.MULTILINE))


@pytest.mark.parametrize("kind, last", [("SRL16E", 1), ("SRL16E", 6), ("SRL16E", 15), ("SRLC32E", 16), ("SRLC32E", 31)])
def test_the_same_shifts(kind, last, tmp_path, require_tool):
    """From the first contents on, whatever comes in and whenever, until all of these have gone."""
    require_tool("pyosys")
    text = TOP.format(kind=kind, init=f"{1 << KINDS[kind]}'h5a3c", enable="enable", address=address(kind, last))
    assert mapped(tmp_path, text) == {"FDRE": last + 1}
    steps = [
        "read_verilog +/xilinx/cells_sim.v top.v mapped.v",
        "hierarchy -check",
        "proc",
        "flatten top mapped",
        "memory",
        "opt_clean",
        "miter -equiv -flatten -make_outputs top mapped miter",
        f"sat -verify -prove trigger 0 -tempinduct-baseonly -tempinduct -maxsteps {last + 4} miter",
    ]
    (tmp_path / "equal.ys").write_text("\n".join(steps) + "\n")
    run_tool(find_yosys(), ["equal.ys"], tmp_path, "the comparison")


@pytest.mark.parametrize(
    "enable, at", [("1'b1", address("SRL16E", 6)), ("enable", ".A0(a[0]), .A1(1'b0), .A2(1'b0), .A3(1'b0)")]
)
def test_those_that_run_freely_or_are_read_anywhere_stay(enable, at, tmp_path, require_tool):
    require_tool("pyosys")
    assert mapped(tmp_path, TOP.format(kind="SRL16E", init="0", enable=enable, address=at)) == {"SRL16E": 1}
