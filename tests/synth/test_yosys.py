from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter

import pytest

from lognet_fpga.errors import ToolError
from lognet_fpga.hw.control import CONTROL_MODULES
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.machine.tools import find_yosys, run_tool
from lognet_fpga.synth import yosys
from lognet_fpga.synth.synthesis import PartCounts
from lognet_fpga.synth.yosys import files_of, netlist_of, synthesize

REGISTER = """module register(input clk, input [7:0] d, output reg [7:0] q);
  always @(posedge clk) q <= d;
endmodule
"""
MEMORIES = """module memories(input clk, input we, input [9:0] wa, ra, input [31:0] d, output reg [31:0] q,
    output reg [5:0] r);
  reg [31:0] block [0:1023];
  (* ram_style = "distributed" *) reg [5:0] small [0:31];
  always @(posedge clk) begin
    if (we) block[wa] <= d;
    q <= block[ra];
    if (we) small[wa[4:0]] <= d[5:0];
    r <= small[ra[4:0]];
  end
endmodule
"""
ADDERS = """module adders(input clk, input first, input [15:0] a, b, p, q, output reg [15:0] serial,
    output reg [15:0] parallel);
  reg [15:0] c;
  wire [15:0] k = first ? 16'd0 : c;
  always @(posedge clk) begin
    serial <= a ^ b ^ k;
    c <= (a & b) | (k & (a ^ b));
    parallel <= p + q;
  end
endmodule
"""
TOP = "module top(input clk);\n  register r(.clk(clk));\n  memories m(.clk(clk));\nendmodule\n"


def _design(parts: tuple[tuple[str, str], ...], **changed: str) -> VerilogDesign:
    texts = {"register": REGISTER, "memories": MEMORIES, "adders": ADDERS, "top": TOP, **changed}
    form = StreamFormat((1, 1, 1), 8, 1, 8)
    files = tuple((f"{name}.v", text) for name, text in sorted(texts.items()))
    return VerilogDesign("top", files, form, form, (), parts)


