"""Cycle-true model of a graph of layers: each layer goes on by itself until what it waits for is not known yet.

As in `plan/time/chain.py` only what decides about time is followed.  A layer waits for beats, and for room behind it.
When beats come is known once whoever sends them has got that far, and when room is made once whoever takes them has: so
layers are taken in turn, each of them up to where it does not know more.  No order of events need be kept, and if none
can go on before all frames are through, neither can the hardware.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lognet_fpga.fabric.latencies import (
    ADMIT_LATENCY,
    FIFO_LATENCY,
    GO_LATENCY,
    PICK_LATENCY,
    ROOM_LATENCY,
    SINK_LATENCY,
    SLICE_BEATS,
    SLICE_LATENCY,
    SOURCE_LATENCY,
    rooms_latency,
)
from lognet_fpga.ir.sources import FRAMES, Sources, takers
from lognet_fpga.plan.time.cycles import CycleCounts
from lognet_fpga.plan.time.layer_timing import LayerTiming, rows_of_slots


@dataclass(frozen=True)
class Queue:
    """A FIFO on the way from a layer to one that takes its results.  stride: of the positions that it gets; depth None:
    never full."""

    stride: tuple[int, int]
    depth: int | None
    reserve: int


_ENDLESS = Queue((1, 1), None, 0)


class Deadlock(Exception):
    """The graph stands still, for some FIFO is too shallow."""


def count_graph_cycles(
    layers: Sequence[LayerTiming],
    sources: Sources,
    entry: Sequence[Queue],
    queues: Sequence[Sequence[Queue]],
    frames: int,
    *,
    hesitant: bool = False,
) -> CycleCounts:
    """As count_cycles, of a graph.  entry: the FIFOs behind the entry, none where only the first layer takes the
    frames; queues: those behind each layer, in the order of `takers`; of the last one that in front of the exit.
    fifo_peaks: of all of them, in order.  Raises Deadlock.

    hesitant: a layer sees all that it has sent on its way to a FIFO at once, and so sends no more than it would if
    whoever takes it paused whenever that may hurt; no cycles of that are of any use.
    """
    edges = {number: [_Edge(queue, hesitant) for queue in its] for number, its in enumerate((entry, *queues), FRAMES)}
    processes = []
    if entry:
        processes.append(_entry(layers[0], edges[FRAMES], frames))
    places = takers(sources)
    for number, layer in enumerate(layers):
        parts = []
        for place, source in enumerate(sources[number]):
            if source.layer == FRAMES:
                edge = (
                    edges[FRAMES][places[FRAMES].index((number, place))]
                    if entry
                    else _Edge(_ENDLESS, hesitant, always=True)
                )
                parts.append((edge, layers[0].in_beats))
            else:
                edge = edges[source.layer][places[source.layer].index((number, place))]
                parts.append((edge, len(layers[source.layer].beat_cycles)))
        processes.append(_layer(layer, parts, edges[number], frames))
    rows, cols = layers[-1].emits
    ends: list[int] = []
    processes.append(_sink(edges[len(layers) - 1][0], sum(rows) * sum(cols) * len(layers[-1].beat_cycles), ends))
    every = [edge for its in edges.values() for edge in its]
    known = -1
    while len(ends) < frames:
        if (now := sum(len(edge.pushes) + len(edge.pops) for edge in every)) == known:
            raise Deadlock
        known = now
        for process in processes:
            next(process, None)
    return CycleCounts(tuple(ends), tuple(edge.peak() for edge in every))


@dataclass
class _Edge:
    """pushes, pops: cycles of all beats, as far as they are known; left: of these, how many pops lie before all cycles
    that will still be asked for.  always: there is always a beat."""

    queue: Queue
    hesitant: bool
    always: bool = False
    pushes: list[int] = field(default_factory=list)
    pops: list[int] = field(default_factory=list)
    left: int = 0

    def push(self, begin: int, y: int, x: int, beat_cycles: Sequence[int]) -> None:
        """The beats of a position, so many cycles behind `begin`, if it is one that the FIFO gets."""
        stride_y, stride_x = self.queue.stride
        if not (y % stride_y or x % stride_x):
            late = begin if self.queue.stride == (1, 1) else begin + PICK_LATENCY
            self.pushes += [late + cycles for cycles in beat_cycles]

    def room(self, start: int, latency: int) -> int | None:
        """The first cycle from start on in which a slot sees room, as of `latency` cycles before; None: not known."""
        if self.queue.depth is None:
            return start
        limit, pushes, pops = self.queue.depth - self.queue.reserve, self.pushes, self.pops
        if self.hesitant:
            return start if len(pushes) - len(pops) <= limit else None
        left = bisect_right(pops, start - latency, self.left)
        while bisect_right(pushes, start - latency, left) - left > limit:
            if left == len(pops):
                return None
            start = pops[left] + latency
            left = bisect_right(pops, start - latency, left)
        self.left = left
        return start

    def peak(self) -> int:
        """The most beats that it held."""
        return max((count - bisect_right(self.pops, at) for count, at in enumerate(self.pushes, 1)), default=0)


@dataclass
class _Slice:
    """A register slice.  arrived: cycle of the last beat into it; left: of the last ones out of it."""

    arrived: int = 0
    left: tuple[int, ...] = (0,) * SLICE_BEATS

    def arrive(self, offered: int) -> int:
        self.arrived = max(offered, self.arrived + 1, self.left[0] + 1)
        return self.arrived

    def leave(self, at: int) -> None:
        self.left = (*self.left[1:], at)


def _layer(
    layer: LayerTiming, parts: Sequence[tuple[_Edge, int]], queues: Sequence[_Edge], frames: int
) -> Iterator[None]:
    """Goes on whenever more is known.  parts: what the input comes from, and the beats of a position from there."""
    rows, cols = rows_of_slots(layer), sum(layer.emits[1])
    room_latency = ROOM_LATENCY + rooms_latency(len(queues))
    slices = [_Slice() for _ in parts]  # a join in front of all parts but the first, and the slice at the entry
    accepted, clock = 0, 0
    taken, waiting = (0,) * (1 + layer.early_beats // layer.in_beats), layer.early_beats % layer.in_beats
    for _ in range(frames):
        emitted = 0
        for row in rows:
            for col, (computes, emits) in enumerate(row.each):
                start = clock
                if col < row.positions:
                    beat, free = 0, taken[0] + layer.place_cycles
                    for number, (edge, beats) in enumerate(parts):
                        way = slices[max(0, number - 1) :]
                        for _ in range(beats):
                            while not edge.always and len(edge.pops) == len(edge.pushes):
                                yield
                            at = SOURCE_LATENCY if edge.always else edge.pushes[len(edge.pops)] + FIFO_LATENCY
                            at = way[0].arrive(at)
                            edge.pops.append(at)
                            for before, after in zip(way, way[1:]):
                                at = after.arrive(at + SLICE_LATENCY)
                                before.leave(at)
                            accepted = max(at + SLICE_LATENCY, accepted + 1, free if beat >= waiting else 0)
                            way[-1].leave(accepted)
                            beat += 1
                    start = max(start, accepted + GO_LATENCY)
                begin, clock = start, start + layer.shift_cycles
                if computes:
                    checked = -1
                    while checked < begin:  # in which there is room in all of them
                        checked = begin
                        for edge in queues:
                            while (later := edge.room(begin, room_latency)) is None:
                                yield
                            begin = later
                    clock = begin + layer.ii_cycles
                if col < row.positions:
                    taken = (*taken[1:], begin)
                if emits:
                    y, x = divmod(emitted, cols)
                    for edge in queues:
                        edge.push(begin, y, x, layer.beat_cycles)
                    emitted += 1


def _entry(first: LayerTiming, queues: Sequence[_Edge], frames: int) -> Iterator[None]:
    """Takes a beat as soon as there is room for it in all FIFOs, and there is always one.  first: the first layer."""
    room_latency = ROOM_LATENCY + rooms_latency(len(queues))
    at = SOURCE_LATENCY
    for _ in range(frames):
        for y in range(first.raster.rows):
            for x in range(first.raster.cols):
                for _ in range(first.in_beats):
                    checked = -1
                    while checked < at:
                        checked = at
                        for edge in queues:
                            while (later := edge.room(at, room_latency)) is None:
                                yield
                            at = later
                    for edge in queues:
                        edge.push(at + ADMIT_LATENCY, y, x, (0,))
                    at += 1


def _sink(edge: _Edge, beats: int, ends: list[int]) -> Iterator[None]:
    """Takes a beat in every cycle; ends: cycle of each frame's last one at the exit.  beats: of a frame."""
    last = 0
    while True:
        for push in edge.pushes[len(edge.pops) :]:
            last = max(push + FIFO_LATENCY, last + 1)
            edge.pops.append(last)
            if len(edge.pops) % beats == 0:
                ends.append(last + SINK_LATENCY)
        yield
