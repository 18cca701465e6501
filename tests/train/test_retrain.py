"""lognet-retrain from the user's side: it learns, goes on where it stopped, and what it writes deploys unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.cli import retrain as command
from lognet_fpga.frontend import load
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import make_tail, partition
from lognet_fpga.quantize import quantize
from lognet_fpga.quantize.grid import pinned_bits
from tests.models import ModelBuilder, run_onnx, save, small_cnn
from tests.output_models import clear_frames, head_model
from tests.quantize.test_quantize import smooth_frames


@pytest.fixture(autouse=True)
def torch(require_tool):
    require_tool("torch")
    return pytest.importorskip("torch")


OPTIONS = ("--batch", 32, "--epochs", 3, "--input-scale", "1/255")
SCALE = Preprocessing(scale=1 / 255)


def task(folder: Path, model=None, labelled: bool = True) -> tuple[Path, Path]:
    """A model, and 400 frames labelled by its own answers."""
    model = small_cnn(3) if model is None else model
    path, frames = save(model, folder), smooth_frames(400, 3)
    scores = run_onnx(model, SCALE.apply(frames))[0].reshape(400, -1)
    labels = {"labels": (scores - scores.mean(axis=0)).argmax(axis=1)} if labelled else {}
    np.savez(folder / "train.npz", frames=frames, **labels)
    return path, folder / "train.npz"


def deployed_scores(path: Path, frames: np.ndarray) -> np.ndarray:
    """By golden.onnx and tail.onnx, as lognet-deploy makes them, calibrated on other frames than retraining was."""
    parts = partition(load(path))
    quant = quantize(parts, smooth_frames(16, 99, frames.shape[1:]), SCALE, act_bits=pinned_bits(parts.graph))
    activations = run_onnx(golden_onnx(quant), frames)[-1]
    return run_onnx(make_tail(parts, quant), activations.transpose(0, 2, 3, 1))[0]


def test_it_learns_and_deploys_to_what_it_learned(tmp_path: Path, in_process, capsys, torch) -> None:
    model, data = task(tmp_path)
    out = tmp_path / "made" / "small.onnx"
    assert in_process(command.main, model, "--data", data, "--out", out, *OPTIONS, "--sparsity", "0.5", "--json") == 0
    done = json.loads(capsys.readouterr().out)
    _, before, after = done["accuracy"]
    assert after["top1"] > before["top1"] - 0.05 and len(done["history"]) == 3
    assert done["history"][-1]["loss"] < done["history"][0]["loss"]
    assert all(layer["zeros"] >= 0.49 for layer in done["layers"])
    with np.load(data) as arrays:
        frames, labels = arrays["frames"][9::10], arrays["labels"][9::10]
    scores = deployed_scores(out, np.ascontiguousarray(frames))
    assert np.mean(scores.argmax(axis=1) == labels) == pytest.approx(after["top1"], abs=1e-9)
    # The file itself is a float model with nearly the same answers: only rounding of activations lies between.
    floats = run_onnx(out.read_bytes(), SCALE.apply(frames))[0]
    assert np.mean(floats.argmax(axis=1) == scores.argmax(axis=1)) > 0.8


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path, in_process, torch, monkeypatch) -> None:
    from lognet_fpga.train import loop

    model, data = task(tmp_path)
    arguments = (model, "--data", data, *OPTIONS, "--flip", "--shift", 2)
    whole, halves = tmp_path / "whole.onnx", tmp_path / "halves.onnx"
    assert in_process(command.main, *arguments, "--out", whole) == 0
    save_one = loop._Run.save

    def save_then_stop(self, path, history):
        save_one(self, path, history)
        if len(history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Run, "save", save_then_stop)
    assert in_process(command.main, *arguments, "--out", halves) == 130
    assert not halves.exists()
    monkeypatch.undo()
    assert in_process(command.main, *arguments, "--out", halves) == 0
    assert halves.read_bytes() == whole.read_bytes()


def test_a_checkpoint_of_another_run_or_a_broken_one_is_refused(tmp_path: Path, in_process, capsys, torch) -> None:
    model, data = task(tmp_path)
    out = tmp_path / "a.onnx"
    assert in_process(command.main, model, "--data", data, "--out", out, *OPTIONS) == 0
    assert in_process(command.main, model, "--data", data, "--out", out, *OPTIONS, "--seed", 2) == 2
    assert "a run with another seed" in capsys.readouterr().err
    (tmp_path / "a.checkpoint.pt").write_bytes(b"PK\x03\x04 no checkpoint")
    assert in_process(command.main, model, "--data", data, "--out", out, *OPTIONS) == 5
    assert "not a whole checkpoint" in capsys.readouterr().err


def chain_of(name: str):
    chain = ModelBuilder((3, 16, 16), seed=5)
    if name == "averages":
        chain.conv(6, 5, strides=[2, 2]).batch_norm().relu().add("AveragePool", kernel_shape=[3, 3], strides=[1, 1])
        return chain.conv(8).clip(0, 6).conv(8).relu().add("GlobalAveragePool").flatten().gemm(8).model()
    if name == "joined":
        chain.conv(6).relu().parallel(lambda c: c.conv(4, 1).relu(), lambda c: c.conv(6, 3).relu())
        return chain.pool().conv(8, group=2).relu().conv(8).add("LeakyRelu", alpha=0.1).flatten().gemm(8 * 64).model()
    if name == "residual":
        chain.conv(6).relu().pool()
        chain.residual(lambda c: c.conv(6).batch_norm().relu().conv(6).batch_norm()).relu()
        return chain.flatten().gemm(6 * 64).model()
    assert name == "padded"
    chain.add("Sub", chain.constant(np.full((1, 3, 1, 1), 0.5, np.float32)))
    chain.add("Div", chain.constant(np.array([0.2, 0.3, 0.25], np.float32).reshape(1, 3, 1, 1)))
    chain.pad(1, 0, 1, 2).conv(6, pads=[0, 1, 1, 0]).relu().pool().conv(7).relu().conv(8).relu()
    return chain.flatten().matmul_add(8 * 8 * 8).add("Softmax").model()


def test_a_whole_network_learns(tmp_path: Path, in_process, capsys, torch) -> None:
    """A residual sum, a depthwise and a linear layer, the scores as whole sums; and deploys to what was trained."""
    net = ModelBuilder((3, 16, 16), seed=11).conv(8, strides=[2, 2]).relu()
    net.residual(lambda block: block.conv(8, group=8).relu().conv(8, 1)).conv(6, 1).conv(8, 1).relu()
    model, data = task(tmp_path, net.add("GlobalAveragePool").flatten().gemm(8, 4).model())
    options = ("--fpga-layers", "all", "--act-bits", "auto", "--epochs", 6, "--rate", 0.02, "--batch", 32)
    out = tmp_path / "out.onnx"
    arguments = (model, "--data", data, *options, "--input-scale", "1/255", "--out", out, "--json")
    assert in_process(command.main, *arguments) == 0
    done = json.loads(capsys.readouterr().out)
    before, after = (row["top1"] for row in done["accuracy"][1:3])
    assert after >= before - 0.02 and len(done["layers"]) == len(pinned_bits(load(out))) == 6
    assert done["history"][-1]["loss"] < done["history"][0]["loss"]
    assert [layer["act_bits"] for layer in done["layers"][:-1]] == list(pinned_bits(load(out))[:-1])
    assert in_process(command.main, *arguments[:-3], "--last-epochs", 1, "--out", tmp_path / "no.onnx") == 2
    assert "no layer left on the host" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["averages", "joined", "padded", "residual"])
@pytest.mark.parametrize("bits", [4, 8])
def test_any_model_that_the_front_end_takes(name: str, bits: int, tmp_path: Path, in_process, capsys, torch) -> None:
    """The command itself compares what was trained with what its file deploys to, and fails where a bit differs."""
    model, data = task(tmp_path, chain_of(name), labelled=name != "padded")
    options = (*OPTIONS, "--act-bits", bits, "--epochs", 1, "--out", tmp_path / "out.onnx", "--json")
    assert in_process(command.main, model, "--data", data, *options) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["accuracy"][0]["top1"] is None) == (name == "padded")
    assert set(pinned_bits(load(tmp_path / "out.onnx"))) == {bits}


def test_algorithm_1_with_its_last_step(tmp_path: Path, in_process, capsys, torch) -> None:
    """Frozen layers do not move, and the last layer ends on 7 powers of two and their negatives."""
    model, data = task(tmp_path)
    names = [tmp_path / "frozen.onnx", tmp_path / "all.onnx"]
    method = ("--method", "paper", "--gamma", "0.3")
    assert in_process(command.main, model, "--data", data, *OPTIONS, *method, "--out", names[1]) == 0
    last = ("--last-epochs", 1, "--last-bits", 4)
    assert in_process(command.main, model, "--data", data, *OPTIONS, *method, *last, "--out", names[0]) == 0
    capsys.readouterr()
    frozen, free = ({t.name: t for t in __import__("onnx").load(str(name)).graph.initializer} for name in names)
    same = [name for name in free if frozen[name].SerializeToString() == free[name].SerializeToString()]
    assert [name for name in free if name not in same and name.startswith("conv")] == []
    matrices = [__import__("onnx").numpy_helper.to_array(t) for t in frozen.values() if len(t.dims) == 2]
    magnitudes = np.unique(np.abs(matrices[0][matrices[0] != 0]))
    assert len(magnitudes) <= 7
    np.testing.assert_allclose(
        np.log2(magnitudes / magnitudes[0]), np.rint(np.log2(magnitudes / magnitudes[0])), atol=1e-5
    )


@pytest.mark.parametrize(
    "options, code, says",
    [
        (("--sparsity", "1"), 2, "--sparsity must lie between 0 and 1"),
        (("--gamma", "1", "--sparsity", "0.5"), 2, "give one of them"),
        (("--out", "model.pt"), 2, "must be the name of an .onnx file"),
        (("--batch", "1000"), 5, "360 frames to train on"),
        (("--rate", "1e30"), 5, "training has diverged"),
        (("--distill", "2"), 2, "--distill must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(options, code, says, tmp_path, in_process, capsys, torch) -> None:
    model, data = task(tmp_path)
    out = () if "--out" in options else ("--out", tmp_path / "o.onnx")
    assert in_process(command.main, model, "--data", data, *OPTIONS, *out, *options) == code
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert not (tmp_path / "o.onnx").exists()


@pytest.mark.parametrize("option", ["--data", "--eval"])
def test_a_class_folder_without_images_shifts_no_labels(
    option, tmp_path, in_process, capsys, torch, require_tool
) -> None:
    """Labels are the float model's own answers, so that anything below 100% is a label of another class."""
    require_tool("PIL")
    from PIL import Image

    model, data = task(tmp_path)
    with np.load(data) as arrays:
        frames = arrays["frames"]
    answers = run_onnx(model.read_bytes(), SCALE.apply(frames))[0].reshape(len(frames), -1).argmax(axis=1)
    np.savez(data, frames=frames, labels=answers)
    count = 10
    empty = (int(np.bincount(answers).argmax()) - 1) % count  # the classes behind it have frames
    for number in range(count):
        (tmp_path / "photos" / f"class{number}").mkdir(parents=True)
    for index in np.flatnonzero(answers != empty):
        picture = Image.fromarray(frames[index].transpose(1, 2, 0))
        picture.save(tmp_path / "photos" / f"class{answers[index]}" / f"{index}.png")
    sources = ("--data", tmp_path / "photos") if option == "--data" else ("--data", data, "--eval", tmp_path / "photos")
    arguments = (model, *sources, "--out", tmp_path / "out.onnx", *OPTIONS, "--epochs", 1, "--json")
    assert in_process(command.main, *arguments) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["accuracy"][0]["top1"] == 1.0
    assert "without images, but each counts as a class" in said.err


