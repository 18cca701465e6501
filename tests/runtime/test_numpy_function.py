"""The host's part in NumPy: against onnx's own node tests, and against onnxruntime on whole models."""

from __future__ import annotations

import functools
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from lognet_fpga.bundle import make_bundle  # noqa: E402
from lognet_fpga.errors import BundleError, MissingToolError  # noqa: E402
from lognet_fpga.runtime.numpy_function import NumpyFunction, unknown_operators  # noqa: E402
from lognet_fpga.runtime.numpy_operators import OPERATORS  # noqa: E402
from lognet_fpga.runtime.onnx_file import DTYPES, read_onnx  # noqa: E402
from lognet_fpga.runtime.session import Session  # noqa: E402
from tests import small_bundle  # noqa: E402

# Not those in half precision: hosts' parts are in single precision, whatever the model is in.
FIXTURES = [
    path
    for path in sorted((Path(__file__).parents[1] / "exporters" / "fixtures").glob("*.onnx"))
    if "half" not in path.stem
]
TOLERANCE = 1e-5
# onnx's cases that are not computed, by a part of the name, and why
LEFT_OUT = {
    "empty_set": "the greatest of nothing",
    "averagepool_2d_ceil_last_window_starts_on_pad": "its result is given with four digits",
    "training": "another output than the first, or training",
    "select_last_index": "the last of equal values (select_last_index)",
    "string": "text",
    "optional": "no tensor",
    "sequence": "no tensor",
    "FLOAT8": "element types of eight and four bits",
    "FLOAT4": "element types of eight and four bits",
    "INT4": "element types of eight and four bits",
    "INT2": "element types of eight and four bits",
    "BFLOAT16": "element types of eight and four bits",
    "bfloat16": "element types of eight and four bits",
}


@functools.cache
def node_cases() -> dict[str, object]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some cases divide by zero on purpose
        every = load_model_tests(kind="node")
    return {
        case.name.removeprefix("test_"): case
        for case in every
        if len(case.model.graph.node) == 1
        and case.model.graph.node[0].op_type in OPERATORS
        and case.model.graph.node[0].domain == ""
    }


def test_onnx_s_own_node_tests():
    computed, refused, wrong = set(), [], []
    for name, case in node_cases().items():
        if any(part in name for part in LEFT_OUT):
            continue
        inputs, outputs = case.data_sets[0]
        if not all(isinstance(value, (np.ndarray, np.generic)) for value in (*inputs, *outputs)):
            continue  # element types that NumPy does not have
        model = onnx.ModelProto.FromString(case.model.SerializeToString())
        used = [info.name for info in model.graph.input]
        for title, value in list(zip(used, inputs))[1:]:
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), title))
        if not inputs:
            model.graph.input.append(onnx.helper.make_tensor_value_info("unused", onnx.TensorProto.FLOAT, [1]))
        content = model.SerializeToString()
        if unknown_operators(content):
            refused.append(name)
            continue
        try:
            got = NumpyFunction(content, name)(np.asarray(inputs[0]) if inputs else np.zeros(1, np.float32))
        except BundleError as error:
            wrong.append(f"{name}: {error.message}")
            continue
        wanted = np.asarray(outputs[0])
        scale = max(1.0, float(np.abs(np.nan_to_num(wanted.astype(np.float64))).max(initial=0.0)))
        if got.dtype != wanted.dtype or got.shape != wanted.shape:
            wrong.append(f"{name}: {got.dtype} {got.shape}, not {wanted.dtype} {wanted.shape}")
        elif not np.allclose(got, wanted, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            if wanted.dtype != np.float16:  # half an ulp of a float16 is more
                wrong.append(f"{name}: off by {np.abs(got.astype(float) - wanted).max():g}")
        computed.add(case.model.graph.node[0].op_type)
    assert not wrong, "\n".join(wrong)
    # onnx's cases of these have tensors of odd types, or outputs that are not computed; see the next test.
    assert set(OPERATORS) - computed <= {"Cast", "CastLike", "LayerNormalization"}
    assert all(name.startswith(("dropout", "layer_normalization", "maxpool_with")) for name in refused), refused


@pytest.mark.parametrize(
    "op_type, attributes, more",
    [
        ("Cast", {"to": 7}, ()),
        ("CastLike", {}, (np.zeros(1, np.int32),)),
        ("LayerNormalization", {"axis": 2}, (np.float32([1, 2, 3, 4]), np.float32([1, 0, 0, -1]))),
        ("LayerNormalization", {"axis": -2, "epsilon": 0.1}, (np.full((3, 4), 2, np.float32),)),
        ("LRN", {"size": 3, "alpha": 0.3, "beta": 0.5, "bias": 2.0}, ()),
    ],
)
def test_single_operators_equal_onnxruntime(op_type, attributes, more):
    onnxruntime = pytest.importorskip("onnxruntime")
    helper = onnx.helper
    names = [f"c{i}" for i in range(len(more))]
    node = helper.make_node(op_type, ["x", *names], ["y"], **attributes)
    kind = {"Cast": 7, "CastLike": 6}.get(op_type, 1)
    shape = [2, 5, 3, 4] if op_type == "LRN" else [2, 3, 4]
    infos = [helper.make_tensor_value_info("x", 1, shape), helper.make_tensor_value_info("y", kind, None)]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in zip(names, more)]
    graph = helper.make_graph([node], "g", infos[:1], infos[1:], constants)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    x = np.random.default_rng(1).normal(0, 3, shape).astype(np.float32)
    (wanted,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    got = NumpyFunction(content, op_type)(x)
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * float(np.abs(wanted).max()))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_whole_models_equal_onnxruntime(path):
    """Models as exporters write them, of opsets 7 to 24, on random frames."""
    onnxruntime = pytest.importorskip("onnxruntime")
    content = path.read_bytes()
    unknown = unknown_operators(content)
    if unknown:
        assert path.stem in ("dynamo_resize", "script_resize"), unknown
        return
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 16 if axis else 2 for axis, size in enumerate(source.shape)]
    dtype = np.dtype({"tensor(float)": "float32", "tensor(uint8)": "uint8"}[source.type])
    frames = np.random.default_rng(len(path.stem)).uniform(0, 255 if dtype == np.uint8 else 1, shape).astype(dtype)
    wanted = session.run(None, {source.name: frames})[-1]
    got = NumpyFunction(content, path.stem)(frames)
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * float(np.abs(wanted).max()))


