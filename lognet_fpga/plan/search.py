"""Rate matching: for a budget of cycles a frame the least engines that keep up with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from lognet_fpga.engines.folding import BRAM_PRICES, AnyOf, Engine, Entry, Folding, Foldings, Sends, Streams, Widths
from lognet_fpga.engines.stores import sketch_layers
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.costs import SHELL
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Sources, chain, takers
from lognet_fpga.plan.budget import fits, share
from lognet_fpga.plan.hardware_plan import Fifo, HardwarePlan, Part, PlannedLayer
from lognet_fpga.plan.time.fifos import size_fifos
from lognet_fpga.plan.time.graph_fifos import least_graph_fifos, size_graph_fifos
from lognet_fpga.plan.webs import Web, bits_of, channels_of, webs

SHALLOWEST_FIFO = 2  # beats
SOURCE_BEAT_BITS = 64  # greatest width of the overlay's entry
SINK_BEAT_BITS = 64  # width of the overlay's exit
INNER_BEAT_BITS = 32  # least width between layers: narrower beats save nothing that matters
JOINED_BEAT_BITS = 64  # the same where streams are joined, whose positions have more channels
SKETCH_SPARE = 0.93  # share of the budget that a sketch must stay below to be sure of: docs/architecture.md, "Sketches"
_TRIES = 8  # budgets tried for a frame rate
_AS_FAST = 1.01  # cycles of a plan that counts as no slower: it may take a tenth less of a chip
_NEAR_BY = 12  # faster budgets tried beside the one that the search finds


def draft_hardware(engines: Sequence[Sequence[Engine]], target: Target, sources: Sources = ()) -> HardwarePlan | None:
    """As fitting_plan, in a moment: FIFOs are left at their shallowest, latency_cycles is 0.

    engines: for each layer one or more, sketched or solved, of different stores.  sources: of each layer's input, ()
    for a chain.  Where nothing fits it is the smallest plan (for fps: the one for that rate), see `fits`.  None when no
    engines are as fast as fps.
    """
    cycles = target.frame_cycles
    if cycles is None:
        return fastest_draft(engines, target, sources)
    planner = Planner(engines, target, sources)
    draft = planner.draft(cycles)
    if draft is None or fits(draft):
        return draft
    return next((planner.draft(budget) for budget in fitting_budgets(planner, cycles)), draft)


def fastest_draft(engines: Sequence[Sequence[Engine]], target: Target, sources: Sources = ()) -> HardwarePlan:
    """As draft_hardware without a frame rate: there is always one."""
    planner = Planner(engines, replace(target, fps=None), sources)
    budgets = planner.budgets()
    return planner.draft_at(budgets[fastest(planner, budgets)])


def slowest_draft(engines: Sequence[Sequence[Engine]], target: Target, sources: Sources = ()) -> HardwarePlan:
    """The draft whose layers all take the most cycles that make any of them cheaper.  engines: as of draft_hardware."""
    planner = Planner(engines, target, sources)
    return planner.draft_at(planner.budgets()[-1])


def fitting_plan(engines: Sequence[Engine], target: Target, sources: Sources = ()) -> HardwarePlan | None:
    """The plan for target.fps frames a second, or the fastest one for None, give or take 1%; None where that does not
    fit."""
    planner, cycles = Planner([(engine,) for engine in engines], target, sources), target.frame_cycles
    if target.fps is None or cycles is None:
        return planner.fastest_that_fits(_AS_FAST)
    least = target.fps * (1 - 1e-9)
    # Narrower beats may cost one plan the rate that another one reaches.
    plans = (plan for plan in _plans_for(planner, cycles) if plan is not None)
    return next((plan for plan in plans if fits(plan) and plan.fps >= least), None)


def _plans_for(planner: Planner, cycles: float) -> Iterator[HardwarePlan | None]:
    """Plans to try for a frame in that many cycles, the least first.  Those that are found without a rate come last: a
    rate that one of them reaches has a plan, however few others fit."""
    yield planner.within(cycles)
    for budget in islice(fitting_budgets(planner, cycles), _TRIES):
        yield planner.plan(budget)
    for as_fast in (1.0, _AS_FAST):
        yield planner.fastest_that_fits(as_fast)


def settle_stores(quant: QuantGraph, target: Target) -> tuple[str, ...]:
    """The store of each layer: of those of the target the cheaper one, by sketches.

    Sketches have to fit with room to spare, since what is settled here is planned with solved engines.
    """
    if len(target.stores) == 1:
        return target.stores * len(quant.layers)
    engines, room = sketch_layers(quant.layers, target.stores), replace(target, share=target.share * SKETCH_SPARE)
    draft = draft_hardware(engines, room, quant.sources)
    if draft is None:  # no engines are that fast, which planning will say
        draft = fastest_draft(engines, room, quant.sources)
    return tuple(planned.folding.store for planned in draft.layers)


def fastest(planner: Planner, budgets: list[int], as_fast: float = _AS_FAST) -> int:
    """Index of the first budget whose draft fits, the last one where none does; or of one that has as_fast times the
    cycles at most, and whose draft is smaller."""

    def fitting(index: int) -> bool:
        draft = planner.draft(budgets[index])
        return draft is not None and fits(draft)

    def size(index: int) -> float:
        total = planner.draft_at(budgets[index]).total
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
    """Plans of some engines for a target, by budget of cycles a frame.  engines, sources: as of draft_hardware."""

    def __init__(self, engines: Sequence[Sequence[Engine]], target: Target, sources: Sources = ()) -> None:
        self.target, self.layers = target, [some[0].layer for some in engines]
        self.sources = sources or chain(len(engines))
        self.takers, self.webs = takers(self.sources), webs(self.sources, self.layers)
        first = self.layers[0]
        self.entry = Entry(min(first.in_shape[0], SOURCE_BEAT_BITS // first.in_bits))
        each = [[engine.foldings(target) for engine in some] for some in engines]
        self.parts = [channels_of(self.sources, self.layers, number) for number in range(len(self.layers))]
        self.channels = {FRAMES: first.in_shape[0], **{n: layer.out_shape[0] for n, layer in enumerate(self.layers)}}
        self.web_into = {taker: web for web in self.webs for taker in web.takers}
        self.web_from = {sender: web for web in self.webs for sender in web.senders}
        self.widths = {web: _web_widths(web.divided, min(map(self._most, web.senders))) for web in self.webs}
        self.foldings: list[Foldings] = [some[0] if len(some) == 1 else AnyOf(tuple(some)) for some in each]
        self.flexible = [some.flexible for some in self.foldings]
        self.plan = lru_cache(maxsize=None)(self._plan)
        self.draft = lru_cache(maxsize=None)(self._draft)

    def budgets(self) -> list[int]:
        """Every number of cycles a frame at which some layer can change its folding, fastest first."""
        every = [some.paces() for some in self.foldings]
        fastest, slowest = max(min(some) for some in every), max(max(some) for some in every)
        return sorted(cycles for cycles in set().union(*every) if fastest <= cycles <= slowest)

    def draft_at(self, budget: int) -> HardwarePlan:
        """As draft, for one of budgets(), at which every layer has a folding."""
        return _there(self.draft(budget), budget)

    def plan_at(self, budget: int) -> HardwarePlan:
        """As plan, for one of budgets()."""
        return _there(self.plan(budget), budget)

    def fastest_plan(self) -> HardwarePlan:
        """Of the first of budgets() that has one: streams that are tied together may not be as fast as each layer."""
        return next(plan for plan in map(self.plan, self.budgets()) if plan is not None)

    def fastest_that_fits(self, as_fast: float) -> HardwarePlan | None:
        """as_fast: as of `fastest`."""
        # The search looks at drafts: sizing FIFOs runs the cycle model, which takes longer for large frames.
        budgets = self.budgets()
        plans = (self.plan(cycles) for cycles in budgets[fastest(self, budgets, as_fast) :] if self._may_fit(cycles))
        return next((plan for plan in plans if plan is not None and fits(plan)), None)

    def least_total(self, budget: float) -> Resources | None:
        """What the plan takes at least of each resource: with the shallowest FIFOs that it can have, which takes no
        cycle model.  None where that is not known."""
        draft = self.draft(budget)
        if draft is None or draft.is_chain:
            return None
        layers, entry = least_graph_fifos(draft.layers, draft.entry_fifos)
        return replace(draft, layers=tuple(layers), entry_fifos=entry).total_of_deeper_fifos

    def _may_fit(self, budget: float) -> bool:
        least = self.least_total(budget)
        return least is None or share(least, self.target) <= 1 + 1e-9  # sums are rounded

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
        plan = self.fastest_plan()  # its beats may be wider, and so faster, than those of a slower one
        return plan if plan.cycles_per_frame <= budget else None

    def _draft(self, budget: float) -> HardwarePlan | None:
        """plan(budget) with the shallowest FIFOs and without the cycle model: at the first price of block RAM with
        which it fits, else at the usual one.  A layer whose results leave in beats of one width may cost those that
        its streams are tied to more than it saves: where nothing fits, all are flexible."""
        draft = self._draft_of(self.foldings, budget)
        if self.flexible == self.foldings or (draft is not None and fits(draft)):
            return draft
        flexible = self._draft_of(self.flexible, budget)
        return flexible if draft is None or (flexible is not None and fits(flexible)) else draft

    def _draft_of(self, foldings: Sequence[Foldings], budget: float) -> HardwarePlan | None:
        first: HardwarePlan | None = None
        for bram_price in BRAM_PRICES:
            matched = self._matched(foldings, budget, bram_price)
            if matched is None:
                return None
            draft = self._hardware(matched, max(planned.folding.cycles_per_frame for planned in matched), 0)
            if fits(draft):
                return draft
            if first is None:
                first = draft
            elif draft == first:
                break
        return first

    def _plan(self, budget: float) -> HardwarePlan | None:
        """The least engines that do a frame in `budget` cycles; None when the fastest ones do not."""
        draft = self.draft(budget)
        if draft is None:
            return None
        if draft.is_chain:
            layers, counts = size_fifos(draft.layers)
            return self._hardware(layers, counts.cycles_per_frame, counts.latency_cycles)
        layers, entry, counts = size_graph_fifos(draft.layers, draft.entry_fifos, self.sources)
        sized = self._hardware(layers, counts.cycles_per_frame, counts.latency_cycles)
        return replace(sized, entry_fifos=entry)

    def _hardware(self, layers: Sequence[PlannedLayer], cycles_per_frame: int, latency_cycles: int) -> HardwarePlan:
        entry = self._fifos(FRAMES) if len(self.takers[FRAMES]) > 1 else ()
        return HardwarePlan(self.target, tuple(layers), SHELL, cycles_per_frame, latency_cycles, self.sources, entry)

    def _fifos(self, number: int) -> tuple[Fifo, ...]:
        """The shallowest ones, behind a layer or for FRAMES behind the entry."""
        strides = [self.sources[taker][place].stride for taker, place in self.takers[number]] or [(1, 1)]
        return tuple(Fifo(SHALLOWEST_FIFO, stride=stride) for stride in strides)

    def _matched(self, every: Sequence[Foldings], budget: float, bram_price: float) -> list[PlannedLayer] | None:
        """Every layer with its folding, streams and the shallowest FIFOs; None when the fastest foldings do not do."""
        chosen: list[Folding] = []
        for number, foldings in enumerate(every):
            before = self._before(number, chosen)
            tried = (
                (_fold(foldings, budget, before, bram_price, behind), behind) for behind in self._behind(number, chosen)
            )
            fitting = (
                folding for folding, behind in tried if folding and (behind is None or _fits_behind(folding, behind))
            )
            if (folding := next(fitting, None)) is None:
                return None
            chosen.append(folding)
        lanes = {sender: self._lanes(web, chosen) for web in self.webs for sender in web.senders}
        matched = []
        for number, (layer, folding) in enumerate(zip(self.layers, chosen)):
            in_lanes = lanes[self.sources[number][0].layer]
            beats = [-(-channels // in_lanes) for channels in self.parts[number]]
            parts = tuple(map(Part, beats, bits_of(self.sources, self.layers, number))) if len(beats) > 1 else ()
            fifo, *branches = self._fifos(number)
            streams = Streams(in_lanes, sum(beats), lanes[number])
            matched.append(PlannedLayer(layer, folding, streams, fifo, tuple(branches), parts))
        return matched

    def _before(self, number: int, chosen: Sequence[Folding]) -> Sends:
        """What layer `number` takes, of the foldings chosen for those before it."""
        web = self.web_into[number]
        return self._sender(web.senders[0], chosen) if web.single else Widths(self._allowed(web, chosen))

    def _behind(self, number: int, chosen: Sequence[Folding]) -> tuple[Widths | None, ...]:
        """The widths that the streams which layer `number` sends may have, by those that are tied to them: wide ones
        first, then all; None for any."""
        web = self.web_from[number]
        if web.single:
            return (None,)
        allowed, taken = self._allowed(web, chosen), self.web_into[number] is web
        wide = frozenset(lanes for lanes in allowed if lanes * self.layers[number].out_bits >= JOINED_BEAT_BITS)
        return (Widths(wide, taken), Widths(allowed, taken)) if wide else (Widths(allowed, taken),)

    def _sender(self, number: int, chosen: Sequence[Folding]) -> Sends:
        return self.entry if number == FRAMES else chosen[number]

    def _allowed(self, web: Web, chosen: Sequence[Folding]) -> frozenset[int]:
        """Channels a beat that a web may have, by the foldings chosen so far."""
        allowed = self.widths[web]
        most = max(allowed)
        senders = (sent_widths(chosen[number], most) for number in web.senders if FRAMES < number < len(chosen))
        takers = (taken_widths(chosen[number], most) for number in web.takers if number < len(chosen))
        return allowed.intersection(*senders, *takers)

    def _lanes(self, web: Web, chosen: Sequence[Folding]) -> int:
        """Channels a beat of a web's streams."""
        if web.single:
            (sender,), following = web.senders, chosen[web.takers[0]] if web.takers else None
            if sender == FRAMES and following:  # one position a beat where a beat of the entry holds it
                return max(lanes for lanes in range(1, self.entry.most + 1) if following.takes(lanes))
            return channels_per_beat(self.layers[sender], chosen[sender], following)
        passes = [self.channels[number] / chosen[number].ii_cycles for number in web.senders if number != FRAMES]
        passes += [self.layers[number].in_shape[0] / chosen[number].ii_cycles for number in web.takers]
        least = max(*map(self._usual_lanes, web.senders), *map(math.ceil, passes))
        allowed = self._allowed(web, chosen)
        slowest = max(folding.cycles_per_frame for folding in chosen)
        needed: dict[int, int] = {}
        for lanes in sorted(lanes for lanes in allowed if lanes >= least) or [max(allowed)]:
            needed[lanes] = max(self._beat_cycles(number, lanes, chosen[number]) for number in web.takers)
            if needed[lanes] <= slowest:
                return lanes
        return min(needed, key=needed.__getitem__)

    def _beat_cycles(self, taker: int, lanes: int, folding: Folding) -> int:
        """Of a frame, where a slot lasts as long as the beats of a position at least, also one that only shifts."""
        beats = sum(-(-channels // lanes) for channels in self.parts[taker])
        return folding.raster.cycles(max(folding.ii_cycles, beats), max(folding.shift_cycles, beats))

    def _most(self, sender: int) -> int:
        """Channels in the widest beat."""
        return self.entry.most if sender == FRAMES else self.channels[sender]

    def _usual_lanes(self, sender: int) -> int:
        """Channels in a beat of the width that the FIFO should have, or the entry can."""
        if sender == FRAMES:
            return self.entry.most
        return min(self.channels[sender], INNER_BEAT_BITS // self.layers[sender].out_bits)


@lru_cache(maxsize=1 << 12)
def _web_widths(divided: frozenset[int], most: int) -> frozenset[int]:
    """Channels a beat, up to `most`, that a web may have, whatever the foldings."""
    return frozenset(lanes for lanes in range(1, most + 1) if all(channels % lanes == 0 for channels in divided))


@lru_cache(maxsize=1 << 16)
def sent_widths(folding: Folding, most: int) -> frozenset[int]:
    """Channels a beat, up to `most`, in which a layer's results can leave it, one result a slot."""
    channels, cycles = len(folding.layer.codes), folding.ii_cycles
    return frozenset(lanes for lanes in range(1, most + 1) if folding.sends(lanes) and -(-channels // lanes) <= cycles)


@lru_cache(maxsize=1 << 16)
def taken_widths(folding: Folding, most: int) -> frozenset[int]:
    """Channels a beat, up to `most`, that a layer can take."""
    return frozenset(lanes for lanes in range(1, most + 1) if folding.takes(lanes))


def _fits_behind(folding: Folding, behind: Widths) -> bool:
    """Whether its beats, too, leave within a slot in one of the widths of `behind`."""
    widths, most = behind.allowed, max(behind.allowed, default=0)
    sent = widths & sent_widths(folding, most)
    return bool(sent & taken_widths(folding, most) if behind.taken else sent)


def _there(plan: HardwarePlan | None, budget: int) -> HardwarePlan:
    if plan is None:
        raise ValueError(f"no foldings do a frame in {budget} cycles")
    return plan


@lru_cache(maxsize=1 << 16)
def _fold(foldings: Foldings, budget: float, before: Sends, bram_price: float, behind: Widths | None) -> Folding | None:
    """As Foldings.fold, remembered: plans of the first three layers, the first four, and so on, ask for the same."""
    return foldings.fold(budget, before, bram_price, behind)


@lru_cache(maxsize=1 << 16)
def channels_per_beat(layer: QuantLayer, folding: Folding, following: Folding | None) -> int:
    """The fewest lanes whose beats pass within a slot of both layers, in the width that the exit or the FIFO should
    have; following None: of the last layer."""
    channels, beat_bits = layer.codes.shape[0], SINK_BEAT_BITS if following is None else INNER_BEAT_BITS
    cycles = min(folding.ii_cycles, following.ii_cycles if following else folding.ii_cycles)
    least = max(
        min(channels, beat_bits // (layer.code_bits if layer.ranking else layer.out_bits)), -(-channels // cycles)
    )
    nearest = [*range(least, channels + 1), *range(min(least - 1, channels), 0, -1)]
    return next(lanes for lanes in nearest if folding.sends(lanes) and (not following or following.takes(lanes)))
