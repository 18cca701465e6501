"""Activation functions, however they are written: nodes that together are a function of one tensor become one node.

So x * Sigmoid(x), x * Clip(x + 3, 0, 6) / 6 and the five nodes around an Erf are what Swish, HardSwish and Gelu are;
and functions one behind the other are one function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lognet_fpga.ir.functions import COMPARISONS, Function, Step, composed, constant
from lognet_fpga.ir.graph import Affine, Combined, Graph, Identity, Minimum, Node, Op, Pointwise, Ramp, Relu


def take_functions(graph: Graph) -> Graph:
    """graph with a single Pointwise in place of each such set of nodes, whose parts they are."""
    for find in (_meeting, _in_a_row):
        while (found := next(find(graph), None)) is not None:
            graph = _with_one(graph, *found)
    return graph


def function_of(op: Op) -> Function | None:
    """What op does element by element to the tensors it takes; None where it is no such operator."""
    if isinstance(op, (Pointwise, Combined)):
        return op.function
    if isinstance(op, Identity):
        return Function(())
    if isinstance(op, Affine):
        scaled = Step("Mul", (0, constant(op.scale)))
        return Function((scaled, Step("Add", (1, constant(op.offset)))))
    if isinstance(op, Ramp):
        return Function((Step("HardSigmoid", (0,), (op.scale, op.offset)),))
    if isinstance(op, Minimum):
        return Function((Step("Min", (0, (op.bound,))),))
    if isinstance(op, Relu):
        bounded = (Step("Min", (1, (op.bound,))),) if np.isfinite(op.bound) else ()
        return Function((Step("Relu", (0,)), *bounded))
    return None


def _meeting(graph: Graph) -> Iterator[tuple[str, list[Node]]]:
    """Tensors that several paths lead from, and the nodes of these up to where they meet."""
    for node in graph.nodes:
        tensor = node.outputs[0] if node.outputs else ""
        users = graph.users(tensor)
        if sum(user.inputs.count(tensor) for user in users) < 2 or all(function_of(user.op) is None for user in users):
            continue
        inside = _functions_of(graph, tensor)
        for end in inside:
            if not isinstance(end.op, Combined) or end.op.function.steps[-1].operator in COMPARISONS:
                continue
            region = _up_to(end, inside)
            its = {part.outputs[0] for part in region} - {end.outputs[0]}
            if all(graph.uses(name) == sum(part.inputs.count(name) for part in region) for name in its):
                yield tensor, region
                break


def _functions_of(graph: Graph, tensor: str) -> list[Node]:
    """The nodes that put out functions of tensor, of its shape, in order."""
    known, shape, found = {tensor}, None, []
    for node in graph.nodes:
        if tensor in node.outputs:
            shape = node.out_shape
        elif node.inputs and known.issuperset(node.inputs) and node.out_shape == shape and function_of(node.op):
            known.add(node.outputs[0])
            found.append(node)
    return found


def _up_to(end: Node, inside: Sequence[Node]) -> list[Node]:
    """Those of inside that end is computed of, and itself."""
    wanted, region = {end.outputs[0]}, list[Node]()
    for node in reversed(inside):
        if node.outputs[0] in wanted:
            region.insert(0, node)
            wanted.update(node.inputs)
    return region


def _in_a_row(graph: Graph) -> Iterator[tuple[str, list[Node]]]:
    """Activation functions of which one is no ReLU, with what scales between them, and what scales all channels alike
    behind them, each read by the next one alone."""
    for node in graph.nodes:
        row = [node]
        while _bends(row[0].op) and graph.uses(row[-1].outputs[0]) == 1:
            users = graph.users(row[-1].outputs[0])
            if not users or function_of(users[0].op) is None or isinstance(users[0].op, Combined):
                break
            row.append(users[0])
        while len(row) > 1 and isinstance(row[-1].op, (Affine, Identity)) and not _is_for_all(row[-1].op):
            row.pop()
        if len(row) > 1 and any(isinstance(part.op, Pointwise) for part in row):
            yield node.inputs[0], row


def _is_for_all(op: Op) -> bool:
    """Whether it scales all channels alike; else each needed a table of its own, where the next convolution takes it
    for nothing."""
    return isinstance(op, Affine) and len(constant(op.scale)) == len(constant(op.offset)) == 1


def _bends(op: Op) -> bool:
    """Whether op is an activation function."""
    return isinstance(op, (Minimum, Pointwise, Ramp, Relu))


def _with_one(graph: Graph, tensor: str, region: Sequence[Node]) -> Graph:
    """graph with one node in the place of the last of region, which is a function of tensor."""
    places = {tensor: 0} | {node.outputs[0]: number for number, node in enumerate(region, 1)}
    parts = []
    for node in region:
        function = function_of(node.op)
        assert function is not None  # as all of a region have
        parts.append((function, tuple(places[name] for name in node.inputs)))
    last, gone = region[-1], {id(node) for node in region}
    members = tuple(member for node in region for member in node.members)
    one = replace(last, op=Pointwise(composed(parts)), inputs=(tensor,), parts=members)
    nodes = [one if node is last else node for node in graph.nodes if node is last or id(node) not in gone]
    return replace(graph, nodes=tuple(nodes))
