"""The host's part of the model as an ONNX graph of its own, fed with the FPGA's integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.frontend.file import STANDARD_DOMAINS, check_model
from lognet_fpga.frontend.normalize import IR_VERSION
from lognet_fpga.frontend.shapes import known_shapes
from lognet_fpga.ir.layer_nodes import onnx_type
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition.alignment import aligned_onnx
from lognet_fpga.partition.split import Partition

INPUT = "activations"


def make_tail(partition: Partition, quant: QuantGraph) -> bytes:
    """The model behind the cut, serialized ONNX.

    Input "activations": (batch, height, width, channels) of their `ir.codes.code_type`, the stream's layout, in units
    of quant.layers[-1].out_scale from its out_zero on; outputs: the model's own, under their own names unless that is
    "activations".
    Opset 17 wherever the model could be converted, else the model's own.  The batch is symbolic unless the model
    itself insists on one.  Weights are aligned in the file, for readers that do not copy them.
    """
    channels, height, width = partition.cut_shape
    last = quant.layers[-1]
    values = np.asarray(last.out_scale, np.float32).reshape(1, -1, 1, 1)
    kind = onnx_type(last.out_bits)

    def head(cut: str, unused: Callable[[str], str]) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        as_float, as_frame, scale = (unused(f"{INPUT}_{part}") for part in ("float", "nchw", "scale"))
        if partition.layers[-1].ranks:
            turned = helper.make_node("Transpose", [INPUT], [as_frame], name="fpga_to_nchw", perm=[0, 3, 1, 2])
            nodes, tensors = _class_nodes(partition, as_frame, cut, unused)
            return [turned, *nodes], tensors
        nodes = [
            helper.make_node("Cast", [INPUT], [as_float], name="fpga_to_float", to=TensorProto.FLOAT),
            helper.make_node("Transpose", [as_float], [as_frame], name="fpga_to_nchw", perm=[0, 3, 1, 2]),
        ]
        tensors = [numpy_helper.from_array(values, scale)]
        if last.out_zero:
            zero, signed = unused(f"{INPUT}_zero"), unused(f"{INPUT}_signed")
            nodes.append(helper.make_node("Sub", [as_frame, zero], [signed], name="fpga_zero"))
            tensors.append(numpy_helper.from_array(np.array(last.out_zero, np.float32), zero))
            as_frame = signed
        nodes.append(helper.make_node("Mul", [as_frame, scale], [cut], name="fpga_scale"))
        return nodes, tensors

    return _behind_the_cut(partition, kind, (height, width, channels), head)


def make_float_tail(partition: Partition) -> bytes:
    """As make_tail, fed with what the FPGA layers stand for: float32 (batch, channels, height, width)."""

    def head(cut: str, unused: Callable[[str], str]) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        if partition.layers[-1].ranks:
            return _class_nodes(partition, INPUT, cut, unused)
        return [helper.make_node("Identity", [INPUT], [cut], name="fpga_float")], []

    return _behind_the_cut(partition, TensorProto.FLOAT, partition.cut_shape, head)


def _class_nodes(
    partition: Partition, frame: str, cut: str, unused: Callable[[str], str]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """From numbers of channels, (batch, 1, height, width), to what the model's ArgMax puts out."""
    model = onnx.ModelProto.FromString(partition.graph.onnx_model)
    if len(known_shapes(model).get(partition.cut, (0,) * 4)) == 4:
        return [helper.make_node("Cast", [frame], [cut], name="fpga_to_class", to=TensorProto.INT64)], []
    number, axes = unused(f"{INPUT}_class"), unused(f"{INPUT}_axes")
    nodes = [
        helper.make_node("Cast", [frame], [number], name="fpga_to_class", to=TensorProto.INT64),
        helper.make_node("Squeeze", [number, axes], [cut], name="fpga_class"),
    ]
    return nodes, [numpy_helper.from_array(np.array([1], np.int64), axes)]


def _behind_the_cut(partition: Partition, kind: int, shape: tuple[int, int, int], head: Callable) -> bytes:
    """The model from the cut on, its input "activations" of element type kind and of that shape, without the batch.

    head(cut, unused): the nodes and constants that make tensor `cut` of the input; unused(name) makes a name unique.
    """
    model = onnx.ModelProto.FromString(partition.graph.onnx_model)
    nodes = _nodes_behind(model.graph, partition.cut)
    read = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in read]
    taken = read | {name for node in nodes for name in node.output} | {partition.cut, INPUT}
    renamed = {INPUT: _unused(INPUT, taken)}  # should the model have a tensor of that name
    _rename(renamed, nodes, tensors)
    head_nodes, head_tensors = head(renamed.get(partition.cut, partition.cut), lambda name: _unused(name, taken))

    frame_batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    batch = frame_batch.dim_value or "batch"
    activations = helper.make_tensor_value_info(INPUT, kind, [batch, *shape])
    outputs = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in model.graph.output]
    for output in outputs:
        output.name = renamed.get(output.name, output.name)
    graph = helper.make_graph(
        [*head_nodes, *nodes], f"{partition.graph.name}_tail", [activations], outputs, [*head_tensors, *tensors]
    )
    used = {node.domain for node in nodes}
    imports = [entry for entry in model.opset_import if entry.domain in STANDARD_DOMAINS or entry.domain in used]
    tail = helper.make_model(graph, opset_imports=imports, ir_version=min(model.ir_version, IR_VERSION))
    check_model(tail)
    return aligned_onnx(tail)


def _nodes_behind(graph: onnx.GraphProto, cut: str) -> list[onnx.NodeProto]:
    """Nodes that the outputs depend on, in order, without those in front of cut."""
    needed = {value.name for value in graph.output} - {cut}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(name for name in node.input if name != cut)
    return nodes[::-1]


def _rename(names: dict[str, str], nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto]) -> None:
    for node in nodes:
        for field in (node.input, node.output):
            for index, old in enumerate(field):
                field[index] = names.get(old, old)
    for tensor in tensors:
        tensor.name = names.get(tensor.name, tensor.name)


def _unused(name: str, taken: set[str]) -> str:
    """name, or name with the first number that makes it new; added to taken."""
    new, number = name, 1
    while new in taken:
        number += 1
        new = f"{name}_{number}"
    taken.add(new)
    return new
