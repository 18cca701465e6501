"""What to do about a plan that does not fit: the cheapest changes with which one does, each tried before it is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.boards import board_names, load_board
from lognet_fpga.plan.budget import HEADROOM, fits, load, part_of
from lognet_fpga.plan.engine import Engine
from lognet_fpga.plan.matching import SKETCH_SPARE, draft_hardware, fitting_plan, settle_weights
from lognet_fpga.plan.model import BRAM, CLB, Board, HardwarePlan
from lognet_fpga.plan.sketch import SketchedEngine
from lognet_fpga.plan.survey import least_prune
from lognet_fpga.plan.weights import AUTO, Weights

MOST_WAYS = 3
MOST_BOARDS = 3  # named, the smallest first
MOST_PRUNE = 0.99


def does_not_fit(
    plan: HardwarePlan,
    quant: QuantGraph,
    engines: Sequence[Engine | None],
    *,
    weights: Weights,
    fps: float | None,
    clk_mhz: float | None,
) -> DoesNotFitError:
    """The refusal of plan, with its table.  engines, weights, fps, clk_mhz: as asked for."""
    board, total = plan.board, plan.total
    table = [
        f"{layer.name}: {parts_text(layer.estimate)} ({layer.nonzero_weights:,} weights, {layer.folding})"
        for layer in plan.layers
    ]
    table += [
        f"total: {total.lut:,.0f} of {board.lut:,} LUT, {total.ff:,.0f} of {board.ff:,} FF, {total.bram36:g} of "
        f"{board.bram36:,} BRAM36, {total.m_lut:,.0f} of {board.m_lut:,} LUTs for memory and shift registers",
        f"(estimated LUT6 sites; plans stay below {HEADROOM.lut:.0%} of LUT, {HEADROOM.ff:.0%} of FF, "
        f"{HEADROOM.bram36:.0%} of BRAM36, {HEADROOM.m_lut:.0%} of LUTs for memory)",
    ]
    ways = ways_out(quant, engines, board, plan=plan, weights=weights, fps=fps, clk_mhz=clk_mhz)
    return DoesNotFitError(f"the overlay does not fit {board.title}", context=table, hint=hint(ways))


def ways_out(
    quant: QuantGraph,
    engines: Sequence[Engine | None],
    board: Board,
    *,
    plan: HardwarePlan,
    weights: Weights,
    fps: float | None = None,
    clk_mhz: float | None = None,
    solved: bool = True,
) -> list[str]:
    """Options with which a plan would fit, cheapest first: those that cost nothing, zeros, layers, another board.

    plan: the one that does not fit, of engines on board.  solved: engines have their adder graphs, else are sketches.
    """
    rate, count = {"fps": fps, "clk_mhz": clk_mhz}, len(quant.layers)

    def enough(layers: int, where: Board, store: Weights) -> bool:
        part = replace(quant, layers=quant.layers[:layers])
        if store == AUTO:
            in_memory = settle_weights(part, where, store, **rate)
        else:
            in_memory = [store == BRAM or engine is None for engine in engines[:layers]]
        chosen = [None if memory else engine for memory, engine in zip(in_memory, engines)]
        if [engine is None for engine in chosen] != list(in_memory):
            return False  # no graph is known of a layer that would go into the fabric
        draft = draft_hardware(part, chosen, where if solved else part_of(where, SKETCH_SPARE), **rate)
        if draft is None or not fits(draft):
            return False
        return not solved or fitting_plan(part, chosen, where, **rate) is not None

    ways = []
    if solved and fps and (slower := fitting_plan(quant, engines, board, clk_mhz=clk_mhz)):
        ways.append(f"--fps {rate_below(slower.fps)} (or less)")
    if weights == CLB and enough(count, board, AUTO):
        ways.append("--weights auto")
    if (share := _prune(quant, engines, board, plan, weights, fps, clk_mhz)) is not None:
        ways.append(f"--prune {share:.2f} (check the accuracy)")
    if fewer := next((layers for layers in range(count - 1, 0, -1) if enough(layers, board, weights)), None):
        ways.append(f"--fpga-layers {fewer}")
    if len(ways) < MOST_WAYS:
        others = sorted((load_board(name) for name in board_names()), key=lambda other: (other.lut, other.name))
        large = (other.name for other in others if other.name != board.name and enough(count, other, weights))
        if names := list(islice(large, MOST_BOARDS)):
            ways.append(f"--board {' or '.join(names)}")
    return ways


def hint(ways: Sequence[str]) -> str:
    return "; or ".join(ways[:MOST_WAYS]) or "a model with smaller convolution layers: no board here is large enough"


def parts_text(parts) -> str:
    return (
        f"{parts.lut:,.0f} LUT ({parts.m_lut:,.0f} for memory and shift registers), {parts.ff:,.0f} FF, "
        f"{parts.bram36:g} BRAM36"
    )


def rate_below(fps: float) -> str:
    """fps rounded down to three digits, so that the plan it came from keeps up with it."""
    step = 10.0 ** (math.floor(math.log10(fps)) - 2)
    return f"{math.floor(fps / step) * step:.10g}"


def _prune(
    quant: QuantGraph,
    engines: Sequence[Engine | None],
    board: Board,
    plan: HardwarePlan,
    weights: Weights,
    fps: float | None,
    clk_mhz: float | None,
) -> float | None:
    """The least share of zeros with which a plan fits, by sketches that are off by as much as that of plan is."""
    sketches = [engine and SketchedEngine.of(layer) for layer, engine in zip(quant.layers, engines)]
    sketch = draft_hardware(quant, sketches, board, fps=plan.fps * (1 - 1e-6), clk_mhz=plan.clk_mhz)
    off = 1.0 if sketch is None else max(1.0, load(plan) / load(sketch))
    tight = part_of(board, SKETCH_SPARE / off)
    share = least_prune(quant, sketches, tight, weights=weights, fps=fps, clk_mhz=clk_mhz)
    return share if share and share <= MOST_PRUNE else None
