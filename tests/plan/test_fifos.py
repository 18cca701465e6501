"""The FIFOs between layers, judged by the event-driven model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.engines.stores import sketch_layers, stores_of
from lognet_fpga.plan.search import Planner
from lognet_fpga.plan.time.fifos import fifo_reserve, layer_timing, size_fifos
from lognet_fpga.plan.time.layer_timing import LayerTiming
from tests.plan.event_model import count_by_events
from tests.quant_models import POOL_2X2, Spec, endless_board, random_graph, random_net, target


def sized(quant, weights: str, paces: slice):
    """(timings with the FIFOs as sized, plans, counts) at some of the layers' paces."""
    planner = Planner(sketch_layers(quant.layers, stores_of(weights)), target(endless_board(), weights=weights))
    for budget in planner.budgets()[paces]:
        draft = planner.draft(budget)
        if draft is not None:
            layers, counts = size_fifos(draft.layers)
            yield list(map(layer_timing, layers)), layers, counts


def slowest(layers: list[LayerTiming], frames: int = 8) -> int:
    """Cycles of the slowest frame in steady state."""
    last_out, _ = count_by_events(layers, frames)
    return max(np.diff(last_out)[(frames - 1) // 2 :])


@pytest.mark.parametrize("weights", ["clb", "bram", "auto"])
@pytest.mark.parametrize("seed", range(8))
def test_as_shallow_as_the_rate_allows(seed, weights):
    quant, _ = random_net(np.random.default_rng(seed), seed)
    for layers, plans, counts in sized(quant, weights, slice(None, None, 12)):
        last_out, peaks = count_by_events(layers, 8)
        assert counts.latency_cycles == last_out[0]
        assert [plan.fifo.peak for plan in plans] == list(peaks)
        unlimited = [dataclasses.replace(layer, fifo_depth=None) for layer in layers]
        assert counts.cycles_per_frame == slowest(layers) == slowest(unlimited)
        for index, (layer, plan, of) in enumerate(zip(layers, plans, quant.layers)):
            assert peaks[index] <= plan.fifo.depth and plan.fifo.reserve == fifo_reserve(of, layer)
            half = dataclasses.replace(layer, fifo_depth=plan.fifo.depth // 2)
            if half.fifo_depth < plan.fifo.reserve + len(layer.beat_cycles):
                continue  # not even the beats of one position
            # The FIFOs behind were still as deep as they might be when this one was chosen.
            behind = [dataclasses.replace(some, fifo_depth=4096) for some in layers[index + 1 :]]
            assert slowest([*layers[:index], half, *behind]) > counts.cycles_per_frame


@pytest.mark.parametrize("seed", [230, 731, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1307, 2194))])
def test_no_frame_is_slower_than_stated(seed):
    """FIFOs half as deep would do for every second frame, but hold up the others."""
    rng = np.random.default_rng(seed)
    quant, _ = random_net(rng, seed)
    weights = str(rng.choice(["clb", "bram", "auto"]))
    for layers, _, counts in sized(quant, weights, slice(None)):
        last_out, _ = count_by_events(layers, 12)
        assert set(np.diff(last_out)[3:]) == {counts.cycles_per_frame}


@pytest.mark.parametrize("size", [80, pytest.param(240, marks=pytest.mark.slow)])
def test_large_frames(size):
    """VGG16's first three layers."""
    quant = random_graph(1, (3, size, size), Spec(64, pool=None), Spec(64, pool=POOL_2X2), Spec(128, pool=None))
    for _, plans, counts in sized(quant, "clb", slice(None, None, 12)):
        assert counts.cycles_per_frame >= max(plan.folding.cycles_per_frame for plan in plans)