def test_a_binary_score_is_trained_as_one(tmp_path: Path, in_process, capsys) -> None:
    """It learns; judged by onnxruntime on the file that was written."""
    model = ModelBuilder((1, 8, 8), seed=5).conv(4).relu().pool().flatten().gemm(64, 1).add("Sigmoid").model()
    labels = np.random.default_rng(5).integers(0, 2, 160)
    place, frames = save(model, tmp_path), smooth_frames(160, 5, (1, 8, 8)) // 2
    frames += (80 * labels).astype(np.uint8).reshape(-1, 1, 1, 1)  # what is bright is of class 1
    data, out = tmp_path / "data.npz", tmp_path / "out.onnx"
    np.savez(data, frames=frames, labels=labels)
    options = ("--batch", 16, "--epochs", 8, "--rate", 0.05, "--input-scale", "1/255", "--act-bits", 8, "--json")
    assert in_process(command.main, place, "--data", data, "--out", out, *options) == 0
    before, _, after = json.loads(capsys.readouterr().out)["accuracy"]
    held_out = slice(9, None, 10)
    probabilities = run_onnx(model, SCALE.apply(frames[held_out]))[0].ravel()
    assert before["top1"] == np.mean((probabilities > 0.5) == labels[held_out])
    deployed = deployed_scores(out, frames[held_out]).ravel()
    assert after["top1"] == np.mean((deployed > 0.5) == labels[held_out]) > max(before["top1"], 0.8)


@pytest.mark.parametrize(
    "head, words",
    [("argmax", "'class number'"), ("mask", "'raw'"), ("class token", "frame by frame only"), ("text", "'raw'")],
)
def test_outputs_that_nothing_can_be_learned_by(head, words, tmp_path: Path, in_process, capsys) -> None:
    place = save(head_model(head), tmp_path)
    np.savez(tmp_path / "data.npz", frames=np.repeat(clear_frames(), 10, axis=0))
    assert in_process(command.main, place, "--data", tmp_path / "data.npz", "--out", tmp_path / "o.onnx") == 4
    assert words in capsys.readouterr().err
