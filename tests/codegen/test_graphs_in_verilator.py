"""Verilog of graphs with forks and joins in Verilator, against golden.onnx in onnxruntime, and their planned cycles.

Every graph runs three times: free, where latency and cycles per frame must equal the plan; from a random state with
idles and stalls; and with a sink so slow that FIFOs run full.
"""

from __future__ import annotations

import dataclasses

import pytest

from lognet_fpga.codegen import generate
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.verify.check import verify
from lognet_fpga.verify.verdict import Verdict
from tests.graph_models import GRAPHS, graph, plan_graph, random_directed, random_plan
from tests.quant_models import random_frames
from tests.shallow import shallow

COUNT = 48  # of the matrix
SIMULATED = range(0, COUNT, 6)
QUICK = {"residual"}
NAMES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in GRAPHS]


@pytest.fixture
def tools(require_tool):
    for name in ("verilator", "g++", "onnxruntime"):
        require_tool(name)


def verdict_of(quant: QuantGraph, plan: HardwarePlan, frames: int = 6) -> Verdict:
    design = shallow(generate, plan, "ab" * 32)
    return verify(design, quant, golden_onnx(quant), random_frames(quant, frames, 1), plan)


@pytest.mark.parametrize("name", NAMES)
def test_no_bit_differs(name, tools):
    quant = graph(name)
    verdict = verdict_of(quant, plan_graph(quant, "middle"))
    assert verdict.failures() == () and verdict.differing_bits == 0 and verdict.cycles.as_planned


@pytest.mark.slow
@pytest.mark.parametrize("seed", SIMULATED)
def test_the_matrix_in_verilator(seed, tools):
    """Weights in the fabric and in memories, at some pace."""
    quant = random_directed(seed)
    verdict = verdict_of(quant, random_plan(quant, seed))
    assert verdict.failures() == () and verdict.differing_bits == 0 and verdict.cycles.as_planned, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(COUNT))
def test_the_matrix_is_generated(seed):
    quant = random_directed(seed)
    plan = random_plan(quant, seed)
    design = shallow(generate, plan, "ab" * 32)
    names = {name for name, _ in design.files}
    layers = [f"layer{number}" for number in range(1, len(quant.layers) + 1)]
    assert [monitor.port for monitor in design.monitors] == [f"mon_{name}" for name in layers], f"seed {seed}"
    for name, layer in zip(layers, plan.layers):
        joins = {f"{name}_join{number}.v" for number in range(1, len(layer.parts))}
        fifos = {f"{name}_fifo{number or ''}.v" for number in range(len(layer.fifos))}
        assert joins | fifos <= names, f"seed {seed}"


@pytest.mark.slow
def test_a_shortcut_that_is_too_shallow_is_found(tools):
    """As the model of cycles says (tests/plan/test_graph_cycles.py), nothing comes out any more."""
    quant = graph("residual")
    plan = plan_graph(quant, "middle")
    first = plan.layers[0]
    shortcut = first.branches[0]
    for depth, works in ((shortcut.depth, True), (shortcut.depth // 2, False)):
        shallower = dataclasses.replace(first, branches=(dataclasses.replace(shortcut, depth=depth),))
        verdict = verdict_of(quant, dataclasses.replace(plan, layers=(shallower, *plan.layers[1:])), frames=3)
        assert (verdict.failures() == ()) == works
        assert works or any("deadlock" in problem for problem in verdict.problems)
