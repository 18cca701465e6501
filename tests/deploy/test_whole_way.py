"""The commands end to end."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.bundle import read_bundle
from lognet_fpga.flow.inputs import verified
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from tests.deploy.workplace import N_FRAMES, SHAPE, snapshot


def test_what_deploy_says_holds(place, deployed):
    assert deployed["bundle"] == str(Path("out", "tiny.lognet")) and deployed["board"] == "pynq-z2"
    assert [(item["node"], item["where"]) for item in deployed["partition"]] == [
        ("Conv_0", "FPGA"),
        ("Relu_1", "FPGA"),
        ("MaxPool_2", "FPGA"),
        ("Conv_3", "FPGA"),
        ("Relu_4", "FPGA"),
        ("Flatten_5", "host"),
        ("Gemm_6", "host"),
    ]
    assert all(item["reason"] for item in deployed["partition"])
    plan = deployed["plan"]
    assert plan["fps"] == pytest.approx(plan["clk_mhz"] * 1e6 / plan["cycles_per_frame"]) and plan["fps"] >= 100_000
    verdict = deployed["verification"]
    assert verdict["passed"] and verdict["differing_bits"] == 0 and verdict["bits"] > 0 and verdict["frames"] == 8
    assert set(verdict["cycles"]["intervals"]) == {plan["cycles_per_frame"]}
    assert verdict["cycles"]["latency_cycles"] == plan["latency_cycles"]
    assert deployed["synthesis"] is None
    assert deployed["calibration"] == {"frames": N_FRAMES, "source": "frames.npz"}


def test_the_bundle_reads_back_and_its_vectors_hold(place, deployed):
    bundle = read_bundle(place.folder / deployed["bundle"])
    assert bundle.digest == read_bundle(place.folder / f"{deployed['bundle']}.zip").digest
    assert bundle.manifest["verification"]["passed"] and bundle.manifest["accuracy"] == deployed["accuracy"]
    assert {
        "golden.onnx",
        "execution.onnx",
        "tail.onnx",
        "vectors.npz",
        "report.txt",
        "report.json",
        "report.html",
    } <= bundle.files.keys()
    assert json.loads(bundle.file("report.json")) == {key: value for key, value in deployed.items() if key != "bundle"}
    vectors = np.load(place.folder / deployed["bundle"] / "vectors.npz")
    with Session(bundle, SimulatedDevice(bundle)) as session:
        activations = session.fpga(vectors["frames"]).activations
    np.testing.assert_array_equal(activations, vectors["conv2"].transpose(0, 2, 3, 1))


def test_stream_on_the_bundle_agrees_with_deploy(place, deployed):
    done = place("stream", deployed["bundle"], "--frames", place.frames, "--batch", 7, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["top1"] == pytest.approx(deployed["accuracy"]["deployed_top1"])
    assert data["accuracy_at_deploy"] == deployed["accuracy"]
    assert data["pl_latency"]["value"] == pytest.approx(
        deployed["plan"]["latency_cycles"] / deployed["plan"]["clk_mhz"]
    )
    assert (data["pl_rate"]["source"], data["tail_rate"]["source"]) == ("simulated", "measured")


def test_the_files_of_a_bundle_are_as_documented(place, deployed, documents, require_tool):
    require_tool("jsonschema", found=importlib.util.find_spec("jsonschema") is not None)
    for name in ("manifest", "report"):
        documents.check(name, json.loads((place.folder / deployed["bundle"] / f"{name}.json").read_text("utf-8")))


def test_the_same_again_compiles_nothing_and_gives_the_same_bytes(place, deployed):
    before, first = place.cache_entries(), snapshot(place.folder / "out")
    done = place.deploy(place.model, "--frames", place.frames, "--out", "again")
    assert done.returncode == 0, done.stderr
    assert place.cache_entries() == before and "compile" not in done.stderr
    assert snapshot(place.folder / "again") == first


def test_what_deploy_prints(place, deployed):
    done = place.deploy(place.model, "--frames", place.frames, "--out", "printed")
    report = (place.folder / "printed" / "tiny.lognet" / "report.txt").read_text()
    assert done.stdout.startswith(report)
    assert done.stdout.endswith(f"next:   lognet-stream printed/tiny.lognet --frames {place.frames}\n")
    for part in (
        "tiny.onnx on PYNQ-Z2",
        "after the cut",
        "frames a second",
        "of the board's LUTs",
        "PYNQ-Z2 has  ",
        "passed:",
        "not run on a board",
        "with --synth",
        "float model",
    ):
        assert part in report
    assert max(map(len, report.splitlines())) <= 130


@pytest.mark.parametrize("name, bundle_name", [("tiny.onnx", "tiny"), ("Ümlaut 模型.onnx", "mlaut_")])
def test_any_model_path(place, deployed, tmp_path, name, bundle_name):
    folder = tmp_path / "with space und Ümlaut"
    folder.mkdir()
    shutil.copy(place.model, folder / name)
    done = place.deploy(folder / name, "--frames", place.frames, "--out", folder, "--no-verify")
    assert done.returncode == 0, done.stderr
    (bundle,) = folder.glob("*.lognet")
    assert bundle.stem.endswith(bundle_name) and read_bundle(bundle).manifest["model"]["file"] == name
    assert f"lognet-stream '{bundle}'" in done.stdout


def test_one_frame_is_enough():
    frame = np.random.default_rng(1).integers(0, 256, (1, *SHAPE), dtype=np.uint8)
    vectors = verified(Frames(frame))
    assert len(vectors) >= 2 and (vectors == frame).all()
