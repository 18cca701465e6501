"""Rate matching: the least engines that keep up with the frame rate, on the fastest plan that fits the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.plan.adder_graph import AdderGraph
from lognet_fpga.plan.engine import AdderEngine, Engine
from lognet_fpga.plan.fifos import size_fifos
from lognet_fpga.plan.folding import BRAM_PRICES, Entry, Folding, LayerFoldings, Streams
from lognet_fpga.plan.model import BRAM, CLB, Board, BramPlan, ClbPlan, HardwarePlan
from lognet_fpga.plan.resources import SHELL, stream_resources
from lognet_fpga.plan.sketch import sketched_engines
from lognet_fpga.plan.weights import AUTO, Weights, layer_foldings

HEADROOM = (
    0.95  # share of LUTs and flip-flops that a plan may take: estimates of LUTs are within a few percent of Yosys
)
SHALLOWEST_FIFO = 2  # beats
SOURCE_BEAT_BITS = 64  # greatest width of the overlay's entry
SINK_BEAT_BITS = 64  # width of the overlay's exit
INNER_BEAT_BITS = 32  # least width between layers: narrower beats save nothing that matters
_TRIES = 8  # budgets tried for a frame rate


def plan_hardware(
    quant: QuantGraph,
    graphs: tuple[AdderGraph | None, ...],
    board: Board,
    *,
    fps: float | None = None,
    clk_mhz: float | None = None,
) -> HardwarePlan:
    """The plan for `fps` frames a second, or the fastest one that fits the board when fps is None.

    graphs: None for a layer with its weights in memories.  Raises DoesNotFitError, with the table per layer and ways
    out, when there is none.
    """
    clk_mhz = clk_mhz or board.clk_mhz
    engines = [AdderEngine(graph, layer.in_bits) if graph else None for layer, graph in zip(quant.layers, graphs)]
    planner = Planner(quant, layer_foldings(quant, engines), board, clk_mhz)
    if fps is not None:
        plan = planner.within(_cycles(fps, clk_mhz))
        if plan is None:
            fastest = planner.plan(planner.budgets()[0])
            raise DoesNotFitError(
                f"{fps:,.0f} frames a second is more than these layers can do at {clk_mhz:g} MHz",
                context=[f"the fastest engines (one position a cycle) reach {fastest.fps:,.0f} fps"],
                hint="ask for fewer --fps, or raise --clk-mhz",
            )
        if not fits(plan):
            raise _does_not_fit(plan, planner)
        return plan
    budgets = planner.budgets()
    if not fits(smallest := planner.plan(budgets[-1])):
        raise _does_not_fit(smallest, planner)
    # The search looks at the engines alone: sizing FIFOs runs the cycle model, which takes seconds for large frames.
    low = _fastest(planner, budgets)
    while (plan := planner.plan(budgets[low])) is None or not fits(plan):
        low += 1  # ends: the last one fits
    return plan


def draft_hardware(
    quant: QuantGraph,
    engines: Sequence[Engine | None],
    board: Board,
    *,
    weights: Weights = CLB,
    fps: float | None = None,
    clk_mhz: float | None = None,
) -> HardwarePlan | None:
    """As plan_hardware, in a moment: FIFOs are left at their shallowest, latency_cycles is 0.

    engines, weights: see layer_foldings.  Where nothing fits it is the smallest plan (for fps: the one for that rate),
    see `fits`.  None when no engines are as fast as fps.
    """
    clk_mhz = clk_mhz or board.clk_mhz
    planner = Planner(quant, layer_foldings(quant, engines, weights), board, clk_mhz)
    if fps is not None:
        return planner.draft(_cycles(fps, clk_mhz))
    budgets = planner.budgets()
    return planner.draft(budgets[_fastest(planner, budgets)])


def fits(plan: HardwarePlan) -> bool:
    total, board = plan.total, plan.board
    return total.lut <= HEADROOM * board.lut and total.ff <= HEADROOM * board.ff and total.bram36 <= board.bram36


def _cycles(fps: float, clk_mhz: float) -> float:
    """The budget of a frame rate; a rate that some plan states must find that plan again."""
    return clk_mhz * 1e6 / fps * (1 + 1e-9)


def _fastest(planner: Planner, budgets: list[int]) -> int:
    """Index of the first budget whose draft fits, the last one where none does."""
    low, high = 0, len(budgets) - 1
    while low < high:  # resources only shrink as the budget of cycles grows
        middle = (low + high) // 2
        draft = planner.draft(budgets[middle])
        if draft is not None and fits(draft):
            high = middle
        else:
            low = middle + 1
    return low


class Planner:
    """Plans for one quantized graph and board, by budget of cycles a frame."""

    def __init__(self, quant: QuantGraph, foldings: Sequence[LayerFoldings], board: Board, clk_mhz: float) -> None:
        self.quant, self.foldings, self.board, self.clk_mhz = quant, foldings, board, clk_mhz
        self.plan = lru_cache(maxsize=None)(self._plan)

    def budgets(self) -> list[int]:
        """Every number of cycles a frame at which some layer can change its folding, fastest first."""
        every = [some.paces() for some in self.foldings]
        fastest, slowest = max(min(some) for some in every), max(max(some) for some in every)
        return sorted(cycles for cycles in set().union(*every) if fastest <= cycles <= slowest)

    def draft(self, budget: float) -> HardwarePlan | None:
        """plan(budget) with the shallowest FIFOs and without the cycle model."""
        return self._drafted(budget)[0]

    def within(self, budget: float) -> HardwarePlan | None:
        """As plan, but never slower than the budget: beats that come slower than slots may cost a few cycles."""
        target = budget
        for _ in range(_TRIES):
            plan = self.plan(target)
            if plan is None or plan.cycles_per_frame <= budget:
                return plan
            target -= plan.cycles_per_frame - budget
        return None

    def _drafted(self, budget: float) -> tuple[HardwarePlan | None, list[Folding]]:
        """The draft at the first price of block RAM with which it fits, else at the usual one, and its foldings."""
        first: tuple[HardwarePlan | None, list[Folding]] | None = None
        for bram_price in BRAM_PRICES:
            matched = self._matched(budget, bram_price)
            if matched is None:
                return None, []
            plans, chosen = matched
            shallow = [replace(plan, fifo_depth=SHALLOWEST_FIFO) for plan in plans]
            draft = self._hardware(shallow, chosen, max(plan.cycles_per_frame for plan in plans), 0)
            if fits(draft):
                return draft, chosen
            if first is None:
                first = draft, chosen
            elif draft == first[0]:
                break
        return first

    def _plan(self, budget: float) -> HardwarePlan | None:
        """The least engines that do a frame in `budget` cycles; None when the fastest ones do not."""
        draft, chosen = self._drafted(budget)
        if draft is None:
            return None
        plans, counts = size_fifos(self.quant.layers, list(draft.layers), chosen)
        return self._hardware(plans, chosen, counts.cycles_per_frame, counts.latency_cycles)

    def _hardware(
        self, plans: list[ClbPlan | BramPlan], chosen: list[Folding], cycles_per_frame: int, latency_cycles: int
    ) -> HardwarePlan:
        """The plan of these layers, with their estimates."""
        layers = tuple(
            replace(plan, estimate=folding.resources(plan) + stream_resources(layer, plan))
            for layer, plan, folding in zip(self.quant.layers, plans, chosen)
        )
        return HardwarePlan(self.board, self.clk_mhz, layers, SHELL, cycles_per_frame, latency_cycles)

    def _matched(self, budget: float, bram_price: float) -> tuple[list[ClbPlan | BramPlan], list[Folding]] | None:
        """Foldings and beats of every layer, without FIFOs; None when the fastest foldings do not do."""
        layers, chosen = self.quant.layers, []
        entry = Entry(min(layers[0].in_shape[0], SOURCE_BEAT_BITS // layers[0].in_bits))
        for foldings in self.foldings:
            folding = foldings.fold(budget, chosen[-1] if chosen else entry, bram_price)
            if folding is None:
                return None
            chosen.append(folding)
        # One position a beat where a beat of the entry holds it.
        lanes = max(lanes for lanes in range(1, entry.most + 1) if chosen[0].takes(lanes))
        plans = []
        for index, (layer, folding) in enumerate(zip(layers, chosen)):
            following = chosen[index + 1] if index + 1 < len(chosen) else None
            out_lanes = channels_per_beat(layer, folding, following)
            plans.append(folding.plan(Streams(lanes, -(-layer.in_shape[0] // lanes), out_lanes)))
            lanes = out_lanes
        return plans, chosen


def channels_per_beat(layer: QuantLayer, folding: Folding, following: Folding | None) -> int:
    """The fewest lanes whose beats pass within a slot of both layers, in the width that the exit or the FIFO should
    have; following None: of the last layer."""
    channels, beat_bits = layer.codes.shape[0], SINK_BEAT_BITS if following is None else INNER_BEAT_BITS
    cycles = min(folding.ii_cycles, following.ii_cycles if following else folding.ii_cycles)
    least = max(min(channels, beat_bits // layer.out_bits), -(-channels // cycles))
    possible = [
        lanes for lanes in range(1, channels + 1) if folding.sends(lanes) and (not following or following.takes(lanes))
    ]
    return next((lanes for lanes in possible if lanes >= least), possible[-1])


def _does_not_fit(plan: HardwarePlan, planner: Planner) -> DoesNotFitError:
    total, board = plan.total, plan.board
    table = [
        f"{layer.name}: {layer.estimate.lut:,.0f} LUT, {layer.estimate.ff:,.0f} FF, {layer.estimate.bram36:g} BRAM36 "
        f"({layer.nonzero_weights:,} weights, {layer.folding})"
        for layer in plan.layers
    ]
    table.append(
        f"total: {total.lut:,.0f} of {board.lut:,} LUT, {total.ff:,.0f} of {board.ff:,} FF, "
        f"{total.bram36:g} of {board.bram36:,} BRAM36 (estimated; plans stay below {HEADROOM:.0%} of LUT and FF)"
    )
    ways = []
    slowest = planner.plan(planner.budgets()[-1])
    if slowest.total.lut < total.lut:
        ways.append(
            f"ask for fewer --fps: the smallest engines do {slowest.fps:,.0f} fps in {slowest.total.lut:,.0f} LUT"
        )
    share = HEADROOM * board.lut / max(1.0, slowest.total.lut)
    if share < 1 and any(layer.weights == CLB for layer in plan.layers):
        kept = np.mean([np.mean(layer.codes != 0) for layer in planner.quant.layers]) * share
        ways.append(f"--prune {min(0.99, 1 - kept):.2f} (about; check the accuracy)")
    if len(plan.layers) > 1:
        ways.append(f"--fpga-layers {len(plan.layers) - 1}")
    ways.append("a larger --board")
    return DoesNotFitError(f"the overlay does not fit {board.title}", context=table, hint="; or ".join(ways[:3]))


def settle_weights(
    quant: QuantGraph, board: Board, weights: Weights, *, fps: float | None = None, clk_mhz: float | None = None
) -> tuple[bool, ...]:
    """Which layers get their weights in memories: as weights says, with AUTO what is cheaper by sketches."""
    if weights != AUTO:
        return (weights == BRAM,) * len(quant.layers)
    engines = sketched_engines(quant)
    draft = draft_hardware(quant, engines, board, weights=AUTO, fps=fps, clk_mhz=clk_mhz)
    if draft is None:  # no engines are that fast, which planning will say
        draft = draft_hardware(quant, engines, board, weights=AUTO, clk_mhz=clk_mhz)
    return tuple(layer.weights == BRAM for layer in draft.layers)
