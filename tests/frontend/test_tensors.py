"""The constants of a file: of unknown types, in other files, computed from others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.errors import ModelError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.fold import fold_constants
from lognet_fpga.ir.execute import execute
from lognet_fpga.ir.graph import Conv
from lognet_fpga.partition.reach import reach
from tests.models import ModelBuilder, run_onnx, save, small_cnn


@pytest.mark.parametrize("kind", [0, 99, 1_000_000, -1])
@pytest.mark.parametrize("where", ["initializer", "constant", "input", "value"])
def test_types_that_onnx_does_not_know(kind: int, where: str, tmp_path: Path) -> None:
    model = small_cnn()
    if where == "initializer":
        model.graph.initializer[1].data_type, name = kind, model.graph.initializer[1].name
    elif where == "constant":
        tensor = numpy_helper.from_array(np.zeros(3, np.float32))
        tensor.data_type, name = kind, "aside"
        model.graph.node.insert(0, helper.make_node("Constant", [], ["aside"], value=tensor))
    elif where == "input":
        model.graph.input[0].type.tensor_type.elem_type, name = kind, "image"
    else:
        model.graph.value_info[0].type.tensor_type.elem_type, name = kind, model.graph.value_info[0].name
        if kind == 0:
            return  # open: it is inferred
    with pytest.raises(ModelError, match=f"{name} .type {kind}.") as caught:
        load(save(model, tmp_path))
    assert caught.value.exit_code == 3 and "\n" not in caught.value.message


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A model as a hub's cache has it: the file and its weights are links into a store of blobs."""
    onnx.save(small_cnn(), tmp_path / "m.onnx", save_as_external_data=True, location="m.onnx_data", size_threshold=0)
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "4f1c"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for name, blob in (("m.onnx", "aa11"), ("m.onnx_data", "bb22")):
        (tmp_path / name).rename(blobs / blob)
        (snapshot / name).symlink_to(Path("..") / ".." / "blobs" / blob)
    return snapshot / "m.onnx"


def test_weights_through_links(hub: Path, tmp_path: Path) -> None:
    plain = load(save(small_cnn(), tmp_path, "plain.onnx"))
    for place in (hub, tmp_path / "mine.onnx"):
        if place != hub:
            place.symlink_to(hub)  # a link to a link: the weights lie beside what it leads to
        graph = load(place)
        for ours, theirs in zip(graph.nodes, plain.nodes):
            if isinstance(ours.op, Conv):
                np.testing.assert_array_equal(ours.op.weight, theirs.op.weight)


def test_weights_in_a_blob_that_is_gone(hub: Path) -> None:
    (hub.parents[2] / "blobs" / "bb22").unlink()
    with pytest.raises(ModelError, match="another file that is missing: m.onnx_data"):
        load(hub)


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("location", "../m.data", "outside of its folder"),
        ("location", "/etc/passwd", "outside of its folder"),
        ("location", "", "outside of its folder"),
        ("offset", "-4", "bytes at -4"),
        ("offset", "9999999999", "too early"),
        ("offset", "four", "cannot be read"),
        ("length", "3", "3 bytes at"),
        ("length", "99999999", "99,999,999 bytes at"),
    ],
)
def test_places_that_cannot_be(key: str, value: str, says: str, tmp_path: Path) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    model = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    entries = {entry.key: entry for entry in model.graph.initializer[2].external_data}
    entries[key].value = value
    with pytest.raises(ModelError, match=says):
        load(save(model, tmp_path, "m.onnx"))


