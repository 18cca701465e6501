"""A permutation of the channels right behind the input (RGB to BGR, say), moved into the first convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lognet_fpga.frontend.apart import Weights
from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.needed import output_names

_ELEMENTWISE = ("Add", "Sub", "Mul", "Div")


@dataclass(frozen=True, eq=False)
class _Edit:
    """Input number `index` of node becomes this constant."""

    node: onnx.NodeProto
    index: int
    value: np.ndarray


def drop_channel_permutation(graph: onnx.GraphProto, weights: Weights) -> None:
    """Remove a leading permutation of the channels from graph, with one input (batch, channels, h, w); weights: those
    that stand apart from it.

    A permutation is a Gather by a constant, or a Slice with step -1, on axis 1.  It changes places with every
    arithmetic by constants and BatchNormalization behind it, whose constants are permuted back, and ends in the
    input channels of the convolutions (of one group) that follow.  Anything else behind it: graph stays as it is.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    frame = graph.input[0]
    channels = frame.type.tensor_type.shape.dim[1].dim_value
    users = [node for node in graph.node if frame.name in node.input]
    if len(users) != 1 or users[0].domain not in STANDARD_DOMAINS:
        return
    source = _permutation(users[0], tensors, channels)
    edits = None if source is None else _edits(graph, users[0].output[0], {**tensors, **weights}, source)
    if edits is None:
        return
    for number, edit in enumerate(edits):
        name = f"{edit.node.input[edit.index]}__permuted_{number}"
        while name in tensors:
            name += "_"
        graph.initializer.append(numpy_helper.from_array(edit.value, name))
        edit.node.input[edit.index] = name
    dropped = users[0].output[0]
    graph.node.remove(users[0])
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == dropped:
                node.input[index] = frame.name


def _permutation(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto], channels: int) -> np.ndarray | None:
    """(channels,): the input channel that is each output channel; None where node is no permutation of them."""
    if node.op_type not in ("Gather", "Slice") or any(name not in tensors for name in node.input[1:] if name):
        return None
    given = [numpy_helper.to_array(tensors[name]) for name in node.input[1:] if name]
    constants = [value.reshape(-1) for value in given]
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    source: np.ndarray
    if node.op_type == "Gather" and attributes.get("axis", 0) in (1, -3):
        source = constants[0] % channels if given[0].ndim == 1 else np.empty(0, np.int64)
    elif len(node.input) == 5 and [part.size for part in constants] == [1] * 4:
        start, end, axis, step = (int(part[0]) for part in constants)
        if axis not in (1, -3):
            return None
        # As in Python, but an end below -channels stands for the place before channel 0.
        source = np.arange(channels)[slice(start, None if end < -channels else end, step)]
    else:
        return None
    return source if np.array_equal(np.sort(source), np.arange(channels)) else None


def _edits(
    graph: onnx.GraphProto, tensor: str, tensors: Mapping[str, onnx.TensorProto | np.ndarray], source: np.ndarray
) -> list[_Edit] | None:
    """What lets the permutation that made `tensor` go; None where it must stay."""
    back = np.argsort(source)  # value[back] is the constant that fits in front of the permutation
    edits: list[_Edit] = []
    while tensor not in output_names(graph):
        users = [node for node in graph.node if tensor in node.input]
        if any(node.domain not in STANDARD_DOMAINS for node in users):
            return None
        if users and all(node.op_type == "Conv" for node in users):
            for node in users:
                weight = _constant(node, 1, tensors)
                if weight is None or weight.ndim != 4 or weight.shape[1] != len(source):
                    return None
                edits.append(_Edit(node, 1, np.ascontiguousarray(weight[:, back])))
            return edits
        if len(users) != 1:
            return None
        node = users[0]
        operands: Sequence[int]
        if node.op_type == "BatchNormalization":
            operands = range(1, 5)
        elif node.op_type in _ELEMENTWISE and list(node.input).count(tensor) == 1:
            operands = [1 - list(node.input).index(tensor)]
        elif node.op_type in ("Identity", "Cast"):
            operands = []
        else:
            return None
        for index in operands:
            value = _constant(node, index, tensors)
            if value is None or value.ndim > 4:
                return None
            axis = 0 if node.op_type == "BatchNormalization" else value.ndim - 3
            if axis >= 0 and value.shape[axis] != 1:
                edits.append(_Edit(node, index, np.ascontiguousarray(np.take(value, back, axis))))
        tensor = node.output[0]
    return None


def _constant(
    node: onnx.NodeProto, index: int, tensors: Mapping[str, onnx.TensorProto | np.ndarray]
) -> np.ndarray | None:
    value = tensors.get(node.input[index])
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
