"""Deployments for numbers that are no pixels: the whole way, against onnxruntime on what was given."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lognet_fpga as ln
from lognet_fpga.errors import InputError
from lognet_fpga.runtime.simulated import SimulatedDevice
from tests.deploy.workplace import Workplace, refused
from tests.models import ModelBuilder, run_onnx, save
from tests.served import TOKEN, serving

SHAPE = (1, 12, 6)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    rng = np.random.default_rng(1)
    smooth = rng.normal(size=(400, 1, 6, 3)).repeat(2, 2).repeat(2, 3)
    return (12 * smooth - 20 + rng.normal(size=(400, *SHAPE))).astype(np.float32)


@pytest.fixture(scope="module")
def deployed(place, features):
    """(the model, the deployment's JSON) of float features in a table, calibrated on others in an .npz."""
    chain = ModelBuilder(SHAPE, seed=5).conv(6).relu().pool().conv(8).relu().flatten().gemm(8 * 18, 4)
    model = chain.model()
    save(model, place.folder, "features.onnx")
    np.savez(place.folder / "calibrate.npz", frames=features[:100])
    labels = run_onnx(model, features[100:])[0].argmax(1)
    columns = ",".join([*(f"c{i}" for i in range(72)), "label"])
    rows = np.column_stack([features[100:].reshape(300, -1), labels])
    np.savetxt(place.folder / "judge.csv", rows, delimiter=",", header=columns, comments="", fmt="%.9g")
    done = place(
        "deploy", "features.onnx", "--calibrate", "calibrate.npz", "--frames", "judge.csv", "--fps", 1000, "--json"
    )
    assert done.returncode == 0, done.stderr
    return model, json.loads(done.stdout)


def test_the_report_says_which_frames_did_what(deployed):
    _, data = deployed
    assert data["calibration"] == {"frames": 100, "source": "calibrate.npz"}
    assert data["judged"] == {"frames": 300, "source": "judge.csv"}
    assert data["accuracy"]["frames_calibrated"] == 0
    assert data["verification"]["passed"]
    how = data["input"]["preprocessing"]
    assert how["dtype"] == "float32" and len(how["scale"]) == len(how["zero_point"]) == 1


def test_the_float_model_gets_the_features_as_they_are(deployed):
    """The labels are its own classes of them, so that it is right on all."""
    _, data = deployed
    assert data["accuracy"]["float_top1"] == 1
    assert data["accuracy"]["deployed_top1"] > 0.85


def test_streams_take_the_same_features(place, deployed):
    _, data = deployed
    done = place("stream", data["bundle"], "--frames", "judge.csv", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["top1"] == data["accuracy"]["deployed_top1"]


def test_python_and_the_network_take_the_same_features(place, deployed, features):
    _, data = deployed
    deployment = ln.open_bundle(place.folder / data["bundle"])
    device = SimulatedDevice(deployment.bundle)
    classes = deployment.classify(features[100:], device)
    np.testing.assert_array_equal(classes, deployment.classify(place.folder / "judge.csv", device))
    with pytest.raises(InputError, match="frame 1, holds nan"):
        deployment.classify(np.where(np.arange(400).reshape(-1, 1, 1, 1) == 1, np.nan, features), device)
    with serving(deployment.bundle) as served:
        answer = _asked(served, deployment.bundle.name, features[100:150])
    np.testing.assert_array_equal(answer["data"], classes[:50])


def _asked(served, name: str, frames: np.ndarray) -> dict:
    """By Python's own client, with the numbers as JSON."""
    import urllib.request

    tensor = {"name": "frames", "datatype": "FP32", "shape": frames.shape, "data": frames.ravel().tolist()}
    body = json.dumps({"inputs": [tensor], "outputs": [{"name": "predictions"}]}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{served.url}/v2/models/{name}/infer", body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())["outputs"][0]


def test_signed_frames_and_a_zero_point(place):
    chain = ModelBuilder((2, 6, 6), seed=6).conv(5).relu().flatten().gemm(5 * 36, 3)
    model = chain.model()
    save(model, place.folder, "signed.onnx")
    frames = np.random.default_rng(2).integers(-128, 128, (120, 2, 6, 6), dtype=np.int8)
    np.savez(place.folder / "signed.npz", frames=frames)
    options = ("--input-scale", "1/64", "--input-zero-point", "-9", "--no-verify", "--json")
    done = place("deploy", "signed.onnx", "--frames", "signed.npz", *options)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["accuracy"]["agreement"] > 0.8
    wanted = run_onnx(model, ((frames.astype(np.float32) + 9) / 64))[0]
    found = ln.open_bundle(place.folder / data["bundle"]).outputs(frames)[0]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    "options, code, says",
    [
        (("--calibrate", "a.npz", "--frames", "b.npz", "--eval", "c.npz"), 2, "leaves nothing for b.npz"),
        (("--calibrate", "missing.npz", "--frames", "judge.csv"), 5, "missing.npz"),
        (("--frames", "judge.csv", "--input-scale", "1/255"), 5, "judge.csv has values .*0..255"),
        (("--input-dtype", "float32"), 2, "chosen from the frames that calibrate, and there are none"),
        (("--input-dtype", "int8", "--frames", "judge.csv"), 5, "whole numbers -128..127"),
        (("--input-zero-point", "1.5"), 2, "'1.5' is not a whole number"),
    ],
)
def test_what_cannot_be_meant(place, deployed, options, code, says):
    done = place("deploy", "features.onnx", *options)
    if "--input-zero-point" in options:
        assert done.returncode == code and says in done.stderr
    else:
        refused(done, code, says)
