"""The accuracy that deploy counts, and the limit on its drop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle
from lognet_fpga.ir.preprocessing import Preprocessing
from tests.deploy.workplace import N_FRAMES, snapshot
from tests.models import run_onnx

N_JUDGED = 150
ROUGH = ("--no-verify", "--prune", 0.8)  # so that something is lost


def float_classes(place, pixels: np.ndarray) -> np.ndarray:
    return run_onnx(place.onnx_model, Preprocessing(1 / 255).apply(pixels))[0].argmax(axis=1)


@pytest.fixture(scope="module")
def judged(place) -> Path:
    """Frames apart from those of the calibration, with the float model's own classes as labels."""
    blocks = np.random.default_rng(9).integers(0, 256, (N_JUDGED, 1, 2, 2), dtype=np.uint8)
    pixels = blocks.repeat(4, axis=2).repeat(4, axis=3)  # of several classes, which noise is not
    np.savez(place.folder / "judged.npz", frames=pixels, labels=float_classes(place, pixels))
    return place.folder / "judged.npz"


@pytest.fixture(scope="module")
def rough(place, judged) -> dict:
    """The JSON of a deployment that loses accuracy; its bundle is rough/tiny.lognet."""
    done = place.deploy(place.model, "--frames", place.frames, "--eval", judged, *ROUGH, "--out", "rough", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_accuracy_is_that_of_the_two_models(place, deployed):
    classes = deployed_classes(place, deployed, place.pixels)
    wanted = float_classes(place, place.pixels)
    found = deployed["accuracy"]
    assert found["frames"] == found["frames_calibrated"] == N_FRAMES
    assert found["float_top1"] == pytest.approx(np.mean(wanted == place.labels))
    assert found["deployed_top1"] == pytest.approx(np.mean(classes == place.labels))
    assert found["agreement"] == pytest.approx(np.mean(classes == wanted)) and found["agreement"] > 0.8


def deployed_classes(place, report: dict, pixels: np.ndarray) -> np.ndarray:
    bundle = read_bundle(place.folder / report["bundle"])
    activations = run_onnx(bundle.file("golden.onnx"), pixels)[-1].transpose(0, 2, 3, 1)
    return run_onnx(bundle.file("tail.onnx"), np.ascontiguousarray(activations))[0].argmax(axis=1)


def test_eval_frames_are_judged_and_do_not_calibrate(place, judged, rough):
    found = rough["accuracy"]
    arrays = np.load(judged)
    assert (found["frames"], found["frames_calibrated"]) == (N_JUDGED, 0)
    assert rough["calibration"] == {"frames": N_FRAMES, "source": "frames.npz"}
    share = pytest.approx(np.mean(deployed_classes(place, rough, arrays["frames"]) == arrays["labels"]))
    assert (found["float_top1"], found["deployed_top1"], found["agreement"]) == (1.0, share, share)
    assert found["float_top5"] is None  # of five classes
    assert found["lost"] == pytest.approx(100 * (1 - found["deployed_top1"])) and found["lost"] > 1
    assert found["by_layer"][0]["top1"] == 1.0 and found["by_layer"][-1]["top1"] == share
    assert [row["layer"] for row in found["by_layer"]] == [None, "conv1", "conv2"]
    report = (place.folder / rough["bundle"] / "report.txt").read_text()
    assert f"on {N_JUDGED} frames of judged.npz, none of them used to calibrate" in report
    assert "Accuracy, layer by layer" in report and "most is lost by" in report
    assert read_bundle(place.folder / rough["bundle"]).manifest["accuracy"] == found


def test_a_limit_on_the_drop_is_a_gate(place, judged, rough, tmp_path):
    """The limit lies a little above or below the drop that the first deployment measured."""
    lost = rough["accuracy"]["lost"]
    before = snapshot(place.folder / "rough")
    options = (place.model, "--frames", place.frames, "--eval", judged, *ROUGH)
    done = place.deploy(*options, "--out", "rough", "--max-drop", lost - 0.01)
    assert done.returncode == 12
    assert f"loses {lost:.2f} points" in done.stderr and f"on {N_JUDGED} frames" in done.stderr
    worst = max(rough["accuracy"]["by_layer"], key=lambda row: row["lost"])
    assert f"{worst['layer']}: {worst['lost']:.2f} points lost" in done.stderr
    assert snapshot(place.folder / "rough") == before
    assert place.deploy(*options, "--out", tmp_path, "--max-drop", lost + 0.01).returncode == 0


def test_a_limit_needs_labels(place, tmp_path):
    np.save(tmp_path / "frames.npy", place.pixels)
    done = place.deploy(place.model, "--frames", tmp_path / "frames.npy", "--max-drop", 1)
    assert done.returncode == 5 and "has no labels" in done.stderr
    done = place.deploy(place.model, "--frames", place.frames, "--eval", tmp_path / "frames.npy", "--max-drop", 1)
    assert done.returncode == 5 and "frames.npy has no labels" in done.stderr
    done = place.deploy(place.model, "--max-drop", 1)
    assert done.returncode == 2 and "labelled --frames" in done.stderr


def test_the_limit_of_frames(place, judged, tmp_path):
    for limit, frames in ((7, 7), ("all", N_JUDGED)):
        done = place.deploy(place.model, "--eval", judged, "--limit", limit, "--no-verify", "--out", tmp_path, "--json")
        assert json.loads(done.stdout)["accuracy"]["frames"] == frames, done.stderr
    assert "random noise" in done.stdout
    done = place.deploy(place.model, "--frames", place.frames, "--limit", 5, "--no-verify", "--out", tmp_path)
    assert "on 5 frames of frames.npz, 5 of them used to calibrate" in done.stdout


def test_bad_eval_frames_are_refused_before_the_work(place, tmp_path):
    np.savez(tmp_path / "f.npz", frames=place.pixels[:3], labels=[0, 5, 4])
    for source, says in ((tmp_path / "f.npz", "frame 1 has label 5"), (tmp_path / "none", "no frames at")):
        done = place.deploy(place.model, "--eval", source, "--out", tmp_path / "out")
        assert done.returncode == 5 and says in done.stderr and "quantize" not in done.stderr


def test_without_labels_only_the_agreement_is_known(place, tmp_path):
    np.save(tmp_path / "frames.npy", place.pixels)
    done = place.deploy(place.model, "--frames", tmp_path / "frames.npy", *ROUGH, "--out", tmp_path, "--json")
    found = json.loads(done.stdout)["accuracy"]
    assert found["float_top1"] is None and found["deployed_top1"] is None
    assert found["lost"] == pytest.approx(100 * (1 - found["agreement"]))
    assert "these frames have no labels" in (tmp_path / "tiny.lognet" / "report.txt").read_text()
