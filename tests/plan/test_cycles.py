"""The cycle model against closed forms.  That it equals the Verilog is tested in tests/codegen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.plan.cycles import LayerTiming, count_cycles
from lognet_fpga.plan.slots import SlotRaster, slot_raster
from lognet_fpga.plan.timing import FIFO_LATENCY, GO_LATENCY, SOURCE_LATENCY
from tests.quant_models import POOL_2X2, POOL_3X3, Spec, random_layer

PLAIN = Spec(2, (1, 1), pads=(0, 0, 0, 0), pool=None)


def timing(
    spec: Spec,
    size: tuple[int, int],
    ii_cycles: int,
    shift_cycles: int = 1,
    in_beats: int = 1,
    out_beats: int = 1,
    result_cycles: int = 11,
    early_beats: int = 1,
    place_cycles: int = 1,
) -> LayerTiming:
    layer = random_layer(np.random.default_rng(1), "conv1", (1, *size), 8, spec)
    _, rows, cols = layer.conv_shape
    pool = None if spec.pool is None else (spec.pool.kernel, spec.pool.stride)
    return LayerTiming(
        slot_raster(layer),
        ii_cycles,
        shift_cycles,
        early_beats,
        place_cycles,
        in_beats,
        tuple(range(result_cycles, result_cycles + out_beats)),
        rows,
        cols,
        pool,
        None,
        0,
    )


@pytest.mark.parametrize("ii_cycles,out_beats", [(1, 1), (2, 1), (7, 1), (7, 4), (3, 3)])
def test_one_layer_without_padding(ii_cycles, out_beats):
    """Every position is a slot: one beat goes through all blocks, behind ii_cycles for every other position."""
    layer = timing(PLAIN, (4, 5), ii_cycles, out_beats=out_beats, place_cycles=0)
    counts = count_cycles([layer], 3)
    assert counts.cycles_per_frame == 20 * ii_cycles
    assert counts.latency_cycles == SOURCE_LATENCY + GO_LATENCY + 19 * ii_cycles + 11 + out_beats - 1 + FIFO_LATENCY


@pytest.mark.parametrize("early_beats", [1, 2, 4])
@pytest.mark.parametrize("ii_cycles,in_beats", [(5, 2), (5, 4), (5, 7), (3, 1), (12, 10)])
def test_an_early_beat_hides_the_cycles_until_a_slot_may_go(ii_cycles, in_beats, early_beats):
    counts = count_cycles([timing(PLAIN, (4, 5), ii_cycles, in_beats=in_beats, early_beats=early_beats)], 3)
    # Behind a take the beats that may not come early follow one a cycle, and then the next slot may go.
    waits = max(0, in_beats - early_beats) + GO_LATENCY
    assert counts.cycles_per_frame == 20 * max(ii_cycles, in_beats, waits)


@pytest.mark.parametrize("in_beats", [1, 2, 5])
def test_without_early_beats_a_position_waits_for_the_one_before(in_beats):
    counts = count_cycles([timing(PLAIN, (4, 5), 2, in_beats=in_beats, early_beats=0)], 3)
    assert counts.cycles_per_frame == 20 * (in_beats + GO_LATENCY)


@pytest.mark.parametrize("ii_cycles,shift_cycles", [(9, 4), (12, 1), (4, 4)])
@pytest.mark.parametrize(
    "spec",
    [
        Spec(2, pool=None),
        Spec(2),
        Spec(2, stride=(2, 2), pads=(0, 1, 1, 0), pool=None),
        Spec(2, (5, 5), pads=(2, 2, 2, 2), pool=POOL_3X3),
    ],
    ids=str,
)
def test_padding_and_shifts_take_their_cycles(spec, ii_cycles, shift_cycles):
    layer = timing(spec, (7, 8), ii_cycles, shift_cycles, place_cycles=int(shift_cycles > 1))
    _, rows, cols = random_layer(np.random.default_rng(1), "conv1", (1, 7, 8), 8, spec).conv_shape
    top, left, _, _ = spec.pads
    # Rows (columns) of padding below that a window really reaches, or that the next frame needs above.
    below = (rows - 1) * spec.stride[0] + spec.kernel[0] - top - 7
    beside = (cols - 1) * spec.stride[1] + spec.kernel[1] - left - 8
    slots = (7 + max(top, below)) * (8 + max(left, beside))
    assert count_cycles([layer], 3).cycles_per_frame == rows * cols * ii_cycles + (slots - rows * cols) * shift_cycles


def test_frames_follow_at_the_pace_of_the_slowest_layer():
    first = timing(Spec(2), (8, 8), 5, out_beats=2)
    second = timing(Spec(2, pool=None), (4, 4), 40, shift_cycles=3, in_beats=2)
    both = count_cycles([first, second], 4)
    alone = [count_cycles([layer], 4) for layer in (first, second)]
    assert both.cycles_per_frame == max(counts.cycles_per_frame for counts in alone) == alone[1].cycles_per_frame
    assert both.latency_cycles > alone[1].latency_cycles
    assert np.all(np.diff(both.last_out) > 0) and len(both.first_in) == len(both.last_out) == 4


def test_a_pool_lets_through_what_it_should():
    """Beats leave only with positions that end a pooling window; the latency ends with the last of these."""
    plain = count_cycles([timing(Spec(2, pool=None), (6, 6), 3)], 2)
    pooled = count_cycles([timing(Spec(2, pool=POOL_2X2), (6, 6), 3)], 2)
    cut = count_cycles([timing(Spec(2, pool=POOL_3X3), (6, 6), 3)], 2)  # windows end in row and column 4 of 0..5
    assert pooled.latency_cycles == plain.latency_cycles
    assert plain.latency_cycles - cut.latency_cycles == (6 + 1) * 3 + 1  # one row with its padding slot, one position


def test_a_shallow_fifo_never_makes_it_faster_and_is_never_overfull():
    layer, slow = timing(Spec(2), (8, 8), 2, out_beats=2), timing(Spec(2, pool=None), (4, 4), 9, in_beats=2)
    free = count_cycles([layer, slow], 4)
    paces = []
    for depth in (8, 16, 32, 64):
        counts = count_cycles([dataclasses.replace(layer, fifo_depth=depth, fifo_reserve=8), slow], 4)
        assert counts.fifo_peaks[0] <= depth
        paces.append(counts.cycles_per_frame)
    assert paces == sorted(paces, reverse=True) and paces[-1] >= free.cycles_per_frame


def test_slots_after_reset_do_not_count():
    raster = SlotRaster(2, 2, 1, 1, (0, 1, 1), (0, 1, 1), (1, 1, 1), (1, 1, 1))
    layer = LayerTiming(raster, 4, 2, 1, 1, 1, (6,), 2, 2, None, None, 0)
    assert raster.slots_after_reset > 0
    # The window that ends in the corner's padding: all slots before it, 4 of them computing by then 3.
    assert (
        count_cycles([layer], 2).latency_cycles == SOURCE_LATENCY + GO_LATENCY + 3 * 4 + (9 - 4) * 2 + 6 + FIFO_LATENCY
    )
