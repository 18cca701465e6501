"""The chain of layers in time: what a position does to a layer, a FIFO and the sink, cycle for cycle.

Only what decides about time is followed: slots, beats, FIFO levels.  A position goes through the whole chain before the
next one enters it.  Nothing need be guessed in that order: a layer waits for beats from before, and for room behind,
which is made as beats are taken that left it earlier; of both, the cycles are known by then.

Whatever happened over some rows can be repeated without following it again; `plan/time/cycles.py` says when.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import inf
from operator import sub
from typing import NamedTuple

from lognet_fpga.fabric.latencies import (
    FIFO_LATENCY,
    GO_LATENCY,
    ROOM_LATENCY,
    SINK_LATENCY,
    SLICE_BEATS,
    SLICE_LATENCY,
)
from lognet_fpga.plan.time.layer_timing import LayerTiming, phases, rows_of_slots


class Sink:
    """Takes a beat in every cycle.  positions: of a frame; ends: cycle of each frame's last beat."""

    def __init__(self, positions: int) -> None:
        self.positions, self.count, self.clock = positions, 0, 0
        self.ends: list[int] = []

    def arrive(self, pushes: list[int]) -> list[int]:
        """Take the beats of a position; the cycles in which they are taken."""
        pops = accept(pushes, self.clock, FIFO_LATENCY)
        self.clock = pops[-1]
        self.count += 1
        if self.count % self.positions == 0:
            self.ends.append(self.clock + SINK_LATENCY)
        return pops

    def repeat(self, times: int, count: int, ends: int, cycles: int) -> None:
        """What came since there were `count` positions and `ends` ends again, `times` times, each `cycles` later."""
        self.ends += [end + n * cycles for n in range(1, times + 1) for end in self.ends[ends:]]
        self.count += times * (self.count - count)
        self.clock += times * cycles


def accept(pushes: list[int], after: int, latency: int) -> list[int]:
    """The cycles in which beats are taken, one by one, each `latency` cycles behind its push or as soon as may be after
    cycle `after`."""
    if not pushes or pushes[0] + latency > after:
        return [push + latency for push in pushes]
    if pushes[-1] - pushes[0] < len(pushes):  # one a cycle
        return list(range(after + 1, after + 1 + len(pushes)))
    pops = []
    for push in pushes:
        after = max(after + 1, push + latency)
        pops.append(after)
    return pops


class FifoMark(NamedTuple):
    """A FIFO at the end of a row.  beats: pushed by then; pushes, pops: cycles of the latest of them, back to those
    that no slot will see any more; settled: there is one of these.

    Of the row alone: slack: the least cycles by which a beat could have come later; level: the most beats, those on
    their way included, that a starting slot found; infinite if one had to wait.
    """

    beats: int
    pushes: list[int]
    pops: list[int]
    settled: bool
    slack: float
    level: float


