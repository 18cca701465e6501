"""Whatever a model gives for a frame, deployed, self-tested and streamed: judged by onnxruntime on the user's file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.bundle import read_bundle, write_bundle
from lognet_fpga.cli import deploy, inspect, selftest, stream
from lognet_fpga.errors import OutputError
from lognet_fpga.ir.packed import unpack
from lognet_fpga.runtime.session import Session
from tests.models import run_onnx, save
from tests.output_models import HEADS, SEVERAL, clear_frames, head_model, several_model

SCALE = np.float32(1 / 255)
CLASSES = {  # how a class is read from what the file gives for one frame, for the heads that have classes
    **dict.fromkeys(
        ("scores", "scores of four axes", "softmax of two", "no shape", "reshape to one", "class token"),
        ("scores", lambda y: int(y.argmax())),
    ),
    **dict.fromkeys(
        ("argmax", "argmax, axes kept", "argmax of four axes", "argmin", "int32", "argmax as float", "bool"),
        ("class number", lambda y: int(y.item())),
    ),
    **dict.fromkeys(
        ("sigmoid", "sigmoid, one axis", "sigmoid, four axes", "one of softmax"),
        ("binary score", lambda y: int(y.item() > 0.5)),
    ),
    "logit": ("binary score", lambda y: int(y.item() > 0)),
    "argmax of a fixed batch": ("class number", lambda y: int(y.item())),
    "class token, open batch": ("scores", lambda y: int(y.argmax())),
}
# What only onnxruntime runs: NumPy has no such operators here.
NOT_IN_NUMPY = ("argmin", "bool", "rows that vary", "non-maximum suppression")
ALONE = ("argmax of a fixed batch", "class token", "class token, open batch", "rows that vary")
ALONE += ("non-maximum suppression", "scalar", "mean over the batch")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """All heads stand behind one layer, whose Verilog is made once."""
    return tmp_path_factory.mktemp("outputs")


class Case:
    """A head's bundle, and what its file gives for every frame alone."""

    def __init__(self, name: str, folder: Path, labels: np.ndarray | None, model: onnx.ModelProto | None = None):
        self.name, self.folder, self.frames = name, folder, clear_frames()
        self.model = head_model(name) if model is None else model
        self.wanted = [run_onnx(self.model, frame[None] * SCALE)[0] for frame in self.frames]
        self.place = save(self.model, folder, "net.onnx")
        self.data = folder / "frames.npz"
        np.savez(self.data, frames=self.frames, **({} if labels is None else {"labels": labels}))
        self.bundle = folder / "net.lognet"

    def deploy(self, in_process, capsys, *more: object) -> dict:
        options = ("--frames", self.data, "--input-scale", "1/255", "--no-verify", "--out", self.folder, "--json")
        code = in_process(deploy.main, self.place, *options, *more)
        out = capsys.readouterr()
        assert code == 0, out.err
        return json.loads(out.out)

    def run(self, in_process, capsys, main, *arguments: object, code: int = 0) -> dict:
        found = in_process(main, self.bundle, *arguments, "--json")
        out = capsys.readouterr()
        assert found == code, out.err
        return json.loads(out.out)


