"""docs/stream.md, "Between blocks": nothing that one block tells another passes more than one level of logic."""

from __future__ import annotations

import pytest

from lognet_fpga.bitstream.open_tools.top import bridge_module
from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.hw.dma.dma import axi_dma
from lognet_fpga.ir.system import ZYNQ_7000
from lognet_fpga.overlay.overlay import overlay
from tests.crossings import blocks, broken_rules, netlists
from tests.graph_models import GRAPHS, graph, plan_graph
from tests.hw.test_overlay import FOLDINGS, NETS, SHA256
from tests.model_matrix import quantized, specs
from tests.quant_models import Spec, folded_plan, frame_cycles, make_plan, random_graph, solved
from tests.shallow import shallow


@pytest.fixture(autouse=True)
def yosys(require_tool):
    require_tool("pyosys")


def rules_broken(top, folder) -> list[str]:
    return broken_rules(netlists(shallow(verilog_files, top), top.name, folder), blocks(top))


def plan_of(net):
    shape, *specs = NETS[net]
    quant, foldings = random_graph(3, shape, *specs), FOLDINGS.get(net, ())
    engines = solved(quant, [isinstance(folding, tuple) for folding in foldings])
    return folded_plan(foldings, engines) if foldings else make_plan(engines, frame_cycles(quant, net))


SLOW = [pytest.param(net, marks=pytest.mark.slow) for net in ("slowest", "middle", "memories", "grouped")]


@pytest.mark.parametrize("net", ["both", "fastest", *SLOW])
def test_overlays(net, tmp_path):
    assert rules_broken(overlay(plan_of(net), SHA256), tmp_path) == []


def test_products_that_are_looked_up(tmp_path):
    """For one round, and for several with a word of weights in LUTs."""
    specs = Spec(9, (2, 2), pads=(0, 1, 1, 0), zeros=0.1), Spec(11, (1, 1), pads=(0,) * 4, pool=None)
    quant = random_graph(3, (3, 5, 6), *specs)
    plan = folded_plan([(1, 3, 2, False), (1, 9, 1)], solved(quant, [True, True]))
    assert rules_broken(overlay(plan, SHA256), tmp_path) == []


@pytest.mark.parametrize("name", ["dense", *(pytest.param(n, marks=pytest.mark.slow) for n in GRAPHS if n != "dense")])
def test_graphs(name, tmp_path):
    assert rules_broken(overlay(plan_graph(graph(name), "middle"), SHA256), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_the_model_matrix(spec, tmp_path):
    quant = quantized(spec, tmp_path)
    plan = make_plan(solved(quant), frame_cycles(quant, spec.speed))
    assert rules_broken(overlay(plan, SHA256), tmp_path) == []


WIDTHS = [(32, 16), *(pytest.param(*widths, marks=pytest.mark.slow) for widths in ((8, 8), (64, 64), (128, 256)))]


@pytest.mark.parametrize("source_bits,sink_bits", WIDTHS)
def test_dma(source_bits, sink_bits, tmp_path):
    assert rules_broken(axi_dma(source_bits, sink_bits), tmp_path) == []


def test_bridge(tmp_path):
    assert rules_broken(bridge_module(ZYNQ_7000), tmp_path) == []


BROKEN = """module worse(input clk, input a, b, c, d, e, f, g, output reg q, output told, output gone);
    reg r, s; wire t;
    lognet_late #(.WIDTH(2), .TABLE(8)) l(.index({a, b}), .value(t));
    always @(posedge clk) begin q <= ^{a, b, c, d, e, f, g}; r <= t; s <= r; end
    assign told = r & s, gone = a;
endmodule
module lognet_late #(parameter WIDTH = 6, parameter [2**WIDTH-1:0] TABLE = 0) (input [WIDTH-1:0] index, output value);
    assign value = TABLE[index];
endmodule
"""


def test_what_breaks_the_rule_is_found(tmp_path):
    found = netlists([("worse.v", BROKEN)], "worse", tmp_path)
    lines = broken_rules(found, ["worse"])
    assert "worse.told is 1 levels behind registers" in lines and "worse: a goes through to gone" in lines
    assert any(line.endswith(" passes 2 levels, to q.D") for line in lines)
