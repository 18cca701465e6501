"""The cycle model written a second time, plainly: the earliest event of the whole chain, one by one, nothing forgotten.

An oracle for `plan.time.cycles`, which follows positions instead and leaves out what repeats.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from lognet_fpga.fabric.latencies import FIFO_LATENCY, GO_LATENCY, ROOM_LATENCY, SINK_LATENCY, SOURCE_LATENCY
from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.plan.time.layer_timing import LayerTiming

_SETTLED = 10**9  # the source starts long after the padding that follows reset


@dataclass
class _State:
    slot: int = 0
    free_at: int = 0
    takes: list[int] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)  # in the slice at the entry, of two places, a cycle each
    accepts: list[int] = field(default_factory=list)  # out of it
    pushes: list[int] = field(default_factory=list)
    conv_outputs: int = 0


def count_by_events(layers: Sequence[LayerTiming], frames: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(CycleCounts.last_out, the most beats in every FIFO)."""
    states = [_State() for _ in layers]
    plans = [_slot_kinds(layer.raster) for layer in layers]
    before = [layer.raster.slots_after_reset for layer in layers]
    totals = [len(kinds) * frames for kinds in plans]
    emits = [_pooled(layer) for layer in layers]
    pops: list[int] = []

    def fill(index: int) -> None:
        """Beats that layer `index` can be known to accept by now."""
        while arrive(index) or accept(index):
            pass

    def arrive(index: int) -> bool:
        state, layer = states[index], layers[index]
        beat = len(state.arrivals)
        if index == 0:
            if beat >= layer.raster.rows * layer.raster.cols * layer.in_beats * frames:
                return False
            offered = _SETTLED + SOURCE_LATENCY
        else:
            pushed = states[index - 1].pushes
            if beat >= len(pushed):
                return False
            offered = pushed[beat] + FIFO_LATENCY
        if beat:
            offered = max(offered, state.arrivals[-1] + 1)
        if beat > 1:
            if beat - 2 >= len(state.accepts):
                return False
            offered = max(offered, state.accepts[beat - 2] + 1)
        state.arrivals.append(offered)
        return True

    def accept(index: int) -> bool:
        state, layer = states[index], layers[index]
        beat = len(state.accepts)
        if beat >= len(state.arrivals):
            return False
        offered = state.arrivals[beat] + 1
        # The first beat of a position waits until the one before is taken; early ones take places in front of it, and
        # then the beat behind them waits.
        taken, place = divmod(beat - layer.early_beats, layer.in_beats)
        if place == 0 and taken > 0:
            if taken > len(state.takes):
                return False
            offered = max(offered, state.takes[taken - 1] + layer.place_cycles)
        state.accepts.append(max(offered, state.accepts[-1] + 1) if beat else offered)
        return True

    def drain() -> None:
        pushed = states[-1].pushes
        while len(pops) < len(pushed):
            at = pushed[len(pops)] + FIFO_LATENCY
            pops.append(max(at, pops[-1] + 1) if pops else at)

    def has_room(index: int, start: int) -> int | None:
        """First cycle from start on with room in the FIFO behind layer `index`; None: not before another pop."""
        layer = layers[index]
        if layer.fifo_depth is None:
            return start
        pushed, popped = states[index].pushes, (states[index + 1].arrivals if index + 1 < len(layers) else pops)
        limit = layer.fifo_depth - layer.fifo_reserve
        while bisect_right(pushed, start - ROOM_LATENCY) - bisect_right(popped, start - ROOM_LATENCY) > limit:
            later = bisect_right(popped, start - ROOM_LATENCY)
            if later >= len(popped):
                return None
            start = popped[later] + ROOM_LATENCY
        return start

    def candidate(index: int) -> int | None:
        """Cycle in which layer `index` lets its next slot go; None: not known yet, or finished."""
        state, layer = states[index], layers[index]
        if state.slot >= totals[index] + before[index]:
            return None
        start, kinds = state.free_at, plans[index]
        if state.slot < before[index]:
            return start
        is_data, computes = kinds[(state.slot - before[index]) % len(kinds)]
        if is_data:
            needed = (len(state.takes) + 1) * layer.in_beats
            if needed > len(state.accepts):
                return None
            start = max(start, state.accepts[needed - 1] + GO_LATENCY)
        return has_room(index, start) if computes else start

    def commit(index: int, start: int) -> None:
        state, layer = states[index], layers[index]
        is_data, computes = (
            (False, False)
            if state.slot < before[index]
            else plans[index][(state.slot - before[index]) % len(plans[index])]
        )
        state.free_at = start + (layer.ii_cycles if computes else layer.shift_cycles)
        state.slot += 1
        if is_data:
            state.takes.append(start)
            fill(index)
        if computes:
            if emits[index][state.conv_outputs % len(emits[index])]:
                state.pushes += [start + cycles for cycles in layer.beat_cycles]
                if index + 1 < len(layers):
                    fill(index + 1)
                else:
                    drain()
            state.conv_outputs += 1

    fill(0)
    while True:
        known = [(start, index) for index in range(len(layers)) if (start := candidate(index)) is not None]
        if not known:
            break
        start, index = min(known)
        commit(index, start)

    beats_out = len(pops) // frames
    # The entry takes a beat SOURCE_LATENCY before it offers it to the first layer.
    first_in = states[0].arrivals[0] - SOURCE_LATENCY
    last_out = tuple(pops[(frame + 1) * beats_out - 1] + SINK_LATENCY - first_in for frame in range(frames))
    peaks = tuple(
        _peak(states[i].pushes, states[i + 1].arrivals if i + 1 < len(layers) else pops) for i in range(len(layers))
    )
    return last_out, peaks


def _slot_kinds(raster: SlotRaster) -> list[tuple[bool, bool]]:
    """(is data, computes) of every slot of a frame, in order."""
    return [
        (r < raster.rows and c < raster.cols, bool(row_flag and col_flag))
        for r, row_flag in enumerate(raster.row_flags)
        for c, col_flag in enumerate(raster.col_flags)
    ]


def _pooled(layer: LayerTiming) -> list[bool]:
    """For every position of the convolution's output, whether a result leaves the pool with it."""
    if layer.pool is None:
        return [True]
    (kernel_h, kernel_w), (stride_y, stride_x) = layer.pool
    return [
        r >= kernel_h - 1
        and (r - kernel_h + 1) % stride_y == 0
        and c >= kernel_w - 1
        and (c - kernel_w + 1) % stride_x == 0
        for r in range(sum(layer.raster.row_flags))
        for c in range(sum(layer.raster.col_flags))
    ]


def _peak(pushes: list[int], pops: list[int]) -> int:
    """The most beats in a FIFO: pushes[i] and pops[i] are the cycles of beat i."""
    return max((i + 1 - bisect_right(pops, at) for i, at in enumerate(pushes)), default=0)