@pytest.mark.parametrize("name", HEADS)
def test_every_kind_of_output(name, cache, tmp_path, in_process, capsys, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", str(cache))
    kind, read = CLASSES.get(name, ("raw", None))
    classes = read and np.array([read(y) for y in Case(name, tmp_path, None).wanted])
    labels = np.arange(24) % 3 if classes is None else classes.copy()
    if classes is not None:
        assert len(set(classes)) > 1
        labels[:6] = (labels[:6] + 1) % (max(classes) + 1)  # a quarter is wrong
    case = Case(name, tmp_path, labels)
    done = case.deploy(in_process, capsys)
    assert done["output"]["kind"] == kind and done["output"]["tail_batch"] == (1 if name in ALONE else None)
    manifest = json.loads((case.bundle / "manifest.json").read_text())
    assert manifest["model_output"] == done["output"]
    accuracy = done["accuracy"]
    if classes is None:
        assert accuracy["agreement"] is None and accuracy["float_top1"] is None
        assert name in ("text", "empty") or accuracy["cosine"] > 0.9999 and accuracy["relative_error"] < 0.01
    else:
        assert (accuracy["float_top1"], accuracy["deployed_top1"], accuracy["agreement"]) == (0.75, 0.75, 1.0)

    tested = case.run(in_process, capsys, selftest.main)
    assert tested["passed"] and len(tested["tensors"]) >= 2

    streamed = case.run(
        in_process, capsys, stream.main, *("--frames", case.data, "--batch", 7, "--save-outputs", tmp_path / "o.npz")
    )
    assert streamed["output"] == done["output"] and streamed["frames"] == 24
    with np.load(tmp_path / "o.npz") as saved:
        (outputs,) = unpack(saved)
        assert saved["numbers"].tolist() == list(range(24)) and saved["labels"].tolist() == labels.tolist()
        assert saved["output_names"].tolist() == ["y"]
        assert ("predictions" in saved) == (classes is not None)
    if classes is None:
        assert streamed["predictions"] is None and streamed["top1"] is None
    else:
        assert streamed["predictions"] == classes.tolist() and streamed["top1"] == 0.75
    assert len(outputs) == 24
    for got, wanted in zip(outputs, case.wanted):
        if wanted.dtype == np.float32:
            np.testing.assert_allclose(got.ravel(), wanted.ravel(), atol=0.05)
        else:
            assert got.ravel().tolist() == wanted.ravel().tolist()
        assert got.size == wanted.size

    bundle = read_bundle(case.bundle)
    with np.load(case.bundle / "vectors.npz") as vectors:
        activations = vectors[bundle.last_layer].transpose(0, 2, 3, 1)
    if name not in NOT_IN_NUMPY:
        with_runtime = Session(bundle, None).tail(activations)
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        session = Session(bundle, None)
        assert session.tail_runs_in == "NumPy"
        got = session.tail(activations)
        assert got.shape == with_runtime.shape
        if got.dtype.kind == "f":
            np.testing.assert_allclose(got, with_runtime, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(got, with_runtime)


@pytest.fixture
def case_of(cache, tmp_path, monkeypatch):
    """case_of(head, labels) with the cache that all heads share."""
    monkeypatch.setenv("LOGNET_CACHE", str(cache))
    return lambda name, labels=None: Case(name, tmp_path, labels)


def test_a_binary_score_has_an_area_under_its_curve(case_of, in_process, capsys):
    labels = np.random.default_rng(1).integers(0, 2, 24)
    case = case_of("sigmoid", labels)
    scores = np.array(case.wanted).ravel()
    pairs = [(one, zero) for one in scores[labels == 1] for zero in scores[labels == 0]]
    expected = np.mean([(one > zero) + 0.5 * (one == zero) for one, zero in pairs])
    accuracy = case.deploy(in_process, capsys)["accuracy"]
    assert accuracy["float_auc"] == pytest.approx(expected) and 0.1 < expected < 0.9
    assert accuracy["float_top1"] == np.mean((scores > 0.5) == labels)
    streamed = case.run(in_process, capsys, stream.main, "--frames", case.data)
    assert streamed["auc"] == accuracy["deployed_auc"] == pytest.approx(expected, abs=0.02)
    assert in_process(stream.main, case.bundle, "--frames", case.data) == 0
    text = capsys.readouterr().out
    assert "a binary score: class 1 above 0.5, else class 0 (it ends with Sigmoid)" in text
    assert f"{streamed['auc']:.4f}" in text


def test_labels_that_a_binary_score_cannot_have(case_of, in_process, capsys):
    case = case_of("logit", np.arange(24) % 3)
    assert in_process(deploy.main, case.place, "--frames", case.data, "--no-verify", "--out", case.folder) == 5
    assert "2 scores" in capsys.readouterr().err


def test_a_loss_without_classes_cannot_be_limited(case_of, in_process, capsys):
    case = case_of("mask", np.arange(24) % 3)
    options = ("--frames", case.data, "--no-verify", "--out", case.folder, "--max-drop", 1)
    assert in_process(deploy.main, case.place, *options) == 2
    err = capsys.readouterr().err
    assert "--max-drop" in err and "more than one axis a frame" in err and not case.bundle.exists()


def test_the_reports_say_what_comes_out(case_of, in_process, capsys):
    case = case_of("non-maximum suppression")
    case.deploy(in_process, capsys)
    text = (case.bundle / "report.txt").read_text()
    for words in ("raw: no classes are read from it", "y: int64 (?, 3)", "run frame by frame", "cosine"):
        assert words in text
    assert in_process(stream.main, case.bundle, "--frames", case.data) == 0
    out = capsys.readouterr().out
    assert "raw: no classes are read from it" in out and "Predictions" not in out


def test_outputs_are_not_saved_where_that_cannot_be(case_of, tmp_path, in_process, capsys):
    """Told before anything runs; nothing is made, and what was there stays."""
    case = case_of("scores")
    case.deploy(in_process, capsys)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "kept.npz").write_bytes(b"kept")
    for place, frames, code in (
        ("missing/o.npz", case.data, 10),
        ("folder.npz", case.data, 10),
        ("o.npy", case.data, 2),
        ("kept.npz", "synthetic", 2),
    ):
        before = sorted(tmp_path.iterdir())
        assert in_process(stream.main, case.bundle, "--frames", frames, "--save-outputs", tmp_path / place) == code
        err = capsys.readouterr().err
        assert "What to do" in err and "stream:" not in err.replace("lognet-stream:", "")
        assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "kept.npz").read_bytes() == b"kept"
    place = tmp_path / "kept.npz"
    case.run(in_process, capsys, stream.main, "--frames", "synthetic", "--limit", 5, "--save-outputs", place)
    with np.load(place) as saved:
        assert saved["outputs"].shape == (5, 3) and "labels" not in saved


