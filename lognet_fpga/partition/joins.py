"""Sums and concatenations as inputs of convolutions: what a directed graph joins, the next convolution takes.

In y = convN(... conv1(x)) + x the last convolution takes x as further channels, with a kernel that is 1 at the tap over
its own position, or with the weights of the shortcut's own 1x1 convolution; where that one skips positions, so does
what is taken of x (`Every`).  The sum is then one convolution, exactly, and its adders are those of the accumulators.
Sums of more tensors are sums of two, one behind the other.  The inputs of a concatenation, of which each but the first
to be made is computed of those before it, become inputs of the convolutions that read it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from lognet_fpga.ir.graph import NO_PADS, Concat, Conv, Every, Graph, Node, Sum


@dataclass(frozen=True)
class _Conv:
    """A node that is the convolution op."""

    node: Node
    op: Conv


@dataclass(frozen=True)
class _Block:
    """last: the convolution that add adds to; source: the tensor that is added, or of which shortcut, a 1x1
    convolution, is; convs: names of the convolutions from source to last."""

    last: _Conv
    source: str
    shortcut: _Conv | None
    add: Node
    convs: frozenset[str]


def take_joins(graph: Graph, within: frozenset[str] | None = None) -> Graph:
    """graph with every sum and concatenation taken by convolutions, for which that is exact.

    within: names of convolutions; only joins whose convolutions are all among them are changed.  None: all.
    """
    for node in graph.nodes:
        if isinstance(node.op, Sum):
            graph = _with_all_taken(graph, node, within) or graph
        elif isinstance(node.op, Concat):
            graph = _with_concatenation_taken(graph, node, within)
    return graph


def _with_all_taken(graph: Graph, add: Node, within: frozenset[str] | None) -> Graph | None:
    """graph with add, of any number of tensors, taken by convolutions: two of them after the other; None where that
    cannot be, or not within."""
    if len(add.inputs) == 2:
        block = _block(graph, add)
        if block is None or not (within is None or within.issuperset(block.convs)):
            return None
        return _with_sum_taken(graph, block)
    for pair in combinations(add.inputs, 2):
        rest = list(add.inputs)
        for name in pair:
            rest.remove(name)
        two = f"{add.outputs[0]}__of_{len(rest)}"
        first = replace(add, inputs=pair, outputs=(two,), parts=add.members)
        others = replace(add, inputs=(two, *rest), parts=add.members)
        nodes = (part for node in graph.nodes for part in ((first, others) if node.outputs == add.outputs else (node,)))
        taken = _with_all_taken(replace(graph, nodes=tuple(nodes)), first, within)
        if taken is not None and (whole := _with_all_taken(taken, others, within)) is not None:
            return whole
    return None


def blocks(graph: Graph) -> dict[str, str]:
    """The residual blocks of graph whose sum can be taken: the tensor each begins with, and the name of its sum."""
    found = (_block(graph, node) for node in graph.nodes if isinstance(node.op, Sum))
    return {block.source: block.add.name for block in found if block is not None}


def _block(graph: Graph, add: Node) -> _Block | None:
    """The residual block that ends with add, None where it is not one or none whose sum can be taken."""
    if len(add.inputs) != 2:
        return None
    for main, other in (add.inputs, add.inputs[::-1]):
        last, before = graph.producer(main), _before(graph, main)
        if last is None or not isinstance(last.op, Conv) or graph.uses(main) > 1 or last.out_shape != add.out_shape:
            continue
        shortcut = None if other in before else _shortcut(graph, other, add)
        source = other if shortcut is None else shortcut.node.inputs[0]
        if source not in before:
            continue
        stride = (1, 1) if shortcut is None else shortcut.op.stride
        # Over each position of the sum lies one of the source: the last convolution takes it at the tap over its own.
        skipped = tuple(step // own for step, own in zip(stride, last.op.stride))
        if (
            tuple(step * own for step, own in zip(skipped, last.op.stride)) == stride
            and _every(_shape(graph, source), stride)[1:] == add.out_shape[1:]
            and _every(_shape(graph, source), skipped)[1:] == _shape(graph, last.inputs[0])[1:]
        ):
            between = before - _before(graph, source) - {source}
            convs = {node.name for tensor in between if (node := graph.producer(tensor)) and node.is_convolution}
            return _Block(_Conv(last, last.op), source, shortcut, add, frozenset({last.name, *convs}))
    return None


def _every(shape: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the positions at each multiple of stride."""
    return (shape[0], *(-(-side // step) for side, step in zip(shape[1:], stride)))


def _shortcut(graph: Graph, tensor: str, add: Node) -> _Conv | None:
    """The 1x1 convolution of one tensor that makes tensor, else None."""
    node = graph.producer(tensor)
    if node is None or not isinstance(node.op, Conv):
        return None
    fits = (
        len(node.inputs) == 1
        and node.op.weight.shape[2:] == (1, 1)
        and node.op.pads == NO_PADS
        and node.out_shape == add.out_shape
        and graph.uses(node.outputs[0]) == 1
    )
    return _Conv(node, node.op) if fits else None


def _with_sum_taken(graph: Graph, block: _Block) -> Graph:
    last, absorbed = block.last, (block.add,) if block.shortcut is None else (block.shortcut.node, block.add)
    members = (*last.node.members, *(member for part in absorbed for member in part.members))
    parts = tuple({member.outputs[0]: member for member in members}.values())  # a sum of many is met more than once
    shortcut = None if block.shortcut is None else block.shortcut.op
    whole = (1, 1) if shortcut is None else shortcut.stride
    stride = whole[0] // last.op.stride[0], whole[1] // last.op.stride[1]
    inputs, every = last.node.inputs, list[Node]()
    if (taken := _as_taken(graph, inputs, block.source, stride)) is None:
        taken = block.source
        if stride != (1, 1):
            taken, shape = f"{block.add.outputs[0]}__taken", _every(_shape(graph, block.source), stride)
            every.append(Node(f"{block.add.name}__taken", "Every", Every(stride), (block.source,), (taken,), shape))
        inputs = (*inputs, taken)
    first = sum(_shape(graph, name)[0] for name in inputs[: inputs.index(taken)])
    joined = replace(
        last.node,
        op=_adding(last.op, first, _shape(graph, block.source)[0], shortcut),
        inputs=inputs,
        outputs=block.add.outputs,
        parts=parts,
    )
    # Where the sum stood, behind all that it takes; in front of the branches nothing reads it.
    nodes: list[Node] = []
    gone = {last.node.outputs[0], *(node.outputs[0] for node in absorbed)}
    for node in graph.nodes:
        if node.outputs[0] == block.add.outputs[0]:
            nodes += [*every, joined]
        elif node.outputs[0] not in gone:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _as_taken(graph: Graph, inputs: tuple[str, ...], source: str, stride: tuple[int, int]) -> str | None:
    """The one of inputs that is source, or what is at each multiple of stride in it; None where there is none."""
    for name in inputs:
        node = graph.producer(name)
        if name == source and stride == (1, 1):
            return name
        if node is not None and isinstance(node.op, Every) and node.inputs == (source,) and node.op.stride == stride:
            return name
    return None


def _with_concatenation_taken(graph: Graph, concat: Node, within: frozenset[str] | None) -> Graph:
    """graph, with the inputs of concat in its place where convolutions alone read it."""
    users = graph.users(concat.outputs[0])
    if (
        not users
        or concat.outputs[0] == graph.output
        or not all(isinstance(user.op, Conv) for user in users)
        or (within is not None and not within.issuperset(user.name for user in users))
        or len({_shape(graph, tensor)[1:] for tensor in concat.inputs}) != 1
        or not any(_before(graph, tensor).issuperset({*concat.inputs} - {tensor}) for tensor in concat.inputs)
    ):
        return graph
    nodes = []
    for node in graph.nodes:
        if node is concat:
            continue
        if node in users:
            inputs = tuple(
                part for name in node.inputs for part in (concat.inputs if name == concat.outputs[0] else (name,))
            )
            parts = (*concat.members, *node.members) if node is users[0] else node.parts
            node = replace(node, inputs=inputs, parts=parts)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _before(graph: Graph, tensor: str) -> set[str]:
    """The tensors that it is computed of."""
    found, waiting = set[str](), [tensor]
    while waiting:
        if (node := graph.producer(waiting.pop())) is not None:
            waiting += [name for name in node.inputs if name not in found]
            found.update(node.inputs)
    return found


def _adding(conv: Conv, first: int, channels: int, shortcut: Conv | None) -> Conv:
    """conv and the sum: what is taken, weighted by the shortcut, is that many channels from first on, behind the
    convolution's own or among them, to whose weights it then adds."""
    conv, shortcut = conv.dense, None if shortcut is None else shortcut.dense
    outputs, inputs, kernel_h, kernel_w = conv.weight.shape
    weight = np.zeros((outputs, max(inputs, first + channels), kernel_h, kernel_w))
    weight[:, :inputs] = conv.weight
    center = np.eye(outputs) if shortcut is None else shortcut.weight[:, :, 0, 0]
    weight[:, first : first + channels, conv.pads[0], conv.pads[1]] += center
    bias = conv.bias if shortcut is None else conv.bias + shortcut.bias
    # Without a convolution of its own the shortcut has weight 1, which rounding to a power of two must not change.
    exact = _tap(conv, inputs + np.arange(outputs)) if shortcut is None and first == inputs else conv.exact
    return replace(conv, weight=weight, bias=bias, exact=exact)


def _tap(conv: Conv, channels: np.ndarray) -> np.ndarray:
    """Place among the flat weights of an output channel of the tap over its own position, in each of these inputs."""
    _, _, kernel_h, kernel_w = conv.weight.shape
    return (channels * kernel_h + conv.pads[0]) * kernel_w + conv.pads[1]


def _shape(graph: Graph, tensor: str) -> tuple[int, ...]:
    producer = graph.producer(tensor)
    return graph.input_shape if producer is None else producer.out_shape
