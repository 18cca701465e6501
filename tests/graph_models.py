"""Small quantized graphs whose layers take forks and joins, by name and from a seed, with their plans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import FRAMES, Source
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.planner import plan_engines
from tests.quant_models import Spec, endless_board, frame_cycles, random_layer, solved, target

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
    """The plan for one of SPEEDS, on a board that is never too small; in_memory: as of `solved`."""
    board = endless_board()
    fps = board.clk_mhz * 1e6 / frame_cycles(quant, speed)
    return plan_engines(solved(quant, in_memory), target(board, fps=fps), quant.sources)
