"""Normalization is checked by running the model before and after it: on how many frames, and what that finds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lognet_fpga.frontend import load, normalize
from tests.exporters.test_styles import base, check
from tests.models import ModelBuilder, run_onnx, save
from tests.peak_memory import PEAK_KB
from tests.styles import STYLES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def of_many_operations(monkeypatch) -> None:
    """Small models are handled as those of many operations."""
    monkeypatch.setattr(normalize, "_MANY_MACS", 1)


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """Frames of every run of a whole model, in order."""
    found: list[int] = []
    open_session = normalize.open_session

    def counting(model, weights=None, optimized=None):
        session = open_session(model, weights or {}, optimized)
        if optimized is not None:
            return session

        class Counting:
            def run(self, names, frames):
                (values,) = frames.values()
                found.append(len(values))
                return session.run(names, frames)

        return Counting()

    monkeypatch.setattr(normalize, "open_session", counting)
    return found


def frozen(batch: int) -> onnx.ModelProto:
    return STYLES[f"batch {batch}"](base(17))


@pytest.mark.parametrize(
    "model, runs",
    [(lambda: base(17), [2, 1]), (lambda: frozen(1), [1, 1, 2]), (lambda: frozen(4), [4, 1])],
    ids=["open", "batch 1", "batch 4"],
)
@pytest.mark.usefixtures("of_many_operations")
def test_many_operations_run_on_one_batch_before_and_another_after(model, runs, batches, tmp_path: Path) -> None:
    check(model(), save(model(), tmp_path))
    assert batches == runs


def test_few_operations_run_on_every_batch(batches, tmp_path: Path) -> None:
    check(base(17), save(base(17), tmp_path))
    assert batches == [2, 1, 2, 1]


def test_what_came_out_as_it_was_is_not_run_again(batches, tmp_path: Path) -> None:
    model = ModelBuilder((3, 8, 8)).conv(40).relu().conv(40).relu().flatten().gemm(40 * 64, 3).model()
    graph = load(save(model, tmp_path))
    assert batches == [2, 1]
    frames = np.random.default_rng(1).standard_normal((3, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(run_onnx(graph.onnx_model, frames)[0], run_onnx(model, frames)[0])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.usefixtures("of_many_operations")
def test_styles_of_many_operations(style: str, tmp_path: Path) -> None:
    check(STYLES[style](base(17)), save(STYLES[style](base(17)), tmp_path))


def spoil_a_bias(graph: onnx.GraphProto) -> None:
    bias = next(tensor for tensor in graph.initializer if len(tensor.dims) == 1)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))


def spoil_a_node(graph: onnx.GraphProto) -> None:
    next(node for node in graph.node if node.op_type == "Relu").op_type = "Sigmoid"


@pytest.mark.parametrize("spoil", [spoil_a_bias, spoil_a_node])
@pytest.mark.parametrize("many", [1, 1 << 40], ids=["many", "few"])
@pytest.mark.parametrize("model", [lambda: base(17), lambda: frozen(1)], ids=["open", "batch 1"])
def test_a_wrong_rewrite_is_not_taken(
    model: Callable[[], onnx.ModelProto], many: int, spoil, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(normalize, "_MANY_MACS", many)
    monkeypatch.setattr(normalize, "relu_before_pool", spoil)
    graph = load(save(model(), tmp_path))
    frames = np.random.default_rng(2).standard_normal((1, 3, 12, 10)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(graph.onnx_model, frames)[0], run_onnx(model(), frames)[0], rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.usefixtures("of_many_operations")
def test_a_batch_that_is_not_free_is_not_called_so(batch: int, monkeypatch, tmp_path: Path) -> None:
    def only_by_name(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
        first = model.graph.input[0].type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_param = "batch"
        normalize.forget_shapes(model)
        return model

    monkeypatch.setattr(normalize, "free_batch", only_by_name)
    net = ModelBuilder((3, 8, 8)).conv(4).relu()
    net.add("Reshape", net.constant(np.array([batch, 256], np.int64)))
    model = net.gemm(256, 3).model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = batch
    graph = load(save(model, tmp_path))
    stated = onnx.ModelProto.FromString(graph.onnx_model).graph.input[0].type.tensor_type.shape.dim[0]
    assert stated.dim_value == batch


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux' /proc")
def test_weights_are_copied_a_few_times_only(tmp_path: Path) -> None:
    """Of 50 MB; with a copy for each of the steps reading took twelve times that."""
    chain = ModelBuilder((3, 8, 8)).conv(4).relu().flatten().gemm(256, 16384).relu().gemm(16384, 512)
    place = save(chain.model(), tmp_path)
    program = (
        "import sys; from lognet_fpga.frontend import load; import onnx.version_converter, onnxruntime\n"
        f"peak = lambda: {PEAK_KB}\nbefore = peak(); graph = load(sys.argv[1]); print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(place)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert place.stat().st_size > 50e6
    assert int(done.stdout) * 1024 < 6.5 * place.stat().st_size
