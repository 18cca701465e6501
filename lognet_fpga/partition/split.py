"""Cutting a float graph in two: the first convolution layers for the FPGA, the rest for the host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import UnsupportedModelError, UsageError, brief
from lognet_fpga.frontend import without_outputs
from lognet_fpga.frontend.operators import FPGA_OPERATORS, is_quantized
from lognet_fpga.ir.graph import Affine, Concat, Graph, HostOp, Identity, Largest, Pointwise, Sum, ZeroPad
from lognet_fpga.ir.sources import Sources, gather
from lognet_fpga.partition.draft import Problem
from lognet_fpga.partition.float_layer import FloatLayer
from lognet_fpga.partition.functions import take_functions
from lognet_fpga.partition.further_outputs import further_outputs, outputs_in_front
from lognet_fpga.partition.merge import merge_branches
from lognet_fpga.partition.walk import Span, convolutions, layer_word, walk

USUAL_LAYERS = 3  # as in the paper
_MOST_NAMED = 12  # nodes of a quantized model


@dataclass(frozen=True)
class Placement:
    """Where one node of the normalized model runs, "FPGA" or "host", and why, in words.  inputs: names of the nodes
    that it takes something from, none for what takes the frames only."""

    node: str
    op_type: str
    where: str
    reason: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stop:
    """Why the FPGA has `layers` layers and not the `wanted` ones: the problems of one more.

    word: what the layers are called.  beyond: the least number above `wanted` that can go, None for none."""

    layers: int
    wanted: int
    problems: tuple[Problem, ...]
    word: str
    beyond: int | None = None

    def __str__(self) -> str:
        more = "" if self.beyond is None else f"; {self.beyond} layers can go, too (--fpga-layers {self.beyond})"
        return (
            f"{self.layers} of the first {self.wanted} {self.word}s can go onto the FPGA; what stops the next: "
            + "; ".join(f"{brief(_line(problem))} (what would help: {problem.remedy})" for problem in self.problems)
            + more
        )


@dataclass(frozen=True, eq=False)
class Partition:
    """layers: the FPGA part, in order; sources: of their inputs.  placements: one for every node of graph.  cut: name
    of the tensor in graph.onnx_model that the last layer computes; cut_shape: its (channels, height, width).  stopped:
    why there are fewer layers than usual, None where there are not."""

    graph: Graph
    layers: tuple[FloatLayer, ...]
    sources: Sources
    placements: tuple[Placement, ...]
    cut: str
    cut_shape: tuple[int, int, int]
    stopped: Stop | None = None


def partition(graph: Graph, fpga_layers: int | None = None) -> Partition:
    """Put the first fpga_layers convolutions of graph, with their ReLU and pool, on the FPGA.

    Outputs that the host cannot have then, for they are in front of the cut, are left out of the graph; so are all but
    the first where the way to the others leaves nothing for the FPGA.

    fpga_layers None: as many of the first three as can go.  Raises UsageError for fpga_layers below 1, and
    UnsupportedModelError when the model holds fewer convolutions or anything among them that the FPGA cannot do (for
    None: when not even the first can go); the error names every such node.
    """
    if fpga_layers is not None and fpga_layers < 1:
        raise UsageError(f"--fpga-layers must be at least 1, not {fpga_layers}")
    try:
        parts = _cut(graph, fpga_layers)
    except UnsupportedModelError as refusal:
        others = further_outputs(graph)
        if not others:
            raise
        try:
            return _cut(without_outputs(graph, others), fpga_layers)
        except UnsupportedModelError:
            raise refusal from None
    while lost := outputs_in_front(parts.graph, parts.cut):
        parts = _cut(without_outputs(parts.graph, lost), fpga_layers)
    return parts


def run_float_layers(
    partition: Partition, frames_float: np.ndarray, known: Sequence[np.ndarray] = ()
) -> list[np.ndarray]:
    """Activations behind every FPGA layer, (batch, channels, h, w) float32 each.

    frames_float: (batch, channels, h, w), in the units of the model's input.  known: activations to take for those
    of the first layers instead of computing them.
    """
    out = list(known)
    for layer, sources in list(zip(partition.layers, partition.sources))[len(known) :]:
        out.append(layer.run(gather(sources, frames_float, out)))
    return out


def _cut(graph: Graph, fpga_layers: int | None) -> Partition:
    """As partition, of all outputs."""
    if not any(node.is_convolution for node in graph.nodes):
        hosts = [(node, node.op) for node in graph.nodes if isinstance(node.op, HostOp)]
        if quantized := [Problem.of(node, op.problem, op.kind) for node, op in hosts if is_quantized(node.op_type)]:
            raise _quantized(graph, quantized)
        raise UnsupportedModelError(
            f"{graph.name} has no convolution: there is nothing to put on the FPGA",
            hint="use a model that starts with Conv layers; or pass --fpga-layers all for fully connected ones",
        )
    merged = merge_branches(take_functions(graph))
    available = len(convolutions(merged))
    wanted = max(1, min(USUAL_LAYERS, available)) if fpga_layers is None else fpga_layers
    span = walk(merged, min(wanted, available))
    stopped = None
    if span.problems and fpga_layers is None and (count := _nearest(merged, range(wanted, 0, -1))):
        beyond = _nearest(merged, range(wanted + 1, available + 1))
        stopped = Stop(count, wanted, walk(merged, count + 1).problems, layer_word(merged), beyond)
        span = walk(merged, count)
    if span.problems or available < wanted:
        raise _refusal(merged, span, wanted, available)
    placements = _placements(graph, span)
    return Partition(graph, span.layers, span.sources, placements, span.cut, span.layers[-1].out_shape, stopped)


def _nearest(graph: Graph, counts: Iterable[int]) -> int | None:
    """The first of these numbers of layers without a problem, None for none."""
    return next((count for count in counts if not walk(graph, count).problems), None)


def _refusal(graph: Graph, span: Span, asked: int, available: int) -> UnsupportedModelError:
    nearest = (_nearest(graph, range(asked + 1, available + 1)), _nearest(graph, range(min(asked, available), 0, -1)))
    possible = " or ".join(str(count) for count in nearest if count)
    if not possible and any(is_quantized(problem.op_type) for problem in span.problems):
        return _quantized(graph, list(span.problems))
    layer = layer_word(graph)
    if available < asked:
        layers = f"one {layer}" if available == 1 else f"{available} {layer}s"
        message = f"the model has {layers} in sequence, fewer than the {asked} asked for"
    else:
        message = (
            f"{len(span.problems)} {'node' if len(span.problems) == 1 else 'nodes'} within the first "
            f"{asked} {layer}s cannot go onto the FPGA"
        )
    if possible:
        hint = f"pass --fpga-layers {possible}; everything behind that many {layer}s runs on the host"
    else:
        hint = f"not even the first {layer} can go onto the FPGA: change the nodes listed, to {FPGA_OPERATORS}"
    return UnsupportedModelError(message, context=[_line(problem) for problem in span.problems], hint=hint)


def _quantized(graph: Graph, problems: list[Problem]) -> UnsupportedModelError:
    """Where quantized operators keep the FPGA from taking anything."""
    lines = [_line(problem) for problem in problems]
    if len(lines) > _MOST_NAMED:
        lines = [*lines[:_MOST_NAMED], f"and {len(lines) - _MOST_NAMED} more"]
    return UnsupportedModelError(
        f"{graph.name} is a quantized model: the FPGA takes float models, which are quantized on the way",
        context=lines,
        hint="give the float model it was made from",
    )


def _line(problem: Problem) -> str:
    return f"{problem.node} ({problem.op_type}): {problem.why}"


def _placements(graph: Graph, span: Span) -> tuple[Placement, ...]:
    """For every node of graph; span.graph has one node in place of some of them."""
    stands_in = {part.outputs[0]: node for node in span.graph.nodes for part in node.members}
    layer_of = {name: layer.name for layer in span.layers for name in layer.nodes}
    order = {layer.name: index for index, layer in enumerate(span.layers, 1)}
    on_fpga = {id(node) for node in span.nodes}
    sources = input_nodes(graph)
    out = []
    for node in graph.nodes:
        standing = stands_in[node.outputs[0]]
        if id(standing) not in on_fpga:
            reason = "after the cut"
            if isinstance(standing.op, HostOp):
                reason = f"after the cut; {standing.op.problem}"
            elif span.declined and span.declined.node == node.name:
                reason = f"after the cut; {span.declined.why}"
            out.append(Placement(node.name, node.op_type, "host", reason, sources[node.outputs[0]]))
            continue
        layer = layer_of[node.name]
        place = f"layer {order[layer]} of {len(span.layers)}"
        if isinstance(node.op, Concat):
            one = isinstance(standing.op, Concat) or len(standing.inputs) == 1
            reason = f"{place}: its branches are one convolution" if one else f"{place}: takes what it joins"
        elif isinstance(node.op, Largest):
            reason = f"{place}: compares its sums, and gives the number of the largest"
        elif isinstance(standing.op, Pointwise):
            reason = f"{place}: its activation function, a table of codes"
        elif isinstance(node.op, Sum):
            reason = f"{place}: takes the shortcut as channels of its own, and adds it"
        elif isinstance(node.op, Identity):
            reason = "passes its input on: costs nothing"
        elif isinstance(node.op, (Affine, ZeroPad)):
            reason = f"folded into {layer}"
        else:
            reason = place
        out.append(Placement(node.name, node.op_type, "FPGA", reason, sources[node.outputs[0]]))
    return tuple(out)


def input_nodes(graph: Graph) -> dict[str, tuple[str, ...]]:
    """By the first output of every node, the names of the nodes that it takes something from, each once."""
    makers = {output: node.name for node in graph.nodes for output in node.outputs}
    return {
        node.outputs[0]: tuple(dict.fromkeys(makers[name] for name in node.inputs if name in makers))
        for node in graph.nodes
    }
