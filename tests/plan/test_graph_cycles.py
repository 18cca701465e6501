"""The cycle model of graphs, and the FIFOs that follow from it, against the event-driven model.

That it equals the Verilog is tested in tests/codegen.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, replace

import numpy as np
import pytest

from lognet_fpga.engines.stores import sketch_layers
from lognet_fpga.ir.sources import chain
from lognet_fpga.plan.search import Planner
from lognet_fpga.plan.time.cycles import count_cycles
from lognet_fpga.plan.time.fifos import layer_timing
from lognet_fpga.plan.time.graph import Deadlock, Queue, count_graph_cycles
from lognet_fpga.plan.time.graph_fifos import shallowest
from tests.graph_models import at_some_pace, graph, random_directed
from tests.plan.event_model import count_graph_by_events
from tests.plan.test_cycles import random_chain
from tests.quant_models import endless_board, target


def straight(layers):
    return [[Queue((1, 1), layer.fifo_depth, layer.fifo_reserve)] for layer in layers]


@pytest.mark.parametrize("seed", range(40))
def test_a_chain_is_a_graph(seed):
    rng = np.random.default_rng(seed)
    layers = random_chain(rng, tuple(map(int, rng.integers(3, 14, 2))))
    if not layers:
        return
    counts = count_cycles(layers, 4)
    found = count_graph_cycles(layers, chain(len(layers)), [], straight(layers), 4)
    assert found.last_out == counts.last_out
    for layer, peak, expected in zip(layers, found.fifo_peaks, counts.fifo_peaks):
        assert peak == expected or layer.fifo_depth is None


def planned(quant, rng: np.random.Generator):
    """A plan of sketches at one of the layers' paces, some with their weights in memories."""
    memories = rng.random(len(quant.layers)) < 0.4
    engines = [
        sketch_layers([layer], ("bram" if in_memory else "clb",))[0] for layer, in_memory in zip(quant.layers, memories)
    ]
    return at_some_pace(Planner(engines, target(endless_board(), weights="auto"), quant.sources), rng)


def timed(plan):
    """What the model takes of a plan."""
    queues = [
        [Queue(fifo.stride, fifo.depth, fifo.reserve) for fifo in its]
        for its in (plan.entry_fifos, *(layer.fifos for layer in plan.layers))
    ]
    return list(map(layer_timing, plan.layers)), plan.sources, queues[0], queues[1:]


def peaks(plan):
    return tuple(fifo.peak for its in (plan.entry_fifos, *(layer.fifos for layer in plan.layers)) for fifo in its)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_known_without_the_model_is_a_bound(seed):
    quant, rng = random_directed(seed), np.random.default_rng(seed)
    engines = [sketch_layers([layer], (str(rng.choice(("clb", "bram"))),))[0] for layer in quant.layers]
    planner = Planner(engines, target(endless_board(), weights="auto"), quant.sources)
    for budget in {*planner.budgets()[:1], *map(int, rng.choice(planner.budgets(), 2))}:
        least, plan = planner.least_total(budget), planner.plan(budget)
        if least is None or plan is None:
            continue
        for name, its in asdict(plan.total).items():
            assert getattr(least, name) <= its + 1e-6, f"seed {seed}, budget {budget}: {name}"
        assert least.lut > 0.8 * plan.total.lut  # worth knowing


SEEDS = [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 212))]


@pytest.mark.parametrize("seed", SEEDS)
def test_plans_are_as_the_events_say(seed):
    plan = planned(random_directed(seed), np.random.default_rng(seed))
    last_out, most = count_graph_by_events(*timed(plan), 8)
    assert plan.latency_cycles == last_out[0], f"seed {seed}"
    assert plan.cycles_per_frame == max(np.diff(last_out)[3:]) and peaks(plan) == most, f"seed {seed}"
    for fifo in (*plan.entry_fifos, *(fifo for layer in plan.layers for fifo in layer.fifos)):
        assert fifo.peak <= fifo.depth
    # No frame would be faster if no FIFO were ever full.
    layers, sources, entry, queues = timed(plan)
    endless = [[replace(queue, depth=None) for queue in its] for its in (entry, *queues)]
    last_out, _ = count_graph_by_events(layers, sources, endless[0], endless[1:], 8)
    assert plan.cycles_per_frame == max(np.diff(last_out)[3:]), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_random_depths_are_as_the_events_say(seed):
    """FIFOs of any depth, also some with which the graph stands still."""
    rng = np.random.default_rng(seed)
    plan = planned(random_directed(seed), rng)
    layers, sources, entry, queues = timed(plan)

    def other(queue: Queue) -> Queue:
        limit = max(1, queue.depth - queue.reserve)
        return replace(queue, depth=None if rng.random() < 0.1 else queue.reserve + int(rng.integers(0, 2 * limit)))

    entry, queues = [other(queue) for queue in entry], [[other(queue) for queue in its] for its in queues]
    last_out, most = count_graph_by_events(layers, sources, entry, queues, 5)
    try:
        counts = count_graph_cycles(layers, sources, entry, queues, 5)
    except Deadlock:
        assert len(last_out) < 5, f"seed {seed}"
        return
    assert counts.last_out == last_out and counts.fifo_peaks == most, f"seed {seed}"


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 40))])
def test_frames_that_are_not_followed_are_as_the_events_say(seed):
    """The model ceases to follow frames once these repeat; with random depths often every second or third does."""
    rng = np.random.default_rng(seed)
    layers, sources, entry, queues = timed(planned(random_directed(seed), rng))
    queues = [
        [replace(queue, depth=queue.depth + int(rng.integers(0, 1 + queue.depth))) for queue in its] for its in queues
    ]
    last_out, most = count_graph_by_events(layers, sources, entry, queues, 24)
    counts = count_graph_cycles(layers, sources, entry, queues, 24)
    assert counts.last_out == last_out and counts.fifo_peaks == most, f"seed {seed}"


@pytest.mark.parametrize("seed", range(20))
def test_no_fifo_could_be_half_as_deep(seed):
    """Where each needs a depth of its own, or two of them a sum; few need much."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    needs = np.where(rng.random(count) < 0.2, rng.integers(1, 300, count), 3)
    first, second = rng.integers(0, count, 2)
    ample, least = [512] * count, [4] * count

    def enough(depths):
        return all(depths >= needs) and depths[first] + depths[second] >= 40

    found = shallowest(ample, least, enough)
    assert enough(found)
    for number, depth in enumerate(found):
        half = [max(4, some // 2) if index == number else some for index, some in enumerate(found)]
        assert depth == 4 or not enough(half)


def test_a_shortcut_that_is_too_shallow_stands_still():
    """The layer beside it needs a row and two positions for its first result; one may come when the limit is met."""
    plan = planned(graph("residual"), np.random.default_rng(1))
    layers, sources, entry, queues = timed(plan)
    beats = plan.layers[0].beats
    for positions, stands in ((6, True), (7, False)):
        shortcut = Queue((1, 1), positions * beats + queues[0][1].reserve, queues[0][1].reserve)
        tried = [[queues[0][0], shortcut], *queues[1:]]
        assert len(count_graph_by_events(layers, sources, entry, tried, 3)[0]) == (0 if stands else 3)
        for hesitant in (False, True):
            with pytest.raises(Deadlock) if stands else nullcontext():
                count_graph_cycles(layers, sources, entry, tried, 3, hesitant=hesitant)
