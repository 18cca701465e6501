"""Cycle-true model of a graph of layers: each layer goes on by itself until what it waits for is not known yet.

As in `plan/time/chain.py` only what decides about time is followed.  A layer waits for beats, and for room behind it.
When beats come is known once whoever sends them has got that far, and when room is made once whoever takes them has: so
layers are taken in turn, each of them up to where it does not know more.  No order of events need be kept, and if none
can go on before all frames are through, neither can the hardware.

Frames are let in one by one, each once all is done that those before it allow, and then everything is empty: what comes
is decided by the cycles of the latest beats alone.  Where these are, but for a shift, as they were some frames before,
what has happened since happens again and again, and is not followed any more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

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
from lognet_fpga.plan.time.chain import accept
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
_CHECKED = 16  # rounds through all layers from one look at whether anything goes on to the next


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
    processes: list[_Entry | _Layer | _Sink] = []
    if entry:
        processes.append(_Entry(layers[0], edges[FRAMES]))
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
        processes.append(_Layer(layer, parts, edges[number]))
    rows, cols = layers[-1].emits
    sink = _Sink(edges[len(layers) - 1][0], sum(rows) * sum(cols) * len(layers[-1].beat_cycles))
    processes.append(sink)
    every = [edge for its in edges.values() for edge in its]
    seen: dict[tuple[tuple[int, ...], ...], tuple[int, int]] = {}
    while len(sink.ends) < frames:
        # Whoever hesitates does so by what has come so far, of frames that come one behind the other.
        _run([process.run(frames if hesitant else 1) for process in processes], every)
        since = processes[0].clock
        state = tuple(tuple(at - since for at in process.memory()) for process in processes)
        if state in seen:
            count, before = seen[state]
            period = len(sink.ends) - count
            while len(sink.ends) < frames:
                sink.ends.append(sink.ends[-period] + since - before)
        seen[state] = len(sink.ends), since
    return CycleCounts(tuple(sink.ends), tuple(edge.peak() for edge in every))


def _run(going: list[Iterator[None]], edges: Sequence[_Edge]) -> None:
    """Take all in turn until all are through."""
    known = -1
    while going:
        if (now := sum(len(edge.pushes) + len(edge.pops) for edge in edges)) == known:
            raise Deadlock
        known = now
        for _ in range(_CHECKED):
            going = [process for process in going if next(process, True) is None]


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

    def __post_init__(self) -> None:
        self.limit = None if self.queue.depth is None else self.queue.depth - self.queue.reserve
        self.all = self.queue.stride == (1, 1)

    def push(self, begin: int, position: int, cols: int, beat_cycles: Sequence[int]) -> None:
        """The beats of a position of a frame with so many columns, so many cycles behind `begin`, if it is one that
        the FIFO gets."""
        if self.all:
            self.pushes += [begin + cycles for cycles in beat_cycles]
        elif not (position // cols % self.queue.stride[0] or position % cols % self.queue.stride[1]):
            self.pushes += [begin + PICK_LATENCY + cycles for cycles in beat_cycles]

    def room(self, start: int, latency: int) -> int | None:
        """The first cycle from start on in which a slot sees room, as of `latency` cycles before; None: not known."""
        limit, pushes, pops = self.limit, self.pushes, self.pops
        if limit is None:
            return start
        if self.hesitant:
            return start if len(pushes) - len(pops) <= limit else None
        if len(pushes) - self.left <= limit:
            return start
        left = bisect_right(pops, start - latency, self.left)
        while bisect_right(pushes, start - latency, left) - left > limit:
            if left == len(pops):
                return None
            start = pops[left] + latency
            left = bisect_right(pops, start - latency, left)
        self.left = left
        return start

    def memory(self, clock: int, latency: int) -> list[int]:
        """All of what came and went that slots from `clock` on can see."""
        seen = clock - latency
        return [*self.pushes[bisect_right(self.pushes, seen) :], *self.pops[bisect_right(self.pops, seen) :]]

    def peak(self) -> int:
        """The most beats that it held."""
        left = np.searchsorted(self.pops, self.pushes, side="right")
        return int((np.arange(1, len(left) + 1) - left).max(initial=0))


def _first_room(start: int, queues: Sequence[_Edge], latency: int) -> tuple[int, bool]:
    """The first cycle from start on in which there is room in all of them, as far as that is known, and whether it is:
    what is asked next begins there."""
    checked = -1
    while checked < start:
        checked = start
        for edge in queues:
            later = edge.room(start, latency)
            if later is None:
                return start, False
            start = later
        if len(queues) == 1:
            break
    return start, True


class _Entry:
    """Takes a beat as soon as there is room for it in all FIFOs, and there is always one.  first: the first layer."""

    def __init__(self, first: LayerTiming, queues: Sequence[_Edge]) -> None:
        self.first, self.queues, self.clock = first, queues, SOURCE_LATENCY
        self.room_latency = ROOM_LATENCY + rooms_latency(len(queues))

    def run(self, frames: int) -> Iterator[None]:
        """Goes on whenever more is known."""
        raster = self.first.raster
        for position in [*range(raster.rows * raster.cols)] * frames:
            for _ in range(self.first.in_beats):
                room = False
                while not room:
                    self.clock, room = _first_room(self.clock, self.queues, self.room_latency)
                    if not room:
                        yield
                for edge in self.queues:
                    edge.push(self.clock + ADMIT_LATENCY, position, raster.cols, (0,))
                self.clock += 1

    def memory(self) -> Iterator[int]:
        """Of all that is past, what decides about the frames that come."""
        for edge in self.queues:
            yield from edge.memory(self.clock, self.room_latency)


class _Layer:
    """parts: what the input comes from, and the beats of a position from there; queues: behind the layer.

    clock: the first cycle in which the next slot may start; came: beats of the next position that are taken already;
    slices: those that beats go through, in front of all parts but the first, where these are joined, and at the entry:
    of each the cycles in which the last beats came out of it; arrived: where parts are joined, that of the last beat
    into each of them; taken: of the last positions' slots, from the one that the next waiting beat waits for.
    """

    def __init__(self, layer: LayerTiming, parts: Sequence[tuple[_Edge, int]], queues: Sequence[_Edge]) -> None:
        self.layer, self.parts, self.queues = layer, parts, queues
        self.rows, self.cols = rows_of_slots(layer), sum(layer.emits[1])
        self.room_latency = ROOM_LATENCY + rooms_latency(len(queues))
        self.clock, self.came = 0, 0
        self.slices = [[0] * SLICE_BEATS for _ in parts]
        self.arrived = [0] * len(parts) if len(parts) > 1 else []
        self.taken = (0,) * (1 + layer.early_beats // layer.in_beats)
        self.waiting = layer.early_beats % layer.in_beats

    def run(self, frames: int) -> Iterator[None]:
        """Goes on whenever more is known."""
        layer, queues, beat_cycles = self.layer, self.queues, self.layer.beat_cycles
        arrive = self._arrive if len(self.parts) == 1 else self._join
        for _ in range(frames):
            emitted = 0
            for row in self.rows:
                for col, (computes, emits) in enumerate(row.each):
                    begin = self.clock
                    if col < row.positions:
                        while not arrive():
                            yield
                        begin = max(begin, self.slices[-1][-1] + GO_LATENCY)
                    if computes:
                        room = False
                        while not room:
                            begin, room = _first_room(begin, queues, self.room_latency)
                            if not room:
                                yield
                        self.clock = begin + layer.ii_cycles
                    else:
                        self.clock = begin + layer.shift_cycles
                    if col < row.positions:
                        self.taken = (*self.taken[1:], begin)
                    if emits:
                        for edge in queues:
                            edge.push(begin, emitted, self.cols, beat_cycles)
                        emitted += 1

    def _arrive(self) -> bool:
        """Take what is known of the beats of a position; whether that is all of them.  A beat comes into the slice at
        the entry as soon as the one before the last has come out of it."""
        ((edge, beats),) = self.parts
        while self.came < beats:
            known = len(edge.pops)
            if edge.always:
                pushes = [SOURCE_LATENCY - FIFO_LATENCY + number for number in range(beats - self.came)]
            else:
                pushes = edge.pushes[known : known + beats - self.came]
                if not pushes:
                    return False
            before = self.slices[0]
            after = before[-1]
            if self.came < self.waiting:
                pushes = pushes[: self.waiting - self.came]
            else:
                after = max(after, self.taken[0] + self.layer.place_cycles - 1)
            left = before + accept(pushes, after, FIFO_LATENCY + SLICE_LATENCY)
            if not edge.always:
                edge.pops += [max(push + FIFO_LATENCY, gone + 1) for push, gone in zip(pushes, left)]
            self.slices[0] = left[-SLICE_BEATS:]
            self.came += len(pushes)
        self.came = 0
        return True

    def _join(self) -> bool:
        """As _arrive, of beats from all parts, one behind the other."""
        slices, arrived, free = self.slices, self.arrived, self.taken[0] + self.layer.place_cycles - 1
        end = 0
        for number, (edge, beats) in enumerate(self.parts):
            first, end, pushes, pops = max(0, number - 1), end + beats, edge.pushes, edge.pops
            while self.came < end:
                if len(pops) == len(pushes):
                    return False
                at = pushes[len(pops)] + FIFO_LATENCY
                arrived[first] = at = max(at, arrived[first] + 1, slices[first][0] + 1)
                pops.append(at)
                for index in range(first + 1, len(slices)):
                    arrived[index] = at = max(at + SLICE_LATENCY, arrived[index] + 1, slices[index][0] + 1)
                    slices[index - 1] = [*slices[index - 1][1:], at]
                last = slices[-1]
                at = max(at + SLICE_LATENCY, last[-1] + 1, free + 1 if self.came >= self.waiting else 0)
                slices[-1] = [*last[1:], at]
                self.came += 1
        self.came = 0
        return True

    def memory(self) -> Iterator[int]:
        """As of _Entry."""
        yield self.clock
        for slice_ in self.slices:
            yield from slice_
        yield from self.arrived
        yield from self.taken
        for edge in self.queues:
            yield from edge.memory(self.clock, self.room_latency)


class _Sink:
    """Takes a beat in every cycle; ends: cycle of each frame's last one at the exit.  beats: of a frame."""

    def __init__(self, edge: _Edge, beats: int) -> None:
        self.edge, self.beats, self.clock = edge, beats, 0
        self.ends: list[int] = []

    def run(self, frames: int) -> Iterator[None]:
        """Goes on whenever more is known."""
        pushes, pops = self.edge.pushes, self.edge.pops
        for _ in range(frames):
            end = len(pops) + self.beats
            while len(pops) < end:
                while len(pushes) == len(pops):
                    yield
                took = accept(pushes[len(pops) : end], self.clock, FIFO_LATENCY)
                pops += took
                self.clock = took[-1]
            self.ends.append(self.clock + SINK_LATENCY)

    def memory(self) -> Iterator[int]:
        """As of _Entry."""
        yield self.clock
