"""The weights of a model kept beside it, so that what only its structure is needed for copies none of them.

In the model stands a tensor of the same name, type and shape in the place of each: external data at "#NAME", as onnx's
own ModelContainer marks what is in memory (`onnx.model_container`).  onnx's checker, shape inference and version
converter take it as it is; onnxruntime is given the arrays, which it does not copy (`ort_session`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.model_container import make_large_tensor_proto

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.shapes import copied

Weights = Mapping[str, np.ndarray]
"""By name: float32 arrays of any shape, which whoever works on the structure need not read."""

NONE: Weights = MappingProxyType({})

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LEAST_ELEMENTS = 1 << 10  # fewer are no load


def weights_apart(model: onnx.ModelProto, known: Weights = NONE) -> tuple[onnx.ModelProto, Weights]:
    """model without the large constants that are read as second factors of products and nothing else, and these.

    They are taken out of model itself, too, whose memory comes free when the caller drops it.  known: tensors of model
    that are not in it.
    """
    others, factors = {value.name for value in model.graph.output}, set[str]()
    for node in model.graph.node:
        is_product = node.op_type in _PRODUCTS and node.domain in STANDARD_DOMAINS
        for index, name in enumerate(node.input):
            (factors if is_product and index == 1 else others).add(name)
    weights = {}
    for tensor in model.graph.initializer:
        name = tensor.name
        if name in known:
            weights[name] = known[name]
        elif name not in factors - others or tensor.data_type != TensorProto.FLOAT:
            continue
        elif math.prod(tensor.dims) >= _LEAST_ELEMENTS:
            weights[name] = numpy_helper.to_array(tensor)
        else:
            continue
        tensor.CopyFrom(make_large_tensor_proto(f"#{name}", name, tensor.data_type, tuple(tensor.dims)))
    out = copied(model)
    return out, weights


def join(model: onnx.ModelProto, weights: Weights) -> None:
    """Put weights back into model: those that it still has a place for."""
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
