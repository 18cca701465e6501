"""Small quantized graphs whose layers take forks and joins, by name and from a seed, with their plans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.ir import reference
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import FRAMES, Source
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import Planner
from tests.quant_models import POOL_2X2, Spec, endless_board, frame_cycles, random_layer, solved, target

PLAIN = Spec(4, pool=None)
POINT = Spec(4, (1, 1), pads=(0, 0, 0, 0), pool=None)
HALF = Spec(4, stride=(2, 2), pool=None)
EVERY_SECOND = (2, 2)

# Name -> shape of the frames, and each layer with what it takes: numbers of layers, FRAMES, or Sources.
GRAPHS: dict[str, tuple[tuple[int, int, int], list[tuple[Spec, list[int | Source]]]]] = {
    "residual": ((2, 6, 6), [(PLAIN, [FRAMES]), (PLAIN, [0]), (PLAIN, [1, 0])]),
    "stride": ((2, 6, 8), [(PLAIN, [FRAMES]), (HALF, [0]), (PLAIN, [1, Source(0, EVERY_SECOND)])]),
    "dense": ((2, 5, 6), [(PLAIN, [FRAMES]), (PLAIN, [0]), (PLAIN, [1, 0]), (PLAIN, [2, 1, 0])]),
    "branches": ((2, 6, 6), [(PLAIN, [FRAMES]), (PLAIN, [0]), (POINT, [0]), (PLAIN, [1, 2])]),
    "frames": ((4, 6, 6), [(PLAIN, [FRAMES]), (PLAIN, [0, FRAMES])]),
    "frames, pooled": ((4, 6, 6), [(Spec(4), [FRAMES]), (PLAIN, [0, Source(FRAMES, EVERY_SECOND)])]),
    "three": (
        (2, 6, 6),
        [(PLAIN, [FRAMES]), (PLAIN, [0]), (Spec(8, pool=None), [0]), (POINT, [0]), (PLAIN, [3, 1, 2])],
    ),
    "functions": (
        (2, 6, 6),
        [
            (Spec(4, pool=None, table="shared"), [FRAMES]),
            (Spec(4, pool=None, table="each"), [0]),
            (Spec(4, pool=POOL_2X2, out_bits=4, table="each"), [1, 0]),
            (Spec(7, (3, 3), pads=(0, 0, 0, 0), pool=None, ranks=True), [2]),
        ],
    ),
    "narrow": (
        (2, 6, 6),
        [(Spec(4, pool=None, out_bits=4), [FRAMES]), (PLAIN, [0]), (Spec(3, pool=None, out_bits=5), [1, 0])],
    ),
}


def graph(name: str) -> QuantGraph:
    shape, items = GRAPHS[name]
    return build_graph(np.random.default_rng(len(name)), name, shape, items)


def build_graph(
    rng: np.random.Generator,
    name: str,
    in_shape: tuple[int, int, int],
    items: Sequence[tuple[Spec, Sequence[int | Source]]],
) -> QuantGraph:
    """Layers with random weights, by their specs and what they take."""
    layers, sources = [], []
    for number, (spec, taken) in enumerate(items, 1):
        its = tuple(source if isinstance(source, Source) else Source(source) for source in taken)
        shapes = [
            source.shape(in_shape if source.layer == FRAMES else layers[source.layer].out_shape) for source in its
        ]
        bits = max(8 if source.layer == FRAMES else layers[source.layer].out_bits for source in its)
        shape = (sum(channels for channels, _, _ in shapes), *shapes[0][1:])
        layers.append(random_layer(rng, f"conv{number}", shape, bits, spec))
        sources.append(its)
    return QuantGraph(name, in_shape, tuple(layers), tuple(sources))


def plan_graph(quant: QuantGraph, speed: str, in_memory: Sequence[bool] | None = None) -> HardwarePlan:
    """The plan for one of SPEEDS, or the next slower one that there is, on a board that is never too small; in_memory:
    as of `solved`."""
    board, engines = endless_board(), solved(quant, in_memory)
    cycles = frame_cycles(quant, speed)
    while True:
        try:
            return plan_engines(engines, target(board, fps=board.clk_mhz * 1e6 / cycles), quant.sources)
        except DoesNotFitError:  # a join takes a beat of each part for a position, and more where these are narrow
            if cycles > 64 * frame_cycles(quant, "fastest"):
                raise
            cycles *= 2


def random_plan(quant: QuantGraph, seed: int) -> HardwarePlan:
    """The plan at one of the paces of the graph's layers, about half of which have their weights in memories."""
    rng = np.random.default_rng(seed)
    engines = solved(quant, [bool(rng.random() < 0.5) for _ in quant.layers])
    return at_some_pace(Planner([(engine,) for engine in engines], target(endless_board()), quant.sources), rng)


