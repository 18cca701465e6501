"""Models of signals, (batch, channels, length), as frames of one row: the graph computes what onnxruntime does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.frontend.one_dimensional import take_one_dimensional
from lognet_fpga.ir.execute import execute
from lognet_fpga.partition import partition
from tests.models import run_onnx, save

CHANNELS, LENGTH = 3, 32


class Signal:
    """A chain of nodes on (batch, channels, length)."""

    def __init__(self, opset: int = 17, shape: tuple = (CHANNELS, LENGTH), seed: int = 0) -> None:
        self.rng, self.opset = np.random.default_rng(seed), opset
        self.nodes, self.tensors, self.tensor, self.channels = [], [], "x", CHANNELS
        self.shape = shape

    def constant(self, value) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *extra: str, **attributes) -> Signal:
        out = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.tensor, *extra], [out], name=out, **attributes))
        self.tensor = out
        return self

    def random(self, *shape: int) -> str:
        return self.constant((self.rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5).astype(np.float32))

    def conv(self, out: int, kernel: int = 3, groups: int = 1, **attributes) -> Signal:
        weight, bias = self.random(out, self.channels // groups, kernel), self.random(out)
        self.channels = out
        return self.add("Conv", weight, bias, group=groups, **attributes)

    def batch_norm(self) -> Signal:
        values = [self.rng.uniform(0.5, 1.5, self.channels).astype(np.float32) for _ in range(4)]
        return self.add("BatchNormalization", *map(self.constant, values))

    def axes(self, kind: str, axes: list[int], **attributes) -> Signal:
        old = self.opset < (18 if kind.startswith("Reduce") else 13)
        if old:
            return self.add(kind, axes=axes, **attributes)
        return self.add(kind, self.constant(np.array(axes, np.int64)), **attributes)

    def head(self, size: int) -> Signal:
        return self.add("Gemm", self.random(5, size), self.random(5), transB=1)

    def model(self) -> onnx.ModelProto:
        out = helper.make_tensor_value_info(self.tensor, TensorProto.FLOAT, None)
        out.type.tensor_type.ClearField("shape")
        frame = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shape])
        graph = helper.make_graph(self.nodes, "signal", [frame], [out], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def plain(s: Signal) -> Signal:
    s.conv(8, 5, strides=[2], pads=[2, 2]).batch_norm().add("Relu").add("MaxPool", kernel_shape=[2], strides=[2])
    s.conv(8, 3, 2, dilations=[2], pads=[2, 1]).add("Relu").add("AveragePool", kernel_shape=[2], strides=[2])
    return s.conv(6, 3, auto_pad="SAME_UPPER").add("Relu").add("GlobalAveragePool").add("Flatten").head(6)


def residual(s: Signal) -> Signal:
    start = s.conv(8, 3, pads=[1, 1]).add("Relu").tensor
    s.conv(8, 3, pads=[1, 1]).batch_norm().add("Add", start).add("Relu")
    return s.axes("ReduceMean", [-1], keepdims=0).head(8)


def dense(s: Signal) -> Signal:
    start = s.conv(4, 3, pads=[1, 1]).add("Relu").tensor
    s.conv(4, 3, pads=[1, 1]).add("Relu").add("Concat", start, axis=1)
    s.channels = 8
    scale = s.constant(s.rng.uniform(0.5, 1.5, (4, 1)).astype(np.float32))
    s.conv(4, 1).add("Mul", scale).add("Relu").axes("ReduceMean", [2], keepdims=1)
    return s.axes("Squeeze", [2]).head(4)


def padded(s: Signal) -> Signal:
    pads = [0, 0, 2, 0, 0, 1]
    s.add("Pad", pads=pads) if s.opset < 11 else s.add("Pad", s.constant(np.array(pads, np.int64)))
    s.conv(4, 4).add("Relu")
    return s.add("Reshape", s.constant(np.array([-1, 4 * (LENGTH + 3 - 3)], np.int64))).head(4 * LENGTH)


def keras(s: Signal) -> Signal:
    """As tf2onnx writes Conv1D: four axes for every convolution alone, and the signal's length last but one."""
    s.shape = (LENGTH, CHANNELS)
    s.add("Transpose", perm=[0, 2, 1])
    for out in (6, 4):
        s.axes("Unsqueeze", [2])
        weight = s.random(out, s.channels, 1, 3)
        s.channels = out
        s.add("Conv", weight, s.random(out), pads=[0, 1, 0, 1]).axes("Squeeze", [2]).add("Relu")
    return s.axes("ReduceMean", [2], keepdims=0).head(4)


FORMS: dict[str, Callable[[Signal], Signal]] = {form.__name__: form for form in (plain, residual, dense, padded, keras)}


@pytest.mark.parametrize("opset", [9, 13, 17, 18])
@pytest.mark.parametrize("name", FORMS)
def test_the_graph_is_the_file_and_goes_whole(tmp_path, name, opset):
    signal = FORMS[name](Signal(opset))
    model = signal.model()
    place = save(model, tmp_path)
    graph = load(place)
    assert graph.input_shape == (CHANNELS, 1, LENGTH)
    signals = np.random.default_rng(1).standard_normal((4, CHANNELS, LENGTH)).astype(np.float32)
    given = signals.transpose(0, 2, 1) if signal.shape[0] == LENGTH else signals
    wanted = run_onnx(model, np.ascontiguousarray(given))[0]
    found = execute(graph, signals[:, :, None], host_evaluator(graph))
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-4 * np.abs(wanted).max())
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    parts = partition(graph, convolutions)
    assert len(parts.layers) == convolutions
    assert all(layer.in_shape[1] == 1 for layer in parts.layers)


def test_what_has_no_row_stays_three_dimensional():
    """A Transpose between two convolutions mixes channels and length: the host's."""
    model = Signal().conv(4, 3).add("Relu").add("Transpose", perm=[0, 2, 1]).model()
    before = run_onnx(model, np.ones((1, CHANNELS, LENGTH), np.float32))[0]
    take_one_dimensional(model)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "Squeeze", "Transpose"]
    np.testing.assert_array_equal(run_onnx(model, np.ones((1, CHANNELS, 1, LENGTH), np.float32))[0], before)
