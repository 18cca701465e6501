"""The notebooks on a board: brought there by pynq's own command, run as they came, on the simulated board."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import Bundle, read_bundle, write_bundle
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.ir.system import BoardSystem, processor_of
from tests import small_bundle
from tests.board.conftest import ULTRASCALE
from tests.notebook_cells import FOLDER, run

NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
PREPARED = os.environ.get("LOGNET_TEST_RTL", "")  # as of tests/runtime/test_device_conformance.py


@pytest.fixture(scope="module")
def delivered(installed, run_installed, tmp_path_factory) -> Path:
    """The folder that `pynq get-notebooks` makes, this project being installed."""
    folder = tmp_path_factory.mktemp("jupyter")
    pynq = str(Path(sys.executable).with_name("pynq"))
    assert "- lognet (source: lognet_fpga)" in run_installed([pynq, "get-notebooks", "--list"]).splitlines()
    # --ignore-overlays: do not look for the board, which is not there.
    run_installed([pynq, "get-notebooks", "--ignore-overlays", "--path", str(folder), "lognet"])
    return folder / "lognet"


@pytest.fixture
def on_board(delivered, tmp_path, monkeypatch) -> Iterator[Bundle]:
    """A simulated board, and on it a bundle with a bitstream above the notebooks' folder, which is the current one."""
    from lognet_fpga.runtime.simboard.board import SimulatedBoard

    for name in [name for name in os.environ if name.startswith("LOGNET_") and name != "LOGNET_CACHE"]:
        monkeypatch.delenv(name)
    if PREPARED:
        made = read_bundle(Path(PREPARED) / "small.lognet")
        files, manifest = dict(made.files), {k: v for k, v in made.manifest.items() if k not in ("files", "digest")}
    else:
        files, manifest = small_bundle.files(), small_bundle.manifest()
    paths = write_bundle(files, manifest, tmp_path)
    bundle = read_bundle(paths.folder)
    system = BoardSystem(processor_of(ULTRASCALE), bundle.clk_mhz, bundle.source.tdata_bits, bundle.sink.tdata_bits)
    files |= {"bitstream/small.bit": b"", "bitstream/small.hwh": write_hwh(system)}
    paths = write_bundle(files, manifest, tmp_path)
    shutil.rmtree(paths.folder)  # the .zip is what one copies
    frames = small_bundle.frames(70)
    labels = small_bundle.expected_scores(frames).argmax(axis=1)
    np.savez(tmp_path / "test_frames.npz", frames=frames, labels=labels)
    shutil.copytree(delivered, tmp_path / "lognet")
    monkeypatch.chdir(tmp_path / "lognet")
    bundle = read_bundle(tmp_path / "small.lognet.zip")
    with SimulatedBoard(bundle, part=ULTRASCALE):
        yield bundle


def test_get_notebooks_delivers_them_all_and_nothing_else(delivered):
    assert sorted(path.name for path in delivered.iterdir()) == NAMES
    for name in NAMES:
        assert (delivered / name).read_bytes() == (FOLDER / name).read_bytes()


def test_quick_start(on_board, plots, capsys):
    names = run("1_quick_start", Path.cwd())
    assert "the FPGA itself" in capsys.readouterr().out and len(plots) == 1
    assert names["result"].top1 == 1.0 and len(names["result"]) == 70


def test_quick_start_without_frames(on_board, plots, capsys):
    Path("../test_frames.npz").unlink()
    names = run("1_quick_start", Path.cwd())
    assert names["result"].top1 is None and "no labels" in capsys.readouterr().out
    np.testing.assert_allclose(
        names["result"].scores, small_bundle.expected_scores(small_bundle.frames(4, seed=7)), rtol=1e-4, atol=1e-2
    )


def test_live_streaming(on_board, plots, capsys, virtual_time):
    names = run("2_live_streaming", Path.cwd())
    printed = capsys.readouterr().out
    assert "the FPGA itself" in printed and "no sensor" in printed and "not measured" in printed
    assert len(names["result"]) + names["result"].dropped == 200 and len(names["updates"]) >= 5
    assert len(plots) == 1


def test_inside_the_overlay(on_board, plots, capsys, monkeypatch):
    if not PREPARED:
        pytest.skip("needs a bundle with Verilog (LOGNET_TEST_RTL)")
    monkeypatch.setenv("PATH", "")  # a board has no Verilator
    names = run("4_inside_the_overlay", Path.cwd())
    assert names["test"].passed and "the FPGA itself" in names["test"].device
    assert names["counters"].frames_finished == 4 and len(plots) == 1
    assert names["run"] is None and "Verilator was not found" in capsys.readouterr().out
