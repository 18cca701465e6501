"""The float FPGA layers followed by the tail compute what onnxruntime computes on the user's model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lognet_fpga.frontend import load
from lognet_fpga.frontend.operators import read_nodes
from lognet_fpga.ir.graph import Graph
from lognet_fpga.partition import Partition, make_tail, partition, run_float_layers
from tests.float_tail import float_tail
from tests.models import run_onnx, save, small_cnn
from tests.partition.chains import CHAINS, chain, cnn_after


def as_it_is(model: onnx.ModelProto) -> Graph:
    """The graph of a model that is not normalized first."""
    (frame,) = model.graph.input
    shape = tuple(dim.dim_value for dim in frame.type.tensor_type.shape.dim[1:])
    data = model.SerializeToString()
    return Graph("model", frame.name, shape, model.graph.output[0].name, read_nodes(model), data, "")


def check_equal(
    model: onnx.ModelProto, folder: Path, fpga_layers: int = 3, batch: int = 3, normalize: bool = True
) -> Partition:
    graph = load(save(model, folder)) if normalize else as_it_is(model)
    split = partition(graph, fpga_layers)
    stated = model.graph.input[0].type.tensor_type.shape.dim[0]
    fixed = stated.dim_value
    if fixed < 1:  # onnxruntime takes 0 by the letter
        stated.dim_param, fixed = "N", 0
    frames = np.random.default_rng(1).standard_normal((batch, *graph.input_shape)).astype(np.float32)
    step = fixed or batch
    wanted = np.concatenate([run_onnx(model, frames[at : at + step])[0] for at in range(0, batch, step)])
    activations = run_float_layers(split, frames)
    assert [value.shape[1:] for value in activations] == [layer.out_shape for layer in split.layers]
    assert split.cut_shape == split.layers[-1].out_shape
    stream = np.ascontiguousarray(activations[-1].transpose(0, 2, 3, 1))
    found = run_onnx(float_tail(split), stream)[0]
    assert wanted.std() > 1e-2
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)
    return split


@pytest.mark.parametrize("name", CHAINS)
def test_layers_and_tail_equal_the_model(name: str, tmp_path: Path) -> None:
    split = check_equal(CHAINS[name]().model(), tmp_path)
    assert len(split.layers) == 3


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("fpga_layers", [1, 2, 3])
def test_layers_and_tail_of_a_model_as_it_is(name: str, fpga_layers: int, tmp_path: Path) -> None:
    """Without onnxruntime's fusions, which differ between its versions; the models are at opset 17, or 9."""
    check_equal(CHAINS[name]().model(), tmp_path, fpga_layers, normalize=False)


@pytest.mark.parametrize("name", ["global_average_at_the_cut", "reduced_mean_at_the_cut"])
def test_a_small_global_pool_belongs_to_the_last_layer(name: str, tmp_path: Path) -> None:
    assert partition(load(save(CHAINS[name]().model(), tmp_path))).cut_shape == (12, 1, 1)


@pytest.mark.parametrize("fpga_layers", [1, 2, 3])
def test_every_cut(fpga_layers: int, tmp_path: Path) -> None:
    split = check_equal(small_cnn(), tmp_path, fpga_layers)
    assert len(split.layers) == fpga_layers


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_every_opset(opset: int, tmp_path: Path) -> None:
    start = chain(opset=opset).batch_norm()
    model = cnn_after(start).dropout().flatten().gemm(48).add("Softmax", axis=1).model()
    split = check_equal(model, tmp_path)
    tail = onnx.load_from_string(float_tail(split).SerializeToString())
    assert [(entry.domain, entry.version) for entry in tail.opset_import] == [("", 17)]
    assert tail.ir_version <= 10


@pytest.mark.parametrize("batch", ["N", None, 0, -1, 1, 3])
@pytest.mark.parametrize("shape", [(-1, 48), (0, 48), ("batch", 48), ("batch", -1)])
def test_every_batch(batch: str | int | None, shape: tuple[str | int, int], tmp_path: Path) -> None:
    """Whatever batch the file states, even inside a Reshape, the tail takes any."""
    if shape[0] == "batch":
        if not isinstance(batch, int) or batch < 1:
            pytest.skip("a Reshape holds a batch only where the batch is a number")
        shape = (batch, shape[1])
    model = cnn_after(chain(batch=batch)).reshape(*shape).gemm(48).model()
    split = check_equal(model, tmp_path)
    tail = float_tail(split)
    for size in (1, 2, 5):
        assert run_onnx(tail, np.zeros((size, 2, 2, 12), np.float32))[0].shape == (size, 10)


