"""The cycle model written a second time, plainly: the earliest event of the whole graph, one by one, nothing forgotten.

An oracle for `plan.time`: `cycles`, which follows positions through a chain and leaves out what repeats, and `graph`,
which takes layers in turn, whatever the time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from lognet_fpga.fabric.latencies import (
    ADMIT_LATENCY,
    FIFO_LATENCY,
    GO_LATENCY,
    PICK_LATENCY,
    ROOM_LATENCY,
    SINK_LATENCY,
    SOURCE_LATENCY,
    rooms_latency,
)
from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.ir.sources import FRAMES, Sources, chain
from lognet_fpga.plan.time.graph import Queue
from lognet_fpga.plan.time.layer_timing import LayerTiming

_SETTLED = 10**9  # the source starts long after the padding that follows reset


@dataclass
class _Edge:
    """A FIFO.  to: layer and place among its sources, None for the exit.  cols: of the frames that are pushed."""

    queue: Queue
    to: tuple[int, int] | None
    cols: int
    pushes: list[int] = field(default_factory=list)
    pops: list[int] = field(default_factory=list)

    def push(self, position: int, rows: int, cycles: list[int]) -> None:
        """The beats of a position, counted over all frames of so many rows."""
        y, x = divmod(position % (rows * self.cols), self.cols)
        if y % self.queue.stride[0] == x % self.queue.stride[1] == 0:
            late = PICK_LATENCY if self.queue.stride != (1, 1) else 0
            self.pushes += [cycle + late for cycle in cycles]

    def full(self, at: int) -> bool:
        depth = self.queue.depth
        if depth is None:
            return False
        return bisect_right(self.pushes, at) - bisect_right(self.pops, at) > depth - self.queue.reserve

    def first_room(self, start: int, latency: int) -> int | None:
        """First cycle from start on that sees room; None: not before another pop."""
        while self.full(start - latency):
            later = bisect_right(self.pops, start - latency)
            if later >= len(self.pops):
                return None
            start = self.pops[later] + latency
        return start


@dataclass
class _Slice:
    """Of two places.  parts: beats of a position that come from one side and from the other; enter, leave: cycles."""

    parts: tuple[int, int]
    enter: list[int] = field(default_factory=list)
    leave: list[int] = field(default_factory=list)

    def comes(self) -> tuple[int, int]:
        """From which side its next beat comes, and which of all beats from there it is."""
        position, beat = divmod(len(self.enter), sum(self.parts))
        side = int(beat >= self.parts[0])
        return side, position * self.parts[side] + beat - side * self.parts[0]


@dataclass
class _State:
    """inputs: an edge a part, None for the entry itself; slices: one joins two parts, the next these and a third, and
    so on, the last one is at the window's entry."""

    inputs: list[_Edge | None]
    slices: list[_Slice]
    slot: int = 0
    free_at: int = 0
    takes: list[int] = field(default_factory=list)
    conv_outputs: int = 0
    results: int = 0

    @property
    def accepts(self) -> list[int]:
        return self.slices[-1].leave