def at_some_pace(planner: Planner, rng: np.random.Generator) -> HardwarePlan:
    budgets = [budget for budget in planner.budgets() if planner.draft(budget) is not None]
    return planner.plan_at(budgets[int(rng.integers(len(budgets)))])


def random_directed(seed: int) -> QuantGraph:
    """Two to six layers: each takes one to three of the outputs before it, or the frames, that have its size, if need
    be at every second or third position; with all kinds of kernels, strides, pads, pools and numbers of bits."""
    rng = np.random.default_rng(seed)
    while True:
        shape = (int(rng.integers(1, 4)), int(rng.integers(5, 12)), int(rng.integers(5, 12)))
        items = _random_items(rng, shape)
        try:
            quant = build_graph(rng, f"graph{seed}", shape, items)
        except ValueError:  # something that nothing takes
            continue
        if not quant.is_chain:
            return quant


def _random_items(rng: np.random.Generator, in_shape: tuple[int, int, int]) -> list[tuple[Spec, list[int | Source]]]:
    items: list[tuple[Spec, list[int | Source]]] = []
    sizes = {FRAMES: in_shape[1:]}
    unread: set[int] = set()
    for number in range(int(rng.integers(2, 7))):
        newest = [source for source in sizes if source >= number - 3]
        base = FRAMES if not number else int(rng.choice(newest))
        taken = [Source(base)]
        for other in rng.permutation([source for source in sizes if source != base]):
            stride = next((step for step in (1, 2, 3) if _strided(sizes[int(other)], step) == sizes[base]), None)
            if number and stride and len(taken) < 3 and (int(other) in unread or rng.random() < 0.4):
                taken.append(Source(int(other), (stride, stride)))
        rng.shuffle(taken)
        spec = _random_spec(rng, sizes[base])
        items.append((spec, list(taken)))
        unread = (unread | {number}) - {source.layer for source in taken}
        sizes[number] = _out_size(sizes[base], spec)
    return items


def _strided(size: tuple[int, int], step: int) -> tuple[int, int]:
    return -(-size[0] // step), -(-size[1] // step)


def _random_spec(rng: np.random.Generator, size: tuple[int, int]) -> Spec:
    """Mostly of kernels and pads that keep the size, so that there is something to join."""
    bits, odd_pad = int(rng.integers(4, 9)), bool(rng.random() < 0.3)
    outputs = int(rng.choice([1, 2, 3, 4, 6, 8]))
    if rng.random() < 0.7 or min(size) < 4:
        kernel = int(rng.choice([1, 3, 3, 5] if min(size) > 2 else [1]))
        return Spec(outputs, (kernel, kernel), (1, 1), (kernel // 2,) * 4, None, bits, 0.5, odd_pad)
    if rng.random() < 0.5:
        return Spec(outputs, (3, 3), (2, 2), (1, 1, 1, 1), None, bits, 0.5, odd_pad)
    pool = (POOL_2X2, MaxPool((2, 2), (1, 1)), AveragePool((2, 2), (2, 2)))[int(rng.integers(3))]
    return Spec(outputs, (3, 3), (1, 1), (1, 1, 1, 1), pool, bits, 0.5, odd_pad)


def _out_size(size: tuple[int, int], spec: Spec) -> tuple[int, int]:
    rows, cols = (
        (side + before + after - kernel) // stride + 1
        for side, before, after, kernel, stride in zip(size, spec.pads[:2], spec.pads[2:], spec.kernel, spec.stride)
    )
    shape = reference.pool_shape((1, rows, cols), spec.pool)
    return shape[1], shape[2]
