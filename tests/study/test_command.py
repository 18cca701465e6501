"""lognet-study as its user runs it, on the shipped model; the accuracies against onnxruntime by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from lognet_fpga.cli import study as command
from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.numerics.quantizers import linear_quantizer
from lognet_fpga.partition import make_tail, partition
from lognet_fpga.quantize import quantize
from lognet_fpga.study.experiments import zero_smallest
from lognet_fpga.study.simulations import StudyConfig, run_study
from lognet_fpga.verify.measure import host_outputs
from lognet_fpga.verify.onnx_session import OnnxSession
from lognet_fpga.verify.settle_output import settle_output
from tests.models import run_onnx, save, small_cnn

MODEL = Path(__file__).parents[2] / "models" / "cifar10_64x3"
LIMIT = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    arguments = [MODEL / "model.onnx", "--data", MODEL / "test_frames.npz", "--limit", LIMIT, "--out", place]
    assert command.main([str(value) for value in arguments]) == 0
    return place


def _scores(model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    with np.load(MODEL / "test_frames.npz") as data:
        frames, labels = data["frames"][:LIMIT].transpose(0, 3, 1, 2), data["labels"][:LIMIT]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: frames.astype(np.float32)})[0], labels


def test_files_hold_the_same_figures(folder):
    assert {path.name for path in folder.iterdir()} >= {
        "report.html", "nmse.csv", "boundaries.csv", "accuracy.csv", "layers.csv", "study.json",
    }  # fmt: skip
    data = json.loads((folder / "study.json").read_text())
    rows = list(csv.DictReader((folder / "nmse.csv").open()))
    assert len(rows) == len(data["errors"]) == 5 * 8 * 5  # layers, bits, kinds with their choices
    assert [float(row["nmse"]) for row in rows] == pytest.approx([p["nmse"] for p in data["errors"]], rel=1e-5)
    assert data["frames"] == LIMIT
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "Table 1" in page


def test_accuracy_of_linear_weights_is_what_onnxruntime_says_by_hand(folder):
    model = onnx.load(MODEL / "model.onnx")
    scores, labels = _scores(model)
    data = json.loads((folder / "study.json").read_text())
    assert data["float"]["top1"] == np.mean(scores.argmax(1) == labels)
    weights = {name for node in model.graph.node if node.op_type in ("Conv", "Gemm") for name in node.input[1:2]}
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            values = numpy_helper.to_array(tensor)
            quantized = linear_quantizer(4, float(np.abs(values).max()))(values).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(quantized, tensor.name))
    scores, labels = _scores(model)
    row = next(r for r in data["all_layers"] if (r["quantizer"], r["bits"], r["fsr_by"]) == ("linear", 4, "max"))
    assert row["top1"] == np.mean(scores.argmax(1) == labels)


def test_sums_in_the_log_domain(tmp_path):
    """The first row is the deployed model."""
    model = small_cnn(3)
    place = save(model, tmp_path)
    frames = np.random.default_rng(3).integers(0, 256, (30, 3, 16, 16), dtype=np.uint8)
    labels = run_onnx(model, frames.astype(np.float32))[0].argmax(1)
    labels[::2] = (labels[::2] + 1) % 4  # so that half of the answers are right
    np.savez(tmp_path / "data.npz", frames=frames, labels=labels)
    arguments = [place, "--data", tmp_path / "data.npz", "--log-add", 8, "--out", tmp_path / "out"]
    assert command.main([str(value) for value in arguments]) == 0
    assert (tmp_path / "out" / "log_add.csv").read_text().startswith("mode,top1,lost,error,agreement\n")
    found = json.loads((tmp_path / "out" / "study.json").read_text())["log_addition"]
    assert found["frames"] == 8 and found["rows"][0]["agreement"] == 1
    parts = partition(load(place))
    quant = quantize(parts, frames, Preprocessing())
    activations = OnnxSession(golden_onnx(quant), "golden")(frames[:8])[-1]
    output = settle_output(parts.graph, Preprocessing())
    (scores,) = host_outputs(make_tail(parts, quant), activations, output)
    assert found["rows"][0]["top1"] == np.mean(scores.argmax(1) == labels[:8]) > 0
    assert [error["layer"] for error in found["errors"]] == [
        parts.layers[place].name for place in (0, *[1] * 4, *[2] * 4)
    ]
    assert all(0 < error["difference"] < 1 for error in found["errors"])


def test_equal_sparsity_takes_the_smallest_first():
    weight = np.array([0.0, 1, -1, 1, -1, 2, 2, -4])
    made = zero_smallest(weight, 6 / 8, np.random.default_rng(1))
    assert np.sum(made == 0) == 6 and made[-1] == -4 and np.sum(np.abs(made) == 2) == 1
    np.testing.assert_array_equal(zero_smallest(weight, 0.0, np.random.default_rng(1)), weight)


def test_weights_alone(tmp_path):
    """Of a heavy-tailed layer the paper's statement holds: by the greatest weight log2 beats linear at 4 bits."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "w.npz", **{"a.weight": rng.standard_t(3, size=(64, 64)), "a.bias": np.zeros(64)})
    assert command.main([str(tmp_path / "w.npz"), "--out", str(tmp_path / "out"), "--bits", "4"]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "nmse.csv").open()))
    by_max = {row["quantizer"]: float(row["nmse"]) for row in rows if row["fsr_by"] == "max"}
    assert {row["layer"] for row in rows} == {"a"} and by_max["log"] < by_max["linear"]


@pytest.mark.parametrize(
    "arguments, code, words",
    (
        (["missing.onnx"], 3, "no such file"),
        (["{weights}", "--data", "x.npz"], 2, "without a model"),
        (["{weights}", "--bits", "9"], 2, "--bits must lie between 1 and 8"),
        (["{broken}"], 3, "not a whole NumPy file"),
        (["{weights}", "--base", "1"], 2, "--base"),
        (["{weights}", "--fsr", "output"], 2, "--fsr output needs"),
        (["{weights}", "--log-add", "5"], 2, "--log-add needs"),
    ),
)
def test_senseless_input(arguments, code, words, tmp_path, capsys):
    np.savez(tmp_path / "w.npz", a=np.ones((2, 2)))
    (tmp_path / "broken.npz").write_bytes(b"no")
    places = {"weights": tmp_path / "w.npz", "broken": tmp_path / "broken.npz"}
    given = [text.format(**places) for text in arguments]
    assert command.main([*given, "--out", str(tmp_path / "out")]) == code
    assert words in capsys.readouterr().err


def test_a_class_folder_without_images_shifts_no_labels(tmp_path, require_tool):
    """Labels are the float model's own answers, so that anything below 100% is a label of another class."""
    require_tool("PIL")
    from PIL import Image

    frames = np.random.default_rng(3).integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)
    model = small_cnn(3)
    answers = run_onnx(model, frames.astype(np.float32))[0].argmax(1)
    empty = np.bincount(answers, minlength=10).argmax() - 1  # the classes behind it have frames
    for number in range(10):
        (tmp_path / "photos" / f"class{number}").mkdir(parents=True)
    for index in np.flatnonzero(answers != empty):
        picture = Image.fromarray(frames[index].transpose(1, 2, 0))
        picture.save(tmp_path / "photos" / f"class{answers[index]}" / f"{index}.png")
    with pytest.warns(UserWarning, match="without images, but each counts as a class"):
        study = run_study(StudyConfig(save(model, tmp_path), tmp_path / "photos", bits=(4,)))
    assert study.float_model.top1 == 1.0
