"""Cycle-true model of the chain of layers: cycles per frame, latency, and what the FIFOs hold.

Within an unstalled source and sink it is exact, not an approximation; verification compares it with the Verilog, cycle
for cycle.  `plan/time/chain.py` follows single positions.  Here rows are repeated that need not be followed.

Rows repeat.  If at the end of two rows each layer is in the same state by its own clock, each does the same again, by
its own clock, for as long as its rows ahead are like those before and the FIFOs at either side keep out of the way: in
step, with the same beats at the same distances; or filling, and neither felt empty nor full; or draining likewise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lognet_fpga.fabric.latencies import FIFO_LATENCY, SOURCE_LATENCY
from lognet_fpga.plan.time.chain import FifoMark, Sink, Stage
from lognet_fpga.plan.time.layer_timing import LayerTiming

_ROWS_COMPARED = 48  # at most: strides come round in a few rows, FIFOs that fill and are full in some dozens


@dataclass(frozen=True)
class CycleCounts:
    """last_out: cycle of each frame's last output beat, counted from the first accepted input beat of all.
    fifo_peaks: beats, those of an unlimited FIFO counted up to two rows of results."""

    last_out: tuple[int, ...]
    fifo_peaks: tuple[int, ...]

    @property
    def latency_cycles(self) -> int:
        """Of the first frame, into an idle overlay."""
        return self.last_out[0]

    @property
    def cycles_per_frame(self) -> int:
        """The longest interval between two frames' ends, of the second half of them: the first frames enter an empty
        pipeline, and shallow FIFOs may hold up every second frame more than the others."""
        intervals = [after - before for before, after in pairwise(self.last_out)]
        return max(intervals[len(intervals) // 2 :])


def count_cycles(layers: Sequence[LayerTiming], frames: int) -> CycleCounts:
    """Run `frames` frames through an overlay that was idle, with a source and a sink that never wait."""
    chain = _Chain(layers, frames)
    entry, raster = chain.stages[0], layers[0].raster
    begin = SOURCE_LATENCY - FIFO_LATENCY  # there is no FIFO in front, and always a beat
    offered = list(range(begin, begin + layers[0].in_beats))
    recent: deque[_Mark] = deque(maxlen=_ROWS_COMPARED)
    begins: list[_Mark] = []  # of frames
    while chain.rows_left:
        now = chain.mark()
        begins_frame = entry.row % len(raster.row_flags) == 0
        if _repeated(chain, now, recent, begins if begins_frame else ()):
            recent.clear()
            continue
        recent.append(now)
        if begins_frame:
            begins.append(now)
        chain.forget(recent[0], now)
        for _ in range(raster.cols):
            entry.arrive(offered)
    return CycleCounts(tuple(chain.sink.ends), tuple(stage.fifo.peak for stage in chain.stages))


def _repeated(chain: _Chain, now: _Mark, recent: Sequence[_Mark], begins: Sequence[_Mark]) -> bool:
    """Whether the chain went on by repeating what came since one of the recent rows, or of the begins of frames."""
    if any(chain.repeat(before, now, ()) for before in reversed(begins)):
        return True
    between = [now]
    for before in reversed(recent):
        if chain.repeat(before, now, between):
            return True
        between.append(before)
    return False


@dataclass(frozen=True)
class _Mark:
    """The chain at the end of a row.  clocks: of the layers and the sink; count, ends: of the sink."""

    state: tuple[tuple[int, ...], ...]
    rows: tuple[int, ...]
    clocks: tuple[int, ...]
    fifos: tuple[FifoMark, ...]
    count: int
    ends: int


class _Chain:
    """All layers and the sink.  rows: of the first layer, in all frames."""

    def __init__(self, layers: Sequence[LayerTiming], frames: int) -> None:
        emit_rows, emit_cols = layers[-1].emits
        self.sink = Sink(sum(emit_rows) * sum(emit_cols))
        self.stages: list[Stage] = []
        for layer in reversed(layers):
            self.stages.insert(0, Stage(layer, self.stages[0] if self.stages else self.sink))
        self.rows = frames * len(layers[0].raster.row_flags)

    @property
    def rows_left(self) -> int:
        """Rows that the first layer has still to do."""
        return self.rows - self.stages[0].row

    def mark(self) -> _Mark:
        return _Mark(
            tuple(stage.state for stage in self.stages),
            tuple(stage.row for stage in self.stages),
            (*(stage.clock for stage in self.stages), self.sink.clock),
            tuple(stage.fifo.mark(stage.clock) for stage in self.stages),
            self.sink.count,
            len(self.sink.ends),
        )

    def forget(self, oldest: _Mark, latest: _Mark) -> None:
        for stage, *marks in zip(self.stages, oldest.fifos, latest.fifos):
            stage.fifo.forget(*marks)

    def repeat(self, before: _Mark, now: _Mark, rows: Sequence[_Mark]) -> bool:
        """Go on to where what happened between two marks ceases to repeat; False if it does not repeat.

        rows: the marks of all rows in between, now included; or none, and then only what keeps in step is repeated.
        """
        if before.state != now.state:
            return False
        periods = [row - row_before for row, row_before in zip(now.rows, before.rows)]
        cycles = list(pairwise(clock - clock_before for clock, clock_before in zip(now.clocks, before.clocks)))
        times = self.rows_left // periods[0]
        for stage, period in zip(self.stages, periods):
            times = stage.repeats(period, times)
        for number, stage in enumerate(self.stages):
            marks = [mark.fifos[number] for mark in rows]
            times = stage.fifo.repeats(before.fifos[number], now.fifos[number], marks, *cycles[number], times)
        if any(ours != theirs for ours, theirs in cycles):
            times -= 1  # the last time is followed, for that is when a FIFO that fills holds most
        if times <= 0:
            return False
        for number, (stage, period) in enumerate(zip(self.stages, periods)):
            stage.repeat(times, period, cycles[number][0])
            beats = now.fifos[number].beats - before.fifos[number].beats
            stage.fifo.repeat(times, beats, *cycles[number], stage.clock)
        self.sink.repeat(times, before.count, before.ends, cycles[-1][1])
        return True
