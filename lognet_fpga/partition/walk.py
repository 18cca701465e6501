"""Walking a graph from its input and gathering FPGA layers, with every obstacle on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lognet_fpga.ir.graph import (
    NO_PADS,
    Affine,
    AveragePool,
    Conv,
    Every,
    Graph,
    HostOp,
    Identity,
    Largest,
    MaxPool,
    Minimum,
    Node,
    Pads,
    Pointwise,
    Pool,
    Ramp,
    Relu,
    ZeroPad,
)
from lognet_fpga.ir.problem import ProblemKind
from lognet_fpga.ir.sources import Source, Sources
from lognet_fpga.partition.draft import Activation, Chain, Problem, add_pads
from lognet_fpga.partition.float_layer import FloatLayer
from lognet_fpga.partition.joins import blocks, take_joins


@dataclass(frozen=True, eq=False)
class Span:
    """The first nodes of graph's main path as FPGA layers, and where each takes its inputs; cut: the tensor behind
    them.  Where there are problems, layers and sources hold only what could be read.

    graph: the model's with its sums and concatenations, as far as they lie in front of the cut, taken by convolutions.
    declined: the pool or activation right behind the cut that the last layer could not take, None for none.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    layers: tuple[FloatLayer, ...]
    sources: Sources
    problems: tuple[Problem, ...]
    cut: str
    declined: Problem | None


def main_path(graph: Graph) -> tuple[Node, ...]:
    """The nodes from the input onwards, one behind the other; at a branch, along the first operator the FPGA has."""
    path: list[Node] = []
    tensor = graph.input
    while users := graph.users(tensor):
        ours = [user for user in users if not isinstance(user.op, HostOp)] or list(users)
        node = next((user for user in ours if not isinstance(user.op, Every)), ours[0])
        path.append(node)
        tensor = node.outputs[0]
    return tuple(path)


def convolutions(graph: Graph) -> tuple[Node, ...]:
    """Those in sequence from the input, with the joins that they can take."""
    return tuple(node for node in main_path(take_joins(graph)) if node.is_convolution)


def layer_word(graph: Graph) -> str:
    """What those in sequence are called: a fully connected one among them is a layer, and no convolution layer."""
    return "layer" if any(node.is_dense for node in convolutions(graph)) else "convolution layer"


def walk(graph: Graph, count: int) -> Span:
    """Gather the first count layers of graph.  count: 0 to the number of its `convolutions`."""
    ends = blocks(graph)
    graph = take_joins(graph, frozenset(node.name for node in convolutions(graph)[:count]))
    path = main_path(graph)
    inside = [node for node in [node for node in path if node.is_convolution][:count] if isinstance(node.op, Conv)]
    given: dict[str, int] = {}  # what a layer puts out: the tensor, and the number of the layer
    sources: list[tuple[Source, ...]] = []
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
            following, padding = _next_for_layer(graph, tensor, path[index:], scaled=not chain.last.activated)
            if following is not None and isinstance(following[1], (Pointwise, Ramp)) and chain.last.gives_scores:
                following = None  # whole sums, which are more exact than any table
            if following is not None:
                declined = chain.obstacle(*following, padding)
            if following is None or declined is not None:
                if isinstance(node.op, HostOp) and node.op.kind is ProblemKind.QUANTIZED and not chain.last.activated:
                    chain.report(node, node.op.problem, node.op.kind)  # the layer ends with it
                break
        _report_branch(graph, chain, path[index - 1] if index else None, [node, *inside], ends.get(tensor))
        length = index + 1
        if node.is_convolution:
            convs += 1
        if isinstance(node.op, Conv):
            if chain.affine is None and chain.padding == NO_PADS:
                given[tensor] = len(chain.drafts) - 1
            sources.append(_sources(graph, chain, node, given, tensor))
        chain.take(node, [shapes[name] for name in node.inputs], node.inputs.index(tensor))
    chain.end_layer()
    kinds = ["dense" if node.is_dense else "conv" for node in inside]
    layers = tuple(draft.finish(f"{kinds[number]}{number + 1}") for number, draft in enumerate(chain.drafts))
    cut = path[length - 1].outputs[0] if length else graph.input
    return Span(graph, path[:length], layers, tuple(sources), tuple(chain.problems), cut, declined)


def _sources(graph: Graph, chain: Chain, conv: Node, given: dict[str, int], main: str) -> tuple[Source, ...]:
    """Where conv takes its inputs, of which `main` is what the layer before it gives; what no layer gives is reported.
    given: as in walk."""
    found = []
    for tensor in conv.inputs:
        stride, name = (1, 1), tensor
        while (
            (node := graph.producer(name)) is not None and isinstance(node.op, (Every, Identity)) and name not in given
        ):
            if isinstance(node.op, Every):
                stride = (stride[0] * node.op.stride[0], stride[1] * node.op.stride[1])
            name = node.inputs[0]
        if tensor == main:
            found.append(Source(len(chain.drafts) - 1))
        elif name in given:
            found.append(Source(given[name], stride))
        else:
            maker = "the frames" if node is None else f"what {node.name} puts out"
            why = f"it joins {maker}, which is not all that a layer on the FPGA does"
            chain.report(conv, why, ProblemKind.BRANCH)
    if len(set(found)) < len(found):
        chain.report(conv, "it joins a tensor with itself", ProblemKind.BRANCH)
    return tuple(found)


def _next_for_layer(
    graph: Graph, tensor: str, rest: tuple[Node, ...], *, scaled: bool
) -> tuple[tuple[Node, Pool | Activation | Largest] | None, Pads]:
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
        elif isinstance(op, (Largest, Relu, Minimum, Ramp, Pointwise)):
            return (None if any(padding) else (node, op)), padding
        elif not isinstance(op, Identity) and not (scaled and isinstance(op, Affine)):
            break
    return None, NO_PADS


def _report_branch(graph: Graph, chain: Chain, node: Node | None, inside: Sequence[Node], end: str | None) -> None:
    """Report that the tensor just reached (the output of node, or the input) goes to others than the nodes inside.

    end: name of the node that ends the residual block which begins there, None where none does."""
    tensor = graph.input if node is None else node.outputs[0]
    users = graph.users(tensor)
    names = ", ".join(user.name for user in users)
    if any(user not in inside and not isinstance(user.op, Every) for user in users):
        why, kind = "the FPGA takes branches that convolutions on it join", ProblemKind.BRANCH
        if end is not None:
            why, kind = f"the cut would lie inside the residual block that ends with {end}", ProblemKind.INSIDE_BLOCK
        why = f"its output goes to {len(users)} nodes ({names}): {why}"
        chain.problems.append(Problem(node.name if node else tensor, node.op_type if node else "input", why, kind))
    elif tensor == graph.output and node is not None:
        chain.report(node, f"its output is the model's output and goes to {names} as well")
