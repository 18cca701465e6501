"""TensorFlow's files as ONNX: onnxruntime on the result, against NumPy on the numbers that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.errors import InputError, ModelError, UnsupportedModelError
from lognet_fpga.mlperf_tiny.checkpoint import read_checkpoint
from lognet_fpga.mlperf_tiny.ds_cnn import ds_cnn
from lognet_fpga.mlperf_tiny.reference import Reference
from lognet_fpga.mlperf_tiny.tasks import TASKS, ReferenceFile
from lognet_fpga.mlperf_tiny.tflite import to_onnx
from tests.mlperf_tiny.flat_models import INT8, TfliteWriter, checkpoint
from tests.models import run_onnx

SAME, VALID, RELU, RELU6 = 0, 1, 1, 3


def convolved(x, weight, bias, stride, same, depthwise=False):
    """NHWC by NumPy; weight (out, height, width, in), depthwise (1, height, width, out)."""
    if depthwise:
        weight = np.eye(x.shape[3])[:, None, None, :] * weight[0].transpose(2, 0, 1)[..., None]
    n, h, w, _ = x.shape
    out, kh, kw, _ = weight.shape
    sizes = [-(-s // stride) if same else (s - k) // stride + 1 for s, k in ((h, kh), (w, kw))]
    pads = [max(0, (size - 1) * stride + k - s) if same else 0 for size, k, s in zip(sizes, (kh, kw), (h, w))]
    x = np.pad(x, ((0, 0), *((p // 2, p - p // 2) for p in pads), (0, 0)))
    result = np.zeros((n, *sizes, out))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            window = x[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
            result[:, i, j] = np.tensordot(window, weight, ([1, 2, 3], [1, 2, 3])) + bias
    return result


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("seed", range(3))
def test_a_residual_network(padding, seed):
    rng = np.random.default_rng(seed)
    w1, b1 = rng.normal(size=(4, 3, 3, 2)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    codes = rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8)
    scales = rng.uniform(0.001, 0.02, 4).astype(np.float32)
    b2 = rng.normal(size=4).astype(np.float32)
    w3, b3 = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    side = 5 if padding == SAME else 4
    t = TfliteWriter()
    x = t.tensor([1, 10, 10, 2])
    first, second, added, pooled, flat, dense, out = (
        t.tensor(shape) for shape in ([1, side, side, 4],) * 3 + ([1, 1, 1, 4],) + ([1, 4],) + ([1, 3],) * 2
    )
    constants = [t.tensor(value.shape, value) for value in (w1, b1, b2, w3, b3)]
    packed = t.tensor(codes.shape, codes, INT8, scales, axis=3)
    unpacked = t.tensor(codes.shape)
    stride2 = {0: ("int8", padding), 1: ("int32", 2), 2: ("int32", 2), 3: ("int8", RELU)}
    t.operator(3, [x, constants[0], constants[1]], first, stride2)
    t.operator(6, [packed], unpacked)
    depth = {0: ("int8", SAME), 1: ("int32", 1), 2: ("int32", 1), 3: ("int32", 1), 4: ("int8", RELU6)}
    t.operator(4, [first, unpacked, constants[2]], second, depth)
    t.operator(0, [first, second], added, {0: ("int8", 0)})
    pool = {0: ("int8", VALID), 1: ("int32", side), 2: ("int32", side), 3: ("int32", side), 4: ("int32", side)}
    t.operator(1, [added], pooled, pool)
    t.operator(22, [pooled], flat)
    t.operator(9, [flat, constants[3], constants[4]], dense, {0: ("int8", 0)})
    t.operator(25, [dense], out)
    model = to_onnx(t.bytes(x, out))
    onnx.checker.check_model(model)
    frames = rng.normal(size=(2, 10, 10, 2)).astype(np.float32)
    found = run_onnx(model, frames)[0]
    one = np.maximum(convolved(frames, w1, b1, 2, padding == SAME), 0)
    two = np.clip(convolved(one, codes * scales, b2, 1, True, depthwise=True), 0, 6)
    scores = (one + two).mean(axis=(1, 2)) @ w3.T + b3
    wanted = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), atol=1e-5)


def test_integer_models_and_other_operators_are_refused():
    t = TfliteWriter()
    x, out = t.tensor([1, 4], kind=INT8), t.tensor([1, 4], kind=INT8)
    t.operator(25, [x], out)
    with pytest.raises(UnsupportedModelError, match="computes with integers"):
        to_onnx(t.bytes(x, out))
    t = TfliteWriter()
    x, out = t.tensor([1, 4]), t.tensor([1, 4])
    t.operator(98, [x], out)
    with pytest.raises(UnsupportedModelError, match="operator 98"):
        to_onnx(t.bytes(x, out))


def test_damaged_files_are_refused():
    t = TfliteWriter()
    x, out = t.tensor([1, 4]), t.tensor([1, 4])
    t.operator(25, [x], out)
    whole = t.bytes(x, out)
    with pytest.raises(ModelError, match="no TensorFlow Lite model"):
        to_onnx(b"<html>not found</html>")
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole[: rng.integers(8, len(whole))])
        for place in rng.integers(8, len(broken) + 1, 3):
            broken[min(place, len(broken) - 1)] = rng.integers(256)
        try:
            to_onnx(bytes(broken))
        except (ModelError, UnsupportedModelError):
            pass


@pytest.fixture
def variables() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    found = {"layer_with_weights-18/kernel": rng.normal(size=(64, 12)), "layer_with_weights-18/bias": np.arange(12.0)}
    for number in range(9):
        kernel = (10, 4, 1, 64) if not number else (3, 3, 64, 1) if number % 2 else (1, 1, 64, 64)
        name = "depthwise_kernel" if number % 2 else "kernel"
        found[f"layer_with_weights-{2 * number}/{name}"] = rng.normal(size=kernel) / 8
        found[f"layer_with_weights-{2 * number}/bias"] = rng.normal(size=64)
        for what in ("gamma", "beta", "moving_mean"):
            found[f"layer_with_weights-{2 * number + 1}/{what}"] = rng.normal(size=64)
        found[f"layer_with_weights-{2 * number + 1}/moving_variance"] = rng.uniform(0.5, 2, 64)
    return found


def test_a_checkpoint_and_ds_cnn(tmp_path, variables):
    index, data = checkpoint(variables)
    (tmp_path / "variables.index").write_bytes(index)
    (tmp_path / "variables.data-00000-of-00001").write_bytes(data)
    read = read_checkpoint(tmp_path)
    assert read.keys() == variables.keys()
    for name, value in variables.items():
        np.testing.assert_allclose(read[name], value, rtol=1e-6)
    model = ds_cnn(read)
    onnx.checker.check_model(model)
    x = frames = np.random.default_rng(2).normal(size=(2, 49, 10, 1)).astype(np.float32)
    for number in range(9):
        depthwise = number % 2 == 1
        kernel = variables[f"layer_with_weights-{2 * number}/{'depthwise_kernel' if depthwise else 'kernel'}"]
        weight = kernel.transpose(3, 0, 1, 2)
        bias = variables[f"layer_with_weights-{2 * number}/bias"]
        x = convolved(x, weight, bias, 1 if number else 2, True, depthwise)
        gamma, beta, mean, variance = (
            variables[f"layer_with_weights-{2 * number + 1}/{what}"]
            for what in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        x = np.maximum((x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)
    scores = x.mean(axis=(1, 2)) @ variables["layer_with_weights-18/kernel"] + np.arange(12.0)
    wanted = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(run_onnx(model, frames)[0], wanted / wanted.sum(1, keepdims=True), atol=1e-4)


def test_damaged_checkpoints_are_refused(tmp_path, variables):
    with pytest.raises(ModelError, match="variables.index cannot be read"):
        read_checkpoint(tmp_path)
    index, data = checkpoint(variables)
    (tmp_path / "variables.data-00000-of-00001").write_bytes(data[:-8])
    (tmp_path / "variables.index").write_bytes(index)
    with pytest.raises(ModelError, match="damaged"):
        read_checkpoint(tmp_path)
    (tmp_path / "variables.index").write_bytes(index[:-1])
    with pytest.raises(ModelError, match="no index"):
        read_checkpoint(tmp_path)
    del variables["layer_with_weights-4/bias"]
    with pytest.raises(ModelError, match="layer_with_weights-4/bias"):
        ds_cnn(variables)


def test_files_are_found_and_their_digests_checked(tmp_path):
    import hashlib

    content = b"a model"
    wanted = ReferenceFile("benchmark/training/model.bin", hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match="neither benchmark/training/model.bin nor model.bin"):
        Reference(tmp_path).file(wanted)
    (tmp_path / "model.bin").write_bytes(content)
    assert Reference(tmp_path).file(wanted) == tmp_path / "model.bin"
    whole = tmp_path / "benchmark" / "training"
    whole.mkdir(parents=True)
    (whole / "model.bin").write_bytes(content + b"!")
    with pytest.raises(InputError, match="another file than mlcommons/tiny has") as caught:
        Reference(tmp_path).file(wanted)
    assert wanted.sha256 in str(caught.value) and caught.value.hint
    with pytest.raises(InputError, match="no folder"):
        Reference(tmp_path / "missing")


def test_what_cannot_be_fetched_is_said(tmp_path, monkeypatch):
    import urllib.request

    monkeypatch.setenv("LOGNET_CACHE", str(tmp_path))
    asked = []

    def refuse(address, timeout):
        asked.append(address)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(InputError, match="cannot be fetched: .*unreachable") as caught:
        Reference(None).model(TASKS["ic"])
    assert "--models" in caught.value.hint
    assert asked[0].startswith("https://raw.githubusercontent.com/mlcommons/tiny/")
    assert not [path for path in Path(tmp_path).rglob("*") if path.is_file()]
