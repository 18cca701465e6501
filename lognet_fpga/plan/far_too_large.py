"""Saying at once, and not after an hour's search, that a model is far too large for a board."""

from __future__ import annotations

from collections.abc import Sequence

from lognet_fpga.engines.folding import Engine
from lognet_fpga.engines.stores import sketch_layers
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import Sources
from lognet_fpga.plan.budget import load
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.search import fastest_draft, slowest_draft
from lognet_fpga.plan.ways_out import hint, parts_text, ways_out

MARGIN = 1.3  # a sketch that much too large leaves no hope: sketches of LUTs and flip-flops are within 0.2 of plans


def require_possible(quant: QuantGraph, target: Target) -> None:
    """Raise DoesNotFitError for a sketched graph whose smallest engines are far larger than the board."""
    engines, board = sketch_layers(quant.layers, target.stores), target.board
    plan = far_too_large(engines, target, quant.sources)
    if plan is None:
        return
    table = [
        f"{layer.name}: {layer.nonzero_weights:,} weights, about {parts_text(layer.estimate)}" for layer in plan.layers
    ]
    table.append(
        f"total: {sum(layer.nonzero_weights for layer in plan.layers):,} weights other than zero, about "
        f"{parts_text(plan.total)}; {board.title} has {board.lut:,} LUT ({board.m_lut:,} for memory and shift "
        f"registers), {board.ff:,} FF and {board.bram36:,} BRAM36 (estimated, before quantization and adder sharing)"
    )
    ways = ways_out(plan, engines, solved=False)
    raise DoesNotFitError(f"the overlay is far too large for {board.title}", context=table, hint=hint(ways))


def far_too_large(engines: Sequence[Sequence[Engine]], target: Target, sources: Sources = ()) -> HardwarePlan | None:
    """The draft of the smallest engines where it is beyond what sketches can be wrong by, else None.

    engines: sketches of each layer.  sources: of its input, () for a chain.
    """
    smallest = slowest_draft(engines, target, sources)
    if load(smallest) <= MARGIN:
        return None
    # More cycles may take more of one resource: a faster draft may be smaller where it counts.
    plan = fastest_draft(engines, target, sources)
    return plan if load(plan) > MARGIN else None
