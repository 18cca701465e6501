from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import ToolError
from lognet_fpga.synth.activity import Activity, simulate
from lognet_fpga.synth.power import SERIES7, PowerModel
from lognet_fpga.synth.yosys import netlist_of


def cell(kind: str, outputs: str, **connections: list) -> dict:
    directions = {port: "output" if port in outputs.split() else "input" for port in connections}
    return {"type": kind, "parameters": {}, "connections": connections, "port_directions": directions}


def netlist(cells: dict, **ports: tuple[str, list]) -> dict:
    return {
        "top": {
            "cells": cells,
            "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()},
        }
    }


def lut2(table: str, a: int, b: int, out: int) -> dict:
    made = cell("LUT2", "O", I0=[a], I1=[b], O=[out])
    made["parameters"]["INIT"] = table
    return made


def test_toggles_and_glitches_of_a_hazard():
    """out = a xor (not not a) is always 0, but the long way is two delays longer: two changes at every edge."""
    chain = {
        "first": cell("INV", "O", I=[2], O=[3]),
        "second": cell("INV", "O", I=[3], O=[4]),
        "xor": lut2("0110", 2, 4, 5),
    }
    modules = netlist(chain, a=("input", [2]), y=("output", [5]))
    a = np.array([0, 1, 1, 0], np.uint8).reshape(4, 1, 1)
    activity, outputs = simulate(modules, "top", {"a": a})
    assert outputs["y"].tolist() == [[0]]
    # Two edges: each toggles both inverters once and the output twice.
    assert activity.toggles == 2 * (1 + 1 + 2) / 4
    assert activity.settled_toggles == 2 * (1 + 1 + 0) / 4
    # Net 2 has two loads, 3 and 4 one each, the output none.
    assert activity.routed_toggles == activity.settled_routed_toggles == 2 * (2 + 1 + 1) / 4


def test_a_toggle_flip_flop_changes_in_every_cycle():
    flip_flop = cell("FDRE", "Q", C=[9], CE=["1"], D=[3], R=[4], Q=[2])
    modules = netlist({"ff": flip_flop, "inv": cell("INV", "O", I=[2], O=[3])}, r=("input", [4]), q=("output", [2]))
    r = np.zeros((10, 3, 1), np.uint8)
    activity, outputs = simulate(modules, "top", {"r": r})
    assert (activity.toggles, activity.flip_flops) == (2.0, 1)
    # The inverter's input is routed; the flip-flop sits behind the inverter.
    assert activity.routed_toggles == 1.0
    r[-2:] = 1  # reset, and hold
    assert simulate(modules, "top", {"r": r})[1]["q"].tolist() == [[0]] * 3


ADDER = """module top(input clk, input en, input signed [11:0] a, b, input [2:0] s, output reg signed [15:0] sum,
    output reg [7:0] pick, output reg [18:0] shifted);
  always @(posedge clk) begin
    if (en) sum <= sum + a * b;
    pick <= {b, a} >> {s, 1'b1};
    shifted <= {7'b0, a} << s;
  end
endmodule
"""


def test_a_synthesized_circuit_computes_what_its_verilog_says(tmp_path, require_tool):
    require_tool("pyosys")
    rng = np.random.default_rng(1)
    values = {"a": rng.integers(0, 2**12, (20, 50)), "b": rng.integers(0, 2**12, (20, 50))}
    values |= {"s": rng.integers(0, 8, (20, 50)), "en": rng.integers(0, 2, (20, 50))}
    widths = {"a": 12, "b": 12, "s": 3, "en": 1}
    bits = {name: (v[..., None] >> np.arange(widths[name]) & 1).astype(np.uint8) for name, v in values.items()}
    modules = netlist_of((("top.v", ADDER),), "top", tmp_path, "-nodsp")
    _, outputs = simulate(modules, "top", bits)
    signed = {name: values[name] - (values[name] >> 11 << 12) for name in ("a", "b")}
    seen = slice(0, -1)  # the inputs of the last cycle have no edge behind them
    total = (signed["a"] * signed["b"] * values["en"])[seen].sum(axis=0) % 2**16
    a, b, s = (values[name][-2] for name in "abs")
    expected = {"sum": total, "pick": (b << 12 | a) >> (2 * s + 1) & 255, "shifted": a << s}
    for name, want in expected.items():
        assert (outputs[name] @ (1 << np.arange(outputs[name].shape[1], dtype=np.int64))).tolist() == want.tolist()


def test_what_cannot_be_simulated_is_named():
    with pytest.raises(ToolError, match="DSP48E1"):
        simulate(netlist({"d": cell("DSP48E1", "P", P=[2])}, a=("input", [3])), "top", {})
    loop = netlist({"inv": cell("INV", "O", I=[2], O=[2])}, a=("input", [3]))
    with pytest.raises(ToolError, match="combinational loop"):
        simulate(loop, "top", {"a": np.zeros((1, 1, 1), np.uint8)})


def test_power_gives_back_the_figures_it_is_made_of():
    """A Virtex-II CLB at its voltage and size takes 90% of 5.9 pJ a cycle (10% is neither logic, routing nor clock)."""
    grown = 150 / 28
    virtex2 = PowerModel(*(grown * c for c in (SERIES7.output_pf, SERIES7.load_pf, SERIES7.clock_pf, 0)), volts=1.5)
    typical = Activity(16 * 0.125, 16 * 0.125 * 3, 0, 0, 8)
    assert virtex2.array_pj(typical) + virtex2.clock_pj(8) == pytest.approx(0.9 * 5.9)
    assert virtex2.array_pj(typical, glitches=False) == 0
    assert SERIES7.read_pj(12) == pytest.approx(5000 / 300 * 28 / 65 + (2 - 2**-11) * SERIES7.load_pf / 2)
