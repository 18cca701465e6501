"""Walking a graph from its input and gathering FPGA layers, with every obstacle on the way."""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.ir.graph import (
    NO_PADS,
    Affine,
    AveragePool,
    Graph,
    HostOp,
    Identity,
    MaxPool,
    Minimum,
    Node,
    Pads,
    Pool,
    Relu,
    ZeroPad,
)
from lognet_fpga.ir.problem import ProblemKind
from lognet_fpga.partition.draft import Chain, Problem, add_pads
from lognet_fpga.partition.float_layer import FloatLayer
from lognet_fpga.partition.residual import residual_blocks, widen_residuals


@dataclass(frozen=True, eq=False)
class Span:
    """The first nodes of graph's main path as FPGA layers; cut: the tensor behind them.  Where there are problems,
    layers holds only what could be read.

    graph: the model's with its residual blocks, as far as they lie in front of the cut, made chains.  declined: the
    pool or activation right behind the cut that the last layer could not take, None for none.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    layers: tuple[FloatLayer, ...]
    problems: tuple[Problem, ...]
    cut: str
    declined: Problem | None


def main_path(graph: Graph) -> tuple[Node, ...]:
    """The chain of nodes from the input onwards; at a branch, along the first operator the FPGA has."""
    path: list[Node] = []
    tensor = graph.input
    while users := graph.users(tensor):
        node = next((user for user in users if not isinstance(user.op, HostOp)), users[0])
        path.append(node)
        tensor = node.outputs[0]
    return tuple(path)


def convolutions(graph: Graph) -> tuple[Node, ...]:
    """Those in sequence from the input, graph's residual blocks counted as chains."""
    return tuple(node for node in main_path(widen_residuals(graph)) if node.is_convolution)


def walk(graph: Graph, count: int) -> Span:
    """Gather the first count convolution layers of graph.  count: 0 to the number of its `convolutions`."""
    blocks = residual_blocks(graph)
    graph = widen_residuals(graph, frozenset(node.name for node in convolutions(graph)[:count]))
    path = main_path(graph)
    chain = Chain(pixels=graph.pixels)
    # Of all nodes: a join may have its first input from a branch that is not on the path.
    shapes = {graph.input: graph.input_shape} | {node.outputs[0]: node.out_shape for node in graph.nodes}
    convs = length = 0
    declined = None
    for index, node in enumerate(path):
        tensor = path[index - 1].outputs[0] if index else graph.input
        if convs == count and (chain.last is None or chain.unread):
            break
        if convs == count and chain.last is not None:
            following, padding = _next_for_layer(graph, tensor, path[index:], scaled=not chain.last.relu)
            if following is not None:
                declined = chain.obstacle(*following, padding)
            if following is None or declined is not None:
                if isinstance(node.op, HostOp) and node.op.kind is ProblemKind.QUANTIZED and not chain.last.relu:
                    chain.report(node, node.op.problem, node.op.kind)  # the layer ends with it
                break
        _report_branch(graph, chain, path[index - 1] if index else None, blocks.get(tensor))
        length = index + 1
        if node.is_convolution:
            convs += 1
        chain.take(node, shapes[tensor])
    chain.report_half_bound()
    layers = tuple(draft.finish(f"conv{number}") for number, draft in enumerate(chain.drafts, 1))
    cut = path[length - 1].outputs[0] if length else graph.input
    return Span(graph, path[:length], layers, tuple(chain.problems), cut, declined)


def _next_for_layer(
    graph: Graph, tensor: str, rest: tuple[Node, ...], *, scaled: bool
) -> tuple[tuple[Node, Pool | Relu | Minimum] | None, Pads]:
    """The pool or activation at the beginning of rest, behind tensor, that the last layer might take, with its
    operator, and zeros that are put around the frame before it; None where a branch, the model's output or anything
    else comes first.  scaled: it can also take scaling that comes before it."""
    padding = NO_PADS
    for node in rest:
        if len(graph.users(tensor)) > 1 or tensor == graph.output:
            break
        tensor = node.outputs[0]
        op = node.op
        if isinstance(op, ZeroPad):
            padding = add_pads(padding, op.pads)
        elif isinstance(op, (MaxPool, AveragePool)):
            return (node, op), padding
        elif isinstance(op, (Relu, Minimum)):
            return (None if any(padding) else (node, op)), padding
        elif not isinstance(op, Identity) and not (scaled and isinstance(op, Affine)):
            break
    return None, NO_PADS


def _report_branch(graph: Graph, chain: Chain, node: Node | None, end: str | None) -> None:
    """Report that the tensor just reached (the output of node, or the input) does not go to one node alone.

    end: name of the node that ends the residual block which begins there, None where none does."""
    tensor = graph.input if node is None else node.outputs[0]
    users = graph.users(tensor)
    names = ", ".join(user.name for user in users)
    if len(users) > 1:
        why, kind = "the FPGA takes one chain without branches", ProblemKind.BRANCH
        if end is not None:
            why, kind = f"the cut would lie inside the residual block that ends with {end}", ProblemKind.INSIDE_BLOCK
        why = f"its output goes to {len(users)} nodes ({names}): {why}"
        chain.problems.append(Problem(node.name if node else tensor, node.op_type if node else "input", why, kind))
    elif tensor == graph.output and node is not None:
        chain.report(node, f"its output is the model's output and goes to {names} as well")
