"""The path estimate on circuits whose longest path is plain to see."""

from __future__ import annotations

import json

import pytest

from lognet_fpga.hw.control import CONTROL_MODULES, LEAF_MODULE
from lognet_fpga.machine.tools import find_yosys, run_tool
from lognet_fpga.synth.delays import cell_ns, clock_to_output_ns, net_ns, setup_ns
from lognet_fpga.synth.paths import longest_path, paths

# One LUT, a function of seven inputs that no LUT6 holds, and an enable of 20 registers through a leaf and without one.
CIRCUIT = """module circuit(input clk, input [8:0] a, input en, input [19:0] d,
    output reg one, many, output reg [19:0] q);
  reg [8:0] r; reg enable; wire leaf;
  lognet_leaf l(.clk(clk), .d(enable), .q(leaf));
  always @(posedge clk) begin
    r <= a; enable <= en;
    one <= r[7] ^ r[8];
    many <= ^r[6:0];
    if (leaf) q <= d;
  end
endmodule
"""


@pytest.fixture(scope="module")
def netlist(tmp_path_factory, require_tool):
    require_tool("pyosys")
    folder = tmp_path_factory.mktemp("netlist")
    (folder / "circuit.v").write_text(CONTROL_MODULES[LEAF_MODULE] + CIRCUIT)
    script = (
        "read_verilog circuit.v\nsynth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top circuit\nwrite_json n.json\n"
    )
    (folder / "script.ys").write_text(script)
    run_tool(find_yosys(), ["script.ys"], folder, "synthesis")
    return json.loads((folder / "n.json").read_text())["modules"]


def test_the_parity_of_seven_bits_takes_two_levels(netlist):
    path = longest_path(netlist, "circuit")
    assert (path.levels, path.carries, path.end) == (2, 0, "many")
    assert path.begin.startswith("r[")
    # The second LUT is beside its flip-flop.
    assert path.ns == pytest.approx(0.52 + 2 * 0.22 + 2 * net_ns(1) + 0.1, abs=0.01)


def test_a_leaf_survives_synthesis_and_its_loads_are_counted(netlist):
    path = longest_path(netlist, "circuit")
    assert (path.control_loads, path.control_net) == (20, "leaf")
    kinds = [cell["type"] for cell in netlist["circuit"]["cells"].values()]
    assert kinds.count("lognet_leaf") == 1


def test_leaves_of_one_net_are_not_merged(netlist, tmp_path, require_tool):
    twins = "\n".join(f"  lognet_leaf l{i}(.clk(clk), .d(d), .q(q[{i}]));" for i in range(4))
    text = f"module twins(input clk, input d, output [3:0] q);\n{twins}\nendmodule\n"
    (tmp_path / "twins.v").write_text(CONTROL_MODULES[LEAF_MODULE] + text)
    (tmp_path / "script.ys").write_text("read_verilog twins.v\nsynth_xilinx -flatten -top twins\nwrite_json n.json\n")
    run_tool(find_yosys(), ["script.ys"], tmp_path, "synthesis")
    cells = json.loads((tmp_path / "n.json").read_text())["modules"]["twins"]["cells"]
    assert [cell["type"] for cell in cells.values()].count("lognet_leaf") == 4


def test_a_port_of_a_part_is_a_register_of_another(netlist):
    """The seven parity bits come from registers; only the data inputs and the enable come from elsewhere."""
    found = {path.end: path for path in paths(netlist, "circuit") if path.begin == "en"}
    assert set(found) == {"enable"} and found["enable"].ns == pytest.approx(0.52 + net_ns(1) + 0.1)
    assert {path.end for path in paths(netlist, "circuit") if path.begin == "one"} == {"one"}


MEMORY = """module memory(input clk, input [9:0] a, input we, input [7:0] d, output reg [7:0] q, s);
  (* ram_style = "block" *) reg [7:0] m [0:1023];
  (* ram_style = "distributed" *) reg [7:0] n [0:31];
  reg [9:0] address; reg [7:0] late; reg write; reg [7:0] data;
  always @(posedge clk) begin
    address <= a; write <= we; data <= d;
    if (write) m[address] <= data;
    if (write) n[address[4:0]] <= data;
    late <= m[address]; q <= late;
    s <= n[address[4:0]];
  end
endmodule
"""


def test_memories_are_slow_to_answer(tmp_path, require_tool):
    require_tool("pyosys")
    (tmp_path / "memory.v").write_text(MEMORY)
    (tmp_path / "script.ys").write_text("read_verilog memory.v\nsynth_xilinx -flatten -noiopad\nwrite_json n.json\n")
    run_tool(find_yosys(), ["script.ys"], tmp_path, "synthesis")
    found = list(paths(json.loads((tmp_path / "n.json").read_text())["modules"], "memory"))
    block = [path for path in found if path.end.startswith("q[")]
    assert block and {path.levels for path in block} == {0}
    assert max(path.ns for path in block) == pytest.approx(2.46 + net_ns(1) + 0.1)
    luts = [path for path in found if path.end.startswith("s[")]
    assert luts and {path.levels for path in luts} == {1}


# A longest path as Vivado gives it for a routed design on a Zynq-7000 -1: the cells' inputs and outputs, and the loads
# of the net behind each; None where that stays in the slice.
ROUTED_NS = 12.66
ROUTED = [
    ("LUT5", "I2", "O", 2),
    ("LUT5", "I0", "O", 2),
    ("LUT6", "I0", "O", None),
    ("CARRY4", "S", "CO", None),
    ("CARRY4", "CI", "O", 1),
    ("LUT3", "I0", "O", 3),
    ("LUT5", "I1", "O", 2),
    ("LUT6", "I0", "O", None),
    ("CARRY4", "S", "CO", None),
    ("CARRY4", "CI", "CO", None),
    ("CARRY4", "CI", "O", 4),
    ("LUT5", "I0", "O", 2),
    ("LUT6", "I0", "O", None),
    ("CARRY4", "S", "CO", None),
    ("CARRY4", "CI", "CO", None),
    ("CARRY4", "CI", "O", 1),
    ("LUT4", "I3", "O", None),
]


def test_the_model_meets_a_routed_path():
    ns = clock_to_output_ns("FDRE") + net_ns(7) + setup_ns("FDRE", "D")
    ns += sum(cell_ns(kind, port, out) + (0 if loads is None else net_ns(loads)) for kind, port, out, loads in ROUTED)
    assert ns == pytest.approx(ROUTED_NS, rel=0.05)


def test_the_net_of_a_strobe_without_leaves():
    """5.1 ns, in a routed layer of 6,761 adders."""
    assert net_ns(6761) == pytest.approx(5.1, rel=0.02)
    assert net_ns(100) < 2
