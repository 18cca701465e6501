"""Refused models, frames and options: one message, the exit code, nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.deploy.workplace import SHAPE, Workplace, refused
from tests.models import ModelBuilder, save


def recurrent() -> onnx.ModelProto:
    chain = ModelBuilder((3, 8, 8), batch=1).conv(4).relu().reshape(8, 1, 32)
    chain.nodes.append(
        helper.make_node(
            "LSTM",
            ["Reshape_2_out", chain.weights(1, 16, 32), chain.weights(1, 16, 4)],
            ["out"],
            name="memory",
            hidden_size=4,
        )
    )
    return chain.model("out")


def conditional() -> onnx.ModelProto:
    chain = ModelBuilder(SHAPE).conv(2).relu()
    branch = helper.make_graph(
        [helper.make_node("Identity", [chain.tensor], ["same"])],
        "branch",
        [],
        [helper.make_tensor_value_info("same", onnx.TensorProto.FLOAT, ["N", 2, 8, 8])],
    )
    chain.nodes.append(
        helper.make_node(
            "If", [chain.constant(np.array(True))], ["out"], name="choice", then_branch=branch, else_branch=branch
        )
    )
    return chain.model("out")


def not_a_number(model: onnx.ModelProto) -> onnx.ModelProto:
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights.flat[0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, model.graph.initializer[0].name))
    return model


def of_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    model.opset_import[0].version = opset
    return model


def without_its_data(place: Workplace, folder: Path) -> Path:
    onnx.save(
        onnx.load(place.model), folder / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    (folder / "weights.bin").unlink()
    return folder / "m.onnx"


def written(data: bytes) -> Callable[[Workplace, Path], Path]:
    def write(place: Workplace, folder: Path) -> Path:
        (folder / "m.onnx").write_bytes(data)
        return folder / "m.onnx"

    return write


def built(make: Callable[[Workplace], onnx.ModelProto]) -> Callable[[Workplace, Path], Path]:
    return lambda place, folder: save(make(place), folder, "m.onnx")


@pytest.mark.parametrize(
    "make, code, says",
    [
        (written(b"not a model"), 3, "m.onnx is not an ONNX file.*What to do: copy the file again"),
        (written(b""), 3, "m.onnx is empty"),
        (lambda place, folder: written(place.model.read_bytes()[:500])(place, folder), 3, "truncated"),
        (lambda place, folder: folder, 3, "is a directory"),
        (lambda place, folder: folder / "none.onnx", 3, "no such file"),
        (without_its_data, 3, "weights.bin"),
        (built(lambda place: of_opset(onnx.load(place.model), 999)), 3, "opset 999;.*such as 17"),
        (built(lambda place: not_a_number(onnx.load(place.model))), 3, "NaN.*const_0"),
        (
            built(lambda place: ModelBuilder(SHAPE).flatten().gemm(64).model()),
            4,
            "one layer in sequence, fewer than the 2 asked for",
        ),
        (
            built(lambda place: ModelBuilder(SHAPE).conv(2).relu().flatten().model()),
            4,
            "fewer than the 2.*--fpga-layers 1",
        ),
        (built(lambda place: recurrent()), 4, r"memory \(LSTM\): recurrent"),
        (built(lambda place: conditional()), 4, r"choice \(If\): control flow"),
        (
            built(lambda place: ModelBuilder((1, "H", 8)).conv(2).relu().conv(2).relu().model()),
            3,
            r"1,\?,8.*--input-shape",
        ),
    ],
    ids=[
        "text",
        "empty",
        "truncated",
        "directory",
        "missing",
        "external-data",
        "opset",
        "nan",
        "no-conv",
        "few-convs",
        "lstm",
        "if",
        "open-shape",
    ],
)
def test_a_bad_model_is_refused(place, tmp_path, make, code, says):
    refused(place.deploy(make(place, tmp_path), "--out", tmp_path / "out", "--no-verify"), code, says)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arrays, says",
    [
        ({"frames": np.zeros((3, 1, 9, 9), np.uint8)}, r"shape \(3, 1, 9, 9\).*1 channel, 8 high"),
        ({"frames": np.full((3, *SHAPE), 0.5)}, "0.5 to 0.5.*whole numbers.*before normalization"),
        ({"frames": np.zeros((0, *SHAPE), np.uint8)}, "holds no frames"),
        ({"frames": np.zeros((3, *SHAPE), np.uint8), "labels": np.arange(2)}, r"shape \(2,\).*3 class numbers"),
        (
            {"frames": np.zeros((3, *SHAPE), np.uint8), "labels": np.array([0, 5, 4])},
            "frame 1 has label 5.*0 to 4|0 to 4.*label 5",
        ),
        ({"frames": np.zeros((3, *SHAPE), np.uint8), "labels": np.array([0, 1, -1])}, "frame 2 has label -1"),
    ],
    ids=["size", "type", "none", "few-labels", "large-label", "negative-label"],
)
def test_bad_frames_are_refused_before_the_work(place, tmp_path, arrays, says):
    np.savez(tmp_path / "f.npz", **arrays)
    done = place.deploy(place.model, "--frames", tmp_path / "f.npz", "--out", tmp_path / "out")
    refused(done, 5, says)
    assert not (tmp_path / "out").exists() and "quantize" not in done.stderr


def test_a_folder_without_images_and_one_with_a_broken_image(place, tmp_path, require_tool):
    require_tool("PIL")
    (tmp_path / "photos").mkdir()
    refused(place.deploy(place.model, "--frames", tmp_path / "photos", "--out", tmp_path), 5, "holds no images")
    (tmp_path / "photos" / "cat.png").write_bytes(b"\x89PNG")
    refused(place.deploy(place.model, "--frames", tmp_path / "photos", "--out", tmp_path), 5, "cat.png")
    refused(place.deploy(place.model, "--frames", tmp_path / "none", "--out", tmp_path), 5, "no frames at")


@pytest.mark.parametrize(
    "options, code, says",
    [
        (["--fps", "1e9"], 6, "1,000,000,000 frames a second.*reach .* fps.*fewer --fps"),
        (["--board", "basys3"], 2, "invalid choice: 'basys3'.*pynq-z2"),
        (["--input-mean", "1,2"], 2, "mean has 2 values"),
        (["--input-shape", "1,9,8"], 2, "contradicts the model"),
        (["--input-shape", "1,8,8,8"], 2, "CHANNELS,HEIGHT,WIDTH"),
    ],
)
def test_options_that_do_not_go_with_the_model(place, tmp_path, options, code, says):
    refused(place.deploy(place.model, *options, "--out", tmp_path, "--no-verify"), code, says)
    assert not any(tmp_path.iterdir())


def test_a_model_too_large_for_the_board(place, tmp_path):
    large = save(ModelBuilder((8, 8, 8)).conv(64).relu().conv(176, 5).relu().model(), tmp_path, "large.onnx")
    done = place("deploy", large, "--fpga-layers", 2, "--weights", "clb", "--out", tmp_path / "out", "--no-verify")
    refused(
        done,
        6,
        r"too large for PYNQ-Z2\n  conv1: 4,\d+ weights, about .* LUT .*\n  conv2: 2\d\d,\d+ weights.*\n"
        r"  total: .* 53,200 LUT .*"
        r"What to do: --weights auto; or --prune 0\.\d\d .*; or --fpga-layers 1",
    )
    assert not (tmp_path / "out").exists()
