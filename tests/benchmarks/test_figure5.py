"""benchmarks/figure5.py, small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from tests.patience import HANG_S

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["simulated", "estimated"])
def source(request) -> str:
    return request.param


@pytest.fixture
def rows(source, require_tool) -> list[dict]:
    for tool in ("onnxruntime", *(["verilator", "g++"] if source == "simulated" else [])):
        require_tool(tool)
    options = ["--size", "32", "--filters", "4", "--seconds", "0.3", "--board", "pynq-z2", "--json"]
    options += ["--no-verify"] if source == "estimated" else []
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/figure5.py", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def test_rates_say_where_they_are_from(rows, source):
    by_machine = {(row["network"], row["machine"]): row for row in rows}
    assert len(by_machine) == len(rows) == 6
    for network in ("conv-ReLU-maxpool x3", "conv-ReLU x3"):
        cpu, overlay = by_machine[network, "CPUExecutionProvider"], by_machine[network, "pynq-z2"]
        assert cpu["fps"]["source"] == "measured" and cpu["fps"]["value"] > 0
        assert cpu["power"] or "watts not measured" in cpu["note"]
        assert overlay["fps"]["source"] == source and overlay["power"] is None
        assert 1000 < overlay["fps"]["value"] < 150e6 / (32 * 32) * 4
        gpu = by_machine[network, "CUDAExecutionProvider"]
        assert gpu["fps"] or "no CUDAExecutionProvider" in gpu["note"]


@pytest.mark.parametrize("pools, size", [(True, 4), (False, 32)])
def test_the_networks_are_the_paper_s(pools, size):
    from benchmarks.paper_network import model

    network = model(32, 4, pools)
    onnx.checker.check_model(network)
    kinds = [node.op_type for node in network.graph.node]
    assert kinds == ["Conv", "Relu", *(["MaxPool"] if pools else [])] * 3
    inferred = onnx.shape_inference.infer_shapes(network).graph.output[0].type.tensor_type.shape
    assert [dimension.dim_value for dimension in inferred.dim][1:] == [4, size, size]
