"""The class in the place of scores: a model that ends with an ArgMax, by itself or because the user wants it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx
from onnx import TensorProto, helper

from lognet_fpga.errors import UsageError
from lognet_fpga.frontend.file import check_model
from lognet_fpga.frontend.needed import drop_unneeded
from lognet_fpga.frontend.operators import read_nodes
from lognet_fpga.frontend.shapes import known_shapes
from lognet_fpga.ir.graph import Graph

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_ORDERED = ("LogSoftmax", "Softmax")  # of which the largest number is that of what they take
_CLASS = "class"


def with_class_output(graph: Graph) -> Graph:
    """graph with the number of the largest of its scores, the first of equals, as its only output.

    graph itself where its output are whole numbers.  Raises UsageError where it has no scores along one axis.
    """
    model = onnx.ModelProto.FromString(graph.onnx_model)
    shape = known_shapes(model).get(graph.output, ())
    output = next(value for value in model.graph.output if value.name == graph.output)
    if output.type.tensor_type.elem_type not in _FLOATS:
        return graph
    axes = [axis for axis, size in enumerate(shape) if axis and size != 1]
    if len(axes) != 1 or shape[axes[0]] < 2:
        found = ", ".join("?" if size < 0 else str(size) for size in shape[1:])
        raise UsageError(
            f"--output class: {graph.name} has no scores of classes, but {graph.output} ({found})",
            hint="leave it out: the model's own output is kept then",
        )
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    name = _CLASS if _CLASS not in taken else f"{graph.output}_{_CLASS}"
    model.graph.node.append(
        helper.make_node("ArgMax", [graph.output], [name], name="class_of_scores", axis=axes[0], keepdims=0)
    )
    sizes = [size for axis, size in enumerate(shape) if axis != axes[0]]
    value = helper.make_tensor_value_info(name, TensorProto.INT64, [None, *sizes[1:]])
    value.type.tensor_type.shape.dim[0].CopyFrom(output.type.tensor_type.shape.dim[0])
    made = {made for node in model.graph.node for made in node.output}
    model.graph.value_info.extend(each for each in model.graph.output if each.name in made)  # their shapes stay known
    del model.graph.output[:]
    model.graph.output.append(value)
    others = tuple(its for its in _outputs(graph) if its != graph.output)
    return _read(replace(graph, output=name, left_out=(*graph.left_out, *others)), model)


def ranked_directly(graph: Graph) -> Graph:
    """graph with every ArgMax of a Softmax, which keeps the order, taking what that one takes."""
    model = onnx.ModelProto.FromString(graph.onnx_model)
    makers = {name: node for node in model.graph.node for name in node.output}
    shapes, changed = known_shapes(model), False
    for node in model.graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "ArgMax" else None
        if maker is not None and maker.op_type in _ORDERED:
            rank = len(shapes.get(maker.input[0], ()))
            if rank and (_axis(node, 0) - _axis(maker, -1)) % rank == 0:
                node.input[0], changed = maker.input[0], True
    return _read(graph, model) if changed else graph


def _axis(node: onnx.NodeProto, usual: int) -> int:
    return next((item.i for item in node.attribute if item.name == "axis"), usual)


def _outputs(graph: Graph) -> Sequence[str]:
    return [value.name for value in onnx.ModelProto.FromString(graph.onnx_model).graph.output]


def _read(graph: Graph, model: onnx.ModelProto) -> Graph:
    drop_unneeded(model.graph)
    check_model(model)
    return replace(graph, nodes=read_nodes(model, graph.operators), onnx_model=model.SerializeToString())
