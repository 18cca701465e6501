"""How much a model computes: multiply-accumulates and parameters of every node."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.shapes import known_shapes
from lognet_fpga.ir.graph import Graph

_PRODUCTS = (
    *("Conv", "ConvInteger", "ConvTranspose", "Gemm", "MatMul", "MatMulInteger"),
    *("QLinearConv", "QLinearMatMul"),
)
_UNKNOWN_PRODUCTS = ("Conv", "Gemm", "MatMul", "Attention", "Einsum")


@dataclass(frozen=True)
class Work:
    """macs: multiply-accumulates a frame; None where a shape that decides is not static.  parameters: elements of the
    node's constant tensors; one that several nodes read counts for the first."""

    macs: int | None
    parameters: int


def node_work(graph: Graph) -> dict[str, Work]:
    """The Work of every node of graph, by the name of its first output.

    Convolutions and products of matrices count, of floats or quantized; what other operators do is small beside them
    and counts as none.
    """
    model = onnx.ModelProto.FromString(graph.onnx_model)
    shapes = known_shapes(model)
    constants = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    work = {}
    for node in model.graph.node:
        parameters = sum(constants.pop(name, 0) for name in dict.fromkeys(node.input))
        work[next(name for name in node.output if name)] = Work(_macs(node, shapes), parameters)
    return work


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int | None:
    """Of one frame: the first dimension is the batch and left out."""
    kind = node.op_type
    if node.domain not in STANDARD_DOMAINS or kind not in _PRODUCTS:
        # What else multiplies, onnxruntime's own operators among it, is not known, and is not nothing.
        return None if any(part in kind for part in _UNKNOWN_PRODUCTS) else 0
    weights = 3 if kind.startswith("QLinear") else 1  # behind scale and zero point of the first
    first, second, out = (shapes.get(name, ()) for name in (node.input[0], node.input[weights], node.output[0]))
    if "Conv" in kind and kind != "ConvTranspose":  # weights: (out, in / groups, kernel...)
        sizes = (*out[1:], *second[1:])
    elif kind == "ConvTranspose":  # weights: (in, out / groups, kernel...)
        sizes = (*first[1:], *second[1:])
    elif kind == "Gemm":
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        sizes = (*out[1:], *(second[1:] if transposed else second[:1]))
    else:
        sizes = (*out[1:], *first[-1:])
    if not (first and second and out) or min(sizes, default=-1) < 0:
        return None
    return math.prod(sizes)