def test_batch_read_from_the_input_by_shape_nodes(tmp_path: Path) -> None:
    """A view(x.size(0), -1) export: Shape and Gather on the input, far in front of the cut."""
    start = cnn_after(chain())
    start.nodes += [
        helper.make_node("Shape", ["image"], ["sizes"], name="Shape_of_input"),
        helper.make_node("Gather", ["sizes", start.constant(np.array([0], np.int64))], ["size"], name="Gather_batch"),
        helper.make_node("Concat", ["size", start.constant(np.array([-1], np.int64))], ["view"], name="Cat", axis=0),
    ]
    split = check_equal(start.add("Reshape", "view").gemm(48).model(), tmp_path)
    assert "Shape" not in {place.op_type for place in split.placements}


def test_channels_last_integer_input(tmp_path: Path) -> None:
    """A model that casts and transposes its frames first is read behind those nodes."""
    start = chain()
    start.inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 16, 16, 3])]
    start.add("Cast", to=TensorProto.FLOAT).add("Transpose", perm=[0, 3, 1, 2])
    model = cnn_after(start.add("Div", start.constant(np.float32(255)))).flatten().gemm(48).model()
    graph = load(save(model, tmp_path))
    split = partition(graph)
    frames = np.random.default_rng(2).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    activations = run_float_layers(split, frames.transpose(0, 3, 1, 2).astype(np.float32))[-1]
    found = run_onnx(float_tail(split), np.ascontiguousarray(activations.transpose(0, 2, 3, 1)))[0]
    assert graph.input_shape == (3, 16, 16)
    np.testing.assert_allclose(found, run_onnx(model, frames)[0], atol=1e-4, rtol=0)


def test_tail_scales_the_integers_per_channel(tmp_path: Path) -> None:
    model = cnn_after(chain()).model()
    split = partition(load(save(model, tmp_path)))
    scale = np.linspace(0.1, 0.7, 12)
    tail = make_tail(split, SimpleNamespace(layers=[SimpleNamespace(out_scale=scale, out_bits=8, out_zero=0)]))
    stream = np.random.default_rng(3).integers(0, 256, (4, 2, 2, 12), dtype=np.uint8)
    found = run_onnx(tail, stream)[0]
    np.testing.assert_allclose(found, (stream * scale).transpose(0, 3, 1, 2), rtol=1e-6)
    assert onnx.load_from_string(tail).graph.output[0].name == model.graph.output[0].name


def test_the_tail_s_weights_are_aligned_in_the_file(tmp_path: Path) -> None:
    """Where the tensors' raw data are is found by their content."""
    split = partition(load(save(cnn_after(chain()).flatten().gemm(48).model(), tmp_path)))
    tail = make_tail(
        split, SimpleNamespace(layers=[SimpleNamespace(out_scale=np.linspace(0.1, 0.7, 12), out_bits=8, out_zero=0)])
    )
    tensors = onnx.load_from_string(tail).graph.initializer
    large = [tensor.raw_data for tensor in tensors if len(tensor.raw_data) > 100]
    assert large and all(tail.index(data) % 64 == 0 for data in large)


@pytest.mark.parametrize("where", ["cut", "behind", "output"])
def test_model_that_has_a_tensor_named_activations(where: str, tmp_path: Path) -> None:
    start = cnn_after(chain())
    names = {"cut": start.tensor}
    start.flatten()
    names["behind"] = start.tensor
    start.gemm(48)
    names["output"] = start.tensor
    for node in start.nodes:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                if name == names[where]:
                    field[index] = "activations"
    model = start.model("activations" if where == "output" else start.tensor)
    check_equal(model, tmp_path)


def test_pad_value_is_the_input_that_normalizes_to_zero(tmp_path: Path) -> None:
    start = chain()
    mean, deviation = np.float32([0.4, 0.5, 0.6]), np.float32([0.25, 0.2, 0.5])
    start.add("Sub", start.constant(mean.reshape(1, 3, 1, 1)))
    start.add("Div", start.constant(deviation.reshape(3, 1, 1)))
    split = partition(load(save(cnn_after(start).model(), tmp_path)))
    np.testing.assert_allclose(split.layers[0].pad_value, mean, rtol=1e-6)
    assert all(np.all(layer.pad_value == 0) for layer in split.layers[1:])