@pytest.fixture(scope="module")
def report(tmp_path_factory, require_tool):
    require_tool("pyosys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        parts = tuple((name, name) for name in ("register", "memories", "adders"))
        design = _design((*parts, ("register again", "register")))
        yield design, synthesize(design)


def test_counts_of_small_circuits(report):
    counts = dict(report[1].parts)
    register = counts["register"]
    assert (register.lut, register.ff, register.bram36, register.dsp, register.carry4) == (0, 8, 0, 0, 0)
    memories = counts["memories"]
    assert (memories.lutram, memories.lut, memories.ff, memories.bram36) == (4, 4, 6, 1.0)
    # A serial adder's sum and carry are two LUT4 of the same inputs, in one site.  A carry chain takes a site a bit.
    adders = counts["adders"]
    assert (adders.lut, adders.lut_pairs, adders.carry_luts, adders.carry4, adders.ff) == (48, 16, 16, 4, 48)
    assert adders.lut_sites == 16 + round(1.15 * 16)


def test_a_module_used_twice_counts_twice(report):
    total = report[1].total
    assert total.ff == sum(counts.ff for _, counts in report[1].parts)
    assert dict(report[1].parts)["register again"] == dict(report[1].parts)["register"]
    assert dict(total.cells)["FDRE"] == total.ff
    assert (total.resources.lut, total.resources.bram36) == (total.lut_sites, 1.0)


def test_json_holds_the_raw_counts(report):
    data = json.loads(json.dumps(report[1].to_json()))
    assert data["parts"]["register"]["cells"] == {"FDRE": 8}
    assert PartCounts.from_json(data["parts"]["adders"]) == dict(report[1].parts)["adders"]


def test_a_part_is_synthesized_again_only_if_its_own_files_change(report, monkeypatch):
    design, first = report
    monkeypatch.setattr(yosys, "run_tool", lambda *_: pytest.fail("Yosys was run"))
    assert synthesize(design) == first
    other = _design(design.parts, top="module top(input clk);\nendmodule\n")
    assert synthesize(other) == first
    with pytest.raises(pytest.fail.Exception):
        synthesize(_design(design.parts, register=REGISTER.replace("7", "6")))


def test_files_below_a_module():
    design = _design((("all", "top"),))
    assert [name for name, _ in files_of(design, "top")] == ["memories.v", "register.v", "top.v"]
    assert [name for name, _ in files_of(design, "adders")] == ["adders.v"]
    with pytest.raises(ToolError, match="no file of the design holds module nothing"):
        files_of(design, "nothing")


def test_bad_verilog_is_an_error_with_yosys_message(tmp_path, monkeypatch, require_tool):
    require_tool("pyosys")
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    design = dataclasses.replace(_design((("r", "register"),), register=REGISTER.replace("input clk", "input clk clk")))
    with pytest.raises(ToolError, match="synthesis of register(.|\n)*syntax error"):
        synthesize(design)
    assert list((tmp_path / "yosys").iterdir()) == []


OUTER = """(* keep_hierarchy = "yes" *)
module outer(input clk, input [5:0] d, output reg [1:0] q);
  wire open, late;
  lognet_gate gate(.valid(d[0]), .ready(d[1]), .open(open));
  lognet_leaf leaf(.clk(clk), .d(open ^ d[2] ^ d[3]), .q(late));
  always @(posedge clk) if (open) q <= {late, ^d} + q;
endmodule
"""


def _modules_of(cells: int, rng: random.Random) -> str:
    """A module "mixed" with that many cells of each kind that keeps its hierarchy, its own logic between them."""
    lines = ["module mixed(input clk, input [7:0] a, output reg [15:0] q);", "  reg [15:0] line;"]
    drivers = [f"a[{bit}]" for bit in range(8)]
    for cell in range(cells):
        a, b, c, d, e, f = (rng.choice(drivers) for _ in range(6))
        lines += [
            f"  wire open{cell}, leaf{cell}; wire [1:0] pair{cell};",
            f"  lognet_gate gate{cell}(.valid({a}), .ready({b}), .open(open{cell}));",
            f"  lognet_leaf leaf_{cell}(.clk(clk), .d(open{cell} & {c}), .q(leaf{cell}));",
            f"  outer outer{cell}(.clk(clk), .d({{{a}, {b}, {c}, {d}, {e}, {f}}}), .q(pair{cell}));",
        ]
        drivers += [f"leaf{cell}", f"pair{cell}[0]", f"pair{cell}[1]"]
    total = " + ".join(rng.sample(drivers, min(6, len(drivers))))
    lines.append(
        f"  always @(posedge clk) begin line <= {{line, {rng.choice(drivers)}}}; q <= q + line[15] + {total}; end"
    )
    return "\n".join([*lines, "endmodule", ""])


@pytest.mark.parametrize(("top", "cells"), [("mixed", 0), ("mixed", 5), ("outer", 0)])
def test_modules_mapped_apart_are_what_yosys_makes_of_all_in_one_design(top, cells, tmp_path, require_tool):
    """Against Yosys' own synthesis in one go; a top that itself keeps its hierarchy, or has no module that does."""
    require_tool("pyosys")
    seed = random.randrange(2**32)
    print("seed", seed)
    texts = {**CONTROL_MODULES, "outer": OUTER, "mixed": _modules_of(cells, random.Random(seed))}
    files = [(f"{name}.v", texts[name]) for name in ("lognet_gate", "lognet_leaf", "outer", "mixed")]
    apart, whole = tmp_path / "apart", tmp_path / "whole"
    apart.mkdir()
    whole.mkdir()
    modules = netlist_of(files, top, apart)
    for name, text in files:
        (whole / name).write_text(text)
    synth = f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top} -run"
    srl = ["xilinx_srl -fixed -minlen 2 t:$_DFFE_PP_", "techmap -map +/xilinx/cells_map.v t:$__XILINX_SHREG_"]
    reads = [f"read_verilog {name}" for name, _ in files]
    lines = [*reads, f"{synth} begin:map_ffs", *srl, f"{synth} map_ffs:", "write_json netlist.json"]
    (whole / "script.ys").write_text("\n".join(lines) + "\n")
    run_tool(find_yosys(), ["script.ys"], whole, "synthesis in one go")
    assert _contents(modules) == _contents(json.loads((whole / "netlist.json").read_text())["modules"])


def _contents(modules):
    """Of each module of the design: its cells of each type with these parameters."""
    return {
        name: Counter((cell["type"], tuple(sorted(cell["parameters"].items()))) for cell in module["cells"].values())
        for name, module in modules.items()
        if "blackbox" not in module["attributes"]
    }
