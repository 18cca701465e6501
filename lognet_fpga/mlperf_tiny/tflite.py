"""TensorFlow Lite's float models as ONNX, as far as MLPerf Tiny's reference models go: these come as .tflite.

Frames stay (batch, height, width, channels) at the input; inside, four axes are (batch, channels, height, width).
Weights that are kept in fewer bits behind a scale become the floats that they stand for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.errors import ModelError, UnsupportedModelError
from lognet_fpga.mlperf_tiny.flatbuffer import Table

_IDENTIFIER = b"TFL3"
_OPSET = 17
# Numbers of the schema (tensorflow/compiler/mlir/lite/schema/schema.fbs).
_TYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 9: "i1"}
_FLOAT = 0
_OPERATORS = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    9: "FULLY_CONNECTED",
    17: "MAX_POOL_2D",
    19: "RELU",
    22: "RESHAPE",
    25: "SOFTMAX",
}
_PLACEHOLDER = 127  # of the old field for an operator's number, where the number is in the new one
_ACTIVATIONS = {0: (), 1: ("Relu",), 3: ("Relu6",)}
_PADDINGS = ("SAME_UPPER", "VALID")
_NHWC, _NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass(frozen=True, eq=False)
class _Tensor:
    """value: of a constant, float where it stands for floats; None of what is computed."""

    name: str
    shape: tuple[int, ...]
    kind: int
    value: np.ndarray | None


def to_onnx(data: bytes, name: str = "model") -> onnx.ModelProto:
    """The float model in a .tflite file's content, with an open batch.

    Raises ModelError for what is no whole .tflite, UnsupportedModelError for one that computes with integers or has
    operators that no float reference model of MLPerf Tiny has.
    """
    if data[4:8] != _IDENTIFIER:
        raise ModelError(f"{name} is no TensorFlow Lite model", hint="fetch the file again")
    try:
        return _Converter(Table.root(data), name).model()
    except (struct.error, IndexError, ValueError) as error:
        raise ModelError(
            f"{name} is damaged: {' '.join(str(error).split())[:100]}", hint="fetch the file again"
        ) from error


@dataclass(eq=False)
class _Converter:
    file: Table
    name: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def model(self) -> onnx.ModelProto:
        buffers = [buffer.array(0, "u1") for buffer in self.file.tables(4)]
        graph = self.file.tables(2)[0]
        self.tensors = [_tensor(number, table, buffers) for number, table in enumerate(graph.tables(0))]
        kinds = [self._kind(code) for code in self.file.tables(1)]
        (source,), (result,) = graph.array(1, "<i4").tolist(), graph.array(2, "<i4").tolist()
        for number in (source, result):
            if self.tensors[number].kind != _FLOAT:
                raise UnsupportedModelError(
                    f"{self.name} computes with integers", hint="take the float reference model"
                )
        names = {source: self._input(source)}  # ONNX's, of what is computed
        for operator in graph.tables(3):
            kind = kinds[operator.scalar(0, "I", 0)]
            inputs, (output,) = operator.array(1, "<i4").tolist(), operator.array(2, "<i4").tolist()
            names[output] = self._operator(kind, operator.table(4), inputs, output, names)
        end = self._channels_last(names[result], self.tensors[result])
        frame, out = self.tensors[source], self.tensors[result]
        return helper.make_model(
            helper.make_graph(
                self.nodes,
                self.name,
                [helper.make_tensor_value_info(frame.name, TensorProto.FLOAT, ["batch", *frame.shape[1:]])],
                [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", *out.shape[1:]])],
                self.constants,
            ),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=8,
            producer_name="lognet-fpga",
        )

    def _kind(self, code: Table) -> str:
        old, new = code.scalar(0, "b", 0), code.scalar(3, "i", 0)
        number = max(old, new) if old != _PLACEHOLDER else new
        if number not in _OPERATORS:
            raise UnsupportedModelError(
                f"{self.name} has operator {number} of TensorFlow Lite, which is not read here",
                hint="convert it to ONNX with tf2onnx",
            )
        return _OPERATORS[number]

    def _input(self, number: int) -> str:
        tensor = self.tensors[number]
        return self._add("Transpose", [tensor.name], perm=_NCHW) if len(tensor.shape) == 4 else tensor.name

    def _operator(self, kind: str, options: Table | None, inputs: list[int], output: int, names: dict[int, str]) -> str:
        """The nodes of an operator; the name of what they give."""
        first, out = self.tensors[inputs[0]], self.tensors[output]
        if kind == "DEQUANTIZE":
            if first.value is None:
                raise UnsupportedModelError(
                    f"{self.name} computes with integers", hint="take the float reference model"
                )
            self.tensors[output] = _Tensor(out.name, out.shape, _FLOAT, first.value)
            return out.name
        data = names[inputs[0]]
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            made, activation = self._convolution(kind, options, inputs, data)
        elif kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            made, activation = self._pool(kind, options, data)
        elif kind == "FULLY_CONNECTED":
            made, activation = self._dense(inputs, data, first), _scalar(options, 0)
        elif kind == "ADD":
            made, activation = self._add("Add", [names[number] for number in inputs]), _scalar(options, 0)
        elif kind == "RESHAPE":
            made, activation = self._reshape(self._channels_last(data, first), out), 0
        elif kind == "SOFTMAX":
            made, activation = self._add("Softmax", [data], axis=-1), 0
        else:
            made, activation = self._add("Relu", [data]), 0
        if activation not in _ACTIVATIONS:
            raise UnsupportedModelError(f"{self.name} has activation {activation} of TensorFlow Lite, not read here")
        for kind in _ACTIVATIONS[activation]:
            made = self._add("Relu", [made])
            if kind == "Relu6":
                made = self._add("Min", [made, self._constant(np.array(6, np.float32))])
        return made

    def _convolution(self, kind: str, options: Table | None, inputs: list[int], data: str) -> tuple[str, int]:
        depthwise = kind == "DEPTHWISE_CONV_2D"
        weight = self._value(inputs[1])  # (out, height, width, in), depthwise (1, height, width, out)
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        groups = self.tensors[inputs[0]].shape[3] if depthwise else 1
        dilations = 5 if depthwise else 4
        made = self._add(
            "Conv",
            [data, self._constant(weight), *(self._constant(self._value(number)) for number in inputs[2:3])],
            kernel_shape=weight.shape[2:],
            auto_pad=_PADDINGS[_scalar(options, 0)],
            strides=[_size(options, 2), _size(options, 1)],
            dilations=[_size(options, dilations + 1), _size(options, dilations)],
            group=groups,
        )
        return made, _scalar(options, 4 if depthwise else 3)

    def _pool(self, kind: str, options: Table | None, data: str) -> tuple[str, int]:
        made = self._add(
            "AveragePool" if kind == "AVERAGE_POOL_2D" else "MaxPool",
            [data],
            auto_pad=_PADDINGS[_scalar(options, 0)],
            strides=[_size(options, 2), _size(options, 1)],
            kernel_shape=[_size(options, 4), _size(options, 3)],
        )
        return made, _scalar(options, 5)

    def _dense(self, inputs: list[int], data: str, first: _Tensor) -> str:
        weight = self._value(inputs[1])
        data = self._channels_last(data, first)
        if len(first.shape) != 2:
            data = self._add("Reshape", [data, self._constant(np.array([-1, weight.shape[1]], np.int64))])
        bias = [self._constant(self._value(number)) for number in inputs[2:3] if number >= 0]
        return self._add("Gemm", [data, self._constant(weight), *bias], transB=1)

    def _reshape(self, data: str, out: _Tensor) -> str:
        made = self._add("Reshape", [data, self._constant(np.array([-1, *out.shape[1:]], np.int64))])
        return self._add("Transpose", [made], perm=_NCHW) if len(out.shape) == 4 else made

    def _channels_last(self, data: str, tensor: _Tensor) -> str:
        return self._add("Transpose", [data], perm=_NHWC) if len(tensor.shape) == 4 else data

    def _value(self, number: int) -> np.ndarray:
        value = self.tensors[number].value
        if value is None:
            raise UnsupportedModelError(f"{self.name} computes the weights {self.tensors[number].name}")
        return value

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        node = helper.make_node(kind, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name


def _tensor(number: int, table: Table, buffers: list[np.ndarray]) -> _Tensor:
    shape, kind = tuple(table.array(0, "<i4").tolist()), table.scalar(1, "b", 0)
    content = buffers[table.scalar(2, "I", 0)]
    value = None
    if len(content) and kind in _TYPES:
        value = np.frombuffer(content.tobytes(), _TYPES[kind]).reshape(shape)
        scales, zero_points, axis = _quantization(table.table(4))
        if len(scales):
            broadcast = [1] * len(shape)
            broadcast[axis] = len(scales)
            value = (value.astype(np.float32) - zero_points.reshape(broadcast)) * scales.reshape(broadcast)
        if kind == 1 or len(scales):
            value = value.astype(np.float32)
    return _Tensor(table.text(3) or f"tensor_{number}", shape, kind, value)


def _quantization(table: Table | None) -> tuple[np.ndarray, np.ndarray, int]:
    """(scales, zero points, the axis that they are along)."""
    scales = np.empty(0, np.float32) if table is None else table.array(2, "<f4")
    if table is None or not len(scales):
        return scales, np.empty(0, np.float32), 0
    zero_points = table.array(3, "<i8").astype(np.float32)
    return scales, zero_points if len(zero_points) else np.zeros_like(scales), table.scalar(6, "i", 0)


def _scalar(options: Table | None, number: int) -> int:
    """Padding or activation, 0 without."""
    return 0 if options is None else options.scalar(number, "b", 0)


def _size(options: Table | None, number: int) -> int:
    """Of a stride, a window or a dilation, 1 without."""
    return 1 if options is None else max(1, options.scalar(number, "i", 1))
