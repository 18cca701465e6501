"""Every notebook's code runs, from top to bottom, on small bundles and models."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from tests import small_bundle
from tests.notebook_cells import FOLDER, run

NAMES = ("1_quick_start", "2_live_streaming", "3_log2_quantization", "4_inside_the_overlay", "5_your_own_onnx")


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """LOGNET_BUNDLE and LOGNET_FRAMES, labelled as NumPy classifies them."""
    paths = write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path)
    frames = small_bundle.frames(70)
    labels = small_bundle.expected_scores(frames).argmax(axis=1)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=labels)
    monkeypatch.setenv("LOGNET_BUNDLE", str(paths.folder))
    monkeypatch.setenv("LOGNET_FRAMES", str(tmp_path / "frames.npz"))


def test_quick_start(bundle, plots, capsys):
    names = run("1_quick_start")
    assert "simulated" in capsys.readouterr().out  # the figures say what they are
    assert names["result"].top1 == 1.0
    assert len(plots) == 1 and len(plots[0].axes) == 8  # pictures, each under its class
    for axis, frame, label in zip(plots[0].axes, names["frames"].frames, names["frames"].labels):
        assert np.array_equal(axis.images[0].get_array(), frame.transpose(1, 2, 0))
        assert axis.get_title() == f"{label}\n(is {label})"


def test_live_streaming(bundle, plots, capsys, virtual_time):
    names = run("2_live_streaming")
    printed = capsys.readouterr().out
    assert "simulated" in printed and "no sensor" in printed and "not measured" in printed
    assert len(names["result"]) + names["result"].dropped == 200 and len(names["updates"]) >= 5
    assert len(plots) == 1 and len(plots[0].axes) == 2


def test_log2_quantization(plots, capsys, require_tool):
    require_tool("onnx")
    names = run("3_log2_quantization")
    assert len(plots) == 3
    assert set(names["codes"].ravel()) <= {0, *(sign * 2**power for sign in (-1, 1) for power in range(7))}
    assert 0 < names["output_error"] < 0.05
    log2_errors = [names["errors"][bits][0] for bits in (2, 3, 4)]
    assert log2_errors == sorted(log2_errors, reverse=True)
    assert names["errors"][5][1] < names["errors"][5][0]  # linear steps get finer, powers of two do not


def test_inside_the_overlay(tmp_path, monkeypatch, plots, capsys, require_tool):
    for tool in ("da4ml", "myhdl", "verilator"):
        require_tool(tool)
    from tests.rtl_bundle import rtl_bundle

    made = rtl_bundle()
    manifest = {key: value for key, value in made.manifest.items() if key not in ("files", "digest")}
    monkeypatch.setenv("LOGNET_BUNDLE", str(write_bundle(made.files, manifest, tmp_path).folder))
    names = run("4_inside_the_overlay")
    assert names["test"].passed and len(plots) == 2
    assert names["intervals"].tolist() == [made.cycles_per_frame] * 3
    assert names["counters"] is None


def test_your_own_onnx(tmp_path, monkeypatch, capsys, require_tool):
    for tool in ("da4ml", "myhdl", "onnxruntime"):
        require_tool(tool)
    from tests.models import ModelBuilder, save

    builder = ModelBuilder((1, 6, 6), seed=1).conv(2, pads=[1, 1, 1, 1]).relu().pool().flatten().gemm(18)
    monkeypatch.setenv("LOGNET_MODEL", str(save(builder.model(), tmp_path, "mine.onnx")))
    monkeypatch.setenv("LOGNET_OUT", str(tmp_path / "out"))
    monkeypatch.delenv("LOGNET_FRAMES", raising=False)
    names = run("5_your_own_onnx")
    assert names["deployment"].path.name == "mine.lognet" and len(names["streamed"]) == 64
    for shown in (names["seen"], names["deployment"]):
        assert shown._repr_html_().startswith("<iframe") and "conv1" in shown.page()
