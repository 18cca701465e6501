"""What a loaded graph holds, against onnxruntime and closed forms."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lognet_fpga.errors import UsageError
from lognet_fpga.frontend import load, without_outputs
from lognet_fpga.frontend.operators import read_nodes
from lognet_fpga.ir import reference
from lognet_fpga.ir.execute import execute, run_op
from lognet_fpga.ir.graph import (
    Affine,
    AveragePool,
    Conv,
    Graph,
    HostOp,
    Identity,
    MaxPool,
    Minimum,
    Pointwise,
    Relu,
    ZeroPad,
)
from tests.models import ModelBuilder, run_onnx, save, small_cnn
from tests.output_models import clear_frames, head_model


def test_graph_of_a_small_cnn(tmp_path: Path) -> None:
    place = save(small_cnn(), tmp_path, "cat or dog.onnx")
    graph = load(place)
    assert (graph.name, graph.input, graph.input_shape) == ("cat or dog", "image", (3, 16, 16))
    assert [type(node.op) for node in graph.nodes[:9]] == [Conv, Relu, MaxPool] * 3
    assert [node.op_type for node in graph.nodes[9:]] == ["Flatten", "Gemm"]
    assert [node.out_shape for node in graph.nodes[:3]] == [(8, 16, 16), (8, 16, 16), (8, 8, 8)]
    assert graph.nodes[-1].outputs == (graph.output,)
    assert graph.source_sha256 == hashlib.sha256(place.read_bytes()).hexdigest()


def test_normalized_model_is_clean_opset_17_with_a_free_batch(tmp_path: Path) -> None:
    graph = load(save(small_cnn(batch=1, opset=9), tmp_path))
    model = onnx.load_from_string(graph.onnx_model)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    frames = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    wanted = np.concatenate([run_onnx(small_cnn(batch=1, opset=9), frames[i : i + 1])[0] for i in range(2)])
    np.testing.assert_allclose(run_onnx(graph.onnx_model, frames)[0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        {"group": 2},
        {"dilations": [2, 3], "pads": [0] * 4},
        {"group": 4, "dilations": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 1]},
        {"auto_pad": "VALID", "dilations": [2, 2]},
        {"pads": [1, 0, 2, 3], "strides": [1, 2]},
    ],
)
def test_dense_convolution_equals_onnxruntime(attributes: dict[str, object], tmp_path: Path) -> None:
    model = ModelBuilder((4, 11, 13), seed=2, batch=2).conv(8, **attributes).relu().model()
    frames = np.random.default_rng(3).standard_normal((2, 4, 11, 13)).astype(np.float32)
    conv = load(save(model, tmp_path)).nodes[0].op
    sums = reference.conv(reference.pad(frames.astype(np.float64), conv.pads, np.zeros(4)), conv.weight, conv.stride)
    found = np.maximum(sums + conv.bias.reshape(1, -1, 1, 1), 0)
    np.testing.assert_allclose(found, run_onnx(model, frames)[0], atol=1e-5)


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "BatchNormalization"])
@pytest.mark.parametrize("first", [False, True])
def test_affine_equals_onnxruntime(op_type: str, first: bool, tmp_path: Path) -> None:
    start = ModelBuilder((3, 6, 6), seed=4)
    if op_type == "BatchNormalization":
        start.batch_norm()
    else:
        start.per_channel(op_type, 0.5, 2.0, first=first)
    scaled = start.tensor
    model = start.conv(4).relu().model()
    op = load(save(model, tmp_path)).nodes[0].op
    frames = np.random.default_rng(5).standard_normal((2, 3, 6, 6)).astype(np.float32)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(scaled, TensorProto.FLOAT, ["N", 3, 6, 6]))
    assert isinstance(op, Pointwise if op_type == "Div" and first else Affine)
    np.testing.assert_allclose(run_op(op, frames), run_onnx(model, frames)[0], rtol=1e-6, atol=1e-6)


def test_input_shape_fills_what_the_file_leaves_open(tmp_path: Path) -> None:
    model = ModelBuilder((3, "H", "W")).conv(4).relu().model()
    place = save(model, tmp_path)
    graph = load(place, input_shape=(3, 10, 12))
    assert graph.input_shape == (3, 10, 12) and graph.nodes[0].out_shape == (4, 10, 12)
    with pytest.raises(UsageError, match="1,10,12"):
        load(place, input_shape=(1, 10, 12))


def test_several_outputs_are_kept_and_can_be_left_out(tmp_path: Path) -> None:
    start = ModelBuilder((3, 16, 16)).conv(4).relu()
    tensor = start.tensor
    model = start.conv(4).relu().flatten().model(tensor, "Flatten_4_out")
    graph = load(save(model, tmp_path))
    assert graph.output == tensor and len(graph.nodes) == 5 and not graph.left_out
    assert [value.name for value in onnx.load_from_string(graph.onnx_model).graph.output] == [tensor, "Flatten_4_out"]
    alone = without_outputs(graph, {"Flatten_4_out"})
    assert len(alone.nodes) == 2 and alone.left_out == ("Flatten_4_out",)
    frames = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    for got, wanted in zip(run_onnx(graph.onnx_model, frames), run_onnx(model, frames)):
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    np.testing.assert_allclose(run_onnx(alone.onnx_model, frames)[0], run_onnx(model, frames)[0], atol=1e-5)


def test_initializers_listed_as_inputs_are_weights(tmp_path: Path) -> None:
    model = small_cnn()
    model.ir_version = 3
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in model.graph.initializer
    )
    assert load(save(model, tmp_path)).input == "image"


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_float_types_become_float32(dtype: type, tmp_path: Path) -> None:
    model = small_cnn()
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for tensor in model.graph.initializer:
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.type.tensor_type.elem_type = kind
    graph = load(save(model, tmp_path))
    frames = np.random.default_rng(6).standard_normal((2, 3, 16, 16)).astype(np.float32)
    found, wanted = run_onnx(graph.onnx_model, frames)[0], run_onnx(small_cnn(), frames)[0]
    np.testing.assert_allclose(found, wanted, atol=2e-2 if dtype is np.float16 else 1e-5)


def test_external_data_beside_the_file(tmp_path: Path) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    inside = load(save(small_cnn(), tmp_path))
    outside = load(tmp_path / "m.onnx")
    np.testing.assert_array_equal(outside.nodes[0].op.weight, inside.nodes[0].op.weight)


def test_model_local_functions_are_inlined(tmp_path: Path) -> None:
    model = small_cnn()
    model.functions.append(
        helper.make_function(
            "local", "Activation", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
        )
    )
    model.opset_import.append(helper.make_opsetid("local", 1))
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = "Activation", "local"
    assert [type(node.op) for node in load(save(model, tmp_path)).nodes[:3]] == [Conv, Relu, MaxPool]


def test_batch_that_the_model_insists_on_stays(tmp_path: Path) -> None:
    """A constant added across the batch cannot be freed: the graph keeps the batch of 2."""
    start = ModelBuilder((3, 8, 8), batch=2).conv(4).relu()
    model = start.add("Add", start.weights(2, 4, 8, 8)).model()
    normalized = onnx.load_from_string(load(save(model, tmp_path)).onnx_model)
    assert normalized.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


def _unfit(graph: Graph) -> dict[str, str]:
    return {node.op_type: node.op.problem for node in graph.nodes if isinstance(node.op, HostOp)}


@pytest.mark.parametrize(
    "chain, op_type, words",
    [
        (lambda m: m.average_pool(4, 3, pads=[1] * 4, ceil_mode=1, count_include_pad=1), "AveragePool", "ceil_mode"),
        (lambda m: m.conv(4, 1, pads=[50] * 4).average_pool(65), "AveragePool", "averages 65x65 elements"),
        (lambda m: m.pool(2, 2, dilations=[2, 2]), "MaxPool", "dilated"),
        (lambda m: m.add("PRelu", m.weights(4, 16, 16)), "PRelu", "one a channel"),
        (lambda m: m.add("PRelu", "image_copy"), "PRelu", "computed"),
        (lambda m: m.add("Pow", m.weights(4, 1, 1)), "Pow", "one constant number"),
        (lambda m: m.add("Mul", m.weights(1, 4, 16, 16)), "Mul", "one a channel"),
        (lambda m: m.add("Add", "image_copy"), "Add", "computed tensors"),
        (
            lambda m: m.conv(4, 1, pads=[50] * 4).add("GlobalAveragePool"),
            "GlobalAveragePool",
            "averages 116x116 elements; the FPGA takes 4,096",
        ),
        (lambda m: m.add("ReduceMean", axes=[1, 2, 3]), "ReduceMean", "height and width alone"),
        (lambda m: m.add("ReduceMean", axes=[-1, -2], keepdims=0), "ReduceMean", "into a vector"),
        (lambda m: m.pad(1, 1, 1, 1, mode="edge"), "Pad", "mode edge"),
        (lambda m: m.pad(1, 1, -1, 1), "Pad", "negative"),
        (lambda m: m.add("Pad", m.constant(np.array([0, 1, 0, 0, 0, 0, 0, 0]))), "Pad", "channels"),
        (lambda m: m.add("Pad", m.constant(np.ones(8, np.int64)), m.constant(np.float32(2))), "Pad", "pads with 2"),
        (lambda m: m.clip(0, -1), "Clip", "no activation above 0"),
        (lambda m: m.add("Min", m.weights(4, 1, 1)), "Min", r"shape [4, 1, 1]"),
        (lambda m: m.add("Max", "image_copy"), "Max", "computed"),
    ],
)
def test_what_the_fpga_cannot_take_says_why(chain, op_type: str, words: str, tmp_path: Path) -> None:
    start = ModelBuilder((3, 16, 16), seed=1).conv(4)
    start.nodes.append(helper.make_node("Tanh", [start.tensor], ["image_copy"], name="copy"))
    graph = load(save(chain(start).relu().model(), tmp_path))
    assert words in _unfit(graph)[op_type]


@pytest.mark.parametrize("seed", range(12))
def test_averages_of_what_is_inside_the_frame(seed: int, tmp_path: Path) -> None:
    """Padded or rounded up, they are the float graph's own, with onnxruntime's values."""
    rng = np.random.default_rng(seed)
    kernel, (height, width) = rng.integers(1, 6, 2), rng.integers(6, 13, 2).tolist()
    padded = bool(rng.integers(2))
    model = ModelBuilder((3, height, width), seed=1).conv(4).relu()
    model.add(
        "AveragePool",
        kernel_shape=kernel.tolist(),
        strides=rng.integers(1, 5, 2).tolist(),
        pads=[int(rng.integers(0, extent)) if padded else 0 for extent in (*kernel, *kernel)],
        ceil_mode=int(rng.integers(2)),
        count_include_pad=0 if padded else int(rng.integers(2)),
    )
    frames = rng.normal(size=(2, 3, height, width)).astype(np.float32)
    graph = load(save(model.model(), tmp_path))
    assert not _unfit(graph)
    np.testing.assert_allclose(execute(graph, frames), run_onnx(model.model(), frames)[0], rtol=1e-4, atol=1e-5)


def test_even_ceil_mode_and_unbounded_clip_are_taken(tmp_path: Path) -> None:
    start = ModelBuilder((3, 16, 16)).conv(4)
    start.clip(0, None).pool(2, 2, ceil_mode=1).dropout().flatten()
    ops = [type(node.op) for node in load(save(start.model(), tmp_path)).nodes]
    assert ops[:3] == [Conv, Relu, MaxPool] and Identity not in ops[:3]


@pytest.mark.parametrize(
    "op_type, attributes, kind",
    [
        ("GlobalAveragePool", {}, AveragePool),
        ("GlobalMaxPool", {}, MaxPool),
        ("ReduceMean", {"axes": [2, 3]}, AveragePool),
        ("ReduceMean", {"axes": [-1, -2], "keepdims": 1}, AveragePool),
        ("ReduceMax", {"axes": [2, 3]}, MaxPool),
    ],
)
def test_pools_of_a_small_frame(op_type: str, attributes: dict, kind: type, tmp_path: Path) -> None:
    model = ModelBuilder((3, 8, 6)).conv(4).relu().add(op_type, **attributes).model()
    assert load(save(model, tmp_path)).nodes[2].op == kind((8, 6), (8, 6))


@pytest.mark.parametrize("opset", [7, 11, 17])
def test_pad_of_attributes_and_of_inputs(opset: int, tmp_path: Path) -> None:
    model = ModelBuilder((3, 8, 8), opset=opset).conv(4).relu().pad(1, 0, 2, 3).pool(3, 2).model()
    assert load(save(model, tmp_path)).nodes[2].op == ZeroPad((1, 0, 2, 3))


def test_pad_of_some_axes() -> None:
    chain = ModelBuilder((3, 8, 8), opset=18)
    chain.add("Pad", chain.constant(np.array([1, 2, 3, 4])), "", chain.constant(np.array([-1, 2])))
    (node,) = read_nodes(chain.model())
    assert node.op == ZeroPad((2, 1, 4, 3))


@pytest.mark.parametrize("opset", [7, 11, 17])
@pytest.mark.parametrize("low, high", [(0, 6), (0, None), (None, 6), (0, 3.4028235e38), (-3.4028235e38, 2.5)])
def test_clip_in_every_form(opset: int, low: float | None, high: float | None, tmp_path: Path) -> None:
    model = ModelBuilder((3, 8, 8), opset=opset).conv(4).clip(low, high).model()
    op = load(save(model, tmp_path)).nodes[1].op
    bound = np.inf if high is None or high > 1e38 else high
    assert op == (Relu(bound) if low == 0 else Minimum(bound))


@pytest.mark.parametrize("rank", [1, 3])
def test_convolutions_of_other_dimensions_are_host_operators(rank: int, tmp_path: Path) -> None:
    start = ModelBuilder((3, 8, 8)).conv(4).relu()
    start.reshape(0, 4, 64) if rank == 1 else start.reshape(0, 4, 4, 4, 4)
    start.add("Conv", start.weights(2, 4, *[3] * rank))
    assert f"{rank}-dimensional" in _unfit(load(save(start.model(), tmp_path)))["Conv"]


def test_computed_weights_are_a_problem(tmp_path: Path) -> None:
    start = ModelBuilder((3, 8, 8), batch=1).conv(4).relu().add("GlobalAveragePool").reshape(1, 4, 1, 1)
    weight, start.tensor = start.tensor, "Relu_1_out"
    graph = load(save(start.add("Conv", weight).model(), tmp_path))
    assert "computed" in _unfit(graph)["Conv"]


@pytest.mark.parametrize("name", ["non-maximum suppression", "rows that vary", "scalar", "mean over the batch"])
def test_outputs_that_do_not_count_frames_are_normalized_too(name: str, tmp_path: Path) -> None:
    """Constants are folded in front of them as in front of others."""
    model = head_model(name)
    model.graph.node[0].input[1] = "twice"
    factor = onnx.numpy_helper.from_array(np.array(2, np.float32), "two")
    model.graph.initializer.append(factor)
    scale = onnx.helper.make_node("BatchNormalization", ["c", "ones", "zeros", "zeros", "ones"], ["n"], name="bn")
    for constant in ("ones", "zeros"):
        values = np.full(3, constant == "ones", np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, constant))
    model.graph.node[1].input[0] = "n"
    nodes = [onnx.helper.make_node("Mul", ["w", "two"], ["twice"]), model.graph.node[0], scale, *model.graph.node[1:]]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    found = onnx.load_from_string(load(save(model, tmp_path)).onnx_model)
    assert not {"BatchNormalization", "Mul"} & {node.op_type for node in found.graph.node}
    for frame in (clear_frames()[:3] / 600).astype(np.float32):
        np.testing.assert_allclose(run_onnx(found, frame[None])[0], run_onnx(model, frame[None])[0], atol=1e-4)
