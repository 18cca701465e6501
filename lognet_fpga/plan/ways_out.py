"""What to do about a plan that does not fit: the cheapest changes with which one does, each tried before it is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from lognet_fpga.engines.folding import Engine
from lognet_fpga.engines.stores import AUTO, STORES, sketch_layers, stores_of
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.sources import Sources
from lognet_fpga.plan.budget import HEADROOM, fits, load
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.search import SKETCH_SPARE, draft_hardware, fitting_plan, settle_stores
from lognet_fpga.plan.survey import least_prune
from lognet_fpga.progress import NoProgress

MOST_WAYS = 3
MOST_BOARDS = 3  # named, the smallest first
MOST_PRUNE = 0.99


def does_not_fit(plan: HardwarePlan, engines: Sequence[Engine]) -> DoesNotFitError:
    """The refusal of plan, which is of these solved engines, with its table."""
    board, total = plan.target.board, plan.total
    table = [
        f"{layer.name}: {parts_text(layer.estimate)} ({layer.nonzero_weights:,} weights, {layer.folding.text})"
        for layer in plan.layers
    ]
    table += [
        f"total: {total.lut:,.0f} of {board.lut:,} LUT, {total.positions:,.0f} of as many positions with lone "
        f"flip-flops, {total.ff:,.0f} of {board.ff:,} FF, {total.bram36:g} of "
        f"{board.bram36:,} BRAM36, {total.m_lut:,.0f} of {board.m_lut:,} LUTs for memory and shift registers",
        f"(estimated LUT6 sites; plans stay below {HEADROOM.lut:.0%} of LUT, {HEADROOM.ff:.0%} of FF, "
        f"{HEADROOM.bram36:.0%} of BRAM36, {HEADROOM.m_lut:.0%} of LUTs for memory)",
    ]
    ways = ways_out(plan, [(engine,) for engine in engines])
    return DoesNotFitError(f"the overlay does not fit {board.title}", context=table, hint=hint(ways))


def ways_out(plan: HardwarePlan, engines: Sequence[Sequence[Engine]], *, solved: bool = True) -> list[str]:
    """Options with which a plan would fit, cheapest first: those that cost nothing, zeros, layers, another board.

    plan: the one that does not fit, of engines.  solved: engines are, one for each layer; else they are sketches.
    """
    target, quant = plan.target, plan.quant_graph("ways out")

    def enough(layers: int, where: Target) -> bool:
        part = quant.first(layers)
        if not solved:
            return _drafted(sketch_layers(part.layers, where.stores), replace(where, share=SKETCH_SPARE), part.sources)
        chosen = _solved(engines[:layers], settle_stores(part, where))
        if chosen is None or not _drafted([(engine,) for engine in chosen], where, part.sources):
            return False
        return fitting_plan(chosen, where, part.sources) is not None

    ways, count = [], len(quant.layers)
    if solved and target.fps:
        slower = fitting_plan([some[0] for some in engines], replace(target, fps=None), plan.sources)
        if slower is not None:
            ways.append(f"--fps {rate_below(slower.fps)} (or less)")
    every = stores_of(AUTO)
    if target.stores != every and enough(count, replace(target, stores=every)):
        ways.append(f"--weights {AUTO}")
    if (share := _prune(plan, engines)) is not None:
        ways.append(f"--prune {share:.2f} (check the accuracy)")
    if fewer := next((layers for layers in quant.cuts[-2::-1] if enough(layers, target)), None):
        ways.append(f"--fpga-layers {fewer}")
    if len(ways) < MOST_WAYS:
        board = target.board
        others = sorted((load_board(name) for name in board_names()), key=lambda other: (other.lut, other.name))
        large = (
            other.name for other in others if other.name != board.name and enough(count, replace(target, board=other))
        )
        if names := list(islice(large, MOST_BOARDS)):
            ways.append(f"--board {' or '.join(names)}")
    return ways


def _drafted(engines: Sequence[Sequence[Engine]], target: Target, sources: Sources) -> bool:
    draft = draft_hardware(engines, target, sources)
    return draft is not None and fits(draft)


def _solved(engines: Sequence[Sequence[Engine]], stores: Sequence[str]) -> list[Engine] | None:
    """An engine of each layer in its store, None where that would have to be searched for."""
    chosen: list[Engine] = []
    for (engine,), name in zip(engines, stores):
        if engine.store != name:
            if STORES[name].searches:
                return None
            (engine,) = STORES[name].solve([engine.layer], NoProgress())
        chosen.append(engine)
    return chosen


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


def _prune(plan: HardwarePlan, engines: Sequence[Sequence[Engine]]) -> float | None:
    """The least share of zeros with which a plan fits, by sketches that are off by as much as that of plan is."""
    sketches = [tuple(STORES[engine.store].sketch(engine.layer) for engine in some) for some in engines]
    sketch = draft_hardware(sketches, replace(plan.target, fps=plan.fps * (1 - 1e-6)), plan.sources)
    off = 1.0 if sketch is None else max(1.0, load(plan) / load(sketch))
    pruned = sketch_layers(plan.quant_layers, plan.target.stores)  # with other weights others may be cheaper
    share = least_prune(pruned, replace(plan.target, share=SKETCH_SPARE / off), plan.sources)
    return share if share and share <= MOST_PRUNE else None
