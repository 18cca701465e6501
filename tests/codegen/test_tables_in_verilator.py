"""Verilog of layers with activation functions in Verilator, against golden.onnx in onnxruntime, and planned cycles.

Every graph runs free, from a random state with idles and stalls, and with a sink so slow that FIFOs run full.
"""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.codegen import generate
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import FRAMES
from lognet_fpga.verify.check import verify
from tests.graph_models import build_graph, plan_graph
from tests.models import run_onnx
from tests.quant_models import POOL_2X2, Spec, random_frames
from tests.shallow import shallow

PADDED = MaxPool((3, 3), (2, 2), (1, 1, 1, 1))
MEAN = AveragePool((2, 2), (2, 2))
CASES = {
    "shared": [(Spec(5, pool=None, table="shared"), [FRAMES]), (Spec(3, pool=None), [0])],
    "each, 4 bits": [(Spec(6, out_bits=4, pool=POOL_2X2, table="each"), [FRAMES]), (Spec(3, pool=None), [0])],
    "averages": [
        (Spec(5, pool=MEAN, average_bits=6, average_drop=2, table="each"), [FRAMES]),
        (Spec(4, pool=PADDED, table="shared"), [0]),
    ],
    "last, of a part empty beat": [(Spec(13, pool=None, table="shared"), [FRAMES])],
    "joined": [
        (Spec(4, pool=None, table="each"), [FRAMES]),
        (Spec(4, pool=None, table="shared"), [0]),
        (Spec(4, pool=None, table="each"), [1, 0]),
    ],
}


def quant_of(name: str) -> QuantGraph:
    return build_graph(np.random.default_rng(len(name)), name, (2, 7, 8), CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_numpy_golden_and_execution_agree(name):
    quant = quant_of(name)
    frames = random_frames(quant, 4, 1)
    expected = quant.run_layers(frames)
    for model in (golden_onnx(quant), execution_onnx(quant)):
        found = run_onnx(model, frames)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_no_bit_differs(name, in_memory, require_tool):
    for tool in ("verilator", "g++", "onnxruntime"):
        require_tool(tool)
    quant = quant_of(name)
    speed = "slowest" if in_memory else "middle" if name == "joined" else "fastest"
    plan = plan_graph(quant, speed, [in_memory] * len(quant.layers))
    design = shallow(generate, plan, "ab" * 32)
    verdict = verify(design, quant, golden_onnx(quant), random_frames(quant, 6, 1), plan)
    assert verdict.failures() == () and verdict.differing_bits == 0 and verdict.cycles.as_planned
