"""lognet-inspect as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from lognet_fpga.fabric.boards import board_names, load_board
from tests.models import ModelBuilder, save, small_cnn
from tests.patience import HANG_S

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def needs(require_tool):
    require_tool("onnx")
    require_tool("onnxruntime")


def inspect(model: Path, *arguments: object) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-m", "lognet_fpga.cli.inspect", str(model), *map(str, arguments)],
        cwd=ROOT,
        text=True,
        timeout=HANG_S,
        env={**os.environ, "LOGNET_DEBUG": ""},
        capture_output=True,
    )
    assert "Traceback" not in done.stderr
    return done


def as_json(model: Path, *arguments: object, code: int = 0) -> dict:
    done = inspect(model, *arguments, "--json")
    assert done.returncode == code, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def chain() -> ModelBuilder:
    return ModelBuilder((3, 16, 16), seed=5)


def test_the_report_names_operators_layers_and_boards(tmp_path):
    done = inspect(save(small_cnn(), tmp_path))
    assert done.returncode == 0 and "error" not in done.stderr
    for part in ("3 of 3 convolution layers", "layer 1 of 3", "fully connected layers run on the host"):
        assert part in done.stdout
    assert "estimated, before quantization and adder sharing" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[3] == "In short" and lines[4].startswith("  3 of 3 convolution layers")
    answers = [line for line in lines[: lines.index("Boards: how many layers fit, and how fast")] if "% of the" in line]
    titles = [title for line in answers for title in re.split(r"  +", line.strip())[0].split(", ")]
    assert sorted(titles) == sorted(load_board(name).title for name in board_names())
    assert any(line.startswith("  PYNQ-Z1, PYNQ-Z2  ") for line in answers)  # those that are alike
    assert max(map(len, lines[:-1])) <= 120  # the last one has a path


def test_a_fully_connected_layer_is_no_convolution_layer(tmp_path):
    model = save(small_cnn(), tmp_path)  # three convolutions and a Gemm
    done = inspect(model, "--fpga-layers", "all", "--board", "pynq-z2")
    assert done.returncode == 0 and "  4 of 4 layers of model.onnx can go" in done.stdout
    assert "4 of 4 layers in sequence" in done.stdout and "layer 4 of 4" in done.stdout
    assert "convolution layer" not in done.stdout
    data = as_json(model, "--fpga-layers", "all", "--board", "pynq-z2")
    assert (data["conv_layers"], data["dense_layers"]) == (4, 1)
    assert [layer["name"] for layer in data["layers"]] == ["conv1", "conv2", "conv3", "dense4"]
    assert as_json(model, "--board", "pynq-z2")["dense_layers"] == 0


def test_figures_are_those_of_the_model(tmp_path):
    data = as_json(save(small_cnn(channels=(8, 8, 12)), tmp_path))
    macs = [16 * 16 * 8 * 27, 8 * 8 * 8 * 72, 4 * 4 * 12 * 72]
    assert [layer["macs"] for layer in data["layers"]] == macs
    assert [layer["weights"] for layer in data["layers"]] == [8 * 27, 8 * 72, 12 * 72]
    assert [layer["out_shape"] for layer in data["layers"]] == [[8, 8, 8], [8, 4, 4], [12, 2, 2]]
    assert data["host"]["macs"] == 48 * 10 and data["host"]["fpga_macs_share"] == sum(macs) / (sum(macs) + 480)
    assert [board["board"] for board in data["boards"]] == board_names()
    for board in data["boards"]:
        assert [c["host_macs"] for c in board["candidates"]] == [sum(macs[n:]) + 480 for n in (1, 2, 3)]
    assert data["cut"]["layers"] == data["possible_layers"] == 3 and data["error"] is None


def test_zeros_and_prune(tmp_path):
    model = save(small_cnn(), tmp_path)
    plain, pruned = as_json(model, "--board", "pynq-z2"), as_json(model, "--board", "pynq-z2", "--prune", "0.7")
    for before, after in zip(plain["layers"], pruned["layers"]):
        assert before["zeros_log2"] < 0.3 and 0.69 < after["zeros_log2"] < 0.8
    lut = [data["boards"][0]["candidates"][-1]["estimate"]["lut"] for data in (plain, pruned)]
    fps = [data["boards"][0]["candidates"][-1]["pl_fps"] for data in (plain, pruned)]
    assert fps[1] > fps[0] or lut[1] < lut[0]


def test_clock_and_rate_asked_for(tmp_path):
    model = save(small_cnn(), tmp_path)
    slow = as_json(model, "--board", "pynq-z2", "--clk-mhz", 50)["boards"][0]["candidates"][0]
    fast = as_json(model, "--board", "pynq-z2")["boards"][0]["candidates"][0]
    assert slow["pl_fps"] == pytest.approx(fast["pl_fps"] / 2)
    asked = as_json(model, "--board", "pynq-z2", "--fps", 5000)["boards"][0]["candidates"][0]
    assert 5000 <= asked["pl_fps"] < fast["pl_fps"] and asked["estimate"]["lut"] < fast["estimate"]["lut"]
    none = as_json(model, "--fps", "1e9", code=6)
    assert all(c["estimate"] is None for board in none["boards"] for c in board["candidates"])


def test_every_board_has_the_next_clock_at_or_below_that_it_makes(tmp_path):
    model = save(small_cnn(), tmp_path)
    boards = as_json(model, "--clk-mhz", 200)["boards"]
    clocks = {board["board"]: board["clk_mhz"] for board in boards}
    assert (clocks["zcu104"], clocks["kv260"], clocks["pynq-z2"]) == (187.498125, 199.998, 200)
    rates = {board["board"]: board["candidates"][0]["pl_fps"] for board in boards}  # the same plan where all is roomy
    assert rates["zcu104"] / rates["vc707"] == pytest.approx(187.498125 / 200)
    usual = {board["board"]: board["clk_mhz"] for board in as_json(model)["boards"]}
    assert usual == {name: load_board(name).clk_mhz for name in board_names()}


def test_what_stands_in_the_way_is_told_and_the_rest_too(tmp_path):
    model = save(
        chain().conv(4).relu().conv(4).add("Softmax", axis=1).conv(4).relu().flatten().gemm(1024).model(), tmp_path
    )
    data = as_json(model)
    assert data["cut"]["layers"] == 2 and [o["op_type"] for o in data["obstacles"]] == ["Softmax"]
    assert data["obstacles"][0]["layers"] == [3] and "host" in data["obstacles"][0]["remedy"]
    done = inspect(model, "--fpga-layers", 3)
    assert done.returncode == 4
    assert "Boards: how many layers fit" in done.stdout and "lognet-deploy would refuse" in done.stdout
    assert re.search("lognet-inspect: error: 1 node within the first 3.*Softmax", done.stderr, re.DOTALL)
    refusal = as_json(model, "--fpga-layers", 3, code=4)
    assert refusal["error"]["exit_code"] == 4 and refusal["cut"] is None and len(refusal["boards"]) == 9


def test_a_model_of_which_nothing_can_go(tmp_path):
    data = as_json(save(chain().add("Sigmoid").conv(4).flatten().gemm(1024).model(), tmp_path), code=4)
    assert data["boards"] == data["layers"] == [] and data["possible_layers"] == 0
    assert {row["where"] for row in data["operators"]} == {"host"}


def test_a_model_too_large_says_how_far_to_prune(tmp_path):
    model = save(ModelBuilder((8, 8, 8)).conv(64).relu().conv(176, 5).relu().model(), tmp_path)
    fabric = ("--weights", "clb")
    data = as_json(model, "--fpga-layers", 2, "--board", "pynq-z2", *fabric, code=6)
    assert data["boards"][0]["layers_that_fit"] == 1 and data["error"]["kind"] == "DoesNotFitError"
    candidate = data["boards"][0]["candidates"][1]
    assert 0.5 < candidate["prune"] < 1 and candidate["pl_fps"] is None
    again = as_json(
        model, "--fpga-layers", 2, "--board", "pynq-z2", *fabric, "--prune", round(candidate["prune"] + 0.02, 2)
    )
    assert again["boards"][0]["layers_that_fit"] == 2
    assert as_json(model, "--board", "pynq-z2", *fabric)["error"] is None  # one layer fits
    memories = as_json(model, "--fpga-layers", 2, "--board", "pynq-z2")
    assert memories["boards"][0]["layers_that_fit"] == 2


def test_auto_is_the_best_of_the_board(tmp_path):
    data = as_json(save(small_cnn(), tmp_path), "--fpga-layers", "auto", "--board", "zcu104")
    candidates = data["boards"][0]["candidates"]
    assert data["cut"]["layers"] == max(candidates, key=lambda c: (c["fps"], -c["layers"]))["layers"]


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["--fpga-layers", "some"], 2),
        (["--board", "basys3"], 2),
        (["--prune", "1"], 2),
        (["--input-shape", "1,9,8"], 2),
        (["--frames", "x.npz"], 2),
    ],
)
def test_options_that_cannot_be_used(tmp_path, arguments, code):
    done = inspect(save(small_cnn(), tmp_path), *arguments)
    assert done.returncode == code and done.stdout == "" and "error: " in done.stderr


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    assert inspect(tmp_path / "m.onnx").returncode == 3
    assert inspect(tmp_path / "none.onnx").returncode == 3


def test_the_shipped_model_is_unchanged_by_a_look(tmp_path):
    place = ROOT / "models" / "cifar10_64x3"
    before = sorted(path.name for path in place.iterdir())
    data = as_json(place / "model.onnx", "--board", "pynq-z2")
    assert sorted(path.name for path in place.iterdir()) == before
    parameters = sum(
        tensor.dims and int(onnx.numpy_helper.to_array(tensor).size)
        for tensor in onnx.load(place / "model.onnx").graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2
    )
    assert abs(data["host"]["parameters"] - parameters) < 1000  # the FC matrices, and some biases