class Fifo:
    """limit: the most beats with which a slot sees room, None: any; horizon: without a limit, the most that peak, the
    most beats ever held, is counted to; in_a_row: a result's beats come in cycles one behind the other.  pushes, pops:
    cycles of the latest beats, of `beats` in all."""

    def __init__(self, limit: int | None, horizon: int, in_a_row: bool) -> None:
        self.limit, self.horizon, self.in_a_row = limit, horizon, in_a_row
        self.peak, self.beats, self.left = 0, 0, 0
        self.slack, self.level = inf, -inf
        self.pushes: list[int] = []
        self.pops: list[int] = []

    def pass_on(self, pushes: list[int], following: Stage | Sink) -> None:
        pops = following.arrive(pushes)
        self.beats += len(pushes)
        self.pushes += pushes
        self.pops += pops
        # Beats in a row leave no faster than they come: the first has the least time, the last sees the most beats.
        slack = (pops[0] - pushes[0] if self.in_a_row else min(map(sub, pops, pushes))) - FIFO_LATENCY
        if slack < self.slack:
            self.slack = slack
        beat, peak, pops = len(self.pops) - (1 if self.in_a_row else len(pushes)), self.peak, self.pops
        for push in pushes[-1:] if self.in_a_row else pushes:
            # There are more than `peak` beats if the one so many before this one has not left.
            while peak <= beat and pops[beat - peak] > push:
                peak += 1
            beat += 1
        self.peak = peak

    def room(self, start: int) -> int:
        """The first cycle from start on in which a slot sees room; what it sees is of ROOM_LATENCY before."""
        if self.limit is None:
            return start
        pushes, pops = self.pushes, self.pops
        self.left = bisect_right(pops, start - ROOM_LATENCY, self.left)
        level = len(pops) - self.left
        if level > self.level:
            self.level = level
        if level <= self.limit:
            return start
        while bisect_right(pushes, start - ROOM_LATENCY, self.left) - self.left > self.limit:
            self.level = inf
            start = pops[self.left] + ROOM_LATENCY
            self.left = bisect_right(pops, start - ROOM_LATENCY, self.left)
        return start

    def mark(self, clock: int) -> FifoMark:
        """At the end of a row; no slot starts before `clock` any more."""
        left = bisect_right(self.pops, clock - ROOM_LATENCY)
        first = max(0, left - 1)
        if self.limit is None:
            first = max(first, len(self.pops) - self.horizon)
        mark = FifoMark(self.beats, self.pushes[first:], self.pops[first:], left > 0, self.slack, self.level)
        self.slack, self.level = inf, -inf
        return mark

    def forget(self, oldest: FifoMark, latest: FifoMark) -> None:
        """What came before the oldest mark and has no place in the latest."""
        drop = len(self.pops) - max(self.beats - oldest.beats, len(latest.pops))
        del self.pushes[:drop], self.pops[:drop]
        self.left = max(0, self.left - drop)

    def repeats(
        self, before: FifoMark, now: FifoMark, rows: Sequence[FifoMark], push_cycles: int, pop_cycles: int, most: int
    ) -> int:
        """How many times, up to `most`, what happened between two marks is sure to happen again, pushes every time
        push_cycles later and pops pop_cycles, given that both ends repeat what they do while this FIFO lets them.

        rows: the marks of all rows in between; where they are not known, both ends must keep in step.
        """
        if most <= 0 or now.beats == before.beats:
            return most
        fills = pop_cycles - push_cycles
        if fills:
            slack = min((row.slack for row in rows), default=0)
            level = max((row.level for row in rows), default=inf)
            if level == inf or fills > 0 and not slack:
                return 0
            if fills < 0:
                most = min(most, int(slack // -fills))
            elif self.limit is not None:  # room for all that is popped later, one beat a cycle
                most = min(most, int((self.limit - level) // fills))
        if self.limit is not None and not before.settled:
            return 0
        pairs = (before.pops, now.pops, pop_cycles), (before.pushes, now.pushes, push_cycles)
        alike = all(
            len(old) <= len(new) and all(map(cycles.__eq__, map(sub, new[len(new) - len(old) :], old)))
            for old, new, cycles in pairs
        )
        return most if alike else 0

    def repeat(self, times: int, beats: int, push_cycles: int, pop_cycles: int, clock: int) -> None:
        """The last `beats` beats come again, `times` times; what was taken before `clock` need not be known."""
        if not beats:
            return
        self.beats += times * beats
        if push_cycles == pop_cycles:
            self.pushes = [push + times * push_cycles for push in self.pushes]
            self.pops = [pop + times * pop_cycles for pop in self.pops]
            return
        pushes, pops = self.pushes[-beats:], self.pops[-beats:]
        gone = min(times, max(0, (clock - ROOM_LATENCY - pops[-1]) // pop_cycles))
        if self.limit is None:
            gone = max(gone, times - 1 - self.horizon // beats)
        if gone:
            self.pushes, self.pops = [], []
        for n in range(max(gone, 1), times + 1):
            self.pushes += [push + n * push_cycles for push in pushes]
            self.pops += [pop + n * pop_cycles for pop in pops]
        self.left = 0


class Stage:
    """A layer and the FIFO behind it.

    row, col: of the next slot, rows counted over all frames; clock: the first cycle in which it may start; accepted:
    cycles in which the last beats came out of the slice at the entry; waiting: beats of a position that are accepted
    before its place is free; taken: of the last positions' slots, from the one that the next waiting beat waits for.
    """

    def __init__(self, layer: LayerTiming, following: Stage | Sink) -> None:
        self.layer, self.following = layer, following
        self.rows = rows_of_slots(layer)
        self.phases = phases(self.rows)
        limit = None if layer.fifo_depth is None else layer.fifo_depth - layer.fifo_reserve
        beats = layer.beat_cycles
        self.fifo = Fifo(limit, 2 * layer.row_beats, beats[-1] - beats[0] < len(beats))
        self.row, self.col, self.clock = 0, 0, 0
        self.accepted = [0] * SLICE_BEATS
        self.taken = (0,) * (1 + layer.early_beats // layer.in_beats)
        self._alike = lru_cache(maxsize=None)(self._alike_ahead)
        self.waiting = layer.early_beats % layer.in_beats

    def arrive(self, pushes: list[int]) -> list[int]:
        """Accept the beats of a position, and do its slot and all padding behind it; the cycles in which they left the
        FIFO before.

        Early beats take places in front of a position that waits for its slot; the beat behind them waits for it too.
        The slice at the entry takes a beat as soon as the one before the last has come out of it.
        """
        last, free, latency = (
            self.accepted[-1],
            self.taken[0] + self.layer.place_cycles - 1,
            FIFO_LATENCY + SLICE_LATENCY,
        )
        if self.waiting:
            accepted = accept(pushes[: self.waiting], last, latency)
            last = accepted[-1]
            accepted += accept(pushes[self.waiting :], last if last > free else free, latency)
        else:
            accepted = accept(pushes, last if last > free else free, latency)
        before = self.accepted + accepted
        self.accepted = before[-SLICE_BEATS:]
        self._run(accepted[-1] + GO_LATENCY)
        return [max(push + FIFO_LATENCY, left + 1) for push, left in zip(pushes, before)]

    def _run(self, ready: int) -> None:
        """All slots up to the next position's; this one's may start when it is ready."""
        layer, fifo, start, taken = self.layer, self.fifo, self.clock, False
        while True:
            slots = self.rows[self.row % len(self.rows)]
            each, positions = slots.each, slots.positions
            for col in range(self.col, len(each)):
                computes, emits = each[col]
                is_data = col < positions
                if is_data:
                    if taken:
                        self.col, self.clock = col, start
                        return
                    if start < ready:
                        start = ready
                if computes:
                    begin = fifo.room(start)
                    start = begin + layer.ii_cycles
                else:
                    begin = start
                    start += layer.shift_cycles
                if is_data:
                    taken = True
                    self.taken = (*self.taken[1:], begin)
                if emits:
                    fifo.pass_on([begin + cycles for cycles in layer.beat_cycles], self.following)
            self.row, self.col = self.row + 1, 0

    @property
    def state(self) -> tuple[int, ...]:
        """What the layer itself does next depends on this alone, by its own clock."""
        phase = self.phases[self.row % len(self.rows)]
        return phase, self.col, *(at - self.clock for at in (*self.accepted, *self.taken))

    def repeats(self, period: int, most: int) -> int:
        """How many times, up to `most`, the rows ahead are like the `period` rows before."""
        ahead = self._alike(self.row % len(self.rows), period % len(self.rows))
        if ahead > most * period:  # the row of the next slot must be alike as well
            return most
        return max(0, int(ahead) - 1) // period

    def _alike_ahead(self, row: int, period: int) -> float:
        """How many rows from `row` on are like those a period before; infinite for all."""
        rows = self.rows
        ahead = (n for n in range(len(rows)) if rows[(row + n) % len(rows)] is not rows[(row + n - period) % len(rows)])
        return next(ahead, inf)

    def repeat(self, times: int, rows: int, cycles: int) -> None:
        """The last `rows` rows come again, `times` times, each `cycles` later."""
        self.row += times * rows
        self.clock += times * cycles
        self.accepted = [at + times * cycles for at in self.accepted]
        self.taken = tuple(at + times * cycles for at in self.taken)
