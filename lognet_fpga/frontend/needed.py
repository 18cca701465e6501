"""What of a graph its outputs depend on."""

from __future__ import annotations

import onnx


def output_names(graph: onnx.GraphProto) -> set[str]:
    return {value.name for value in graph.output}


def needed_inputs(graph: onnx.GraphProto, output: str) -> set[str]:
    """The graph's inputs, initializers apart, that one output depends on."""
    needed = {output}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed & {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}


def drop_unneeded(graph: onnx.GraphProto) -> None:
    """Remove nodes, initializers and inputs that the outputs do not depend on."""
    needed = output_names(graph)
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    kept.reverse()
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    constants = {tensor.name for tensor in tensors}
    inputs = [value for value in graph.input if value.name in needed and value.name not in constants]
    for field, content in ((graph.node, kept), (graph.initializer, tensors), (graph.input, inputs)):
        if len(content) == len(field):
            continue
        copies = [type(item).FromString(item.SerializeToString()) for item in content]
        del field[:]
        field.extend(copies)
