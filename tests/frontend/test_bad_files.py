"""Every unusable file ends in one clear error of the right class that names the culprit."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.errors import LogNetError, ModelError, UnsupportedModelError
from lognet_fpga.frontend import load
from tests.models import ModelBuilder, save, small_cnn


def error_of(path: Path, kind: type[LogNetError]) -> LogNetError:
    with pytest.raises(LogNetError) as caught:
        load(path)
    assert type(caught.value) is kind, caught.value
    assert "\n" not in caught.value.message
    return caught.value


def test_missing_file(tmp_path: Path) -> None:
    assert "nowhere.onnx" in error_of(tmp_path / "nowhere.onnx", ModelError).message


def test_directory(tmp_path: Path) -> None:
    assert "directory" in error_of(tmp_path, ModelError).message


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    assert "empty" in error_of(tmp_path / "m.onnx", ModelError).message


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"import torch\n",
        b"\x00" * 64,
        b"\x08\x08",
        b"PK\x03\x04" + bytes(50),
        struct.pack("<20f", *range(20)),
    ],
)
def test_foreign_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert "m.onnx is not an ONNX" in error_of(tmp_path / "m.onnx", ModelError).message


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
def test_truncated_file(share: float, tmp_path: Path) -> None:
    data = small_cnn().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data[: int(len(data) * share)])
    assert "m.onnx" in error_of(tmp_path / "m.onnx", ModelError).message


def test_damaged_bytes_never_escape_as_another_exception(tmp_path: Path) -> None:
    data = small_cnn(channels=(2, 2, 2)).SerializeToString()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 4):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / "m.onnx").write_bytes(damaged)
        try:
            load(tmp_path / "m.onnx")
        except LogNetError:
            pass


def test_missing_external_data(tmp_path: Path) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (tmp_path / "m.data").unlink()
    assert "m.data" in error_of(tmp_path / "m.onnx", ModelError).message


def test_truncated_external_data(tmp_path: Path) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (tmp_path / "m.data").write_bytes((tmp_path / "m.data").read_bytes()[:100])
    assert "m.data" in error_of(tmp_path / "m.onnx", ModelError).message


def test_invalid_model(tmp_path: Path) -> None:
    model = small_cnn()
    model.graph.node[0].input[0] = "nothing"
    assert "nothing" in error_of(save(model, tmp_path), ModelError).message


@pytest.mark.parametrize("opset", [1, 6, onnx.defs.onnx_opset_version() + 1, 1000])
def test_opset_out_of_range(opset: int, tmp_path: Path) -> None:
    model = small_cnn()
    model.opset_import[0].version = opset
    message = error_of(save(model, tmp_path), ModelError).message
    assert f"opset {opset};" in message and f"7 to {onnx.defs.onnx_opset_version()}" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    model = small_cnn()
    names = []
    for index in (0, 3):
        tensor = model.graph.initializer[index]
        weights = numpy_helper.to_array(tensor).copy()
        weights.reshape(-1)[1] = value
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
        names.append(tensor.name)
    message = error_of(save(model, tmp_path), ModelError).message
    assert all(name in message for name in names) and model.graph.initializer[1].name not in message


def test_recurrent_and_control_flow_operators_are_all_named(tmp_path: Path) -> None:
    start = ModelBuilder((3, 8, 8), batch=1).conv(4).relu().reshape(8, 1, 32)
    hidden = 4
    for op_type, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        start.nodes.append(
            helper.make_node(
                op_type,
                ["Reshape_2_out", start.weights(1, gates * hidden, 32), start.weights(1, gates * hidden, hidden)],
                [f"{op_type}_out"],
                name=f"my_{op_type}",
                hidden_size=hidden,
            )
        )
    branch = helper.make_graph(
        [helper.make_node("Identity", ["LSTM_out"], ["same"])],
        "branch",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, [8, 1, 1, hidden])],
    )
    start.nodes.append(
        helper.make_node(
            "If", [start.constant(np.array(True))], ["if_out"], name="my_If", then_branch=branch, else_branch=branch
        )
    )
    error = error_of(save(start.model("if_out"), tmp_path), UnsupportedModelError)
    assert [line.split(" ")[0] for line in error.context] == ["my_LSTM", "my_GRU", "my_RNN", "my_If"]


def test_two_inputs(tmp_path: Path) -> None:
    start = ModelBuilder((3, 4, 4)).conv(3)
    start.inputs.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, ["N", 3, 4, 4]))
    model = start.add("Add", "second").model()
    assert "image, second" in error_of(save(model, tmp_path), UnsupportedModelError).message


@pytest.mark.parametrize("shape", [(3, 8, 8, 8), (3, 2, 8, 8, 8)])
def test_input_of_another_rank(shape: tuple[int, ...], tmp_path: Path) -> None:
    start = ModelBuilder(shape)
    start.reshape(-1, 3, 1, 1).conv(4, 1)
    message = error_of(save(start.model(), tmp_path), UnsupportedModelError).message
    assert "image" in message and f"{len(shape) + 1} dimensions" in message


def test_integer_input(tmp_path: Path) -> None:
    start = ModelBuilder((3, 8, 8))
    start.inputs = [helper.make_tensor_value_info("image", TensorProto.INT64, ["N", 3, 8, 8])]
    model = start.add("Abs").add("Cast", to=TensorProto.FLOAT).conv(4).model()
    assert "int64" in error_of(save(model, tmp_path), UnsupportedModelError).message


def test_open_height(tmp_path: Path) -> None:
    error = error_of(save(ModelBuilder((3, "H", 8)).conv(4).relu().model(), tmp_path), ModelError)
    assert "3,?,8" in error.message and "--input-shape" in error.hint


def test_model_that_onnxruntime_cannot_run(tmp_path: Path) -> None:
    model = ModelBuilder((3, 8, 8)).conv(4).relu().model()
    model.graph.node[1].op_type, model.graph.node[1].domain = "Mystery", "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    assert "Mystery" in error_of(save(model, tmp_path), ModelError).message


@pytest.mark.parametrize(
    "chain, says",
    [
        (
            lambda: ModelBuilder((1, 8, 8)).conv(4, pads=[1, 1, 3_000_000, 1]).relu(),
            "Conv_0 .Conv.: 1 x 4 x 3000007 x 8",
        ),
        (lambda: ModelBuilder((1, 8, 8)).pad(0, 30_000, 60_000, 30_000).conv(4), "Pad_0 .Pad.: 1 x 1 x 60008 x 60008"),
        (lambda: ModelBuilder((4, 60_000, 60_000)).conv(4), "input image: 1 x 4 x 60000 x 60000"),
        (
            lambda: (chain := ModelBuilder((1, 8, 8)).conv(2)).add(
                "Resize", "", chain.constant(np.array([1, 1, 9e4, 1], np.float32))
            ),
            "Resize_1 .Resize.: 1 x 2 x 720000 x 8",
        ),
    ],
    ids=["conv", "pad", "input", "resize"],
)
def test_tensors_too_large_are_told_before_anything_runs(chain, says, tmp_path: Path, monkeypatch) -> None:
    def refuse(*_):
        raise AssertionError("it was run")

    path = save(chain().relu().flatten().model(), tmp_path)
    monkeypatch.setattr("lognet_fpga.frontend.normalize.open_session", refuse)
    error = error_of(path, UnsupportedModelError)
    assert re.search(says, "\n".join(error.context)), error.context


def test_a_model_without_outputs(tmp_path: Path) -> None:
    model = small_cnn()
    del model.graph.output[:]
    assert "output" in error_of(save(model, tmp_path), ModelError).message
