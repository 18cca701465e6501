"""The matrix of small models, file to golden.onnx for all of them, to Verilog for a spread.

`python benchmarks/model_matrix.py` takes all of them to Verilog.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_matrix import (
    ACTIVATIONS,
    COUNT,
    KERNELS,
    OPSETS,
    PADS,
    POOLS,
    SPREADS,
    STRIDES,
    check_model,
    specs,
    verify_model,
)
from tests.quant_models import SPEEDS
from tests.styles import STYLES


def test_every_value_of_every_axis_is_there() -> None:
    layers = [layer for spec in specs() for layer in spec.layers]
    assert len(specs()) == COUNT and len({str(spec) for spec in specs()}) == COUNT
    for axis, field in (
        (KERNELS, "kernel"),
        (STRIDES, "stride"),
        (PADS, "pads"),
        (SPREADS, "spread"),
        (ACTIVATIONS, "activation"),
        (POOLS, "pool"),
    ):
        assert {getattr(layer, field) for layer in layers} == set(axis)
    for axis, field in ((STYLES, "style"), (OPSETS, "opset"), (SPEEDS, "speed")):
        assert {getattr(spec, field) for spec in specs()} >= set(axis)


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_graph_layers_and_golden(spec, tmp_path: Path) -> None:
    """onnxruntime on the file = float graph = layers and tail; NumPy = golden.onnx = execution.onnx in onnxruntime."""
    checked = check_model(spec, tmp_path)
    assert checked.bits > 200 and checked.differing_bits == 0


@pytest.mark.slow
@pytest.mark.parametrize("spec", specs()[5::21], ids=lambda spec: spec.name)
def test_verilog(spec, tmp_path: Path, require_tool) -> None:
    for name in ("verilator", "g++"):
        require_tool(name)
    verdict = verify_model(spec, check_model(spec, tmp_path))
    assert verdict.failures() == () and verdict.differing_bits == 0 and verdict.cycles.as_planned
