from __future__ import annotations

import json
import re

from tests.deploy.workplace import CLASSES, SHAPE, refused, save
from tests.models import ModelBuilder


def test_without_a_number_as_many_layers_go_as_can(place, tmp_path):
    """A Softmax stands in front of the third: by default two go, with a warning; asked for three, it is refused."""
    chain = ModelBuilder(SHAPE, seed=4).conv(3).relu().pool().conv(4).add("Softmax", axis=1).conv(4)
    model = save(chain.flatten().gemm(64, CLASSES).model(), tmp_path, "short.onnx")
    done = place("deploy", model, "--out", tmp_path / "out", "--no-verify", "--json")
    assert done.returncode == 0, done.stderr
    assert re.search(r"warning: 2 of the first 3 .*Softmax.*what would help: .*to the host", done.stderr)
    data = json.loads(done.stdout)
    assert data["layer_choice"]["layers"] == 2 == len(data["layers"])
    assert [problem["op_type"] for problem in data["layer_choice"]["stopped_by"]] == ["Softmax"]
    assert "2 of the first 3" in (tmp_path / "out" / "short.lognet" / "report.txt").read_text()
    refused(place("deploy", model, "--fpga-layers", 3, "--no-verify"), 4, "Softmax.*--fpga-layers 2")


def test_auto_takes_the_best_predicted_rate(place, tmp_path):
    done = place("deploy", place.model, "--fpga-layers", "auto", "--out", tmp_path, "--no-verify", "--json")
    assert done.returncode == 0, done.stderr
    choice = json.loads(done.stdout)["layer_choice"]
    rates = {candidate["layers"]: candidate["fps"] for candidate in choice["candidates"]}
    assert sorted(rates) == [1, 2] and rates[choice["layers"]] == max(rates.values())
    text = " ".join((tmp_path / "tiny.lognet" / "report.txt").read_text().split())
    assert "--fpga-layers auto" in text and "before quantization and adder sharing" in text
    inspected = json.loads(place("inspect", place.model, "--board", "pynq-z2", "--json").stdout)
    assert inspected["boards"][0]["candidates"] == choice["candidates"]
    assert inspected["boards"][0]["best_layers"] == choice["layers"]
