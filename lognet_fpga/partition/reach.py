"""How far into a model the FPGA can go: every number of layers tried, with all that stands in the way of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from lognet_fpga.frontend import without_outputs
from lognet_fpga.ir.graph import Graph, Node
from lognet_fpga.partition.draft import Problem
from lognet_fpga.partition.further_outputs import further_outputs
from lognet_fpga.partition.merge import merge_branches
from lognet_fpga.partition.walk import Span, convolutions, walk

# What would help, by a part of what is wrong; the first that is found counts.
_REMEDIES = (
    ("inside the residual block", "cut in front of that block or behind it"),
    ("its output goes to", "a chain without branches: no residual sums, no Concat but of parallel convolutions"),
    (
        "elements inside the frame",
        "let the average count the padding (count_include_pad 1, ceil_mode 0), or take a MaxPool",
    ),
    ("whole frame of", "pool to a smaller frame before it"),
    ("stands for a pixel", "input options as in training, or no padding in the first convolution"),
    ("stands for a", "the BatchNormalization or shift between the convolution and its Relu, or no padding behind it"),
    ("only activation", "train the model with Relu in its place"),
    ("it clips at", "train the model with Relu, or with Clip from 0, in its place"),
    ("no Relu", "put a Relu behind the convolution"),
    ("second pool", "one pool, as large as both together"),
    ("the first window", "pad the convolution or the pool less"),
    ("before the Relu", "put the Relu in front of the pool"),
    ("quantized already", "give the float model it was made from"),
)
_ELSEWHERE = "leave it, and all behind it, to the host"


@dataclass(frozen=True)
class Obstacle:
    """A problem, and the numbers of layers, ascending, that meet it."""

    problem: Problem
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Reach:
    """spans: for 1, 2, ... convolution layers, parallel ones merged, residual blocks made chains."""

    spans: tuple[Span, ...]

    @property
    def available(self) -> int:
        return len(self.spans)

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of layers without a problem, ascending: those that lognet_fpga.partition.partition takes.  Not
        all up to the largest: a cut inside a residual block is none."""
        return tuple(count for count, span in enumerate(self.spans, 1) if not span.problems)

    @property
    def possible(self) -> int:
        """The largest number of layers without a problem, 0 for none."""
        return max(self.counts, default=0)

    def nodes(self, count: int) -> tuple[Node, ...]:
        """The model's nodes up to the cut behind the first count layers."""
        return tuple(member for node in self.spans[count - 1].nodes for member in node.members)

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """Every problem of every number of layers, in the order in which they are met, as it is worded first."""
        met: list[tuple[Problem, list[int]]] = []
        for count, span in enumerate(self.spans, 1):
            for problem in span.problems:
                known = (counts for other, counts in met if other.node == problem.node and count not in counts)
                counts = next(known, None)
                if counts is None:
                    met.append((problem, [count]))
                else:
                    counts.append(count)
        return tuple(Obstacle(problem, tuple(counts)) for problem, counts in met)


def reach(graph: Graph) -> Reach:
    """Of graph with all its outputs, and of the first alone where only so a number of layers can go (`split`)."""
    spans, alone = _spans(graph), []
    if others := further_outputs(graph):
        alone = _spans(without_outputs(graph, others))
    # Further outputs are only left out for numbers that can go then; what is refused is told of the whole graph.
    better = [
        one if two is None or (one and (not one.problems or two.problems)) else two
        for one, two in zip_longest(spans, alone)
    ]
    return Reach(tuple(better))


def _spans(graph: Graph) -> list[Span]:
    merged = merge_branches(graph)
    return [walk(merged, count) for count in range(1, len(convolutions(merged)) + 1)]


def remedy(problem: Problem) -> str:
    """What would help against it, in the model."""
    return next((help for part, help in _REMEDIES if part in problem.why), _ELSEWHERE)
