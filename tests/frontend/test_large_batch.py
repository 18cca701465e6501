"""A batch of millions fixed in the file: never run, made an open one where the graph allows, else told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from tests.models import run_onnx, save
from tests.output_models import SHAPE, clear_frames, head_model
from tests.peak_memory import PEAK_KB

ROOT = Path(__file__).parents[2]
LARGE = (40_000, 3_000_000, 2**31)  # more than 2**20 pixels
TAIL = "a = Conv (x, w) r = Relu (a)"
# What follows on r, (B, 3, 9, 9), and further constants, of models that state the batch B.
STATED = {
    "reshape": ("y = Reshape (r, s)", "int64[2] s = {B, 243}"),
    "reshape with the rest open": ("y = Reshape (r, s)", "int64[2] s = {B, -1}"),
    "rows of all frames": (
        "t = Reshape (r, s) u = Relu (t) y = Reshape (u, v)",
        "int64[2] s = {B3, 81}, int64[2] v = {B, 243}",
    ),
    "resize": ('t = Resize <mode="nearest"> (r, , , s) y = Flatten (t)', "int64[4] s = {B, 3, 18, 18}"),
    "token": (
        "f = Reshape (r, s) t = Expand (k, e) j = Concat <axis=2> (t, f) y = Flatten (j)",
        "int64[3] s = {B, 3, 81}, float[1,3,1] k = {0.5, 0.25, 0.125}, int64[3] e = {B, 3, 1}",
    ),
}


def stated(name: str, batch: int) -> onnx.ModelProto:
    nodes, constants = STATED[name]
    constants = constants.replace("B3", str(3 * batch)).replace("B", str(batch))
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net (float[{batch},3,9,9] x) => (float[{batch},n] y) '
        f"<float[3,3,1,1] w = {{1,0,0,0,1,0,0,0,1}}, {constants}> {{ {TAIL} {nodes} }}"
    )


@pytest.mark.parametrize("batch", LARGE)
@pytest.mark.parametrize("name", ["scores", "argmax", "sigmoid, one axis", "mask", "text"])
def test_a_batch_that_only_the_input_states_is_freed(name, batch, tmp_path):
    graph = load(save(head_model(name, str(batch)), tmp_path))
    frames = (clear_frames()[:5] / 255).astype(np.float32)
    (wanted,), (got,) = run_onnx(head_model(name, "N"), frames), run_onnx(graph.onnx_model, frames)
    assert got.shape == wanted.shape
    if wanted.dtype == np.float32:
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    else:
        assert got.tolist() == wanted.tolist()


@pytest.mark.parametrize("batch", LARGE)
@pytest.mark.parametrize("name", STATED)
def test_a_batch_that_the_graph_states_is_stated_anew(name, batch, tmp_path):
    """Against the same model written for three frames."""
    graph = load(save(stated(name, batch), tmp_path))
    frames = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    (wanted,) = run_onnx(stated(name, 3), frames)
    kept = onnx.load_from_string(graph.onnx_model).graph.input[0].type.tensor_type.shape.dim[0].dim_value
    assert kept == (2 if name in ("token", "rows of all frames") else 0)
    if kept:  # what is not freed stays at two frames, which are run one pair after the other
        frames, wanted = frames[:2], wanted[:2]
    np.testing.assert_allclose(run_onnx(graph.onnx_model, frames)[0], wanted, atol=1e-5)
    assert len(partition(graph).layers) == 1


def test_what_cannot_be_run_with_fewer_frames_is_named(tmp_path):
    model = head_model("class token", "3000000")
    model.graph.node[-2].name = "join the token"
    with pytest.raises(UnsupportedModelError, match=r"batch of 3,000,000 frames.*does not run with 2.*join the token"):
        load(save(model, tmp_path))


def test_weights_of_as_many_channels_as_frames_stay(tmp_path):
    """20,000 frames, and a matrix of 20,000 rows that a Reshape makes."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> net (float[20000,3,9,9] x) => (float[20000,20000] y) '
        "<float[3,3,1,1] w = {1,0,0,0,1,0,0,0,1}, int64[2] flat = {20000,3}, int64[2] turned = {20000,3}> "
        f"{{ {TAIL} g = GlobalAveragePool (r) m = Reshape (g, flat) v = Reshape (k, turned) t = Transpose (v) "
        "y = MatMul (m, t) }"
    )
    values = np.random.default_rng(1).random(60_000, np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(values, "k"))
    frames = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    (got,) = run_onnx(load(save(model, tmp_path)).onnx_model, frames)
    np.testing.assert_allclose(got, frames.mean(axis=(2, 3)) @ values.reshape(20_000, 3).T, atol=1e-5)


def test_little_memory_is_taken(tmp_path):
    """Of the operating system's own count, the whole of lognet-inspect: 3,000,000 frames are 2.9 GB."""
    place = save(head_model("scores", "3000000"), tmp_path)
    program = (
        "import sys; from lognet_fpga.cli.inspect import main; code = main(sys.argv[1:]); "
        f"print({PEAK_KB}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(place), "--board", "pynq-z2"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) < 600_000  # KB
