"""A whole network on the FPGA, up to the class scores, judged by onnxruntime on the user's file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

import lognet_fpga as ln
from lognet_fpga.bundle import read_bundle
from lognet_fpga.cli import deploy, selftest, stream
from tests.models import ModelBuilder, run_onnx, save

SHAPE = (2, 8, 8)
SCALE = np.float32(1 / 255)


def whole_model(seed: int = 3) -> ModelBuilder:
    """A linear convolution in the middle, two fully connected layers of which one has a ReLU, and probabilities."""
    net = ModelBuilder(SHAPE, seed=seed).conv(6).relu().pool().conv(5).conv(6, 1).relu()
    return net.flatten().gemm(6 * 16, 7).relu().gemm(7, 4).add("Softmax", axis=1)


@pytest.mark.parametrize(
    "weights", [pytest.param("clb", marks=pytest.mark.slow), pytest.param("bram", marks=pytest.mark.slow), "auto"]
)
def test_everything_goes_and_the_scores_are_the_model_s(weights: str, tmp_path: Path, in_process, capsys) -> None:
    model = whole_model().model()
    place = save(model, tmp_path, "net.onnx")
    frames = np.random.default_rng(1).integers(0, 256, (200, *SHAPE), np.uint8)
    np.savez(tmp_path / "frames.npz", frames=frames)
    wanted = run_onnx(model, frames * SCALE)[0]

    options = (
        "--fpga-layers",
        "all",
        "--weights",
        weights,
        "--frames",
        tmp_path / "frames.npz",
        "--input-scale",
        "1/255",
    )
    assert in_process(deploy.main, place, *options, "--out", tmp_path, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    on_host = {entry["op_type"] for entry in done["partition"] if entry["where"] == "host"}
    assert on_host == {"Flatten", "Softmax"} and len(done["layers"]) == 5
    assert {entry["op_type"] for entry in done["partition"] if entry["where"] == "FPGA"} >= {"Conv", "Gemm"}
    assert done["verification"]["passed"]

    bundle = read_bundle(tmp_path / "net.lognet")
    assert bundle.output_shape == (4, 1, 1) and bundle.sink.bits > 8 and bundle.sink.dtype is np.int32
    assert in_process(selftest.main, tmp_path / "net.lognet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["passed"]
    saved = tmp_path / "out.npz"
    assert (
        in_process(
            stream.main, tmp_path / "net.lognet", "--frames", tmp_path / "frames.npz", "--save-outputs", saved, "--json"
        )
        == 0
    )
    with np.load(saved) as arrays:
        found = arrays["outputs"]
    assert found.shape == wanted.shape
    assert np.mean(found.argmax(1) == wanted.argmax(1)) > 0.9
    assert np.abs(found - wanted).mean() < 0.05


def test_what_stops_a_network_is_told(tmp_path: Path, in_process, capsys) -> None:
    net = ModelBuilder(SHAPE, seed=4).conv(4).relu().pool().add("LeakyRelu").conv(4).relu().flatten().gemm(64, 3)
    place = save(net.model(), tmp_path, "net.onnx")
    options = ("--fpga-layers", "all", "--no-verify", "--out", tmp_path, "--json")
    assert in_process(deploy.main, place, *options) == 0
    out = capsys.readouterr()
    assert "1 of the first 3" in out.err and "LeakyRelu_3" in out.err
    where = {entry["node"]: entry["where"] for entry in json.loads(out.out)["partition"]}
    assert where["Conv_0"] == "FPGA" and where["LeakyRelu_3"] == where["Gemm_7"] == "host"


def test_as_many_layers_as_there_are_count_fully_connected_ones(tmp_path: Path, in_process, capsys) -> None:
    place = save(whole_model().model(), tmp_path, "net.onnx")
    for count, code in ((4, 0), (5, 0), (6, 4)):
        options = ("--fpga-layers", count, "--no-verify", "--out", tmp_path, "--json")
        assert in_process(deploy.main, place, *options) == code
        out = capsys.readouterr()
        assert code or len(json.loads(out.out)["layers"]) == count
    assert "--fpga-layers 5" in out.err


def test_a_model_of_vectors(tmp_path: Path, in_process, capsys) -> None:
    """Nothing but fully connected layers, as an autoencoder has them; its frames are rows of an array."""
    net = ModelBuilder((12,), seed=5).gemm(12, 8).relu().gemm(8, 3).relu().gemm(3, 12)
    model = net.model()
    place = save(model, tmp_path, "net.onnx")
    rows = np.random.default_rng(2).integers(0, 256, (100, 12), np.uint8)
    np.savez(tmp_path / "frames.npz", frames=rows)
    wanted = run_onnx(model, rows * SCALE)[0]
    options = ("--frames", tmp_path / "frames.npz", "--input-scale", "1/255", "--out", tmp_path, "--json")
    assert in_process(deploy.main, place, "--fpga-layers", "all", *options) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["verification"]["passed"] and len(done["layers"]) == 3 and done["input"]["shape"] == [12, 1, 1]
    saved = tmp_path / "out.npz"
    arguments = ("--frames", tmp_path / "frames.npz", "--save-outputs", saved, "--json")
    assert in_process(stream.main, tmp_path / "net.lognet", *arguments) == 0
    with np.load(saved) as arrays:
        found = arrays["outputs"]
    assert found.shape == wanted.shape and np.mean((found - wanted) ** 2) < 0.1 * wanted.var()

    capsys.readouterr()
    assert in_process(deploy.main, place, "--no-verify", *options) == 4
    assert "--fpga-layers all" in capsys.readouterr().err


def lit_corners(count: int, seed: int = 1) -> np.ndarray:
    """Frames of which only some quarters are lit, so that they are of several classes."""
    rng = np.random.default_rng(seed)
    quarters = rng.integers(0, 256, (count, SHAPE[0], 2, 2)) * rng.integers(0, 2, (count, SHAPE[0], 2, 2))
    return quarters.repeat(SHAPE[1] // 2, 2).repeat(SHAPE[2] // 2, 3).astype(np.uint8)


@pytest.mark.parametrize("by", ["option", pytest.param("model", marks=pytest.mark.slow)])
def test_the_class_alone_leaves_the_fpga(by: str, tmp_path: Path, in_process, capsys) -> None:
    """With --output class, or because the model ends in ArgMax: through every command, verified in Verilog."""
    net = whole_model(seed=110)
    model, frames = net.model(), lit_corners(200)
    wanted = run_onnx(model, frames * SCALE)[0].argmax(1)
    assert len(np.unique(wanted)) > 2
    if by == "model":
        net.add("ArgMax", axis=1, keepdims=0)
        model = net.model()
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    place = save(model, tmp_path, "net.onnx")
    np.savez(tmp_path / "frames.npz", frames=frames, labels=wanted)
    options = ["--fpga-layers", "all", "--frames", tmp_path / "frames.npz", "--input-scale", "1/255"]
    options += ["--output", "class"] if by == "option" else []
    assert in_process(deploy.main, place, *options, "--out", tmp_path, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    where = {entry["op_type"]: entry for entry in done["partition"]}
    assert where["ArgMax"]["where"] == "FPGA" and "number of the largest" in where["ArgMax"]["reason"]
    assert {entry["op_type"] for entry in done["partition"] if entry["where"] == "host"} <= {"Reshape"}
    assert done["verification"]["passed"] and done["output"]["kind"] == "class number"

    bundle = read_bundle(tmp_path / "net.lognet")
    assert bundle.output_shape == (1, 1, 1) and bundle.sink.bits == 2 and bundle.model_output.classes == 4
    assert in_process(selftest.main, tmp_path / "net.lognet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["passed"]
    saved = tmp_path / "out.npz"
    arguments = ("--frames", tmp_path / "frames.npz", "--save-outputs", saved, "--json")
    assert in_process(stream.main, tmp_path / "net.lognet", *arguments) == 0
    with np.load(saved) as arrays:
        found = arrays["outputs"]
    assert found.shape == (200,) and found.dtype == np.int64 and np.mean(found == wanted) > 0.9
    assert np.array_equal(ln.open_bundle(tmp_path / "net.lognet").classify(frames), found)


def test_a_class_of_what_has_no_classes_is_refused(tmp_path: Path, in_process, capsys) -> None:
    place = save(ModelBuilder(SHAPE, seed=1).conv(4).relu().model(), tmp_path, "net.onnx")
    assert in_process(deploy.main, place, "--output", "class", "--out", tmp_path) == 2
    assert "has no scores of classes" in capsys.readouterr().err
