"""Verilog of graphs with forks and joins in Verilator, against golden.onnx in onnxruntime, and their planned cycles."""

from __future__ import annotations

import pytest

from lognet_fpga.codegen import generate
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.verify.check import verify
from tests.graph_models import GRAPHS, graph, plan_graph
from tests.quant_models import random_frames
from tests.shallow import shallow

QUICK = {"residual"}


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in ("verilator", "g++", "onnxruntime"):
        require_tool(name)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in GRAPHS])
def test_no_bit_differs(name):
    quant = graph(name)
    plan = plan_graph(quant, "middle")
    verdict = verify(shallow(generate, plan, "ab" * 32), quant, golden_onnx(quant), random_frames(quant, 6, 1), plan)
    assert verdict.failures() == () and verdict.differing_bits == 0 and verdict.cycles.as_planned