def behind(op_type: str, codes: np.ndarray) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Nodes that make tensor "w" of codes, (4, 3, 3, 3) int8, by operators on constants; and these."""
    node = helper.make_node
    if op_type == "DequantizeLinear":
        parts = {"q": codes, "scale": np.float32(0.02), "zero": np.int8(3)}
        return [node("DequantizeLinear", list(parts), ["w"], name="dequant")], parts
    if op_type == "DequantizeLinear, a scale a channel":
        parts = {"q": codes, "scale": np.float32([0.01, 0.02, 0.03, 0.04]), "zero": np.int8([1, 0, -1, 2])}
        return [node("DequantizeLinear", list(parts), ["w"], name="dequant", axis=0)], parts
    if op_type == "Cast and Mul":
        parts = {"q": codes, "scale": np.float32(0.02)}
        return [node("Cast", ["q"], ["f"], name="cast", to=1), node("Mul", ["f", "scale"], ["w"], name="mul")], parts
    if op_type == "Transpose and Reshape":
        parts = {"q": (codes.transpose(2, 3, 1, 0) * np.float32(0.02)).reshape(9, 12), "s": np.array([3, 3, 3, 4])}
        nodes = [
            node("Reshape", ["q", "s"], ["r"], name="r"),
            node("Transpose", ["r"], ["w"], name="t", perm=[3, 2, 0, 1]),
        ]
        return nodes, parts
    if op_type == "fake quantization":
        parts = {"f": codes * np.float32(0.013), "scale": np.float32(0.02), "zero": np.int8(0)}
        nodes = [
            node("QuantizeLinear", ["f", "scale", "zero"], ["q"], name="quant"),
            node("DequantizeLinear", ["q", "scale", "zero"], ["w"], name="dequant"),
        ]
        return nodes, parts
    parts = {"half": codes.astype(np.float32), "other": np.float32(0.5), "power": np.float32(2)}
    nodes = [
        node("Div", ["half", "other"], ["d"], name="d"),
        node("ReduceL2", ["half"], ["n"], name="n", axes=[1, 2, 3], keepdims=1),
        node("Div", ["d", "n"], ["w"], name="norm"),
    ]
    return nodes, {name: parts[name] for name in ("half", "other")}


WAYS = (
    "DequantizeLinear",
    "DequantizeLinear, a scale a channel",
    "Cast and Mul",
    "Transpose and Reshape",
    "fake quantization",
    "weight normalization",
)


@pytest.mark.parametrize("opset", [13, 17, 21])
@pytest.mark.parametrize("op_type", WAYS)
def test_weights_that_are_computed_from_constants(op_type: str, opset: int, tmp_path: Path) -> None:
    if op_type == "weight normalization" and opset > 17:
        return  # the axes became an input
    codes = np.random.default_rng(4).integers(-100, 100, (4, 3, 3, 3)).astype(np.int8)
    nodes, parts = behind(op_type, codes)
    net = ModelBuilder((3, 8, 8), opset=opset)
    net.nodes += nodes
    net.tensors += [numpy_helper.from_array(np.asarray(value), name) for name, value in parts.items()]
    net.add("Conv", "w", pads=[1] * 4).relu()
    model = net.model()
    graph = load(save(model, tmp_path))
    assert isinstance(graph.nodes[0].op, Conv) and reach(graph).counts == (1,)
    frames = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    wanted = run_onnx(model, frames)[0]
    np.testing.assert_allclose(execute(graph, frames), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_random_and_huge_constants_are_left_alone(tmp_path: Path) -> None:
    net = ModelBuilder((3, 8, 8)).conv(4).relu()
    net.nodes.append(helper.make_node("RandomNormal", [], ["noise"], name="noise", shape=[4, 1, 1], seed=1.0))
    size = net.constant(np.array([20_000, 20_000], np.int64))
    net.nodes.append(helper.make_node("Expand", [net.constant(np.float32(1)), size], ["huge"], name="huge"))
    net.nodes.append(helper.make_node("ReduceMax", ["huge"], ["one"], name="one", keepdims=0))
    net.nodes.append(helper.make_node("Neg", [net.constant(np.float32(2))], ["small"], name="small"))
    folded = net.add("Mul", "one").add("Mul", "noise").add("Mul", "small").model()
    fold_constants(folded)
    left = [node.op_type for node in folded.graph.node]
    assert left == ["Conv", "Relu", "RandomNormal", "Expand", "ReduceMax", "Mul", "Mul", "Mul"]
    (small,) = [tensor for tensor in folded.graph.initializer if tensor.name == "small"]
    assert numpy_helper.to_array(small) == -2


def test_a_constant_that_is_the_output_of_nothing_else(tmp_path: Path) -> None:
    """Computed constants nobody reads go; the model's output may not be one."""
    net = ModelBuilder((3, 8, 8)).conv(4).relu()
    net.nodes.append(helper.make_node("Neg", [net.constant(np.float32([1, 2]))], ["unread"], name="unread"))
    graph = load(save(net.model(), tmp_path))
    assert [node.op_type for node in graph.nodes] == ["Conv", "Relu"]
    model = net.model("unread")
    with pytest.raises(ModelError, match="depends on no input"):
        load(save(model, tmp_path))


def test_weights_of_a_type_of_other_sizes_in_other_files(tmp_path: Path) -> None:
    net = ModelBuilder((3, 8, 8))
    codes = net.constant(np.random.default_rng(0).integers(-9, 9, (4, 3, 3, 3)).astype(np.int8))
    scale, zero = net.constant(np.float32(0.1)), net.constant(np.int8(0))
    net.nodes.append(helper.make_node("DequantizeLinear", [codes, scale, zero], ["w"], name="dequant"))
    model = net.add("Conv", "w").relu().model()
    frames = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    wanted = run_onnx(model, frames)[0]
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    np.testing.assert_allclose(execute(load(tmp_path / "m.onnx"), frames), wanted, rtol=0, atol=1e-4)
    assert TensorProto.DataType.Name(model.graph.initializer[0].data_type) == "INT8"
