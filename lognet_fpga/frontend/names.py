"""Nodes under the names that the user's file has for them, whatever onnxruntime's optimizations have made of them."""

from __future__ import annotations

import onnx

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.needed import drop_unneeded
from lognet_fpga.frontend.order import made_of, makers_of, users_of


def restore_functions(graph: onnx.GraphProto, before: onnx.GraphProto, opset: int) -> None:
    """Put the nodes of before back into graph for which onnxruntime has put their definitions (HardSwish: HardSigmoid
    and Mul).  Both are of the same opset, and a tensor has the same values under the same name."""
    producers = {node.output[0]: node for node in graph.node}
    known = {*producers, *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    changed = False
    for node in before.node:
        last = _last_of_definition(node, opset)
        made = producers.get(node.output[0])
        if made is None or last is None or made.op_type != last or not known.issuperset(filter(None, node.input)):
            continue
        made.CopyFrom(node)
        changed = True
    if changed:
        drop_unneeded(graph)


def _last_of_definition(node: onnx.NodeProto, opset: int) -> str | None:
    """The operator that node's definition by others ends with; None where it has none, or is itself of that kind."""
    if node.domain not in STANDARD_DOMAINS or len(node.output) != 1 or not onnx.defs.has(node.op_type):
        return None
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return None
    body = schema.function_body.node  # empty where it is not defined by others
    if not body:
        return None
    last = body[-1].op_type
    return None if last == node.op_type else last


def name_as_in_file(graph: onnx.GraphProto, file: onnx.GraphProto) -> None:
    """Give every node of graph that is not in file by its name that of the node it was made from.

    Two nodes made one have the name of the first (a MatMul and its Add); what one node was taken apart into has its
    name, numbered.
    """
    names = {node.name for node in file.node}
    taken = {node.name for node in graph.node}
    makers, users = makers_of(file), users_of(graph)
    for node in graph.node:
        if node.name in names:
            continue
        origin = _beginning(node.name, names) or made_of(node, makers, users)
        if origin is None:
            continue
        name, number = origin, 1
        while name in taken:
            number += 1
            name = f"{origin} (part {number})"
        taken.add(name)
        node.name = name


def _beginning(name: str, names: set[str]) -> str | None:
    """onnxruntime calls a node after the first of those it was made from, with a word of its own behind a slash."""
    while "/" in name:
        name = name.rpartition("/")[0]
        if name in names:
            return name
    return None
