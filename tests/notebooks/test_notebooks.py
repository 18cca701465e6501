"""Every notebook's code runs, from top to bottom, on a small bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import write_bundle
from tests import small_bundle

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch, capsys):
    paths = write_bundle(small_bundle.files(), small_bundle.manifest(), tmp_path)
    frames = small_bundle.frames(70)
    labels = small_bundle.expected_scores(frames).argmax(axis=1)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=labels)
    monkeypatch.setenv("LOGNET_BUNDLE", str(paths.folder))
    monkeypatch.setenv("LOGNET_FRAMES", str(tmp_path / "frames.npz"))
    names: dict = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "notebooks are kept without outputs"
            exec(compile("".join(cell["source"]), str(path), "exec"), names)
    printed = capsys.readouterr().out
    assert "simulated" in printed  # the figures say what they are
    assert names["result"].top1 == 1.0  # the labels are NumPy's own classification
