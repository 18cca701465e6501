"""The plan that is built: for a frame rate, or the fastest one that fits the board."""

from __future__ import annotations

from collections.abc import Sequence

from lognet_fpga.engines.folding import Engine
from lognet_fpga.engines.stores import solve_layers
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import Sources
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.search import Planner, fitting_plan, settle_stores
from lognet_fpga.plan.ways_out import does_not_fit
from lognet_fpga.progress import NoProgress, Progress


def plan_hardware(quant: QuantGraph, target: Target, progress: Progress = NoProgress()) -> HardwarePlan:
    """Settle the store of every layer, solve its engine, and plan: see plan_engines."""
    with progress.stage("choose where the weights go"):
        stores = settle_stores(quant, target)
    engines = solve_layers(quant.layers, stores, progress)
    with progress.stage(f"plan for {target.board.title}"):
        return plan_engines(engines, target, quant.sources)


def plan_engines(engines: Sequence[Engine], target: Target, sources: Sources = ()) -> HardwarePlan:
    """The plan for target.fps frames a second, or the fastest one that fits the board when that is None.

    engines: solved, one a layer.  sources: of each layer's input, () for a chain.  Raises DoesNotFitError, with the
    table per layer and ways out, when there is none.
    """
    if (plan := fitting_plan(engines, target, sources)) is not None:
        return plan
    planner = Planner([(engine,) for engine in engines], target, sources)
    budgets = planner.budgets()
    plan = planner.plan(budgets[-1]) if target.frame_cycles is None else planner.within(target.frame_cycles)
    if plan is None:
        top = planner.fastest_plan()
        raise DoesNotFitError(
            f"{target.fps:,.0f} frames a second is more than these layers can do at {mhz_text(target.clk_mhz)} MHz",
            context=[f"the fastest engines (one position a cycle) reach {top.fps:,.0f} fps"],
            hint="ask for fewer --fps, or raise --clk-mhz",
        )
    raise does_not_fit(plan, engines)
