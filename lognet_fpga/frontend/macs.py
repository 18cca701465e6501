"""How much the products of a model compute."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx

from lognet_fpga.frontend.file import STANDARD_DOMAINS

_PRODUCTS = (
    *("Conv", "ConvInteger", "ConvTranspose", "Gemm", "MatMul", "MatMulInteger"),
    *("QLinearConv", "QLinearMatMul"),
)
_UNKNOWN_PRODUCTS = ("Conv", "Gemm", "MatMul", "Attention", "Einsum")


def node_macs(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Multiply-accumulates of one frame, whatever the batch; 0 for what is no product, None where a shape that decides
    is not static.  shapes: of the tensors by name, -1 for a dimension that is not known."""
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
