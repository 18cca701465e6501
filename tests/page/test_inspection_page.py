"""lognet-inspect --html: the figures of its JSON as a page."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from lognet_fpga.cli import inspect
from lognet_fpga.errors import OutputError, UnsupportedModelError
from tests.models import ModelBuilder, save, small_cnn
from tests.page.parsed import Parsed
from tests.page.reports import HOSTILE


def page_of(in_process, capsys, model, *arguments, code: int = 0) -> tuple[Parsed, dict]:
    place = model.parent / "page.html"
    assert in_process(inspect.main, model, "--json", "--html", place, *arguments) == code
    return Parsed(place.read_text(encoding="utf-8")), json.loads(capsys.readouterr().out)


def test_the_page_has_the_figures_of_the_json(in_process, capsys, tmp_path):
    page, data = page_of(in_process, capsys, save(small_cnn(), tmp_path))
    boards = page.tables["Numbers of layers: frames a second and room, estimated"][1:]
    candidates = [(board, each) for board in data["boards"] for each in board["candidates"]]
    rows = {(title, row[1]): row for row in boards for title in row[0].split(", ")}
    assert "PYNQ-Z1, PYNQ-Z2" in {row[0] for row in boards} and len(rows) == len(candidates)
    for board, candidate in candidates:
        row = rows[board["chip"]["title"], str(candidate["layers"])]
        assert row[4] == f"{candidate['fps']:,.0f}"
        assert (row[6] == "best") == (candidate["layers"] == board["best_layers"])
    layers = next(rows for caption, rows in page.tables.items() if caption.startswith("Sizes"))[1:]
    assert [row[0] for row in layers] == [layer["name"] for layer in data["layers"]]
    assert [row[8] for row in layers] == [str(layer["act_bits"]) for layer in data["layers"]]
    assert [row[9] for row in layers] == [f"{layer['macs']:,}" for layer in data["layers"]]
    nodes = page.tables["Nodes of the model, where they run and why"][1:]
    assert [row[0] for row in nodes] == [row["node"] for row in data["operators"]]
    fastest = max(candidate["fps"] for _, candidate in candidates)
    verdict = page.lines[2]
    assert verdict.startswith("3 of 3 convolution layers") and f"about {fastest:,.0f} frames a second" in verdict
    assert "9 of 9 boards have room, and it would be fastest on the" in verdict and "nothing was built" in verdict
    assert page.unclosed == [] and not page.named("script")


def test_the_verdict_on_one_board(in_process, capsys, tmp_path):
    page, data = page_of(in_process, capsys, save(small_cnn(), tmp_path), "--board", "pynq-z2")
    fps = next(each["fps"] for each in data["boards"][0]["candidates"] if each["layers"] == 3)
    assert f"; it would run on the PYNQ-Z2, with 3 layers on the FPGA at about {fps:,.0f} frames" in page.lines[2]


def test_edges_are_those_of_the_model(in_process, capsys, tmp_path):
    model = (
        ModelBuilder((3, 8, 8)).conv(4).relu().residual(lambda b: b.conv(4), lambda b: b).relu().flatten().gemm(256, 3)
    )
    _, data = page_of(in_process, capsys, save(model.model(), tmp_path), "--board", "pynq-z2")
    inputs = {row["node"]: row["inputs"] for row in data["operators"]}
    assert inputs["Conv_0"] == [] and inputs["Relu_1"] == ["Conv_0"] and inputs["Conv_2"] == ["Relu_1"]
    assert sorted(inputs["Add_3"]) == ["Conv_2", "Relu_1"]


def test_a_model_that_cannot_go_says_why(in_process, capsys, tmp_path):
    model = ModelBuilder((3, 8, 8)).add("Sigmoid").conv(4).relu().flatten().gemm(256, 3).model()
    model.graph.node[0].name = HOSTILE.replace("\0", "").replace("\udcff", "")
    page, data = page_of(in_process, capsys, save(model, tmp_path), code=UnsupportedModelError.exit_code)
    assert data["possible_layers"] == 0 and "No convolution layer of" in page.lines[2]
    assert f"lognet-deploy would refuse: {data['error']['message']}" in page.text.replace("\\u202e", "\u202e")
    assert "<img src=http://evil.example" in page.text and not page.named("img") and page.unclosed == []


def test_a_place_that_cannot_be_written(in_process, capsys, tmp_path):
    model = save(small_cnn(), tmp_path)
    code = in_process(inspect.main, model, "--board", "pynq-z2", "--html", tmp_path / "no" / "page.html")
    assert code == OutputError.exit_code and "choose another --html" in capsys.readouterr().err
