from __future__ import annotations

import dataclasses
import json

import pytest

from lognet_fpga.errors import ToolError
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.synth import yosys
from lognet_fpga.synth.synthesis import PartCounts
from lognet_fpga.synth.yosys import files_of, synthesize

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