def test_a_bundle_of_before_outputs_were_described(case_of, in_process, capsys):
    """Scores and class numbers are still read from it; one fraction a frame is not: nobody knows where it decides."""
    for head, kind in (("scores", "scores"), ("argmax", "class number"), ("sigmoid", "raw"), ("class token", "scores")):
        case = case_of(head)
        case.deploy(in_process, capsys)
        bundle = read_bundle(case.bundle)
        old = {key: value for key, value in bundle.manifest.items() if key != "model_output"}
        write_bundle(bundle.files, old, case.folder)
        streamed = case.run(in_process, capsys, stream.main, "--frames", case.data, "--batch", 5)
        assert streamed["output"]["kind"] == kind
        read = CLASSES[head][1]
        assert streamed["predictions"] == (None if kind == "raw" else [read(y) for y in case.wanted])
        assert case.run(in_process, capsys, selftest.main)["passed"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "scores", "tensors": []},
        {"kind": "something"},
        {"tail_batch": 0},
        {"tail_batch": "all"},
        {"threshold": 0.5},
        {"tensors": [{"name": "y", "dtype": "float32", "shape": [-3], "rows": True}]},
        {"tensors": [{"name": "y", "dtype": "float32", "shape": [1], "rows": True}]},
        {"tensors": {"name": "y"}},
        {"classes": -1},
    ],
)
def test_descriptions_that_cannot_be(change, case_of, in_process, capsys):
    case = case_of("scores")
    case.deploy(in_process, capsys)
    bundle = read_bundle(case.bundle)
    described = {**bundle.manifest["model_output"], **change}
    write_bundle(bundle.files, {**bundle.manifest, "model_output": described}, case.folder)
    case.run(in_process, capsys, stream.main, "--frames", case.data, code=8)
    case.run(in_process, capsys, selftest.main, code=8)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_outputs(name, cache, tmp_path, in_process, capsys, monkeypatch):
    """All are kept that the host can have; one that it cannot have is named, and the rest is what it would be alone."""
    monkeypatch.setenv("LOGNET_CACHE", str(cache))
    case = Case(name, tmp_path, None, several_model(name))
    lost = [value.name for value in case.model.graph.output[1:]] if "the " in name else []
    done = case.deploy(in_process, capsys)
    assert done["output"]["left_out"] == lost and done["output"]["kind"] == ("scores" if lost else "raw")
    assert case.run(in_process, capsys, selftest.main)["passed"]
    options = ("--frames", case.data, "--batch", 5, "--save-outputs", tmp_path / "o.npz")
    streamed = case.run(in_process, capsys, stream.main, *options)
    scores = np.concatenate(case.wanted)
    assert streamed["predictions"] == (scores.argmax(axis=1).tolist() if lost else None)
    with np.load(tmp_path / "o.npz") as saved:
        outputs, names = unpack(saved), saved["output_names"].tolist()
    assert names == [value.name for value in case.model.graph.output if value.name not in lost]
    for place, frame in enumerate(case.frames):
        wanted = run_onnx(case.model, frame[None] * SCALE)
        for got, expected in zip((output[place] for output in outputs), wanted):
            if expected.dtype == np.float32:
                np.testing.assert_allclose(got.ravel(), expected.ravel(), atol=0.05)
            else:
                assert got.ravel().tolist() == expected.ravel().tolist()
    assert in_process(inspect.main, case.place, "--board", "pynq-z2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == lost
    if lost:
        assert f"left out: {lost[0]}" in (case.bundle / "report.txt").read_text()
    else:
        assert [part["name"] for part in done["accuracy"]["outputs"]] == names


def test_a_batch_of_two_frozen_in_the_tail(cache, tmp_path, in_process, capsys, monkeypatch):
    """What is added differs from the first frame to the second: only pairs can be run, and the last is filled up."""
    monkeypatch.setenv("LOGNET_CACHE", str(cache))
    model = head_model("scores", "2")
    added = np.array([[0.5, 0, 0], [0, 0, 0.25]], np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(added, "added"))
    model.graph.node[-1].CopyFrom(onnx.helper.make_node("Add", ["m", "added"], ["y"], name="add"))
    place, frames = save(model, tmp_path, "net.onnx"), clear_frames()[:23]
    np.savez(tmp_path / "frames.npz", frames=frames)
    options = (
        "--frames",
        tmp_path / "frames.npz",
        "--input-scale",
        "1/255",
        "--no-verify",
        "--out",
        tmp_path,
        "--json",
    )
    assert in_process(deploy.main, place, *options) == 0
    assert json.loads(capsys.readouterr().out)["output"]["tail_batch"] == 2
    assert in_process(selftest.main, tmp_path / "net.lognet") == 0
    saved = tmp_path / "o.npz"
    options = ("--frames", tmp_path / "frames.npz", "--batch", 4, "--save-outputs", saved)
    assert in_process(stream.main, tmp_path / "net.lognet", *options) == 0
    pairs = np.concatenate([frames, frames[-1:]]).reshape(12, 2, *frames.shape[1:])
    wanted = np.concatenate([run_onnx(model, pair * SCALE)[0] for pair in pairs])[:23]
    with np.load(saved) as arrays:
        np.testing.assert_allclose(arrays["outputs"], wanted, atol=0.05)
        assert arrays["predictions"].tolist() == wanted.argmax(axis=1).tolist()


def test_a_mix_of_a_batch_s_frames_runs_frame_by_frame(cache, tmp_path, in_process, capsys, monkeypatch):
    """Scores without the batch's mean: as the file gives them for a single frame, all zero, whatever is beside it."""
    monkeypatch.setenv("LOGNET_CACHE", str(cache))
    model = head_model("scores")
    mean = onnx.helper.make_node("ReduceMean", ["m"], ["mean"], axes=[0], name="mean")
    model.graph.node[-1].CopyFrom(mean)
    model.graph.node.append(onnx.helper.make_node("Sub", ["m", "mean"], ["y"], name="sub"))
    case = Case("scores", tmp_path, None, model)
    assert case.deploy(in_process, capsys)["output"]["tail_batch"] == 1
    options = ("--frames", case.data, "--save-outputs", tmp_path / "o.npz")
    case.run(in_process, capsys, stream.main, *options)
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["outputs"].shape == (24, 3) and not arrays["outputs"].any()


def test_scores_that_are_no_numbers(cache, tmp_path, in_process, capsys, monkeypatch):
    """Logarithms of nothing: reports and manifest hold no NaN, and the self-test passes."""
    monkeypatch.setenv("LOGNET_CACHE", str(cache))
    model = head_model("mask")
    model.graph.node[-1].output[0] = "t"
    model.graph.node.append(onnx.helper.make_node("Log", ["t"], ["y"], name="log"))
    case = Case("mask", tmp_path, None, model)
    accuracy = case.deploy(in_process, capsys)["accuracy"]
    assert 0 <= accuracy["outputs"][0]["comparable"] <= 1
    assert case.run(in_process, capsys, selftest.main)["passed"]
    case.run(in_process, capsys, stream.main, "--frames", case.data)


def test_figures_are_told_where_outputs_cannot_be_saved_in_the_end(case_of, tmp_path, in_process, capsys, monkeypatch):
    def full(place, result):
        raise OutputError("no space left on device", hint="free some")

    case = case_of("scores")
    case.deploy(in_process, capsys)
    monkeypatch.setattr("lognet_fpga.runtime.saved_outputs.save_outputs", full)
    options = ("--frames", case.data, "--save-outputs", tmp_path / "o.npz")
    told = case.run(in_process, capsys, stream.main, *options, code=10)
    assert told["frames"] == 24 and told["saved_outputs"] is None and told["error"]["exit_code"] == 10