@pytest.mark.parametrize("path", FIXTURES[::5], ids=lambda path: path.stem)
def test_files_are_read_as_onnx_reads_them(path):
    content = path.read_bytes()
    graph, wanted = read_onnx(content), onnx.ModelProto.FromString(content).graph
    assert [(node.op_type, list(node.inputs), list(node.outputs)) for node in graph.nodes] == [
        (node.op_type, list(node.input), list(node.output)) for node in wanted.node
    ]
    assert graph.output == wanted.output[-1].name
    for tensor in wanted.initializer:
        expected = onnx.numpy_helper.to_array(tensor)
        assert graph.constants[tensor.name].dtype == expected.dtype
        np.testing.assert_array_equal(graph.constants[tensor.name], expected)
    for node, other in zip(graph.nodes, wanted.node):
        for attribute in other.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, onnx.TensorProto):
                np.testing.assert_array_equal(node.attributes[attribute.name], onnx.numpy_helper.to_array(value))
            elif attribute.type in (1, 2, 3, 6, 7):
                assert node.attributes[attribute.name] == pytest.approx(value) if attribute.type != 3 else True


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES.values()], ids=str)
def test_constants_of_every_type_packed_and_raw(dtype):
    values = np.array([[0, 1, 2], [3, 5, 9]]).astype(dtype)
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    for raw in (False, True):
        data = values.tobytes() if raw else values.ravel().tolist()
        tensor = onnx.helper.make_tensor("c", kind, values.shape, data, raw=raw)
        node = onnx.helper.make_node("Identity", ["c"], ["y"])
        infos = [onnx.helper.make_tensor_value_info(name, kind, None) for name in "xy"]
        graph = onnx.helper.make_graph([node], "g", infos[:1], infos[1:], [tensor])
        found = read_onnx(onnx.helper.make_model(graph).SerializeToString()).constants["c"]
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, values)


def test_the_session_takes_it_where_onnxruntime_is_missing(monkeypatch):
    bundle = make_bundle(small_bundle.files(), small_bundle.manifest())
    activations = small_bundle.quant_graph().run(small_bundle.frames(5)).transpose(0, 2, 3, 1)
    with_runtime = Session(bundle, None).tail(activations)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    session = Session(bundle, None)
    assert session.tail_runs_in == "NumPy"
    got = session.tail(activations)
    np.testing.assert_allclose(got, with_runtime, rtol=0, atol=TOLERANCE * np.abs(with_runtime).max())


def test_unknown_operators_are_named():
    nodes = [
        onnx.helper.make_node("Relu", ["x"], ["a"], name="fine"),
        onnx.helper.make_node("NonZero", ["a"], ["b"], name="odd"),
        onnx.helper.make_node("Relu", ["b"], ["y"], name="own", domain="mine"),
    ]
    infos = [onnx.helper.make_tensor_value_info(name, 1, None) for name in "xy"]
    content = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", infos[:1], infos[1:])).SerializeToString()
    assert unknown_operators(content) == ("odd (NonZero)", "own (Relu)")
    with pytest.raises(MissingToolError, match="2 nodes that only onnxruntime") as caught:
        NumpyFunction(content, "tail.onnx")
    assert "odd (NonZero)" in str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 10, 0.5, 0.99])
