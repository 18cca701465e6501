"""The matrix of whole networks, file to golden.onnx for a quarter of them, to Verilog for two.

`python benchmarks/model_matrix.py --networks` takes all of them to Verilog.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network_matrix import BLOCKS, COUNT, HEADS, check_network, specs, verify_network

VERIFIED = (27, 62)  # by default


def test_every_block_and_head_is_there() -> None:
    assert len(specs()) == COUNT >= 100
    assert {block for spec in specs() for block in spec.blocks} == set(BLOCKS)
    assert {spec.head for spec in specs()} == set(HEADS)


@pytest.mark.parametrize(
    "spec",
    [pytest.param(spec, marks=[] if spec.number % 4 == 0 else pytest.mark.slow, id=spec.name) for spec in specs()],
)
def test_all_layers_go_and_numbers_agree(spec, tmp_path: Path) -> None:
    """onnxruntime on the file = float graph = layers and tail; NumPy = golden.onnx = execution.onnx in onnxruntime."""
    checked = check_network(spec, tmp_path)
    assert checked.bits > 200 and checked.differing_bits == 0


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(spec, marks=[] if spec.number in VERIFIED else pytest.mark.slow, id=spec.name)
        for spec in specs()
        if spec.number in VERIFIED or spec.number % 8 == 3
    ],
)
def test_verilog(spec, tmp_path: Path, require_tool) -> None:
    for name in ("verilator", "g++"):
        require_tool(name)
    verdict = verify_network(spec, check_network(spec, tmp_path))
    assert verdict.failures() == () and verdict.differing_bits == 0 and verdict.cycles.as_planned
