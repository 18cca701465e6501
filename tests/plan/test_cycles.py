"""The cycle model against closed forms and against an event-driven model of its own.

That it equals the Verilog is tested in tests/codegen.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.fabric.latencies import FIFO_LATENCY, GO_LATENCY, SINK_LATENCY, SLICE_LATENCY, SOURCE_LATENCY
from lognet_fpga.fabric.slots import SlotRaster, slot_raster
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.plan.time.chain import Stage
from lognet_fpga.plan.time.cycles import count_cycles
from lognet_fpga.plan.time.layer_timing import LayerTiming
from tests.plan.event_model import count_by_events
from tests.quant_models import POOL_2X2, POOL_3X3, Spec, random_layer

THROUGH = SOURCE_LATENCY + SLICE_LATENCY + GO_LATENCY + FIFO_LATENCY + SINK_LATENCY  # all around a layer's slots
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
    pool = None if spec.pool is None else (spec.pool.kernel, spec.pool.stride)
    return LayerTiming(
        slot_raster(layer),
        ii_cycles,
        shift_cycles,
        early_beats,
        place_cycles,
        in_beats,
        tuple(range(result_cycles, result_cycles + out_beats)),
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
    assert counts.latency_cycles == THROUGH + 19 * ii_cycles + 11 + out_beats - 1


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
    assert np.all(np.diff(both.last_out) > 0) and len(both.last_out) == 4


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
    layer = LayerTiming(raster, 4, 2, 1, 1, 1, (6,), None, None, 0)
    assert raster.slots_after_reset > 0
    # The window that ends in the corner's padding: all slots before it, 4 of them computing by then 3.
    assert count_cycles([layer], 2).latency_cycles == THROUGH + 3 * 4 + (9 - 4) * 2 + 6


POOLS = (
    None,
    None,
    POOL_2X2,
    POOL_3X3,
    MaxPool((2, 2), (1, 1), (0, 0, 1, 1)),
    MaxPool((3, 3), (2, 2), (1, 1, 1, 1)),
    AveragePool((1, 4), (3, 1)),
    AveragePool((3, 3), (3, 2), (0, 0, 1, 1), (0, 0, 1, 1)),
)


def random_chain(rng: np.random.Generator, size: tuple[int, int]) -> list[LayerTiming]:
    """One to four layers; beats one a cycle or in groups; FIFOs from the least that work to some rows, or unlimited."""
    layers, in_beats = [], int(rng.integers(1, 6))
    for _ in range(int(rng.integers(1, 5))):
        kernel, stride = tuple(map(int, rng.integers(1, 6, 2))), tuple(map(int, rng.choice([1, 1, 1, 2, 3], 2)))
        pads = tuple(int(rng.integers(0, extent)) for extent in (*kernel, *kernel))
        pool = POOLS[rng.integers(len(POOLS))]
        if pool and any(pads[i] + stride[i] * pool.pads[i] >= kernel[i] for i in range(2)):
            continue  # a pool's padding that reaches past the first window is refused
        layer = random_layer(rng, "conv", (1, *size), 8, Spec(1, kernel, stride, pads, pool))
        if min(*layer.conv_shape[1:], *layer.out_shape[1:]) < 1:
            break
        beats = int(rng.integers(1, 6))
        ii_cycles = beats + int(rng.integers(0, rng.choice([4, 20])))
        first = int(rng.integers(3, 30))
        cycles = np.arange(beats) if rng.random() < 0.5 else np.sort(rng.choice(ii_cycles, beats, replace=False))
        reserve = int(rng.integers(0, 20))
        spare = int(rng.choice([0, 1, beats, rng.integers(0, 4 * beats), rng.integers(0, 3 * size[1] * beats + 1)]))
        layers.append(
            LayerTiming(
                slot_raster(layer),
                ii_cycles,
                int(rng.integers(1, ii_cycles + 4)),
                int(rng.integers(0, 2 * in_beats + 2)),
                int(rng.integers(0, 2)),
                in_beats,
                tuple(int(first + cycle) for cycle in cycles),
                None if pool is None else (pool.kernel, pool.stride),
                reserve + spare if rng.random() < 0.8 else None,
                reserve,
            )
        )
        size, in_beats = layer.out_shape[1:], beats
    return layers


def assert_equal_to_events(layers: list[LayerTiming], frames: int) -> None:
    counts, (last_out, peaks) = count_cycles(layers, frames), count_by_events(layers, frames)
    assert counts.last_out == last_out
    for layer, peak, expected in zip(layers, counts.fifo_peaks, peaks):
        if layer.fifo_depth is None:  # counted up to two rows
            peak, expected = min(peak, 2 * layer.row_beats), min(expected, 2 * layer.row_beats)
        assert peak == expected


def drifting_chain(rng: np.random.Generator) -> list[LayerTiming]:
    """Two or three layers of nearly one pace, on tall and narrow frames, with FIFOs of up to some rows."""
    layers, size = [], (int(rng.integers(40, 200)), int(rng.integers(5, 12)))
    ii_cycles, in_beats = int(rng.integers(3, 12)), int(rng.integers(1, 4))
    for _ in range(int(rng.integers(2, 4))):
        kernel = (int(rng.choice([1, 3])), int(rng.choice([1, 3])))
        pads = tuple(int(rng.integers(0, extent)) for extent in (*kernel, *kernel))
        layer = random_layer(rng, "conv", (1, *size), 8, Spec(1, kernel, pads=pads, pool=None))
        ours, beats, reserve = ii_cycles + int(rng.choice([0, 0, 1])), int(rng.integers(1, 4)), int(rng.integers(0, 9))
        cycles = np.sort(rng.choice(ours, beats, replace=False))
        layers.append(
            LayerTiming(
                slot_raster(layer),
                ours,
                int(rng.integers(1, ours + 1)),
                int(rng.integers(0, 2 * in_beats + 2)),
                int(rng.integers(0, 2)),
                in_beats,
                tuple(int(5 + cycle) for cycle in cycles),
                None,
                reserve + int(rng.integers(beats, 3 * size[1] * beats)) if rng.random() < 0.8 else None,
                reserve,
            )
        )
        size, in_beats = layer.out_shape[1:], beats
    return layers


@pytest.mark.parametrize("seed", range(150))
def test_random_chains_equal_the_events(seed):
    rng = np.random.default_rng(seed)
    if layers := random_chain(rng, tuple(map(int, rng.integers(3, 14, 2)))):
        assert_equal_to_events(layers, int(rng.integers(2, 7)))


@pytest.mark.parametrize("seed", range(60))
def test_rows_that_repeat_equal_the_events(seed):
    """FIFOs that fill, that are full, and that drain, for many rows."""
    rng = np.random.default_rng(seed)
    assert_equal_to_events(drifting_chain(rng), int(rng.integers(2, 5)))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(1, 11))
def test_many_more_chains(block):
    for seed in range(300 * block, 300 * block + 300):
        rng = np.random.default_rng(seed)
        tall = int(rng.integers(20, 150)), int(rng.integers(3, 12))
        assert_equal_to_events(random_chain(rng, tall) or drifting_chain(rng), int(rng.integers(2, 5)))
        test_random_chains_equal_the_events(seed)
        test_rows_that_repeat_equal_the_events(seed)


def test_most_rows_are_not_followed(monkeypatch):
    """1,024 rows through FIFOs that fill slowly, are full for long, and run empty at the end of a frame."""
    followed = 0

    def counted(stage, pushes):
        nonlocal followed
        followed += 1
        return arrive(stage, pushes)

    arrive = Stage.arrive
    monkeypatch.setattr(Stage, "arrive", counted)
    first = dataclasses.replace(timing(Spec(2, pool=None), (1024, 9), 9, 3), fifo_depth=256, fifo_reserve=8)
    second = timing(Spec(2, pool=None), (1024, 9), 10, 2)
    count_cycles([first, second], 8)
    assert followed < 0.1 * 2 * 8 * 1024 * 9
    monkeypatch.undo()
    assert_equal_to_events([first, second], 3)
