"""Rate matching: for a budget of cycles a frame the least engines that keep up with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.plan.budget import fits, part_of
from lognet_fpga.plan.engine import Engine
from lognet_fpga.plan.fifos import size_fifos
from lognet_fpga.plan.folding import BRAM_PRICES, Entry, Folding, LayerFoldings, Streams
from lognet_fpga.plan.model import BRAM, CLB, Board, BramPlan, ClbPlan, HardwarePlan, Resources
from lognet_fpga.plan.resources import SHELL, stream_blocks
from lognet_fpga.plan.sketch import sketched_engines
from lognet_fpga.plan.weights import AUTO, Weights, layer_foldings

SHALLOWEST_FIFO = 2  # beats
SOURCE_BEAT_BITS = 64  # greatest width of the overlay's entry
SINK_BEAT_BITS = 64  # width of the overlay's exit
INNER_BEAT_BITS = 32  # least width between layers: narrower beats save nothing that matters
SKETCH_SPARE = 0.93  # share of the budget that a sketch must stay below to be sure of: docs/architecture.md, "Sketches"
_TRIES = 8  # budgets tried for a frame rate
_MOST_CYCLES = float(1 << 53)  # of a frame: 104 days at 1 GHz, and still exact
_AS_FAST = 1.01  # cycles of a plan that counts as no slower: it may take a tenth less of a chip
_NEAR_BY = 12  # faster budgets tried beside the one that the search finds


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
    clk_mhz = board.clock_mhz(clk_mhz)
    planner = Planner(quant, layer_foldings(quant, engines, clk_mhz, weights), board, clk_mhz)
    if fps is not None:
        cycles = frame_cycles(fps, clk_mhz)
        draft = planner.draft(cycles)
        if draft is None or fits(draft):
            return draft
        return next((planner.draft(budget) for budget in fitting_budgets(planner, cycles)), draft)
    budgets = planner.budgets()
    return planner.draft(budgets[fastest(planner, budgets)])


def fitting_plan(
    quant: QuantGraph,
    engines: Sequence[Engine | None],
    board: Board,
    *,
    fps: float | None = None,
    clk_mhz: float | None = None,
) -> HardwarePlan | None:
    """The plan for fps frames a second, or the fastest one for None, give or take 1%; None where that does not fit.

    engines: None for a layer with its weights in memories.
    """
    clk_mhz = board.clock_mhz(clk_mhz)
    planner = Planner(quant, layer_foldings(quant, engines, clk_mhz), board, clk_mhz)
    if fps is None:
        return planner.fastest_that_fits(_AS_FAST)
    plans = _plans_for(planner, frame_cycles(fps, clk_mhz))
    # Narrower beats may cost one plan the rate that another one reaches.
    return next((plan for plan in plans if plan is not None and fits(plan) and plan.fps >= fps * (1 - 1e-9)), None)


def _plans_for(planner: Planner, cycles: float) -> Iterator[HardwarePlan | None]:
    """Plans to try for a frame in that many cycles, the least first.  Those that are found without a rate come last: a
    rate that one of them reaches has a plan, however few others fit."""
    yield planner.within(cycles)
    for budget in islice(fitting_budgets(planner, cycles), _TRIES):
        yield planner.plan(budget)
    for as_fast in (1.0, _AS_FAST):
        yield planner.fastest_that_fits(as_fast)


def settle_weights(
    quant: QuantGraph, board: Board, weights: Weights, *, fps: float | None = None, clk_mhz: float | None = None
) -> tuple[bool, ...]:
    """Which layers get their weights in memories: as weights says, with AUTO what is cheaper by sketches.

    Sketches have to fit with room to spare, since what is settled here is planned with solved graphs.
    """
    if weights != AUTO:
        return (weights == BRAM,) * len(quant.layers)
    engines, room = sketched_engines(quant), part_of(board, SKETCH_SPARE)
    draft = draft_hardware(quant, engines, room, weights=AUTO, fps=fps, clk_mhz=clk_mhz)
    if draft is None:  # no engines are that fast, which planning will say
        draft = draft_hardware(quant, engines, room, weights=AUTO, clk_mhz=clk_mhz)
    return tuple(layer.weights == BRAM for layer in draft.layers)


def frame_cycles(fps: float, clk_mhz: float) -> float:
    """The budget of a frame rate; a rate that some plan states must find that plan again."""
    return min(_MOST_CYCLES, clk_mhz * 1e6 / fps * (1 + 1e-9))


def fastest(planner: Planner, budgets: list[int], as_fast: float = _AS_FAST) -> int:
    """Index of the first budget whose draft fits, the last one where none does; or of one that has as_fast times the
    cycles at most, and whose draft is smaller."""

    def fitting(index: int) -> bool:
        draft = planner.draft(budgets[index])
        return draft is not None and fits(draft)

    def size(index: int) -> float:
        total = planner.draft(budgets[index]).total
        return total.lut + total.ff / 2 + BRAM_PRICES[0] * total.bram36  # a site has two flip-flops

    low, high = 0, len(budgets) - 1
    while low < high:
        middle = (low + high) // 2
        if fitting(middle):
            high = middle
        else:
            low = middle + 1
    # More cycles may take a little more of one resource for much less of another: a faster one near by may fit, too.
    first = next((index for index in range(max(0, low - _NEAR_BY), low) if fitting(index)), low)
    near = (index for index, cycles in enumerate(budgets) if budgets[first] < cycles <= as_fast * budgets[first])
    return min([first, *filter(fitting, near)], key=size)


def fitting_budgets(planner: Planner, cycles: float) -> Iterator[int]:
    """Budgets whose drafts fit and do a frame in `cycles`, slow ones first, down to the fastest.

    For a budget of `cycles` itself whose draft does not fit: more cycles may take more of one resource, of which the
    board has none to spare, so that a faster plan is the one that fits.
    """
    budgets = planner.budgets()

    def fitting(index: int) -> bool:
        draft = planner.draft(budgets[index])
        return draft is not None and fits(draft) and draft.cycles_per_frame <= cycles

    known = {index for index in (fastest(planner, budgets, slack) for slack in (1.0, _AS_FAST)) if fitting(index)}
    if not known:
        return
    low, high = max(known), sum(budget <= cycles for budget in budgets)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fitting(middle) else (low, middle)
    yield from (budgets[index] for index in range(low, min(known) - 1, -1) if fitting(index))


class Planner:
    """Plans for one quantized graph and board, by budget of cycles a frame."""

    def __init__(self, quant: QuantGraph, foldings: Sequence[LayerFoldings], board: Board, clk_mhz: float) -> None:
        self.quant, self.foldings, self.board, self.clk_mhz = quant, foldings, board, clk_mhz
        self.plan = lru_cache(maxsize=None)(self._plan)
        self._drafted = lru_cache(maxsize=None)(self._draft)

    def budgets(self) -> list[int]:
        """Every number of cycles a frame at which some layer can change its folding, fastest first."""
        every = [some.paces() for some in self.foldings]
        fastest, slowest = max(min(some) for some in every), max(max(some) for some in every)
        return sorted(cycles for cycles in set().union(*every) if fastest <= cycles <= slowest)

    def draft(self, budget: float) -> HardwarePlan | None:
        """plan(budget) with the shallowest FIFOs and without the cycle model."""
        return self._drafted(budget)[0]

    def fastest_that_fits(self, as_fast: float) -> HardwarePlan | None:
        """as_fast: as of `fastest`."""
        # The search looks at drafts: sizing FIFOs runs the cycle model, which takes longer for large frames.
        budgets = self.budgets()
        plans = (self.plan(cycles) for cycles in budgets[fastest(self, budgets, as_fast) :])
        return next((plan for plan in plans if plan is not None and fits(plan)), None)

    def within(self, budget: float) -> HardwarePlan | None:
        """As plan, but never slower than the budget: beats that come slower than slots may cost a few cycles."""
        target = budget
        for _ in range(_TRIES):
            plan = self.plan(target)
            if plan is None:
                break
            if plan.cycles_per_frame <= budget:
                return plan
            target -= plan.cycles_per_frame - budget
        plan = self.plan(self.budgets()[0])  # its beats may be wider, and so faster, than those of a slower one
        return plan if plan.cycles_per_frame <= budget else None

    def _draft(self, budget: float) -> tuple[HardwarePlan | None, list[Folding]]:
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
            replace(plan, estimate=Resources.total(folding.blocks(plan) | stream_blocks(layer, plan)))
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