def count_by_events(layers: Sequence[LayerTiming], frames: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(CycleCounts.last_out, the most beats in every FIFO) of a chain."""
    queues = [[Queue((1, 1), layer.fifo_depth, layer.fifo_reserve)] for layer in layers]
    return count_graph_by_events(layers, chain(len(layers)), [], queues, frames)


def count_graph_by_events(
    layers: Sequence[LayerTiming],
    sources: Sources,
    entry: Sequence[Queue],
    queues: Sequence[Sequence[Queue]],
    frames: int,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """As count_by_events, of a graph; arguments as of count_graph_cycles.  Of a graph that stands still the frames that
    came out by then."""
    plans = [_slot_kinds(layer.raster) for layer in layers]
    before = [layer.raster.slots_after_reset for layer in layers]
    totals = [len(kinds) * frames for kinds in plans]
    emits = [_pooled(layer) for layer in layers]
    first = layers[0]
    edges: list[list[_Edge]] = []
    for number, its in enumerate([entry, *queues], FRAMES):
        takers: list[tuple[int, int] | None] = [
            (layer, place)
            for layer, parts in enumerate(sources)
            for place, source in enumerate(parts)
            if source.layer == number
        ]
        cols = first.raster.cols if number == FRAMES else sum(layers[number].emits[1])
        edges.append([_Edge(queue, to, cols) for queue, to in zip(its, takers or [None])])
    into = {edge.to: edge for its in edges for edge in its}
    states = []
    for number, parts in enumerate(sources):
        beats = [(first.in_beats if part.layer == FRAMES else len(layers[part.layer].beat_cycles)) for part in parts]
        joins = [_Slice((sum(beats[:place]), beats[place])) for place in range(1, len(beats))]
        states.append(
            _State([into.get((number, place)) for place in range(len(parts))], [*joins, _Slice((sum(beats), 0))])
        )
    admitted: list[int] = []
    beats_in = first.raster.rows * first.raster.cols * first.in_beats * frames

    def offered(state: _State, number: int) -> tuple[int, list[int]] | None:
        """When slice `number` could be given its next beat, and where to note that it was; None: not known."""
        side, beat = state.slices[number].comes()
        if number and side == 0:
            inner = state.slices[number - 1]
            return (inner.enter[beat] + 1, inner.leave) if beat < len(inner.enter) else None
        edge = state.inputs[number + side]
        if edge is None:
            return (_SETTLED + SOURCE_LATENCY, []) if beat < beats_in else None
        return (edge.pushes[beat] + FIFO_LATENCY, edge.pops) if beat < len(edge.pushes) else None

    def enter(state: _State, number: int) -> bool:
        its = state.slices[number]
        beat, coming = len(its.enter), offered(state, number)
        if coming is None or beat - 2 >= len(its.leave):
            return False
        at, noted = coming
        if beat:
            at = max(at, its.enter[-1] + 1)
        if beat > 1:
            at = max(at, its.leave[beat - 2] + 1)
        its.enter.append(at)
        noted.append(at)
        return True

    def accept(index: int) -> bool:
        state, layer = states[index], layers[index]
        beat = len(state.accepts)
        if beat >= len(state.slices[-1].enter):
            return False
        at = state.slices[-1].enter[beat] + 1
        # The first beat of a position waits until the one before is taken; early ones take places in front of it, and
        # then the beat behind them waits.
        taken, place = divmod(beat - layer.early_beats, layer.in_beats)
        if place == 0 and taken > 0:
            if taken > len(state.takes):
                return False
            at = max(at, state.takes[taken - 1] + layer.place_cycles)
        state.accepts.append(max(at, state.accepts[-1] + 1) if beat else at)
        return True

    def fill(index: int) -> None:
        """Beats that layer `index` can be known to accept by now."""
        state = states[index]
        while any(enter(state, number) for number in range(len(state.slices))) or accept(index):
            pass

    def moved(its: list[_Edge]) -> None:
        """Beats were pushed."""
        for edge in its:
            if edge.to is None:
                while len(edge.pops) < len(edge.pushes):
                    at = edge.pushes[len(edge.pops)] + FIFO_LATENCY
                    edge.pops.append(max(at, edge.pops[-1] + 1) if edge.pops else at)
            else:
                fill(edge.to[0])

    def has_room(its: list[_Edge], start: int) -> int | None:
        """First cycle from start on with room in all FIFOs; None: not before another pop."""
        latency = ROOM_LATENCY + rooms_latency(len(its))
        while True:
            found = [edge.first_room(start, latency) for edge in its]
            if None in found:
                return None
            if max(found) == start:
                return start
            start = max(found)

    def candidate(index: int) -> int | None:
        """Cycle in which layer `index` lets its next slot go, or the entry its next beat; None: not known yet, or
        finished."""
        if index == FRAMES:
            if not entry or len(admitted) == beats_in:
                return None
            return has_room(edges[0], admitted[-1] + 1 if admitted else _SETTLED + SOURCE_LATENCY)
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
        return has_room(edges[index + 1], start) if computes else start

    def commit(index: int, start: int) -> None:
        if index == FRAMES:
            for edge in edges[0]:
                edge.push(len(admitted) // first.in_beats, first.raster.rows, [start + ADMIT_LATENCY])
            admitted.append(start)
            moved(edges[0])
            return
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
                for edge in edges[index + 1]:
                    edge.push(state.results, sum(layer.emits[0]), [start + cycles for cycles in layer.beat_cycles])
                state.results += 1
                moved(edges[index + 1])
            state.conv_outputs += 1

    fill(0)
    while True:
        every = range(FRAMES, len(layers))
        known = [(start, index) for index in every if (start := candidate(index)) is not None]
        if not known:
            break
        start, index = min(known)
        commit(index, start)

    pops = edges[-1][0].pops
    beats_out = sum(layers[-1].emits[0]) * sum(layers[-1].emits[1]) * len(layers[-1].beat_cycles)
    # The entry takes a beat SOURCE_LATENCY before it offers it.
    last_out = tuple(pops[end - 1] + SINK_LATENCY - _SETTLED for end in range(beats_out, len(pops) + 1, beats_out))
    return last_out, tuple(_peak(edge.pushes, edge.pops) for its in edges for edge in its)


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
