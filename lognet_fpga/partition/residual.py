"""Residual blocks as chains: the shortcut travels through the block's convolutions as channels of their own.

In y = Relu(convN(... Relu(conv1(x))) + x), with x >= 0, every convolution but the last also passes x on, by a kernel
that is 1 at the tap over the same position, which its Relu does not change; the last one adds it by such a kernel, or
by the weights of the shortcut's own 1x1 convolution.  The sum is then one convolution, exactly.  On the FPGA a channel
passed on costs its requantization and its place in the stream, and no adder but the one of its bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir.graph import NO_PADS, AveragePool, Conv, Graph, Identity, MaxPool, Node, Relu, Sum


@dataclass(frozen=True)
class _Conv:
    """A node that is the convolution op."""

    node: Node
    op: Conv


@dataclass(frozen=True)
class _Block:
    """convs: the block's, in order; relus: those between them; shortcut: a 1x1 convolution, or None for x itself."""

    convs: tuple[_Conv, ...]
    relus: tuple[Node, ...]
    shortcut: _Conv | None
    add: Node


def widen_residuals(graph: Graph, within: frozenset[str] | None = None) -> Graph:
    """graph with every residual block, for which that is exact, as a chain.

    within: names of convolutions; only blocks whose convolutions are all among them are changed.  None: all blocks.
    """
    for node in graph.nodes:
        block = _block(graph, node) if isinstance(node.op, Sum) else None
        if block is not None and (within is None or within.issuperset(conv.node.name for conv in block.convs)):
            graph = _widen(graph, block)
    return graph


def residual_blocks(graph: Graph) -> dict[str, str]:
    """The residual blocks of graph that can become chains: the tensor each begins with, and the name of its sum."""
    blocks = (_block(graph, node) for node in graph.nodes if isinstance(node.op, Sum))
    return {block.convs[0].node.inputs[0]: block.add.name for block in blocks if block is not None}


def _block(graph: Graph, add: Node) -> _Block | None:
    """The residual block that ends with add, None where it is not one or not one that can become a chain."""
    if len(add.inputs) != 2:
        return None
    for main, other in (add.inputs, add.inputs[::-1]):
        convs, relus = _branch(graph, main)
        if not convs or not _pass_on(graph, convs, add):
            continue
        source = convs[0].node.inputs[0]
        shortcut = None if other == source else _shortcut(graph, other, source, convs, add)
        fits = shortcut is not None
        if other == source:
            fits = _stride(convs) == (1, 1) and _shape(graph, source) == add.out_shape
        users = graph.users(source)
        if fits and len(users) == 2 and source != graph.output and _is_positive(graph, source):
            return _Block(convs, relus, shortcut, add)
    return None


def _branch(graph: Graph, tensor: str) -> tuple[tuple[_Conv, ...], tuple[Node, ...]]:
    """Convolutions and the ReLUs between them, in order, back from tensor to where the chain began to branch."""
    convs: list[_Conv] = []
    relus: list[Node] = []
    while (node := graph.producer(tensor)) is not None and graph.uses(tensor) == 1:
        if isinstance(node.op, Conv) and len(convs) == len(relus):
            convs.append(_Conv(node, node.op))
        elif node.op == Relu() and len(convs) == len(relus) + 1:
            relus.append(node)
        else:
            break
        tensor = node.inputs[0]
    if len(relus) == len(convs):  # the ReLU in front of the branch is not part of it
        relus = relus[:-1]
    return tuple(convs[::-1]), tuple(relus[::-1])


def _pass_on(graph: Graph, convs: tuple[_Conv, ...], add: Node) -> bool:
    """Whether every position that add needs of the source is one that each of convs can pass on: one that shrinks the
    frame, for the next to pad it again, has lost some."""
    if convs[-1].node.out_shape != add.out_shape:
        return False
    row, column = (size - 1 for size in add.out_shape[1:])
    for conv in convs[::-1]:
        row, column = row * conv.op.stride[0], column * conv.op.stride[1]
        height, width = _shape(graph, conv.node.inputs[0])[1:]
        if row >= height or column >= width:
            return False
    return True


def _shortcut(graph: Graph, tensor: str, source: str, convs: tuple[_Conv, ...], add: Node) -> _Conv | None:
    """The 1x1 convolution of source that makes tensor, where it sees the positions which the convolutions convs pass
    on; else None."""
    node = graph.producer(tensor)
    if node is None or not isinstance(node.op, Conv):
        return None
    fits = (
        node.inputs == (source,)
        and node.op.weight.shape[2:] == (1, 1)
        and node.op.pads == NO_PADS
        and node.op.stride == _stride(convs)
        and node.out_shape == add.out_shape
        and graph.uses(node.outputs[0]) == 1
    )
    return _Conv(node, node.op) if fits else None


