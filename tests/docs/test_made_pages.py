"""What is made of data is current: the pictures, README's table, the zoo's table, the licences of other packages."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.fabric.boards import board_names
from tests.docs.markdown import ROOT

MAKE = ROOT / "docs" / "make"


@pytest.fixture(scope="module")
def figures(require_tool) -> dict:
    for name in ("onnx", "PIL"):
        require_tool(name)
    return runpy.run_path(str(MAKE / "figures.py"))


def test_the_pictures_are_those_of_the_data(figures):
    for name, text in figures["pictures"]().items():
        there = (ROOT / "docs" / "figures" / name).read_text(encoding="utf-8")
        assert there == text, f"{name}: run python docs/make/figures.py"


def test_readme_has_the_rows_of_networks_md(figures):
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert figures["readme"](page) == page, "run python docs/make/figures.py"
    assert page.count("| PYNQ-Z2 |") >= 2 and len(page.splitlines()) < 120


def test_the_classes_shown_are_the_model_s(require_tool):
    """The float side of the retrained model: another way to the same classes, but where two are as likely."""
    require_tool("onnxruntime")
    import onnxruntime

    data = json.loads((ROOT / "docs" / "figures" / "results.json").read_text(encoding="utf-8"))
    folder = ROOT / "models" / "cifar10_64x3"
    session = onnxruntime.InferenceSession(str(folder / "model_log2.onnx"), providers=["CPUExecutionProvider"])
    frames = np.load(folder / "test_frames.npz")["frames"][data["frames"]].transpose(0, 3, 1, 2)
    given = session.get_inputs()[0]
    scores = session.run(None, {given.name: frames.astype(np.float32)})[0]
    assert (scores.argmax(axis=1) == data["classes"]).mean() >= 0.9


def test_published_figures_have_a_source():
    for each in json.loads((ROOT / "docs" / "figures" / "published.json").read_text(encoding="utf-8")):
        assert each["source"] and each["fps"] > 0 and each["who"] != "this toolkit"


def test_the_zoo_s_table_is_that_of_its_rows():
    zoo = runpy.run_path(str(ROOT / "zoo" / "build.py"))
    page = (ROOT / "zoo" / "README.md").read_text(encoding="utf-8")
    assert zoo["with_table"](page, zoo["recorded"]()) == page, "run python zoo/build.py --table"
    names = [entry["name"] for entry in zoo["entries"]()]
    assert len(set(names)) == len(names) >= 10
    for entry in zoo["entries"]():
        assert entry["licence"] and entry["model_from"]
    for row in zoo["recorded"]():
        assert row["model"] in names and row["board"] in board_names()
        assert "error" in row or re.fullmatch(r"[0-9a-f]{64}", row["bundle_sha256"])


def test_licences_of_all_packages_that_it_is_used_with(require_tool):
    third = runpy.run_path(str(MAKE / "third_party.py"))
    page = Path(ROOT / "THIRD-PARTY.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([\w.-]+) \| ([^|]+) \|", page, re.MULTILINE))
    for name in third["direct_needs"]():
        assert name in rows, f"{name}: run python docs/make/third_party.py"
        licence = third["licence_of"](name)
        assert licence in (None, rows[name]), f"{name}: run python docs/make/third_party.py"
