"""The toolkit from Python, beside the commands and onnxruntime."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import lognet_fpga as ln
from lognet_fpga.cli import inspect as inspect_command
from lognet_fpga.cli import stream as stream_command
from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import InputError, ModelError, UsageError
from lognet_fpga.runtime.device import Device, DeviceRun
from tests.models import ModelBuilder, save

FRAMES = np.random.default_rng(5).integers(0, 256, (70, 3, 12, 12), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    chain = ModelBuilder((3, 12, 12), seed=7).conv(4).relu().pool().conv(4).relu().flatten().gemm(4 * 36, 5)
    return save(chain.model(), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def deployment(model, tmp_path_factory, require_tool):
    require_tool("myhdl")
    return ln.deploy(model, FRAMES[:40], out=tmp_path_factory.mktemp("out"), verify=False)


def test_three_lines(deployment, model):
    """The classes are those of the integers that went into the chip, by onnxruntime, and mostly those of the float
    model."""
    classes = deployment.classify(FRAMES)
    assert classes.shape == (70,) and classes.dtype.kind == "i"
    golden = onnxruntime.InferenceSession(deployment.bundle.file("golden.onnx"))
    tail = onnxruntime.InferenceSession(deployment.bundle.file("tail.onnx"))
    activations = golden.run(None, {golden.get_inputs()[0].name: FRAMES})[-1]
    scores = tail.run(None, {tail.get_inputs()[0].name: activations.transpose(0, 2, 3, 1)})[0].reshape(70, -1)
    np.testing.assert_array_equal(classes, scores.argmax(axis=1))
    np.testing.assert_allclose(deployment.outputs(FRAMES)[0], scores, rtol=1e-5, atol=1e-5)
    floats = onnxruntime.InferenceSession(onnx.load(model).SerializeToString())
    expected = floats.run(None, {floats.get_inputs()[0].name: FRAMES.astype(np.float32)})[0].argmax(axis=1)
    assert np.mean(classes == expected) > 0.7


def test_frames_from_a_file_and_a_bundle_that_was_there(deployment, tmp_path, in_process):
    """As lognet-stream, which saves the same classes."""
    np.savez(tmp_path / "frames.npz", frames=FRAMES)
    again = ln.open_bundle(f"{deployment.path}.zip")
    assert again.bundle.digest == deployment.bundle.digest and again.report is None
    classes = again.classify(tmp_path / "frames.npz")
    saved = tmp_path / "saved.npz"
    arguments = (deployment.path, "--frames", tmp_path / "frames.npz", "--save-outputs", saved, "--idle", "0")
    assert in_process(stream_command.main, *arguments) == 0
    np.testing.assert_array_equal(np.load(saved)["predictions"], classes)


def test_a_device_of_ones_own(deployment):
    class Zeros(Device):
        kind = description = "zeros"

        def open(self) -> None:
            pass

        def close(self) -> None:
            pass

        def run(self, frames: np.ndarray) -> DeviceRun:
            channels, height, width = deployment.bundle.output_shape
            return DeviceRun(np.zeros((len(frames), height, width, channels), np.uint8), pl_cycles=1, clk_mhz=100.0)

    assert len(set(deployment.classify(FRAMES, Zeros()).tolist())) == 1


def test_inspect_is_the_command_s_json(model, in_process, capsys):
    seen = ln.inspect(model, "pynq-z2", fpga_layers=1)
    assert in_process(inspect_command.main, model, "--board", "pynq-z2", "--fpga-layers", "1", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in seen.data} == json.loads(json.dumps(seen.data))
    assert seen.error is None and "PYNQ-Z2" in str(seen)


def test_the_page_s_programs_run(model, tmp_path, monkeypatch, capsys, require_tool):
    """docs/python.md, one after the other, in a folder with a model and pictures."""
    require_tool("myhdl")
    image = pytest.importorskip("PIL.Image")
    text = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) == 3
    (tmp_path / "model.onnx").write_bytes(model.read_bytes())
    (tmp_path / "photos").mkdir()
    for number, frame in enumerate(FRAMES[:12]):
        image.fromarray(frame.transpose(1, 2, 0)).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for program in programs:
        exec(program.replace('out="build"', 'out="build", verify=False'), names)  # which tests/deploy has
    assert names["classes"].shape == (12,) and names["scores"].shape == (12, 5) and len(names["activations"])
    assert "pynq-z2" in capsys.readouterr().out


def test_the_options_are_the_configuration_s():
    """And have its defaults, as far as those are no place."""
    ours = signature(ln.deploy).parameters
    for field in fields(DeployConfig):
        assert field.name in ours
        if field.name not in ("model", "out", "frames", "eval_frames"):
            assert ours[field.name].default == field.default, field.name
    assert set(ours) == {field.name for field in fields(DeployConfig)} | {"progress"}
    assert {name for name in signature(ln.inspect).parameters if name not in ours} == set()


def test_what_cannot_be_is_told(deployment, model, tmp_path):
    with pytest.raises(UsageError, match="no preset 'imagnet'"):
        ln.deploy(model, preprocessing="imagnet", out=tmp_path)
    with pytest.raises(InputError, match="frames must be uint8 of shape"):
        deployment.classify(FRAMES[:, :, :5])
    with pytest.raises(InputError, match="there are no frames"):
        deployment.classify(FRAMES[:0])
    with pytest.raises(ModelError):
        ln.inspect(tmp_path / "none.onnx")
    with pytest.raises(AttributeError, match="no attribute 'deplo'"):
        _ = ln.deplo
    assert not list(tmp_path.iterdir())


def test_a_model_without_classes_says_so(tmp_path, require_tool):
    require_tool("myhdl")
    chain = ModelBuilder((3, 12, 12), seed=7).conv(4).relu().conv(2).relu()
    deployment = ln.deploy(save(chain.model(), tmp_path), FRAMES[:8], out=tmp_path, verify=False)
    assert deployment.outputs(FRAMES)[0].shape[0] == 70
    with pytest.raises(UsageError, match="are no classes"):
        deployment.classify(FRAMES)


def test_the_package_alone_reads_nothing():
    """A board's start is not the deploy side's."""
    program = (
        "import sys, lognet_fpga; print([name for name in ('numpy', 'onnx', 'lognet_fpga.api') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