def test_damaged_files_are_refused(cut):
    content = FIXTURES[0].read_bytes()
    part = content[: int(len(content) * cut) if isinstance(cut, float) else cut]
    with pytest.raises(BundleError, match="not an ONNX graph"):
        read_onnx(part)


def test_a_number_where_a_name_belongs_is_refused():
    """As many zeros as the number says would be more than fits into memory."""
    graph = b"\x08" + b"\xff" * 8 + b"\x7f"  # field 1, a node, as a number
    with pytest.raises(BundleError, match="not an ONNX graph"):
        read_onnx(b"\x3a" + bytes([len(graph)]) + graph)
    node = b"\x08\x80\x80\x80\x80\x80\x80\x01"  # field 1, an input's name, as the number 2**42
    part = b"\x0a" + bytes([len(node)]) + node
    with pytest.raises(BundleError, match="not an ONNX graph"):
        read_onnx(b"\x3a" + bytes([len(part)]) + part)


def test_an_attribute_of_another_type_is_refused():
    node = onnx.helper.make_node("Flatten", ["x"], ["y"], name="flat", axis=1.5)
    infos = [onnx.helper.make_tensor_value_info(name, 1, None) for name in "xy"]
    content = onnx.helper.make_model(onnx.helper.make_graph([node], "g", infos[:1], infos[1:])).SerializeToString()
    with pytest.raises(BundleError, match=r"flat \(Flatten\): attribute axis is no int"):
        NumpyFunction(content, "tail.onnx")(np.zeros((1, 2, 2), np.float32))


def test_a_run_that_fails_says_where():
    tail = NumpyFunction(small_bundle.tail_onnx(), "tail.onnx")
    with pytest.raises(BundleError, match=r"tail.onnx of the bundle fails on uint8 .* \(MatMul\)"):
        tail(np.zeros((1, 2, 2, 3), np.uint8))


def random_window_node(rng: np.random.Generator) -> tuple[object, tuple[int, ...], np.ndarray | None]:
    """A convolution or a pool of one to three dimensions, the shape of its input, and its weights."""
    dims = int(rng.integers(1, 4))
    sizes = rng.integers(6, 10, dims).tolist()
    kernel, strides = rng.integers(1, 4, dims).tolist(), rng.integers(1, 4, dims).tolist()
    attributes: dict[str, object] = {"kernel_shape": kernel, "strides": strides}
    padded = rng.random()
    if padded < 0.5:
        attributes["pads"] = [int(rng.integers(0, (size + 1) // 2)) for size in kernel * 2]
    elif padded < 0.7:
        attributes["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        # onnxruntime computes negative paddings for pools whose windows do not touch.
        attributes["strides"] = np.minimum(strides, kernel).tolist()
    op_type = str(rng.choice(["Conv", "MaxPool", "AveragePool"]))
    if op_type != "Conv":
        channels = int(rng.integers(1, 6))
        attributes["ceil_mode"] = int(rng.integers(0, 2))
        if op_type == "AveragePool":
            attributes["count_include_pad"] = int(rng.integers(0, 2))
        return onnx.helper.make_node(op_type, ["x"], ["y"], **attributes), (channels, *sizes), None
    groups, each, filters = (int(n) for n in rng.integers(1, 4, 3))
    if "auto_pad" not in attributes:
        attributes["dilations"] = rng.integers(1, 3, dims).tolist()
    weight = rng.normal(size=(groups * filters, each, *kernel)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], group=groups, **attributes)
    return node, (groups * each, *sizes), weight


@pytest.mark.parametrize("seed", range(60))
def test_windows_of_every_kind_equal_onnxruntime_s(seed):
    """Groups and depthwise, any dimensions, strides, dilations and paddings."""
    print(f"seed {seed}")
    onnxruntime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(seed)
    node, shape, weight = random_window_node(rng)
    infos = [onnx.helper.make_tensor_value_info(name, 1, size) for name, size in (("x", ["n", *shape]), ("y", None))]
    constants = [] if weight is None else [onnx.numpy_helper.from_array(weight, "w")]
    graph = onnx.helper.make_graph([node], "g", infos[:1], infos[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()
    frames = rng.normal(size=(2, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": frames})[0]
    found = NumpyFunction(content, "tail.onnx")(frames)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
