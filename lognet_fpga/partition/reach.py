"""How far into a model the FPGA can go: every number of layers tried, with all that stands in the way of each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from lognet_fpga.config import ALL_LAYERS
from lognet_fpga.frontend import without_outputs
from lognet_fpga.frontend.classes import ranked_directly
from lognet_fpga.frontend.dense import dense_as_convolutions
from lognet_fpga.ir.graph import Graph, Node
from lognet_fpga.partition.draft import Problem
from lognet_fpga.partition.functions import take_functions
from lognet_fpga.partition.further_outputs import further_outputs
from lognet_fpga.partition.merge import merge_branches
from lognet_fpga.partition.split import Partition, Stop, partition
from lognet_fpga.partition.walk import Span, convolutions, layer_word, walk


@dataclass(frozen=True)
class Obstacle:
    """A problem, and the numbers of layers, ascending, that meet it."""

    problem: Problem
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Reach:
    """spans: for 1, 2, ... layers, parallel ones merged, residual blocks made chains.  word: what these are called;
    dense: how many of them are fully connected."""

    spans: tuple[Span, ...]
    word: str
    dense: int

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

    def stop(self, count: int) -> Stop | None:
        """Why the FPGA takes count layers, a possible number, and not all; None where it can take all."""
        if count == self.available:
            return None
        beyond = next((more for more in self.counts if more > count), None)
        return Stop(count, self.available, self.spans[count].problems, self.word, beyond)

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
    merged = merge_branches(take_functions(graph))
    dense = sum(node.is_dense for node in convolutions(merged))
    return Reach(tuple(better), layer_word(merged), dense)


def _spans(graph: Graph) -> list[Span]:
    merged = merge_branches(take_functions(graph))
    return [walk(merged, count) for count in range(1, len(convolutions(merged)) + 1)]


def asked_graph(graph: Graph, fpga_layers: int | str | None) -> Graph:
    """graph, with its fully connected layers as convolutions where more layers than it has of these are wanted, and
    classes then found among what a Softmax takes.  fpga_layers: as in DeployConfig."""
    convolutions = sum(node.op_type == "Conv" for node in graph.nodes)
    more = isinstance(fpga_layers, int) and fpga_layers > convolutions
    return dense_as_convolutions(ranked_directly(graph)) if more or fpga_layers == ALL_LAYERS else graph


def cut(graph: Graph, fpga_layers: int | Literal["all"] | None) -> Partition:
    """The partition with so many layers, with the usual ones for None, or with all that can go."""
    graph = asked_graph(graph, fpga_layers)
    if isinstance(fpga_layers, str):
        far = reach(graph)
        return partition(graph, far.possible or far.available or None)
    return partition(graph, fpga_layers)
