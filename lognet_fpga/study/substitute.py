"""A model with other weights, and with quantized activations, as an ONNX model that plain onnxruntime runs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.study.schemes import Scheme


def with_weights(model: bytes, weights: Mapping[str, np.ndarray]) -> bytes:
    """The model with constants replaced.  weights: name of a constant -> values of its shape."""
    proto = onnx.ModelProto.FromString(model)
    for tensor in proto.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name].astype(np.float32), tensor.name))
    return proto.SerializeToString()


def with_outputs(model: bytes, names: list[str]) -> bytes:
    """The model with these tensors as its outputs."""
    proto = onnx.ModelProto.FromString(model)
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return proto.SerializeToString()


def with_activations(model: bytes, scales: Mapping[str, tuple[Scheme, float, bool]]) -> bytes:
    """The model with tensors quantized where they are read.

    scales: name of a float tensor -> (linear or log scheme, full scale range, signed).  A log scheme rounds the
    logarithm (`rounding` "geometric"); what lies exactly on a boundary may fall to either side, for onnxruntime
    computes in float32.
    """
    proto = onnx.ModelProto.FromString(model)
    nodes = []
    for node in proto.graph.node:
        inputs = [f"{name}/quantized" if name in scales else name for name in node.input]
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            del node.input[:]
            node.input.extend(inputs)
    pending = dict(scales)
    for source in [value.name for value in proto.graph.input]:
        nodes += _quantize_nodes(source, *pending.pop(source)) if source in pending else []
    for node in proto.graph.node:
        nodes.append(node)
        for name in node.output:
            nodes += _quantize_nodes(name, *pending.pop(name)) if name in pending else []
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(copied)
    return proto.SerializeToString()


def _quantize_nodes(name: str, scheme: Scheme, fsr: float, signed: bool) -> list[onnx.NodeProto]:
    nodes: list[onnx.NodeProto] = []

    def constant(value: float) -> str:
        out = f"{name}/constant{len(nodes)}"
        tensor = numpy_helper.from_array(np.array(value, np.float32), out)
        nodes.append(helper.make_node("Constant", [], [out], value=tensor))
        return out

    def op(kind: str, *inputs: str, out: str = "") -> str:
        out = out or f"{name}/value{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [out]))
        return out

    def rounded(x: str) -> str:
        return op("Floor", op("Add", x, constant(0.5)))

    result = f"{name}/quantized"
    if scheme.kind == "linear":
        half = 2 ** (scheme.bits - 1)
        low, high, lsb = (-half, half - 1, fsr / half) if signed else (0, 2 * half - 1, fsr / (2 * half))
        steps = rounded(op("Div", name, constant(lsb)))
        clipped = op("Max", op("Min", steps, constant(high)), constant(low))
        op("Mul", clipped, constant(lsb), out=result)
        return nodes
    count = 2 ** (scheme.bits - 1 if signed else scheme.bits) - 1
    magnitude = op("Abs", name) if signed else op("Relu", name)
    tiny = constant(fsr * scheme.base ** -(count + 2))
    logarithm = op("Log", op("Div", op("Max", magnitude, tiny), constant(fsr)))
    exponent = rounded(op("Mul", logarithm, constant(1 / math.log(scheme.base))))
    power = op("Mul", op("Pow", constant(scheme.base), op("Min", exponent, constant(0))), constant(fsr))
    kept = op("Where", op("Less", exponent, constant(1 - count)), constant(0), power)
    op("Mul", op("Sign", name), kept, out=result)
    return nodes
