"""The FIFOs between layers, judged by the event-driven model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.plan.boards import load_board
from lognet_fpga.plan.fifos import fifo_reserve, layer_timing, size_fifos
from lognet_fpga.plan.layer_timing import LayerTiming
from lognet_fpga.plan.matching import Planner
from lognet_fpga.plan.sketch import sketched_engines
from lognet_fpga.plan.weights import layer_foldings
from tests.plan.event_model import count_by_events
from tests.quant_models import POOL_2X2, Spec, random_graph, random_net


def sized(quant, weights: str, paces: slice):
    """(timings with the FIFOs as sized, plans, counts) at some of the layers' paces."""
    board = dataclasses.replace(load_board("zcu104"), lut=10**7, ff=10**7, bram36=10**5)
    planner = Planner(
        quant, layer_foldings(quant, sketched_engines(quant), board.clk_mhz, weights), board, board.clk_mhz
    )
    for budget in planner.budgets()[paces]:
        draft, foldings = planner._drafted(budget)
        if draft is not None:
            plans, counts = size_fifos(quant.layers, list(draft.layers), foldings)
            yield [layer_timing(*some) for some in zip(quant.layers, plans, foldings)], plans, counts


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
        assert [plan.fifo_peak for plan in plans] == list(peaks)
        unlimited = [dataclasses.replace(layer, fifo_depth=None) for layer in layers]
        assert counts.cycles_per_frame == slowest(layers) == slowest(unlimited)
        for index, (layer, plan, of) in enumerate(zip(layers, plans, quant.layers)):
            assert peaks[index] <= plan.fifo_depth and plan.fifo_reserve == fifo_reserve(of, layer)
            half = dataclasses.replace(layer, fifo_depth=plan.fifo_depth // 2)
            if half.fifo_depth < plan.fifo_reserve + len(layer.beat_cycles):
                continue  # not even the beats of one position
            # The FIFOs behind were still as deep as they might be when this one was chosen.
            behind = [dataclasses.replace(some, fifo_depth=4096) for some in layers[index + 1 :]]
            assert slowest([*layers[:index], half, *behind]) > counts.cycles_per_frame


@pytest.mark.parametrize("seed", [230, 731, 1307, 2194])
def test_no_frame_is_slower_than_stated(seed):
    """FIFOs half as deep would do for every second frame, but hold up the others."""
    rng = np.random.default_rng(seed)
    quant, _ = random_net(rng, seed)
    weights = str(rng.choice(["clb", "bram", "auto"]))
    for layers, _, counts in sized(quant, weights, slice(None)):
        last_out, _ = count_by_events(layers, 12)
        assert set(np.diff(last_out)[3:]) == {counts.cycles_per_frame}


def test_large_frames():
    """VGG16's first three layers, 240 x 240."""
    quant = random_graph(1, (3, 240, 240), Spec(64, pool=None), Spec(64, pool=POOL_2X2), Spec(128, pool=None))
    for _, plans, counts in sized(quant, "clb", slice(None, None, 12)):
        assert counts.cycles_per_frame >= max(plan.cycles_per_frame for plan in plans)
