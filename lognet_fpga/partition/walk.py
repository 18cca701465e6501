"""Walking a graph from its input and gathering FPGA layers, with every obstacle on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lognet_fpga.ir.graph import Affine, AveragePool, Conv, Graph, HostOp, Identity, MaxPool, Node, Pool, Relu
from lognet_fpga.partition.layers import FloatLayer


@dataclass(frozen=True)
class Problem:
    """Why one node (or the model's input) cannot be part of the FPGA's chain."""

    node: str
    op_type: str
    why: str


@dataclass(frozen=True, eq=False)
class Span:
    """The first `length` nodes of the path as FPGA layers; cut: the tensor behind them.  Where there are problems,
    layers holds only what could be read."""

    layers: tuple[FloatLayer, ...]
    problems: tuple[Problem, ...]
    length: int
    cut: str


@dataclass(eq=False)
class _Draft:
    """A layer under construction."""

    conv: Node
    weight: np.ndarray
    bias: np.ndarray
    pad_value: np.ndarray
    nodes: list[str]
    in_shape: tuple[int, ...]
    relu: bool = False
    excused: bool = False  # an unsupported node stands where the ReLU should: reported already
    pool: Pool | None = None


@dataclass(eq=False)
class _State:
    """drafts: layers so far.  affine: scaling of the stream that the next conv must absorb, None for none;
    waiting: names of nodes that belong to the next conv."""

    drafts: list[_Draft] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    affine: Affine | None = None
    waiting: list[str] = field(default_factory=list)

    def report(self, node: Node, why: str) -> None:
        self.problems.append(Problem(node.name, node.op_type, why))


def main_path(graph: Graph) -> tuple[Node, ...]:
    """The chain of nodes from the input onwards; at a branch, along the first operator the FPGA has."""
    path: list[Node] = []
    tensor = graph.input
    while users := _users(graph, tensor):
        node = next((user for user in users if not isinstance(user.op, HostOp)), users[0])
        path.append(node)
        tensor = node.outputs[0]
    return tuple(path)


def walk(graph: Graph, path: tuple[Node, ...], count: int) -> Span:
    """Gather the first count convolution layers of path.  count: 0 to the number of Conv nodes in path."""
    state = _State()
    shapes = {graph.input: graph.input_shape} | {node.outputs[0]: node.out_shape for node in path}
    convs = 0
    length = 0
    for index, node in enumerate(path):
        if convs == count and (count == 0 or _complete(graph, state.drafts, path[index:])):
            break
        _report_branch(graph, state, path[index - 1] if index else None)
        length = index + 1
        if node.op_type == "Conv":
            convs += 1
        if convs == count and isinstance(node.op, HostOp) and node.op_type != "Conv":
            conv = [before.name for before in path[:index] if before.op_type == "Conv"][-1]
            state.report(node, f"{node.op.problem}; it stands where the Relu of {conv} should")
            _excuse(state)
            break
        _step(state, node, shapes)
    else:
        _report_missing_relu(state, "no Relu follows it")
    layers = tuple(
        FloatLayer(
            f"conv{number}",
            draft.weight,
            draft.bias,
            draft.conv.op.stride,
            draft.conv.op.pads,
            draft.pad_value,
            draft.pool,
            tuple(draft.nodes),
            draft.in_shape,
        )
        for number, draft in enumerate(state.drafts, 1)
    )
    return Span(layers, tuple(state.problems), length, path[length - 1].outputs[0] if length else graph.input)


def _users(graph: Graph, tensor: str) -> list[Node]:
    return [node for node in graph.nodes if tensor in node.inputs]


def _complete(graph: Graph, drafts: list[_Draft], rest: tuple[Node, ...]) -> bool:
    """Whether the last layer has its ReLU, and no pool that it could still take comes first in rest."""
    if not drafts:
        return True
    if not (drafts[-1].relu or drafts[-1].excused):
        return False
    if drafts[-1].pool is not None:
        return True
    for node in rest:
        if len(_users(graph, node.inputs[0])) > 1 or node.inputs[0] == graph.output:
            return True
        if not isinstance(node.op, Identity):
            return not isinstance(node.op, (MaxPool, AveragePool))
    return True


def _report_branch(graph: Graph, state: _State, node: Node | None) -> None:
    """Report that the tensor just reached (the output of node, or the input) does not go to one node alone."""
    tensor = graph.input if node is None else node.outputs[0]
    users = _users(graph, tensor)
    names = ", ".join(user.name for user in users)
    if len(users) > 1:
        why = f"its output goes to {len(users)} nodes ({names}): the FPGA takes one chain without branches"
        state.problems.append(Problem(node.name if node else tensor, node.op_type if node else "input", why))
    elif tensor == graph.output and node is not None:
        state.report(node, f"its output is the model's output and goes to {names} as well")


def _step(state: _State, node: Node, shapes: dict[str, tuple[int, ...]]) -> None:
    """Take one node into the state; shapes: of the tensors along the path, without the batch."""
    layer = state.drafts[-1] if state.drafts else None
    if isinstance(node.op, Conv):
        _open_layer(state, node, node.op, shapes[node.inputs[0]])
        return
    if isinstance(node.op, HostOp):
        state.report(node, node.op.problem)
        state.affine = None
        _excuse(state)
        return
    if isinstance(node.op, Affine):
        _take_affine(state, layer, node, node.op)
    elif isinstance(node.op, Relu):
        _take_relu(state, layer, node)
    elif isinstance(node.op, (MaxPool, AveragePool)):
        _take_pool(state, layer, node, node.op)
    ours = layer is not None and (state.affine is None or isinstance(node.op, (MaxPool, AveragePool)))
    (layer.nodes if ours else state.waiting).append(node.name)


def _open_layer(state: _State, node: Node, op: Conv, in_shape: tuple[int, ...]) -> None:
    _report_missing_relu(state, f"no Relu stands between it and {node.name}, the next convolution")
    channels = op.weight.shape[1]
    affine = state.affine or Affine(np.ones(channels), np.zeros(channels))
    state.affine = None
    # conv(a*x + b) has weights w*a and a bias larger by the sum of w*b; outside the frame, where the model
    # puts 0, x must be -b/a.
    weight = op.weight * affine.scale.reshape(1, -1, 1, 1)
    bias = op.bias + (op.weight * affine.offset.reshape(1, -1, 1, 1)).sum(axis=(1, 2, 3))
    pad_value = np.zeros(channels)
    if any(op.pads):
        live = affine.scale != 0
        pad_value[live] = -affine.offset[live] / affine.scale[live]
        pad_value = pad_value + 0.0  # no negative zeros
        if np.any(affine.offset[~live] != 0):
            state.report(node, "it pads with zero, but the scaling before it makes a channel a constant other than 0")
        elif state.drafts and np.any(pad_value < 0):
            state.report(
                node,
                "it pads with zero, which after the scaling before it stands for a negative activation; "
                "put the BatchNormalization between the convolution and its Relu",
            )
    state.drafts.append(_Draft(node, weight, bias, pad_value, [*state.waiting, node.name], in_shape))
    state.waiting = []


def _take_affine(state: _State, layer: _Draft | None, node: Node, op: Affine) -> None:
    if layer is None or layer.relu or layer.excused:
        before = state.affine or Affine(np.ones_like(op.scale), np.zeros_like(op.scale))
        state.affine = Affine(before.scale * op.scale, before.offset * op.scale + op.offset)
    elif layer.pool is not None and np.any(op.scale < 0):
        state.report(node, "it scales by a negative number behind a max-pool, which turns maxima into minima")
    else:
        layer.weight = layer.weight * op.scale.reshape(-1, 1, 1, 1)
        layer.bias = layer.bias * op.scale + op.offset


def _take_relu(state: _State, layer: _Draft | None, node: Node) -> None:
    if layer is None:
        state.report(node, "it stands before the first convolution")
    elif state.affine is not None:
        state.report(node, "it follows a scaling that follows another Relu")
    else:
        layer.relu = True


def _take_pool(state: _State, layer: _Draft | None, node: Node, op: Pool) -> None:
    conv = None if layer is None else layer.conv.op
    if layer is None:
        state.report(node, "it stands before the first convolution")
    elif layer.pool is not None:
        state.report(node, f"it is a second pool behind {layer.conv.name}")
    elif any(
        padding and before + step * padding >= extent
        for before, step, padding, extent in zip(conv.pads, conv.stride, op.pads, layer.weight.shape[2:])
    ):
        # The pool's padding is sent as windows of the convolution, which must end inside the frame or below it.
        state.report(node, f"its padding reaches past the first window of {layer.conv.name}")
    elif isinstance(op, AveragePool) and not layer.relu:
        state.report(node, "it averages before the Relu: the FPGA has ReLU first")
    elif isinstance(op, AveragePool) and any(op.pads) and state.affine is not None and np.any(state.affine.offset):
        state.report(node, "it pads with zero behind a shift of the activations")
    elif isinstance(op, MaxPool) and state.affine is not None and np.any(state.affine.scale < 0):
        state.report(node, "it follows a scaling by a negative number, which turns maxima into minima")
    else:
        layer.pool = op


def _report_missing_relu(state: _State, why: str) -> None:
    if state.drafts and not (state.drafts[-1].relu or state.drafts[-1].excused):
        state.report(state.drafts[-1].conv, why)


def _excuse(state: _State) -> None:
    if state.drafts:
        state.drafts[-1].excused = True
