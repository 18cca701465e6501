"""Constant matrix times vector as a graph of adders with shared subexpressions.

The search is da4ml's (Sun et al., distributed arithmetic with common subexpression elimination), which knows adders of
two operands.  Its result is normalized here to integers: every adder computes (+-a << shift_a) + (+-b << shift_b) with
one of the two shifts zero and at most one sign negative, so that the hardware needs nothing but delays, adders and
subtractors.  `ternary` makes adders of three operands of them, in the same form.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lognet_fpga.errors import VerificationError
from lognet_fpga.ir.groups import dense_kernel
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.machine import cache
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.machine.tools import Tool, run_tool
from lognet_fpga.progress import NoProgress, Progress

GROUP_WEIGHTS = 25_000  # nonzero weights solved at once: about 20 seconds
ZERO = -1  # node number of an output that is always zero
_LARGE = 300  # nonzero weights from which da4ml takes long enough to run as a process of its own


class Term(NamedTuple):
    """value = (-1 if negate) * node << shift.

    node: n < inputs is input n, inputs + i is adder i, ZERO nothing at all (of outputs only).  shift: in bits, >= 0.
    """

    node: int
    shift: int
    negate: bool


class Adder(NamedTuple):
    """Sum of two or three terms, the least of whose shifts is zero; only the last one may be negative."""

    terms: tuple[Term, ...]

    @property
    def subtracts(self) -> bool:
        return self.terms[-1].negate


@dataclass(frozen=True)
class AdderGraph:
    """outputs: of an all-zero row of the matrix ZERO.  solver: "da4ml VERSION" or "balanced tree"."""

    inputs: int
    adders: tuple[Adder, ...]
    outputs: tuple[Term, ...]
    solver: str

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """Outputs, (len(outputs), ...) int64, for x, (inputs, ...) of integers."""
        nodes = list(np.asarray(x, np.int64))
        zero = np.zeros_like(nodes[0])

        def value(term: Term) -> np.ndarray:
            shifted = zero if term.node == ZERO else nodes[term.node] << term.shift
            return -shifted if term.negate else shifted

        for adder in self.adders:
            nodes.append(sum(map(value, adder.terms), zero))
        return np.stack([value(out) for out in self.outputs])

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Of many thousand adders: what is looked up by a graph is looked up often."""
        return hash((self.inputs, self.adders, self.outputs, self.solver))

    @cached_property
    def term_rows(self) -> np.ndarray:
        """(terms of all adders, 4): number of the adder, which of its terms, node, shift."""
        rows = [
            (index, place, term.node, term.shift)
            for index, adder in enumerate(self.adders)
            for place, term in enumerate(adder.terms)
        ]
        return np.array(rows, np.int64).reshape(-1, 4)

    def node_ranges(self, low: int, high: int) -> Sequence[tuple[int, int]]:
        """Bounds (least, greatest) of every node by interval arithmetic, inputs being low..high."""
        if (low, high) not in self._ranges:
            self._ranges[low, high] = self._node_ranges(low, high)
        return self._ranges[low, high]

    @cached_property
    def _ranges(self) -> dict[tuple[int, int], list[tuple[int, int]]]:
        return {}

    def _node_ranges(self, low: int, high: int) -> list[tuple[int, int]]:
        ranges = [(low, high)] * self.inputs
        for adder in self.adders:
            least, greatest = 0, 0
            for node, shift, negate in adder.terms:
                low, high = ranges[node]
                least += -(high << shift) if negate else low << shift
                greatest += -(low << shift) if negate else high << shift
            ranges.append((least, greatest))
        return ranges

    def to_json(self) -> str:
        return json.dumps(
            {
                "inputs": self.inputs,
                "solver": self.solver,
                "adders": [adder.terms for adder in self.adders],
                "outputs": self.outputs,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> AdderGraph:
        data = json.loads(text)
        return cls(
            data["inputs"],
            tuple(Adder(tuple(Term(*term) for term in terms)) for terms in data["adders"]),
            tuple(Term(*row) for row in data["outputs"]),
            data["solver"],
        )


def solve_all(layers: Sequence[QuantLayer], progress: Progress = NoProgress()) -> tuple[AdderGraph, ...]:
    """solve for every layer, the groups of all layers side by side: one search takes one core."""
    solver = _solver_name()
    with (
        progress.stage("search the adder graphs of the layers") as stage,
        ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool,
    ):
        of_layers = [
            [
                pool.submit(_solve_group, rows, layer.in_bits, solver)
                for rows in _groups(dense_kernel(layer.weights, layer.groups).reshape(len(layer.codes), -1))
            ]
            for layer in layers
        ]
        tasks = [task for groups in of_layers for task in groups]
        try:
            for done, task in enumerate(as_completed(tasks), 1):
                task.result()
                stage.update(done, len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(_side_by_side([task.result() for task in groups]) for groups in of_layers)


def solve(weights: np.ndarray, in_bits: int) -> AdderGraph:
    """The graph of y = weights @ x for x of in_bits unsigned bits; weights: (outputs, inputs) integers.

    Layers with many weights are solved in groups of outputs, since the search takes more than linear time; nothing is
    shared between groups.  Each group is cached by content.  Without da4ml (no wheel on this platform) a balanced
    tree a row is built, without sharing.  Raises VerificationError if a graph does not compute exactly its matrix.
    """
    solver = _solver_name()
    return _side_by_side([_solve_group(rows, in_bits, solver) for rows in _groups(np.asarray(weights, np.int64))])


def _groups(weights: np.ndarray) -> list[np.ndarray]:
    """The rows of weights in groups small enough to be solved at once."""
    groups = max(1, -(-int(np.count_nonzero(weights)) // GROUP_WEIGHTS))
    return np.array_split(weights, min(groups, len(weights)))


def _solve_group(weights: np.ndarray, in_bits: int, solver: str) -> AdderGraph:
    question = str(in_bits), str(weights.shape), np.ascontiguousarray(weights, np.int64).tobytes()
    key = cache.digest(made_by(__name__, "numpy"), solver, *question)

    def make(folder: Path) -> None:
        if solver == "balanced tree":
            warnings.warn(
                "da4ml is not installed: adder graphs are built without sharing and are about twice as large",
                stacklevel=2,
            )
            graph = _balanced(weights)
        elif np.count_nonzero(weights) < _LARGE:
            graph = _da4ml(weights, in_bits, solver)
        else:
            graph = _da4ml_apart(weights, in_bits, solver, folder)
        if not np.array_equal(graph.evaluate(np.eye(weights.shape[1], dtype=np.int64)), weights):
            raise VerificationError(
                f"the adder graph found by {solver} does not compute the layer's weights",
                hint="report this with the model",
            )
        (folder / "graph.json").write_text(graph.to_json(), encoding="utf-8")

    return AdderGraph.from_json(cache.cached("adders", key, make)["graph.json"].decode())


def _side_by_side(graphs: list[AdderGraph]) -> AdderGraph:
    """One graph that has the outputs of all, over the same inputs."""
    if len(graphs) == 1:
        return graphs[0]
    inputs = graphs[0].inputs
    adders: list[Adder] = []
    outputs: list[Term] = []
    for graph in graphs:
        offset = len(adders)

        def moved(term: Term, offset: int = offset) -> Term:
            return term._replace(node=term.node + offset) if term.node >= inputs else term

        adders += [Adder(tuple(map(moved, adder.terms))) for adder in graph.adders]
        outputs += map(moved, graph.outputs)
    return AdderGraph(inputs, tuple(adders), tuple(outputs), graphs[0].solver)


def _solver_name() -> str:
    try:
        import da4ml
    except ImportError:
        return "balanced tree"
    return f"da4ml {da4ml.__version__}"


def _da4ml(weights: np.ndarray, in_bits: int, solver: str) -> AdderGraph:
    from da4ml.cmvm import solve as da4ml_solve

    # The search over decomposition depths costs seven times the time and found nothing better on any layer tried:
    # see docs/architecture.md, "Adder graph".
    # da4ml 0.6.0 reads the raw memory of its argument: a transposed view must be made contiguous.
    kernel = np.ascontiguousarray(weights.T, dtype=np.float32)
    pipeline = da4ml_solve(
        kernel, qintervals=[(0.0, 2.0**in_bits - 1, 1.0)] * len(kernel), decompose_dc=-1, search_all_decompose_dc=False
    )
    adders: list[Adder] = []
    values = [Term(node, 0, False) for node in range(weights.shape[1])]
    for stage in pipeline.solutions:
        local: list[Term] = []
        for op in stage.ops:
            if op.opcode == -1:
                local.append(shifted(values[op.id0], stage.inp_shifts[op.id0]))
                continue
            if op.opcode not in (0, 1):
                raise VerificationError(
                    f"{solver} answered with an operation of kind {op.opcode}, which is not an addition"
                )
            terms = (local[op.id0], shifted(local[op.id1], op.data, op.opcode == 1))
            local.append(append_adder(adders, weights.shape[1], terms))
        values = [
            Term(ZERO, 0, False) if index < 0 else shifted(local[index], shift, negative)
            for index, shift, negative in zip(stage.out_idxs, stage.out_shifts, stage.out_negs)
        ]
    if any(out.shift < 0 for out in values):  # fractions halfway: never seen, and what follows takes integers only
        return _balanced(weights)
    return AdderGraph(weights.shape[1], tuple(adders), tuple(values), solver)


def _da4ml_apart(weights: np.ndarray, in_bits: int, solver: str, folder: Path) -> AdderGraph:
    """_da4ml in another process, for it holds the interpreter's lock: no progress, no Ctrl-C would come through.

    folder: for the files that go to and fro, removed after.
    """
    ours = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    search = Tool("da4ml", (sys.executable, "-m", __spec__.name), solver, (("PYTHONPATH", ours),))
    question, answer = folder / "weights.npy", folder / "answer.json"
    np.save(question, weights)
    run_tool(search, [question.name, str(in_bits), solver, answer.name], folder, "searching the adder graph")
    graph = AdderGraph.from_json(answer.read_text(encoding="utf-8"))
    question.unlink()
    answer.unlink()
    return graph


def shifted(term: Term, shift: int, negate: bool = False) -> Term:
    """The term << shift, and * -1 where asked for; while a graph is built shifts may be negative."""
    return Term(term.node, term.shift + shift, term.negate ^ negate)


def append_adder(adders: list[Adder], inputs: int, terms: Sequence[Term]) -> Term:
    """Append an adder of two or three terms, in normal form, and return its sum: where most of them are negative the
    adder adds their negatives, and where all are shifted what is common to them comes behind."""
    common, flip = min([term.shift for term in terms]), 2 * sum([term.negate for term in terms]) > len(terms)
    added = [Term(node, shift - common, False) for node, shift, negate in terms if negate == flip]
    taken = [Term(node, shift - common, True) for node, shift, negate in terms if negate != flip]
    adders.append(Adder((*added, *taken)))
    return Term(inputs + len(adders) - 1, common, flip)


def _balanced(weights: np.ndarray) -> AdderGraph:
    """One balanced tree a row, terms of a row in order of their exponents; nothing is shared."""
    adders: list[Adder] = []
    outputs = []
    for row in weights:
        terms = []
        for node in np.flatnonzero(row):
            magnitude, exponent = int(abs(row[node])), 0
            while magnitude:
                if magnitude & 1:
                    terms.append(Term(int(node), exponent, bool(row[node] < 0)))
                magnitude, exponent = magnitude >> 1, exponent + 1
        terms.sort(key=lambda term: term.shift)
        while len(terms) > 1:
            pairs = [append_adder(adders, len(row), terms[i : i + 2]) for i in range(0, len(terms) - 1, 2)]
            terms = pairs + terms[2 * len(pairs) :]
        outputs.append(terms[0] if terms else Term(ZERO, 0, False))
    return AdderGraph(weights.shape[1], tuple(adders), tuple(outputs), "balanced tree")


if __name__ == "__main__":  # the other side of _da4ml_apart
    found = _da4ml(np.load(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    Path(sys.argv[4]).write_text(found.to_json(), encoding="utf-8")
