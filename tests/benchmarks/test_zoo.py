"""The zoo's builder: a row for each model and board, none made twice, what fails is a row, too."""

from __future__ import annotations

import argparse
import json
import runpy

import numpy as np
import pytest

from tests.docs.markdown import ROOT
from tests.models import ModelBuilder, save


@pytest.fixture
def zoo(tmp_path, require_tool) -> dict:
    """The script's names, with a zoo of two models: a small one, and one that no board takes."""
    for tool in ("onnx", "onnxruntime", "myhdl", "da4ml"):
        require_tool(tool)
    names = runpy.run_path(str(ROOT / "zoo" / "build.py"))
    models = tmp_path / "models" / "deep"
    models.mkdir(parents=True)
    save(ModelBuilder((1, 6, 6), seed=1).conv(2).relu().flatten().gemm(72, 3).model(), models, "small.onnx")
    save(ModelBuilder((1, 6, 6), seed=1).add("Sigmoid").conv(2).flatten().gemm(72, 3).model(), models, "refused.onnx")
    random = np.random.default_rng(1)
    frames = random.integers(0, 256, (40, 1, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=random.integers(0, 3, 40))
    entry = {
        "kind": "noise",
        "model_from": "here",
        "licence": "none",
        "whole": True,
        "options": [],
        "frames": "frames.npz",
    }
    listed = [
        {**entry, "name": "small", "model": "small.onnx"},
        {**entry, "name": "refused", "model": "refused.onnx", "frames": None},
        {**entry, "name": "absent", "model": "absent.onnx"},
    ]
    names["build"].__globals__["entries"] = lambda: listed
    return names


def rows(zoo: dict, folder, **options) -> list[dict]:
    given = {"only": "", "board": ["pynq-z2", "kv260"], "limit": "all", "first_three": False, "cold": False}
    given |= {"no_verify": True, "act_bits": None, "mnist": None, "cifar10": None, **options}
    places = {"models": folder / "models", "frames": folder, "out": folder / "out"}
    return list(zoo["build"](argparse.Namespace(**given, **places)))


def test_rows_are_made_once(zoo, tmp_path, monkeypatch):
    first = rows(zoo, tmp_path)
    assert [(row["model"], row["board"], "error" in row) for row in first] == [
        ("small", "pynq-z2", False),
        ("small", "kv260", False),
        ("refused", "pynq-z2", True),
        ("refused", "kv260", True),
    ]
    assert first[0]["layers"] == 2 and first[0]["fps"] > 0 and 0 <= first[0]["deployed_top1"] <= 1
    manifest = json.loads((tmp_path / "out" / "kv260" / "small.lognet" / "manifest.json").read_text())
    assert first[1]["bundle_sha256"] == manifest["digest"]
    zoo["build"].__globals__["deploy"] = lambda *_: pytest.fail("a row was made again")
    assert rows(zoo, tmp_path) == first
    with pytest.raises(pytest.fail.Exception):
        rows(zoo, tmp_path, limit="10")  # another question


def test_the_table_has_every_row_and_what_was_not_run(zoo, tmp_path):
    made = rows(zoo, tmp_path, board=["pynq-z2"])
    page = zoo["with_table"](f"above\n{zoo['BEGIN']}\nold\n{zoo['END']}\nbelow\n", made)
    assert "old" not in page and page.startswith("above\n") and page.endswith("\nbelow\n")
    assert "| small | pynq-z2 | 2 (" in page and page.count("| refused |") == 1
    assert "* **absent** (noise): here; licence: none" in page and page.count("**not run**") == 1


def test_rows_are_held_against_those_recorded(zoo, tmp_path):
    """The same toolkit and files have to give the same bundle; another toolkit may give other figures, but figures."""
    row, refused = rows(zoo, tmp_path, board=["pynq-z2"])
    compared = zoo["compared"]
    assert compared(row, [row, refused]) == (False, [])
    assert compared(row, []) == (False, ["no row was recorded"])
    slower = {**row, "processor_s": 1e6, "commit": "another"}
    assert compared(slower, [row]) == (False, [])
    wrong, (line,) = compared({**row, "bundle_sha256": "0" * 64}, [row])
    assert wrong and row["bundle_sha256"][:8] in line
    wrong, lines = compared({**row, "key": "another", "bundle_sha256": "0" * 64, "fps": row["fps"] + 1000}, [row])
    assert not wrong and len(lines) == 2 and all("was recorded" in line for line in lines)
    failed = {**refused, "model": row["model"]}
    assert compared(failed, [row])[0] and not compared(row, [failed])[0] and not compared(refused, [refused])[1]


def test_a_deployment_that_says_nothing_is_a_row(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo["build"].__globals__["sys"], "executable", "true")
    assert "said nothing" in rows(zoo, tmp_path, board=["pynq-z2"], only="small")[0]["error"]