def _widen(graph: Graph, block: _Block) -> Graph:
    convs, absorbed = block.convs, (block.add,) if block.shortcut is None else (block.shortcut.node, block.add)
    names = {node.outputs[0] for node in absorbed}
    passed = convs[0].op.in_channels
    changed: dict[str, Node] = {}
    for index, conv in enumerate(convs):
        node = conv.node
        last = index + 1 == len(convs)
        extra_in = passed if index else 0
        if last:
            op = _adding(conv.op, extra_in, None if block.shortcut is None else block.shortcut.op)
            parts = (*node.members, *(member for part in absorbed for member in part.members))
            changed[node.outputs[0]] = replace(node, op=op, outputs=block.add.outputs, parts=parts)
        else:
            shape = (node.out_shape[0] + passed, *node.out_shape[1:])
            changed[node.outputs[0]] = replace(node, op=_passing(conv.op, passed, extra_in), out_shape=shape)
            relu = block.relus[index]
            changed[relu.outputs[0]] = replace(relu, out_shape=shape)
    nodes = [changed.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in names]
    return replace(graph, nodes=tuple(nodes))


def _passing(conv: Conv, passed: int, extra_in: int) -> Conv:
    """conv with `passed` channels more that it passes on: its first ones, or those behind its own inputs.

    A depthwise one stays depthwise where these are inputs of their own.
    """
    if conv.groups == len(conv.weight) == conv.in_channels and extra_in:
        taps = np.zeros((passed, 1, *conv.weight.shape[2:]))
        taps[:, 0, conv.pads[0], conv.pads[1]] = 1
        return replace(
            conv,
            weight=np.concatenate([conv.weight, taps]),
            bias=np.concatenate([conv.bias, np.zeros(passed)]),
            exact=np.concatenate([_exact(conv), _tap(conv, np.zeros(passed, np.int64))]),
            groups=conv.groups + passed,
        )
    conv = conv.dense
    outputs, inputs, kernel_h, kernel_w = conv.weight.shape
    weight = np.zeros((outputs + passed, inputs + extra_in, kernel_h, kernel_w))
    weight[:outputs, :inputs] = conv.weight
    channels = np.arange(passed)
    weight[outputs + channels, (inputs if extra_in else 0) + channels, conv.pads[0], conv.pads[1]] = 1
    exact = np.concatenate([_exact(conv), _tap(conv, (inputs if extra_in else 0) + channels)])
    return replace(conv, weight=weight, bias=np.concatenate([conv.bias, np.zeros(passed)]), exact=exact)


def _adding(conv: Conv, extra_in: int, shortcut: Conv | None) -> Conv:
    """conv and the sum: what was passed on, behind its own inputs or these themselves, weighted by the shortcut."""
    conv, shortcut = conv.dense, None if shortcut is None else shortcut.dense
    outputs, inputs, kernel_h, kernel_w = conv.weight.shape
    weight = np.zeros((outputs, inputs + extra_in, kernel_h, kernel_w))
    weight[:, :inputs] = conv.weight
    passed = slice(inputs, None) if extra_in else slice(0, inputs)
    center = np.eye(outputs) if shortcut is None else shortcut.weight[:, :, 0, 0]
    weight[:, passed, conv.pads[0], conv.pads[1]] += center
    bias = conv.bias if shortcut is None else conv.bias + shortcut.bias
    # Without a convolution of its own the shortcut has weight 1, which rounding to a power of two must not change.
    exact = _tap(conv, inputs + np.arange(outputs)) if shortcut is None and extra_in else _exact(conv)
    return replace(conv, weight=weight, bias=bias, exact=exact)


def _exact(conv: Conv) -> np.ndarray:
    return np.full(len(conv.weight), -1) if conv.exact is None else conv.exact


def _tap(conv: Conv, channels: np.ndarray) -> np.ndarray:
    """Place among the flat weights of an output channel of the tap over its own position, in each of these inputs."""
    _, _, kernel_h, kernel_w = conv.weight.shape
    return (channels * kernel_h + conv.pads[0]) * kernel_w + conv.pads[1]


def _stride(convs: tuple[_Conv, ...]) -> tuple[int, int]:
    """Of all of them together."""
    y = x = 1
    for conv in convs:
        y, x = y * conv.op.stride[0], x * conv.op.stride[1]
    return y, x


def _shape(graph: Graph, tensor: str) -> tuple[int, ...]:
    producer = graph.producer(tensor)
    return graph.input_shape if producer is None else producer.out_shape


def _is_positive(graph: Graph, tensor: str) -> bool:
    """Whether no activation of tensor is below zero."""
    producer = graph.producer(tensor)
    while producer is not None and isinstance(producer.op, (MaxPool, AveragePool, Identity)):
        producer = graph.producer(producer.inputs[0])
    return producer is not None and isinstance(producer.op, Relu)
