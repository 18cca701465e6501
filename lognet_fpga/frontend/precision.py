"""Half- and double-precision models as single-precision ones, which every later step can run."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

_OTHER_FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
# Attributes that hold an element type: Cast.to; dtype of EyeLike, RandomNormal and the like.
_TYPE_ATTRIBUTES = ("to", "dtype")


def to_float32(model: onnx.ModelProto) -> None:
    """Make every float16, bfloat16 and float64 tensor of model float32."""
    for tensor in model.graph.initializer:
        _convert(tensor)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type in _OTHER_FLOATS:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _convert(attribute.t)
            elif attribute.name in _TYPE_ATTRIBUTES and attribute.i in _OTHER_FLOATS:
                attribute.i = TensorProto.FLOAT


def _convert(tensor: TensorProto) -> None:
    if tensor.data_type in _OTHER_FLOATS:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
