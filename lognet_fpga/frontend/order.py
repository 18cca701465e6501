"""The nodes of a file in an order in which they can be computed, each with a name of its own.

onnxruntime runs nodes in any order, where onnx's checker wants them sorted; and it refuses two nodes of one name, which
neither the format forbids nor any later step could tell apart.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

import onnx

from lognet_fpga.errors import ModelError


def sort_nodes(path: Path, model: onnx.ModelProto) -> None:
    """Bring the nodes of model and of its functions into an order of computation, as near to the file's as can be.

    Raises ModelError, naming the nodes, where they form a cycle.
    """
    _sort(path, model.graph.node)
    for function in model.functions:
        _sort(path, function.node)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node of graph a name: its own, with a number behind it where an earlier node has the same, or its
    operator and its place where it has none."""
    given = {node.name for node in graph.node if node.name}
    used: set[str] = set()
    for index, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{index}"
        if name in used or (not node.name and name in given):
            number = 2
            while f"{name}_{number}" in used | given:
                number += 1
            name = f"{name}_{number}"
        node.name = name
        used.add(name)


def name_inlined(graph: onnx.GraphProto, before: onnx.GraphProto) -> None:
    """Name the nodes of functions that stand in graph for calls in before, the file's graph, after these calls."""
    makers, users = makers_of(before), users_of(graph)
    known = {(node.name, *node.output) for node in before.node}
    for node in graph.node:
        call = None if (node.name, *node.output) in known else made_of(node, makers, users)
        if call:
            node.name = f"{call}/{node.name or node.op_type}"


def makers_of(graph: onnx.GraphProto) -> dict[str, str]:
    """The names of the nodes that make its tensors."""
    return {name: node.name for node in graph.node for name in node.output if name}


def users_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read its tensors."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def made_of(node: onnx.NodeProto, makers: dict[str, str], users: dict[str, list[onnx.NodeProto]]) -> str | None:
    """The first of makers that makes what node makes, or what is made of that."""
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        for name in filter(None, waiting.pop(0).output):
            if name in makers:
                return makers[name]
            following = [user for user in users.get(name, []) if user.output[0] not in seen]
            waiting += following
            seen.update(user.output[0] for user in following)
    return None


def _sort(path: Path, nodes) -> None:
    producers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [{producers[name] for name in _reads(node) if name in producers} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for index, needed in enumerate(needs):
        for producer in needed:
            users[producer].append(index)
    missing = [len(needed) for needed in needs]
    ready = [index for index, count in enumerate(missing) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for user in users[index]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise _cycle(path, nodes, needs, {index for index, count in enumerate(missing) if count})
    if order != sorted(order):
        copies = [onnx.NodeProto.FromString(nodes[index].SerializeToString()) for index in order]
        del nodes[:]
        nodes.extend(copies)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names of all tensors that node needs, those read inside its graphs included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            inside = {name for inner in graph.node for name in inner.output}
            for inner in graph.node:
                yield from (name for name in _reads(inner) if name not in inside)
            yield from (value.name for value in graph.output if value.name not in inside)


def _cycle(path: Path, nodes, needs: list[set[int]], left: set[int]) -> ModelError:
    """left: nodes that are part of a cycle, or behind one."""
    way = [min(left)]
    while (before := min(needs[way[-1]] & left)) not in way:
        way.append(before)
    ring = way[way.index(before) :][::-1]
    names = [nodes[index].name or f"{nodes[index].op_type}_{index}" for index in ring]
    return ModelError(
        f"{path} is not a valid ONNX model: its nodes form a cycle: {' -> '.join([*names, names[0]])}",
        hint="export the model again",
    )
