"""Parallel convolutions whose outputs are concatenated, as in SqueezeNet's fire modules, made one convolution.

A smaller kernel sits in the larger one among zeros, which cost no hardware.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir.graph import Concat, Conv, Graph, Minimum, Node, Pointwise, Ramp, Relu


class _Apart(Exception):
    """These branches cannot become one; the text says why."""


@dataclass(frozen=True)
class _Branch:
    """conv, of operator op, then activations up to the concatenation."""

    conv: Node
    op: Conv
    activations: tuple[Node, ...]


def merge_branches(graph: Graph) -> Graph:
    """graph with one Conv, and one of each activation, in place of every set of branches for which that is exact.

    The new nodes have the old ones as parts.  A Concat that stays says why.
    """
    nodes: dict[int, tuple[Node, ...]] = {id(node): (node,) for node in graph.nodes}
    for node in graph.nodes:
        if not isinstance(node.op, Concat):
            continue
        try:
            branches = [_branch(graph, node, tensor) for tensor in node.inputs]
            merged = _merge(branches, node)
        except _Apart as apart:
            nodes[id(node)] = (replace(node, op=Concat(node.op_type, str(apart))),)
            continue
        for branch in branches:
            for part in (branch.conv, *branch.activations):
                del nodes[id(part)]
        nodes[id(node)] = merged
    # A merged entry stands where its Concat stood: behind all its parts, before all who read it.
    return replace(graph, nodes=tuple(part for entry in nodes.values() for part in entry))


def _branch(graph: Graph, concat: Node, tensor: str) -> _Branch:
    """The convolution that tensor, an input of concat, comes from."""
    activations: list[Node] = []
    while True:
        producer = graph.producer(tensor)
        if producer is None or not isinstance(producer.op, (Conv, Relu, Minimum, Pointwise, Ramp)):
            raise _Apart("it joins branches that are not all a convolution and its activation function")
        if graph.uses(tensor) > 1:
            raise _Apart(f"it joins branches, and {producer.name} is used elsewhere, too")
        if isinstance(producer.op, Conv):
            return _Branch(producer, producer.op, tuple(activations[::-1]))
        activations.append(producer)
        tensor = producer.inputs[0]


def _merge(branches: list[_Branch], concat: Node) -> tuple[Node, ...]:
    """The nodes that compute what concat puts out."""
    convs, first = [branch.conv for branch in branches], branches[0]
    if len({conv.inputs for conv in convs}) > 1:
        raise _Apart("it joins convolutions of different tensors")
    if len({(branch.op.stride, branch.conv.out_shape[1:]) for branch in branches}) > 1:
        raise _Apart("it joins convolutions of different strides or output sizes")
    if len({tuple(node.op for node in branch.activations) for branch in branches}) > 1:
        raise _Apart("it joins branches with different activations")
    groups = [tuple(convs), *zip(*(branch.activations for branch in branches))]
    nodes: list[Node] = []
    for number, group in enumerate(groups, 1):
        last, parts = number == len(groups), tuple(member for node in group for member in node.members)
        nodes.append(
            Node(
                name=" + ".join(node.name for node in group),
                op_type=group[0].op_type,
                op=_one_convolution([branch.op for branch in branches]) if number == 1 else group[0].op,
                inputs=nodes[-1].outputs if nodes else first.conv.inputs,
                outputs=concat.outputs if last else (f"{concat.outputs[0]}__merged_{number}",),
                out_shape=concat.out_shape,
                parts=(*parts, concat) if last else parts,
            )
        )
    return tuple(nodes)


def _one_convolution(convs: list[Conv]) -> Conv:
    """One dense kernel that holds all of them side by side, aligned by the output position that each tap belongs to."""
    convs = [conv.dense for conv in convs]
    vertical, horizontal = (_hull(convs, side) for side in (0, 1))
    channels = convs[0].weight.shape[1]
    weight = np.zeros((sum(len(conv.weight) for conv in convs), channels, vertical.kernel, horizontal.kernel))
    at = 0
    for conv in convs:
        outputs, _, kernel_h, kernel_w = conv.weight.shape
        y, x = vertical.before - conv.pads[0], horizontal.before - conv.pads[1]
        weight[at : at + outputs, :, y : y + kernel_h, x : x + kernel_w] = conv.weight
        at += outputs
    pads = (vertical.before, horizontal.before, vertical.after, horizontal.after)
    return Conv(weight, np.concatenate([conv.bias for conv in convs]), convs[0].stride, pads)


@dataclass(frozen=True)
class _Hull:
    """Along one dimension: the extent of the common kernel, and the padding before and after the frame."""

    kernel: int
    before: int
    after: int


def _hull(convs: list[Conv], side: int) -> _Hull:
    """side: 0 for rows, 1 for columns.  All convs have the same output size, which the hull keeps."""
    before = max(conv.pads[side] for conv in convs)
    reach = [conv.weight.shape[2 + side] - conv.pads[side] for conv in convs]
    # (length + after - reach) // stride + 1 outputs: the same for all, and for all differences between theirs.
    least = min(conv.pads[2 + side] - past for conv, past in zip(convs, reach))
    return _Hull(before + max(reach), before, max(0, max(reach) + least))
