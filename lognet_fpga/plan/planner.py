"""The plan that is built: for a frame rate, or the fastest one that fits the board."""

from __future__ import annotations

from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.adder_graph import AdderGraph
from lognet_fpga.plan.engine import AdderEngine
from lognet_fpga.plan.matching import Planner, fitting_plan, frame_cycles
from lognet_fpga.plan.model import CLB, Board, HardwarePlan
from lognet_fpga.plan.ways_out import does_not_fit
from lognet_fpga.plan.weights import Weights, layer_foldings


def plan_hardware(
    quant: QuantGraph,
    graphs: tuple[AdderGraph | None, ...],
    board: Board,
    *,
    weights: Weights = CLB,
    fps: float | None = None,
    clk_mhz: float | None = None,
) -> HardwarePlan:
    """The plan for `fps` frames a second, or the fastest one that fits the board when fps is None.

    graphs: None for a layer with its weights in memories.  weights: what was asked for, which settles the ways out.
    Raises DoesNotFitError, with the table per layer and ways out, when there is none.
    """
    engines = [AdderEngine(graph, layer.in_bits) if graph else None for layer, graph in zip(quant.layers, graphs)]
    if (plan := fitting_plan(quant, engines, board, fps=fps, clk_mhz=clk_mhz)) is not None:
        return plan
    clock = board.clock_mhz(clk_mhz)
    planner = Planner(quant, layer_foldings(quant, engines, clock), board, clock)
    budgets = planner.budgets()
    plan = planner.plan(budgets[-1]) if fps is None else planner.within(frame_cycles(fps, clock))
    if plan is None:
        top = planner.plan(budgets[0])
        raise DoesNotFitError(
            f"{fps:,.0f} frames a second is more than these layers can do at {mhz_text(clock)} MHz",
            context=[f"the fastest engines (one position a cycle) reach {top.fps:,.0f} fps"],
            hint="ask for fewer --fps, or raise --clk-mhz",
        )
    raise does_not_fit(plan, quant, engines, weights=weights, fps=fps, clk_mhz=clk_mhz)
