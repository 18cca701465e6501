"""The FIFOs between the layers of a chain: as shallow as they may be, by the cycle model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lognet_fpga.fabric.latencies import TABLE_LATENCY, rank_latency
from lognet_fpga.fabric.pools import pool_shape
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.hardware_plan import Fifo, PlannedLayer
from lognet_fpga.plan.time.cycles import CycleCounts, count_cycles
from lognet_fpga.plan.time.layer_timing import LayerTiming

MODEL_FRAMES = 8  # run through the cycle model: as many as verification runs through the Verilog
_ROOM_CYCLES = 5  # within which a beat that enters a FIFO is known to the slot that starts, with a little to spare


def layer_timing(planned: PlannedLayer) -> LayerTiming:
    """A FIFO of no depth is one without a limit."""
    pool, folding, streams = planned.layer.pool, planned.folding, planned.streams
    behind = 0 if pool is None else pool_shape(planned.layer, streams.channels_per_beat).latency_cycles
    if planned.layer.table is not None:
        behind += TABLE_LATENCY
    beats = folding.beat_cycles(streams.channels_per_beat)
    if planned.layer.ranking is not None:  # one beat, behind the last
        beats, behind = beats[-1:], rank_latency(streams.channels_per_beat)
    return LayerTiming(
        folding.raster,
        folding.ii_cycles,
        folding.shift_cycles,
        folding.early_beats(streams),
        folding.place_cycles(streams),
        streams.in_beats,
        tuple(cycles + behind for cycles in beats),
        None if pool is None else (pool.kernel, pool.stride),
        planned.fifo.depth or None,
        planned.fifo.reserve,
    )


def fifo_reserve(layer: QuantLayer, timing: LayerTiming, more_cycles: int = 0) -> int:
    """Beats that may still come when a slot starts, its own included: from it and from the slots before.  more_cycles:
    that a beat takes into the FIFO and room takes out of it where a layer's results part."""
    ii_cycles, beats, room_cycles = timing.ii_cycles, len(timing.beat_cycles), _ROOM_CYCLES + more_cycles
    flight = timing.beat_cycles[-1] + room_cycles
    results = flight // ii_cycles + 2
    if layer.pool is not None:
        results = min(results, results // layer.pool.stride[1] + 1)
    slots = range(flight // ii_cycles + 1)
    coming = sum(cycles + room_cycles >= slot * ii_cycles for slot in slots for cycles in timing.beat_cycles)
    return min(results * beats, coming)


def size_fifos(layers: Sequence[PlannedLayer]) -> tuple[list[PlannedLayer], CycleCounts]:
    """The shallowest FIFOs (powers of two) with which the slowest layer of a chain never waits, and the cycles that
    result."""
    reserves = [fifo_reserve(planned.layer, layer_timing(planned)) for planned in layers]

    def with_depths(depths: list[int]) -> list[PlannedLayer]:
        return [
            replace(planned, fifo=Fifo(depth, reserve)) for planned, depth, reserve in zip(layers, depths, reserves)
        ]

    def run(depths: list[int]) -> CycleCounts:
        return count_cycles([layer_timing(planned) for planned in with_depths(depths)], MODEL_FRAMES)

    unlimited = run([0] * len(layers))
    best = unlimited.cycles_per_frame
    beats = [planned.beats for planned in layers]
    least = [power_of_two(reserve + count) for reserve, count in zip(reserves, beats)]
    # Two rows of results; or the reserve and the most that was ever held without a limit, for that is never full.
    ample = [
        max(low, power_of_two(min(2 * planned.layer.out_shape[2] * count, peak + reserve)))
        for low, planned, count, peak, reserve in zip(least, layers, beats, unlimited.fifo_peaks, reserves)
    ]
    while (counts := run(ample)).cycles_per_frame > best:
        ample = [2 * depth for depth in ample]
    depths = list(ample)
    for index, depth in enumerate(ample):
        # The shallowest of which half as many would be too few: by halves between what is too shallow and what is not.
        halvings = (depth // least[index]).bit_length() - 1
        enough, too_many = 0, halvings + 1
        while too_many - enough > 1:
            middle = (enough + too_many) // 2
            depths[index] = depth >> middle
            if (tried := run(depths)).cycles_per_frame > best:
                too_many = middle
            else:
                enough, counts = middle, tried
        depths[index] = depth >> enough
    sized = [
        replace(planned, fifo=replace(planned.fifo, peak=peak))
        for planned, peak in zip(with_depths(depths), counts.fifo_peaks)
    ]
    return sized, counts


def power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
