from __future__ import annotations

import csv
import importlib.util
import io
import json

import numpy as np
import pytest

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.cost import CostConfig, points, run_study
from lognet_fpga.cost.circuits.lane import array_leaf
from lognet_fpga.cost.circuits.shape import LaneShape
from lognet_fpga.cost.cost_report import cost_csv, cost_report
from lognet_fpga.cost.log_error import log_errors
from lognet_fpga.cost.plot import cost_svg
from lognet_fpga.cost.points import measure_activity
from lognet_fpga.cost.stimulus import activations, gaussian_weights, log2_fields
from lognet_fpga.errors import MissingToolError, UsageError, VerificationError
from lognet_fpga.numerics.log2 import largest_code, log2_codes
from lognet_fpga.synth.yosys import netlist_of


@pytest.fixture(scope="module")
def small(require_tool):
    require_tool("pyosys")
    return run_study(CostConfig((4,), rows=10, cols=512))


def test_counts_of_circuits_that_can_be_counted_by_hand(small):
    binary = small.reference
    # A PE: an adder and a register of its exact width (512 * 255 is below 2^17); the lane: 8 bits of x and a strobe.
    assert binary.shape.acc_bits == 18
    assert (binary.array.lut, binary.array.ff) == (8 * 18, 8 * 18 + 8 + 1)
    assert (binary.array.dsp, binary.memory.lut, binary.memory.bram36) == (0, 0, 0.5)
    assert all(point.array.dsp == 0 for point in small.points)


def test_the_whole_is_lanes_and_one_sequencer(small):
    for point in small.points:
        assert point.lanes == {1: 2, 4: 5}[point.shape.bits]
        assert point.lut == point.lanes * point.array.lut + point.sequencer.lut
        assert point.ff == point.lanes * point.array.ff + point.sequencer.ff
        assert point.bram36 == point.lanes / 2
        assert point.power_mw == pytest.approx(point.lanes * (point.lane_array_mw + point.lane_memory_mw))
        assert point.energy_uj == pytest.approx(point.power_mw * (512 + point.shape.stages) * 10e-6)
        assert 0 < point.lane_quiet_array_mw <= point.lane_array_mw


def test_a_shift_costs_less_than_a_multiplication(small):
    log2, linear = small.point("log2", 4), small.point("linear", 4)
    assert log2.array.lut < linear.array.lut and log2.lane_array_mw < linear.lane_array_mw
    assert small.point("log2", 1) is small.reference and small.point("log2", 5) is None


def test_the_same_again_runs_no_tool(small, monkeypatch):
    monkeypatch.setattr(points, "netlist_of", lambda *_: pytest.fail("Yosys was run"))
    assert run_study(small.config) == small


def test_files_hold_the_study(small):
    rows = list(csv.DictReader(io.StringIO(cost_csv(small))))
    data = json.loads(json.dumps(cost_report(small).data))
    assert [(row["kind"], int(row["bits"])) for row in rows] == [
        ("binary", 1),
        ("linear", 4),
        ("log2", 4),
        ("log-domain", 4),
    ]
    for row, point in zip(rows, data["points"]):
        assert row == {name: str(value) for name, value in point.items()}
    assert {(c["kind"], c["bits"], c["paper"]) for c in data["claims"]} == {("log2", 4, 1.04), ("linear", 4, 2.4)}
    claim = data["claims"][0]
    assert claim["lut_lane"] == pytest.approx(small.point("log2", 4).lane.lut / small.reference.lane.lut, abs=1e-4)
    assert "estimate" in cost_report(small).text()


def test_the_plot_is_the_same_bytes_again_or_says_what_to_install(small, monkeypatch):
    if importlib.util.find_spec("matplotlib") is not None:
        text = cost_svg(small)
        assert text == cost_svg(small) and text.count("relative to 1 bit") == 4 and len(text) < 60_000
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"lognet-fpga\[plot\]"):
        cost_svg(small)


def test_a_netlist_that_sums_wrongly_is_found(tmp_path, require_tool):
    require_tool("pyosys")
    shape = LaneShape("log2", 5, 40)
    files = verilog_files(array_leaf(shape))
    name = array_leaf(shape).name
    netlist = netlist_of(files, name, tmp_path, points.NO_DSP)
    measure_activity(shape, netlist)
    lut = next(cell for cell in netlist[name]["cells"].values() if cell["type"] == "LUT3")
    lut["parameters"]["INIT"] = "".join("01"[bit == "0"] for bit in lut["parameters"]["INIT"])
    with pytest.raises(VerificationError, match="wrong sums"):
        measure_activity(shape, netlist)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_log2_weights_round_as_the_quantizer_does(bits):
    shape = LaneShape("log2", bits, 100)
    magnitude = np.abs(np.random.default_rng(bits).standard_normal(2000))
    wanted = np.abs(log2_codes(magnitude * largest_code(bits), bits).astype(np.int64))
    fields = log2_fields(magnitude, shape.max_shift)
    assert np.where(fields == 0, 0, 1 << np.maximum(fields - 1, 0)).tolist() == wanted.tolist()


def test_statistics_of_the_stimulus():
    rng = np.random.default_rng(0)
    shape = LaneShape("linear", 4, 100)
    weights = shape.weights(gaussian_weights(shape, rng, (100, 100))).astype(float)
    assert abs(weights.mean()) < 0.1 and weights.std() == pytest.approx(7 / 2.5, rel=0.05)
    assert (weights.min(), weights.max()) == (-7, 7)
    x = activations(shape, rng, (100, 100))
    assert (x == 0).mean() == pytest.approx(0.5, abs=0.02) and x.max() <= 255


def test_log_domain_errors_are_those_of_the_adder():
    """Of the order of its largest error, log2(1 + y) - y = 0.086 octaves, and not more than twice that."""
    for error in log_errors(LaneShape("log-domain", 4, 256)):
        assert abs(error.one_sided) < 2**0.172 - 1 and 0.01 < error.difference < 0.5


@pytest.mark.parametrize(
    "arguments", [{"bits": (0,)}, {"bits": (9,)}, {"bits": ()}, {"rows": 0}, {"cols": 511}, {"cols": 65537}]
)
def test_configurations_that_make_no_sense(arguments):
    with pytest.raises(UsageError):
        CostConfig(**arguments)
