"""What a file computes of constants alone, computed once: weights behind a DequantizeLinear, Cast, Transpose or Mul.

onnxruntime's own folding leaves quantized constants as they are, and comes too late for what reads the input's layout.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.ort_session import ORT_ERRORS, open_session
from lognet_fpga.frontend.shapes import known_shapes

# The attributes of a Constant, and the types of those that are no tensors.
_CONSTANT_TYPES = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
_RANDOM = (
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)
_MOST_ELEMENTS = 1 << 24  # of a constant that is larger than what it is computed from


def fold_constants(model: onnx.ModelProto) -> None:
    """Put initializers in place of all nodes of model that depend on constants alone, as onnxruntime computes them; but
    for random numbers, and for constants that would be huge and come of small ones."""
    _constants_to_initializers(model.graph)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = _foldable(model, set(constants))
    if not nodes:
        return
    inside = {name for node in nodes for name in node.output}
    folded = {id(node) for node in nodes}
    rest = [node for node in model.graph.node if id(node) not in folded]
    read = {name for node in rest for name in node.input} | {value.name for value in model.graph.output}
    wanted = sorted(inside & read - {""})
    needed = {name for node in nodes for name in node.input}
    part = helper.make_model(
        helper.make_graph(
            nodes,
            "constants",
            [],
            [onnx.ValueInfoProto(name=name) for name in wanted],  # onnxruntime infers their types
            [tensor for name, tensor in constants.items() if name in needed],
        ),
        opset_imports=model.opset_import,
        ir_version=max(model.ir_version, 8),
    )
    try:
        values = open_session(part).run(wanted, {}) if wanted else []
    except ORT_ERRORS:
        return  # as the model itself will fail, with the reason
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in zip(wanted, values)
    )
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in rest]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    for node in [node for node in graph.node if node.op_type == "Constant" and node.domain in STANDARD_DOMAINS]:
        if len(node.attribute) == 1 and node.attribute[0].name in _CONSTANT_TYPES:
            kind = _CONSTANT_TYPES[node.attribute[0].name]
            value = helper.get_attribute_value(node.attribute[0])
            tensor = value if kind is None else numpy_helper.from_array(np.array(value, kind))
            graph.initializer.add().CopyFrom(tensor)
            graph.initializer[-1].name = node.output[0]
            graph.node.remove(node)


def _foldable(model: onnx.ModelProto, constants: set[str]) -> list[onnx.NodeProto]:
    """In order.  constants: names of the initializers; those that the nodes make are added."""
    ready = [node for node in model.graph.node if _is_pure(node) and any(node.input)]
    if not any(set(node.input) <= constants | {""} for node in ready):
        return []
    try:
        shapes = known_shapes(onnx.shape_inference.infer_shapes(model, data_prop=True))
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return []  # as above
    sizes = {name: math.prod(shape) for name, shape in shapes.items() if min(shape, default=1) >= 0}
    found = []
    for node in ready:
        if not set(node.input) <= constants | {""}:
            continue
        most = max([_MOST_ELEMENTS, *(sizes.get(name, 0) for name in node.input)])
        if all(sizes.get(name, math.inf) <= most for name in node.output if name):
            found.append(node)
            constants.update(name for name in node.output if name)
    return found


def _is_pure(node: onnx.NodeProto) -> bool:
    """Whether node computes the same from the same inputs, and holds no graph."""
    graphs = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    return node.domain in STANDARD_DOMAINS and node.op_type not in _RANDOM and not graphs
