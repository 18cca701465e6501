"""The self-test on devices that are right, and on one that is not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lognet_fpga.bundle import EXECUTION, GOLDEN, Bundle, make_bundle, write_bundle
from lognet_fpga.cli import selftest
from lognet_fpga.errors import BundleError, VerificationError
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.selftest import run_selftest
from lognet_fpga.runtime.simulated import SimulatedDevice
from tests import small_bundle


@pytest.fixture(scope="module")
def bundle(require_tool) -> Bundle:
    require_tool("onnx")
    require_tool("onnxruntime")
    return make_bundle(small_bundle.files(), small_bundle.manifest())


class Wrong(SimulatedDevice):
    """One bit of one activation, and everything of the last frame."""

    def run(self, frames: np.ndarray) -> DeviceRun:
        run = super().run(frames)
        run.activations[2, 3, 1, 2] ^= 16  # frame, row, column, channel
        run.activations[3] ^= 1
        return run


def test_a_right_device_passes(bundle):
    result = run_selftest(bundle, SimulatedDevice(bundle))
    assert result.passed and result.tensors == (("conv", 4 * 90, 0), ("scores", 16, 0))
    assert result.pl_cycles == result.planned_cycles == 47 + 3 * 30
    result.require()
    assert "passed" in result.report(bundle).text()


def test_the_first_difference_is_named(bundle):
    result = run_selftest(bundle, Wrong(bundle))
    right = small_bundle.quant_graph().run(small_bundle.frames(4, seed=7))
    expected = int(right[2, 2, 3, 1])
    assert (result.first.tensor, result.first.index) == ("conv", (2, 2, 3, 1))
    assert (result.first.got, result.first.expected, result.first.count) == (expected ^ 16, expected, 91)
    assert [name for name, _, wrong in result.tensors if wrong] == ["conv", "scores"]
    with pytest.raises(VerificationError, match=rf"conv\[2, 2, 3, 1\] is {expected ^ 16}, but must be {expected}"):
        result.require()


def test_execution_onnx_is_what_the_simulated_device_runs_and_the_vectors_judge(bundle):
    """In the place of golden.onnx, with its integers; another model's is found."""
    quant = small_bundle.quant_graph()
    layer = replace(quant.layers[0], bias=quant.layers[0].bias + 128)
    for graph, passes in ((quant, True), (replace(quant, layers=(layer,)), False)):
        files = {**bundle.files, EXECUTION: execution_onnx(graph), GOLDEN: b"not run"}
        other = make_bundle(files, small_bundle.manifest())
        result = run_selftest(other, SimulatedDevice(other))
        assert result.passed == passes
        assert passes or result.first.tensor == "conv"


def test_wrong_scores_are_named_where_the_activations_are_right(bundle):
    files = dict(bundle.files)
    scores = small_bundle.expected_scores(small_bundle.frames(4, seed=7)).astype(np.float32)
    scores[1, 3] *= 1.001
    files["scores.npy"] = small_bundle.saved(np.save, scores)
    other = make_bundle(files, small_bundle.manifest())
    first = run_selftest(other, SimulatedDevice(other)).first
    assert (first.tensor, first.index, first.count) == ("scores", (1, 3), 1)


@pytest.mark.parametrize(
    "change",
    [
        {"vectors.npz": b"no zip"},
        {"vectors.npz": None},
        {"scores.npy": b"nothing"},
        {"scores.npy": b"\x93NUMPY\x01\x00\x03\x00(((" + bytes(9)},
        {"scores.npy": b"\x93NUMPY\x01\x00\x40\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,)}  "},
    ],
)
def test_vectors_that_cannot_be_used(bundle, change):
    files = {name: data for name, data in {**bundle.files, **change}.items() if data is not None}
    broken = make_bundle(files, small_bundle.manifest())
    with pytest.raises(BundleError, match="vectors|scores"):
        run_selftest(broken, SimulatedDevice(broken))


def test_the_command(bundle, tmp_path, capsys, monkeypatch, in_process):
    place = str(write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder)
    assert in_process(selftest.main, place, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["passed"] and data["first"] is None and data["error"] is None
    monkeypatch.setattr("lognet_fpga.runtime.simulated.SimulatedDevice", Wrong)
    assert in_process(selftest.main, place, "--json") == 7
    data = json.loads(capsys.readouterr().out)
    assert data["first"]["index"] == [2, 2, 3, 1] and data["error"]["exit_code"] == 7
    assert in_process(selftest.main, place, "--bitstream", "x.bit") == 2


def test_without_pynq_it_says_what_is_missing(bundle, tmp_path, capsys, monkeypatch, in_process):
    monkeypatch.setitem(__import__("sys").modules, "pynq", None)
    place = str(write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path).folder)
    assert in_process(selftest.main, place, "--device", "pynq") == 9
    assert "pynq cannot be imported" in capsys.readouterr().err
