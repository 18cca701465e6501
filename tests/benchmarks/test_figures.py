"""The scripts of benchmarks/ that make figures, run small."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import device_time
from benchmarks.engine_table import LINEAR_LARGEST, Solved, da4ml_verilog, layers_of, linear_codes
from benchmarks.figures import kept, sources
from lognet_fpga.engines.clb.foldings import accumulator_bits
from lognet_fpga.engines.clb.store import ClbStore
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from lognet_fpga.progress import NoProgress
from tests.models import ModelBuilder, run_onnx, save

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("paper_network.py", "engine_table.py", "svhn_shape.py", "growth.py", "tool_time.py")
SCRIPTS += ("request_overhead.py", "fleet.py", "attack.py")


def run_script(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / name), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent)},
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_has_examples_that_parse(script: str) -> None:
    module = importlib.import_module(f"benchmarks.{script.removesuffix('.py')}")
    lines = module.parser().format_help().splitlines()
    examples = [line.split() for line in lines if line.strip().startswith("python benchmarks/")]
    assert len(examples) >= 2
    for words in examples:
        assert words[1] == f"benchmarks/{script}"
        module.parser().parse_args(words[2:])


def test_a_wrong_share_of_zeros_is_refused() -> None:
    done = run_script("engine_table.py", "--zeros", "1")
    assert done.returncode == 2 and "share of zeros" in done.stderr and "Traceback" not in done.stderr


def test_small_paper_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    options = ("--size", "16", "--filters", "4", "--only", "pools-950", "--no-synth", "--no-verify")
    done = run_script("paper_network.py", *options, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["overlays"]["pools-950"]
    assert data["fps"] >= 950 * (224 / 16) ** 2  # as many pixels a second as 950 frames of 224 x 224 have
    assert [layer["matrix"] for layer in data["layers"]] == ["27 x 4", "36 x 4", "36 x 4"]
    assert all(layer["zeros"] >= 0.65 for layer in data["layers"])
    again = run_script("paper_network.py", *options)
    assert again.returncode == 0 and "quantize" not in again.stderr  # all from the cache
    assert f"| {data['cycles_per_frame']:,} |" in again.stdout and again.stdout.startswith("## 4 filters, 16 x 16")


def test_linear_codes_are_the_best_of_their_scales() -> None:
    """Against every assignment of codes, for rows that the grid of scales holds exactly."""
    rows = np.array([[7.0, -3.2, 0.4], [-14.0, 6.1, 0.0]])
    codes = linear_codes(rows)
    assert codes.dtype == np.int8 and np.abs(codes).max() <= LINEAR_LARGEST
    for row, found in zip(rows, codes.astype(float)):
        error = best_error(row, found)
        least = min(
            best_error(row, np.array(other))
            for other in itertools.product(range(-LINEAR_LARGEST, LINEAR_LARGEST + 1), repeat=3)
            if any(other)
        )
        assert error <= least + 0.02 * float(row @ row)


def best_error(row: np.ndarray, codes: np.ndarray) -> float:
    """Squared error with the best scale for these codes."""
    return float(row @ row - (row @ codes) ** 2 / (codes @ codes))


def test_both_kinds_have_the_same_zeros_and_widths() -> None:
    layers = layers_of(8, 8, 0.67)
    assert layers["log2"].sparsity == pytest.approx(0.67, abs=0.01)
    assert np.array_equal(layers["log2"].codes == 0, layers["linear"].codes == 0)
    assert accumulator_bits(layers["log2"]) == pytest.approx(accumulator_bits(layers["linear"]), abs=1)


@pytest.mark.parametrize("ii_cycles, digit_bits", [(1, 1), (1, 3), (5, 1), (24, 1)])
def test_engine_takes_the_cycles_and_digits_asked_for(ii_cycles: int, digit_bits: int) -> None:
    layer = layers_of(4, 4, 0.5)["log2"]
    solved = Solved(*ClbStore().solve([layer], NoProgress()))
    place = (overlay := solved.overlay(ii_cycles, digit_bits)).plan.layers[0].folding
    leg_bits = ii_cycles * digit_bits
    assert place.ii_cycles == ii_cycles and place.digit_bits == digit_bits
    assert (place.legs - 1) * leg_bits < accumulator_bits(layer) <= place.legs * leg_bits
    assert overlay.plan.cycles_per_frame >= ii_cycles * layer.conv_shape[1] * layer.conv_shape[2]
    assert [part for part, _ in overlay.design.parts] == ["adders", "window", "requantize"]


def test_da4ml_verilog_is_pipelined_and_whole() -> None:
    weights = layers_of(2, 4, 0.5)["log2"].weights.reshape(4, -1)
    files, adders, stages = da4ml_verilog(weights, 1)
    texts = dict(files)
    assert stages > 1 and adders >= np.count_nonzero(weights) / 8
    assert texts["matrix.v"].startswith("`timescale") and f"module matrix_stage{stages - 1}" in "".join(texts.values())


def test_figures_are_made_again_when_their_sources_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "one.py").write_text("a = 1\n")
    made = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"runs": len(made)}

    def asked(key: str) -> int:
        sources.cache_clear()
        return kept("test", (key,), make, (str(folder),))["runs"]

    assert [asked("x"), asked("x"), asked("y")] == [1, 1, 2]
    (folder / "one.py").write_text("a = 2\n")
    assert asked("x") == 3


def test_the_simulated_device_is_measured_beside_the_float_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_time, "ROUNDS", 1)
    model = ModelBuilder((3, 24, 24), seed=1).conv(8).relu().pool().conv(8, strides=[2, 1]).relu().model()
    parts = partition(load(save(model, tmp_path)), 2)
    frames = np.random.default_rng(1).uniform(0, 255, (2, 3, 24, 24)).astype(np.float32)
    theirs = run_onnx(model, frames)[0]
    np.testing.assert_allclose(run_onnx(device_time.float_layers(parts), frames)[0], theirs, rtol=1e-4, atol=1e-3)
    rates = device_time.measured(model, 8)
    assert set(rates) == {"float", "golden", "execution"} and min(rates.values()) > 0
