"""The FIFOs between the layers: as shallow as they may be, by the cycle model."""

from __future__ import annotations

from dataclasses import replace

from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.cycles import CycleCounts, LayerTiming, count_cycles
from lognet_fpga.plan.folding import Folding
from lognet_fpga.plan.model import BramPlan, ClbPlan
from lognet_fpga.plan.slots import pooled_shape, slot_raster
from lognet_fpga.plan.timing import pool_latency

MODEL_FRAMES = 4  # frames run through the cycle model; the last interval is the steady state
_ROOM_CYCLES = 5  # within which a beat that enters a FIFO is known to the slot that starts, with a little to spare


def layer_timing(layer: QuantLayer, plan: ClbPlan | BramPlan, folding: Folding) -> LayerTiming:
    rows, cols = pooled_shape(layer)
    pool = layer.pool
    pooling = 0 if pool is None else pool_latency(pool.kernel, isinstance(pool, AveragePool))
    return LayerTiming(
        slot_raster(layer),
        plan.ii_cycles,
        plan.shift_cycles,
        plan.early_beats,
        plan.place_cycles,
        plan.in_beats,
        tuple(cycles + pooling for cycles in folding.beat_cycles(plan.channels_per_beat)),
        rows,
        cols,
        None if pool is None else (pool.kernel, pool.stride),
        plan.fifo_depth or None,
        plan.fifo_reserve,
    )


def fifo_reserve(layer: QuantLayer, timing: LayerTiming) -> int:
    """Beats that may still come when a slot starts, its own included: from it and from the slots before."""
    ii_cycles, beats = timing.ii_cycles, len(timing.beat_cycles)
    flight = timing.beat_cycles[-1] + _ROOM_CYCLES
    results = flight // ii_cycles + 2
    if layer.pool is not None:
        results = min(results, results // layer.pool.stride[1] + 1)
    slots = range(flight // ii_cycles + 1)
    coming = sum(cycles + _ROOM_CYCLES >= slot * ii_cycles for slot in slots for cycles in timing.beat_cycles)
    return min(results * beats, coming)


def size_fifos(
    layers: tuple[QuantLayer, ...], plans: list[ClbPlan | BramPlan], foldings: list[Folding]
) -> tuple[list[ClbPlan | BramPlan], CycleCounts]:
    """The shallowest FIFOs (powers of two) with which the slowest layer never waits, and the cycles that result."""
    reserves = [
        fifo_reserve(layer, layer_timing(layer, plan, folding)) for layer, plan, folding in zip(layers, plans, foldings)
    ]

    def with_depths(depths: list[int]) -> list[ClbPlan | BramPlan]:
        return [
            replace(plan, fifo_depth=depth, fifo_reserve=reserve)
            for plan, depth, reserve in zip(plans, depths, reserves)
        ]

    def run(depths: list[int]) -> CycleCounts:
        return count_cycles(
            [layer_timing(layer, plan, folding) for layer, plan, folding in zip(layers, with_depths(depths), foldings)],
            MODEL_FRAMES,
        )

    unlimited = run([0] * len(plans))
    best = unlimited.cycles_per_frame
    beats = [-(-layer.codes.shape[0] // plan.channels_per_beat) for layer, plan in zip(layers, plans)]
    least = [_power_of_two(reserve + count) for reserve, count in zip(reserves, beats)]
    # Two rows of results; or the reserve and the most that was ever held without a limit, for that is never full.
    ample = [
        max(low, _power_of_two(min(2 * layer.out_shape[2] * count, peak + reserve)))
        for low, layer, count, peak, reserve in zip(least, layers, beats, unlimited.fifo_peaks, reserves)
    ]
    while (counts := run(ample)).cycles_per_frame > best:
        ample = [2 * depth for depth in ample]
    depths = list(ample)
    for index in range(len(depths)):
        while depths[index] > least[index]:
            trial = depths[:index] + [depths[index] // 2] + depths[index + 1 :]
            tried = run(trial)
            if tried.cycles_per_frame > best:
                break
            depths, counts = trial, tried
    sized = [replace(plan, fifo_peak=peak) for plan, peak in zip(with_depths(depths), counts.fifo_peaks)]
    return sized, counts


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
