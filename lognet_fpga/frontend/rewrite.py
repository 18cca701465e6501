"""Rewrites of a model's graph that onnxruntime's optimizations do not have, each leaving what is computed as it was.

`normalize` applies them and checks the result against the original.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.needed import output_names
from lognet_fpga.frontend.shapes import forget_shapes, known_shapes


def trim_inputs(graph: onnx.GraphProto) -> None:
    """Drop empty names behind a node's last input: they mean the same as no input, but onnxruntime matches fewer
    patterns (a Pad whose value is left open, say)."""
    for node in graph.node:
        while node.input and not node.input[-1]:
            node.input.pop()


def relu_before_pool(graph: onnx.GraphProto) -> None:
    """Swap every MaxPool with the Relu that alone follows it, so that a cut may fall between the two.

    Names stay with the nodes; the tensor between them, now of another size, gets a new name.
    """
    users: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            users.setdefault(name, []).append(index)
    for pool in graph.node:
        following = users.get(pool.output[0], [])
        if (
            pool.op_type != "MaxPool"
            or len(pool.output) > 1
            or len(following) != 1
            or pool.output[0] in output_names(graph)
            or graph.node[following[0]].op_type != "Relu"
        ):
            continue
        relu = graph.node[following[0]]
        between = f"{pool.output[0]}__relu"
        relu.input[0], pool.output[0], relu.output[0], pool.input[0] = pool.input[0], relu.output[0], between, between
        first = onnx.NodeProto.FromString(relu.SerializeToString())
        relu.CopyFrom(pool)
        pool.CopyFrom(first)


def floor_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """model with every pool's ceil_mode written as padding at the lower right, where that is the same.

    Below opset 22 onnx infers one row too many where the last window would begin in the padding, which onnxruntime
    leaves out as PyTorch does.  One pool at a time: each is measured by the shapes that the ones before it really have.
    """
    out = model
    while True:
        inferred = onnx.shape_inference.infer_shapes(out, data_prop=True)
        shapes = known_shapes(inferred)
        node = next((node for node in inferred.graph.node if _ceil_padding(node, shapes) is not None), None)
        if node is None:
            return out
        pads = _ceil_padding(node, shapes)
        dropped = {"ceil_mode", "pads"}
        if not any(next((item.ints for item in node.attribute if item.name == "pads"), ())):
            dropped.add("count_include_pad")  # there was none to count: what is added now is not
        kept = [item for item in node.attribute if item.name not in dropped]
        out = inferred
        _replace_attributes(node, [*kept, helper.make_attribute("pads", pads)])
        forget_shapes(out)


def _replace_attributes(node: onnx.NodeProto, attributes: list[onnx.AttributeProto]) -> None:
    copies = [onnx.AttributeProto.FromString(item.SerializeToString()) for item in attributes]
    del node.attribute[:]
    node.attribute.extend(copies)


def _ceil_padding(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> list[int] | None:
    """The pads that make ceil_mode superfluous; None for any other node, and where no pads do."""
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type not in ("MaxPool", "AveragePool") or node.domain not in STANDARD_DOMAINS:
        return None
    frame = shapes.get(node.input[0], ())
    if not attributes.get("ceil_mode") or len(frame) != 4 or min(frame[2:]) < 1:
        return None
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or any(step != 1 for step in attributes.get("dilations", ())):
        return None
    pads = list(attributes.get("pads", (0, 0, 0, 0)))
    counts_padding = node.op_type == "AveragePool" and any(pads) and attributes.get("count_include_pad")
    for axis, (length, extent, step) in enumerate(
        zip(frame[2:], attributes["kernel_shape"], attributes.get("strides", (1, 1)))
    ):
        before, after = pads[axis], pads[axis + 2]
        count = -(-(length + before + after - extent) // step) + 1
        if (count - 1) * step >= length + before:
            count -= 1
        missing = max(0, (count - 1) * step + extent - length - before - after)
        if missing and counts_padding:
            return None  # it would count this, too
        pads[axis + 2] += missing
    return pads


def free_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """model, folded at a fixed batch, with that batch symbolic again.

    A Reshape that keeps the frames apart copies the first dimension instead of stating it; a Resize to a stated size
    is one by a factor.
    """
    out = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = known_shapes(out)
    constants = {tensor.name for tensor in out.graph.initializer}
    for index, node in enumerate(out.graph.node):
        position = {"Reshape": 1, "Resize": 3}.get(node.op_type, len(node.input))
        if node.domain not in STANDARD_DOMAINS or position >= len(node.input) or node.input[position] not in constants:
            continue
        before, after = shapes.get(node.input[0]), shapes.get(node.output[0])
        if not before or not after or not before[0] == after[0] == batch or min(after) < 1:
            continue
        name = f"{node.output[0]}__shape_{index}"
        if node.op_type == "Reshape":
            value = np.array([0, *after[1:]], np.int64)  # 0 copies the batch from the data
            node.input[1] = name
            del node.attribute[:]
        elif min(before) > 0:
            value = (np.array(after) / np.array(before)).astype(np.float32)
            node.input[2] = name
            node.input.pop()
        else:
            continue
        out.graph.initializer.append(numpy_helper.from_array(value, name))
    frame = out.graph.input[0].type.tensor_type.shape.dim[0]
    frame.Clear()
    frame.dim_param = "batch"
    forget_shapes(out)
    return out
