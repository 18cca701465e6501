"""The shapes that a model states for its tensors."""

from __future__ import annotations

import onnx
from onnx import TensorProto


def known_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that have one; a dimension that is not static is -1."""
    graph = model.graph
    shapes = {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim
        )
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def forget_shapes(model: onnx.ModelProto) -> None:
    """Take out all shapes but the input's, to be inferred anew."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        kind = value.type.tensor_type.elem_type
        value.type.Clear()
        value.type.tensor_type.elem_type = kind or TensorProto.FLOAT


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    out = onnx.ModelProto()
    out.CopyFrom(model)
    return out


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of model with the shapes that follow from its input's."""
    out = copied(model)
    forget_shapes(out)
    return onnx.shape_inference.infer_shapes(out, data_prop=True)
