from __future__ import annotations

import dataclasses
import json

import pytest

from lognet_fpga.build import yosys
from lognet_fpga.build.synthesis import PartCounts
from lognet_fpga.build.yosys import files_of, synthesize
from lognet_fpga.errors import ToolError
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.stream_format import StreamFormat

REGISTER = "module register(input clk, input [7:0] d, output reg [7:0] q);\n  always @(posedge clk) q <= d;\nendmodule\n"
LUTRAM = """module lutram(input clk, input we, input [4:0] wa, ra, input [5:0] d, output reg [5:0] q);
  (* ram_style = "distributed" *) reg [5:0] mem [0:31];
  always @(posedge clk) begin if (we) mem[wa] <= d; q <= mem[ra]; end
endmodule
"""
BLOCK_RAM = """module block_ram(input clk, input we, input [9:0] wa, ra, input [31:0] d, output reg [31:0] q);
  reg [31:0] mem [0:1023];
  always @(posedge clk) begin if (we) mem[wa] <= d; q <= mem[ra]; end
endmodule
"""
SERIAL_ADDERS = """module serial(input clk, input first, input [15:0] a, b, output reg [15:0] s);
  reg [15:0] c;
  wire [15:0] k = first ? 16'd0 : c;
  always @(posedge clk) begin s <= a ^ b ^ k; c <= (a & b) | (k & (a ^ b)); end
endmodule
"""
CARRY = """module carry(input clk, input [15:0] a, b, output reg [15:0] s);
  always @(posedge clk) s <= a + b;
endmodule
"""
TOP = "module top(input clk);\n  register r(.clk(clk));\n  lutram l(.clk(clk));\nendmodule\n"


def _design(parts: tuple[tuple[str, str], ...], **changed: str) -> VerilogDesign:
    texts = {"register": REGISTER, "lutram": LUTRAM, "block_ram": BLOCK_RAM, "serial": SERIAL_ADDERS, "carry": CARRY,
             "top": TOP, **changed}
    form = StreamFormat((1, 1, 1), 8, 1, 8)
    return VerilogDesign("top", tuple((f"{name}.v", text) for name, text in sorted(texts.items())), form, form, (), parts)


@pytest.fixture(scope="module")
def report(tmp_path_factory, require_tool):
    require_tool("pyosys")
    names = ("register", "lutram", "block_ram", "serial", "carry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        design = _design((*((name, name) for name in names), ("register again", "register")))
        yield design, synthesize(design)


def test_counts_of_small_circuits(report):
    counts = dict(report[1].parts)
    register = counts["register"]
    assert (register.lut, register.ff, register.bram36, register.dsp, register.carry4) == (0, 8, 0, 0, 0)
    assert (counts["lutram"].lutram, counts["lutram"].lut, counts["lutram"].ff) == (4, 4, 6)
    assert counts["block_ram"].bram36 == 1 and counts["block_ram"].ff == 0
    # A serial adder's sum and carry: two LUT4 of the same inputs in one site.
    serial = counts["serial"]
    assert (serial.lut, serial.lut_pairs, serial.lut_sites, serial.ff) == (32, 16, 16, 32)
    carry = counts["carry"]
    assert (carry.carry4, carry.lut, carry.carry_luts, carry.lut_sites) == (4, 16, 16, round(1.15 * 16))


def test_a_module_used_twice_counts_twice(report):
    total = report[1].total
    assert total.ff == sum(counts.ff for _, counts in report[1].parts)
    assert dict(report[1].parts)["register again"] == dict(report[1].parts)["register"]
    assert dict(total.cells)["FDRE"] == total.ff
    assert (total.resources.lut, total.resources.bram36) == (total.lut_sites, 1.0)


def test_json_holds_the_raw_counts(report):
    data = json.loads(json.dumps(report[1].to_json()))
    assert data["parts"]["register"]["cells"] == {"FDRE": 8}
    assert PartCounts.from_json(data["parts"]["serial"]) == dict(report[1].parts)["serial"]


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
    assert [name for name, _ in files_of(design, "top")] == ["lutram.v", "register.v", "top.v"]
    assert [name for name, _ in files_of(design, "carry")] == ["carry.v"]
    with pytest.raises(ToolError, match="no file of the design holds module nothing"):
        files_of(design, "nothing")


def test_bad_verilog_is_an_error_with_yosys_message(tmp_path, monkeypatch, require_tool):
    require_tool("pyosys")
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    design = dataclasses.replace(_design((("r", "register"),), register=REGISTER.replace("input clk", "input clk clk")))
    with pytest.raises(ToolError, match="synthesis of register(.|\n)*syntax error"):
        synthesize(design)
    assert list((tmp_path / "yosys").iterdir()) == []
