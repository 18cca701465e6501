"""A study counts what the model's output says: class numbers and binary scores as much as scores; raw outputs not."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.cli import study as command
from lognet_fpga.frontend import load
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.study.judge import judge_model
from lognet_fpga.verify.settle_output import settle_output
from tests.models import run_onnx, save
from tests.output_models import clear_frames, head_model

SCALE = Preprocessing(scale=1 / 255)


@pytest.mark.parametrize(
    "head, read",
    [
        ("scores", lambda y: y.argmax()),
        ("argmax", lambda y: y.item()),
        ("sigmoid", lambda y: y.item() > 0.5),
        ("logit", lambda y: y.item() > 0),
        ("class token", lambda y: y.argmax()),
    ],
)
def test_answers_are_those_of_the_file(head, read, tmp_path):
    frames, model = clear_frames(), head_model(head)
    wanted = [int(read(run_onnx(model, frame[None])[0])) for frame in SCALE.apply(frames)]
    labels = np.array(wanted)
    labels[::3] = (labels[::3] + 1) % 2
    graph = load(save(model, tmp_path))
    marks = judge_model(graph.onnx_model, frames, labels, SCALE, settle_output(graph, SCALE), threads=2)
    assert marks["classes"].tolist() == wanted
    assert marks["top1"].tolist() == (np.array(wanted) == labels).tolist()


def test_accuracy_of_raw_outputs_is_refused(tmp_path, in_process, capsys, monkeypatch):
    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path / "cache"))
    place = save(head_model("mask"), tmp_path)
    np.savez(tmp_path / "data.npz", frames=clear_frames(), labels=np.arange(24) % 3)
    assert in_process(command.main, place, "--data", tmp_path / "data.npz", "--out", tmp_path / "out") == 4
    assert "more than one axis a frame" in capsys.readouterr().err
