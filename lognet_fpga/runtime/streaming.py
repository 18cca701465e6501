"""Stream frames through a session and say how fast each stage was, each figure with where it is from.

Three stages work side by side: frames are loaded and preprocessed, the device runs them, the host runs the tail.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import InputError, LogNetError, UsageError
from lognet_fpga.ir.output import SCORES, ModelOutput
from lognet_fpga.machine import signals
from lognet_fpga.numerics.ranking import area_under_curve
from lognet_fpga.runtime.device import BoardFigures, Distant
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.frames import Frames, require_classes
from lognet_fpga.runtime.power import Meter, Phase, PowerResult, Sampler
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.sources import in_memory
from lognet_fpga.runtime.stages import Batch, Finished, Stages
from lognet_fpga.runtime.values import Measured, Value

POLICIES = ("block", "drop")
MAX_BATCH_BYTES = 256 << 20  # of frames; some batches wait at a time, and a simulated device needs many times as much
UPDATE_S = 0.2  # from one update to the next
WINDOW_S = 2.0  # that an update's figures are of
BOARD_SHARE = 0.8  # of the time that requests are on their way: with less than that on the device, the wire limits
PL_SHARE = 0.9  # of the device's time: with more than that the programmable logic limits it, else what is around it


@dataclass(frozen=True)
class StreamUpdate:
    """How a stream is going.  done: frames classified; total: of how many, None where nobody knows; dropped: frames let
    go of.  fps, latency_p50_ms, latency_p99_ms: of the last seconds.  watts: the power sensor's last sample, None
    without."""

    done: int
    total: int | None
    dropped: int
    fps: float
    latency_p50_ms: float
    latency_p99_ms: float
    watts: float | None = None

    def __str__(self) -> str:
        watts = "" if self.watts is None else f", {self.watts:.3g} W"
        return (
            f"{self.fps:,.0f} fps, latency {self.latency_p50_ms:,.1f} ms (p99 {self.latency_p99_ms:,.1f} ms), "
            f"{self.dropped:,} dropped{watts}"
        )


@dataclass(frozen=True, eq=False)
class StreamResult:
    """output: what the model's outputs are.  outputs: of all frames, as of Session.outputs; None for a source without
    end, and for a model without classes unless they were asked for.  predictions: (n,) int64, None for a model without
    classes; numbers: (n,) int64, places of the frames in the source.
    top1: share of right predictions, None without labels.  top5: share of labels among the five greatest scores, None
    without labels and for up to five classes.  auc: of a binary score, the area under the receiver operating
    characteristic; None without frames of both classes.

    pl_rate: frames a second of the programmable logic over the batches as they were sent, each starting in an idle
    overlay.  pl_latency: of the first frame, sent alone, first beat in to last beat out.  load_rate, device_rate,
    tail_rate: of the three stages, each alone; that of the device has the transfers in it, and on a simulated device
    the time of simulating.  wall_rate: all stages as they overlapped on this machine.  latency_p50, latency_p99: from
    when the source gave a frame to when its class was known.  limited_by: "load", "fpga", "driver" (what is around the
    FPGA), "simulation", "wire" (the network, for a device elsewhere) or "tail", whichever has the lowest rate, which is
    limit.  boards: of a device elsewhere, what each of its boards did; else empty.
    dropped: frames that were let go of.  interrupted: it was ended by Ctrl-C; broken: by an error.  power: what a
    sensor measured, None without one; power_note: what is known without.
    """

    source: FrameSource
    output: ModelOutput
    outputs: Sequence[np.ndarray] | None
    predictions: np.ndarray | None
    numbers: np.ndarray
    top1: float | None
    top5: float | None
    auc: float | None
    batch: int
    policy: str
    dropped: int
    interrupted: bool
    broken: bool
    pl_rate: Value
    pl_latency: Value
    load_rate: Measured
    device_rate: Measured
    tail_rate: Measured
    wall_rate: Measured
    latency_p50: Measured
    latency_p99: Measured
    limited_by: str
    limit: Value
    boards: tuple[BoardFigures, ...]
    power: PowerResult | None
    power_note: str

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def scores(self) -> np.ndarray | None:
        """(n, classes) float; None for a source without end, and where the model's output is something else."""
        return self.outputs[0] if self.outputs is not None and self.output.kind == SCORES else None

    @property
    def labels(self) -> np.ndarray | None:
        """Of the frames that were classified, (n,) int64."""
        return None if self.source.labels is None else self.source.labels[self.numbers]

    @property
    def pl_share(self) -> float:
        """Share of the programmable logic's own rate that was reached from end to end."""
        return self.wall_rate.value / self.pl_rate.value


def stream(
    session: Session,
    source: FrameSource | Frames,
    batch: int = 64,
    *,
    policy: str | None = None,
    meter: Meter | None = None,
    idle_s: float = 2.0,
    keep_outputs: bool = False,
    on_update: Callable[[StreamUpdate], None] = lambda update: None,
    on_broken: Callable[[StreamResult], None] = lambda result: None,
) -> StreamResult:
    """Classify all frames, `batch` at a time (the last batch may be smaller).

    policy: what happens to frames that come faster than they can be worked on: "block" lets the source wait, "drop"
    lets go of the batches that have waited longest; None blocks, but drops for a source that is live.  meter: a power
    sensor, which is watched for idle_s seconds before anything runs, and while the stream does.  keep_outputs: those of
    a model without classes, too, which may be large.  on_update is
    called after a batch, at most every UPDATE_S, and at the end.  Ctrl-C ends the stream; what was classified until
    then is the result.  on_broken is called with that, if there is any, before a LogNetError that ends the stream is
    raised.  Raises KeyboardInterrupt where Ctrl-C comes before the first result, InputError for a batch below 1 or of
    more than MAX_BATCH_BYTES, no frames or labels that are no classes, UsageError for a policy that cannot be, and
    whatever the source and the session raise.
    """
    if isinstance(source, Frames):
        source = in_memory(source)
    if batch < 1:
        raise InputError(f"the batch must be 1 frame or more, not {batch}")
    most = max(1, MAX_BATCH_BYTES // math.prod(session.bundle.input_shape))
    if (batch if source.total is None else min(batch, source.total)) > most:
        raise InputError(
            f"a batch of {batch:,} frames does not fit into memory beside those that wait",
            hint=f"give a batch of {most:,} frames or fewer; above some hundreds nothing gets faster",
        )
    policy = policy or ("drop" if source.live else "block")
    if policy not in POLICIES or (policy == "drop" and not source.live):
        raise UsageError(
            f"the policy must be {' or '.join(POLICIES)}, not {policy!r}"
            if policy not in POLICIES
            else "files can wait: only frames of a live source, such as a camera, can be dropped",
            hint="" if policy not in POLICIES else "give the frames a pace (--pace), or leave the policy out",
        )
    if meter is None:
        return _run(session, source, batch, policy, None, None, keep_outputs, on_update, on_broken)
    with Sampler(meter) as sampler:
        begin = time.perf_counter()
        time.sleep(idle_s)
        idle = sampler.phase(begin, time.perf_counter())
        return _run(session, source, batch, policy, sampler, idle, keep_outputs, on_update, on_broken)


def _run(
    session: Session,
    source: FrameSource,
    batch: int,
    policy: str,
    sampler: Sampler | None,
    idle: Phase | None,
    keep_outputs: bool,
    on_update: Callable[[StreamUpdate], None],
    on_broken: Callable[[StreamResult], None],
) -> StreamResult:
    stages = Stages(session, source, batch, drop=policy == "drop")
    try:
        first = stages.first()
        if first is None:
            raise InputError("there are no frames to stream")
        alone = session.fpga(first.frames[:1])
        tally = _Tally(session, source, stages, sampler, keep_outputs, on_update)
        stages.begin(Batch(first.frames, first.numbers, np.full(len(first), time.perf_counter())))
        alone_us = alone.pl_cycles / alone.clk_mhz
        interrupted = False
        try:
            while (finished := stages.get()) is not None:
                tally.add(finished)
        except KeyboardInterrupt:
            interrupted = True
        except Exception as error:
            interrupted = signals.received()  # then code in C has made another error of it
            if not interrupted:
                if tally and isinstance(error, LogNetError):
                    on_broken(tally.result(batch, policy, alone_us, idle, broken=True))
                raise
        if interrupted:
            if not tally:
                raise KeyboardInterrupt
            signals.taken()
    finally:
        stages.stop()
    return tally.result(batch, policy, alone_us, idle, interrupted=interrupted)


@dataclass(frozen=True, eq=False)
class _Done:
    """A batch that is classified.  latencies_s: (n,) float64; end: time.perf_counter(); pl_us, tail_s: its time in the
    programmable logic and in the tail.  predictions: None without classes.  right1, right5: (n,) bool, None where not
    known.  decision: (n,) of a binary score, else None.  outputs: None where they are not kept."""

    predictions: np.ndarray | None
    right1: np.ndarray | None
    right5: np.ndarray | None
    decision: np.ndarray | None
    outputs: list[np.ndarray] | None
    numbers: np.ndarray
    latencies_s: np.ndarray
    end: float
    pl_us: float
    tail_s: float


class _Tally:
    """Runs the tail of finished batches and keeps count."""

    def __init__(
        self,
        session: Session,
        source: FrameSource,
        stages: Stages,
        sampler: Sampler | None,
        keep_outputs: bool,
        on_update: Callable[[StreamUpdate], None],
    ) -> None:
        self._keep_outputs = keep_outputs
        self._session, self._source, self._stages, self._on_update = session, source, stages, on_update
        self._sampler = sampler
        self._batches: list[_Done] = []  # the only state that Ctrl-C may find half done, and append is one step
        self._recent: deque[_Done] = deque()
        if isinstance(session.device, Distant):
            session.device.count_anew()
        self._begin = self._updated = time.perf_counter()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, finished: Finished) -> None:
        batch, run = finished.batch, finished.run
        start = time.perf_counter()
        outputs = self._session.outputs(run.activations)
        end = time.perf_counter()
        output = self._session.output
        if not self._batches and output.classes is not None:
            require_classes(self._source.labels, output.classes)
        labels = None if self._source.labels is None else self._source.labels[batch.numbers]
        # Of a stream without end they would fill the memory.
        keep = self._source.total is not None and (output.has_classes or self._keep_outputs)
        done = _Done(
            output.predictions(outputs),
            None if labels is None else output.right(outputs, labels),
            None if labels is None else output.right(outputs, labels, 5),
            None if labels is None else output.decision(outputs),
            outputs if keep else None,
            batch.numbers,
            end - batch.came,
            end,
            run.pl_cycles / run.clk_mhz,
            end - start,
        )
        self._batches.append(done)
        self._recent.append(done)
        last = batch.numbers[-1] + 1 == self._source.total
        if end - self._updated >= UPDATE_S or last:
            self._updated = end
            self._on_update(self._update(end))

    def _update(self, now: float) -> StreamUpdate:
        while self._recent[0].end < now - WINDOW_S:
            self._recent.popleft()
        latencies_s = np.concatenate([done.latencies_s for done in self._recent])
        p50, p99 = np.percentile(latencies_s, (50, 99)) * 1e3
        fps = len(latencies_s) / max(min(WINDOW_S, now - self._begin), 1e-9)
        count = sum(len(done.numbers) for done in self._batches)
        watts = None if self._sampler is None else self._sampler.watts
        return StreamUpdate(count, self._source.total, self._stages.dropped, fps, float(p50), float(p99), watts)

    def result(
        self,
        batch: int,
        policy: str,
        alone_us: float,
        idle: Phase | None,
        *,
        interrupted: bool = False,
        broken: bool = False,
    ) -> StreamResult:
        batches, device, stages = self._batches, self._session.device, self._stages
        numbers = np.concatenate([done.numbers for done in batches])
        count = len(numbers)
        outputs = None
        if batches[0].outputs is not None:
            outputs = [np.concatenate(parts) for parts in zip(*(done.outputs for done in batches))]
        right1, right5 = (_joined([getattr(done, name) for done in batches]) for name in ("right1", "right5"))
        decision = _joined([done.decision for done in batches])
        labels = None if self._source.labels is None else self._source.labels[numbers]
        pl_s = sum(done.pl_us for done in batches) * 1e-6
        simulated = device.kind in ("simulated", "rtl")
        how = "on this host" + (", simulating the FPGA" if simulated else "")
        p50, p99 = np.percentile(np.concatenate([done.latencies_s for done in batches]), (50, 99)) * 1e3
        # While results wait to be taken the programmable logic may be at work: it never takes less than its own time.
        device_s = stages.device_s if simulated else max(stages.device_s, pl_s)
        boards = device.boards() if isinstance(device, Distant) else ()
        pl_fps, device_fps = count / pl_s, count / max(device_s, 1e-9)
        if boards:  # each at its own pace, side by side
            pl_fps = sum(board.frames / board.pl_s for board in boards if board.pl_s)
            device_fps = sum(board.frames / board.busy_s for board in boards if board.frames and board.busy_s)
        around = _around(device_s, pl_s, boards, "simulation" if simulated else "driver")
        begin, end = self._begin, batches[-1].end
        wall_fps = count / (end - begin)
        power = None
        if self._sampler is not None:
            running = self._sampler.phase(begin, end)
            power = PowerResult(self._sampler.meter.name, idle, running, wall_fps, self._sampler.failure)
        rates = {
            "load": stages.loaded / max(stages.load_s, 1e-9),
            around: device_fps,
            "tail": count / sum(done.tail_s for done in batches),
        }
        limited_by = min(rates, key=lambda stage: rates[stage])
        pl_rate = device.figure(pl_fps, "fps")
        return StreamResult(
            self._source,
            self._session.output,
            outputs,
            _joined([done.predictions for done in batches]),
            numbers,
            None if right1 is None else float(right1.mean()),
            None if right5 is None else float(right5.mean()),
            None if decision is None or labels is None else area_under_curve(decision, labels),
            batch,
            policy,
            stages.dropped,
            interrupted,
            broken,
            pl_rate,
            device.figure(alone_us, "us"),
            Measured(rates["load"], "fps", "on this host"),
            Measured(rates[around], "fps", how),
            Measured(rates["tail"], "fps", "on this host"),
            Measured(wall_fps, "fps", how),
            Measured(float(p50), "ms", how),
            Measured(float(p99), "ms", how),
            limited_by,
            pl_rate if limited_by == "fpga" else Measured(rates[limited_by], "fps", how),
            boards,
            power,
            device.power(),
        )


def _around(device_s: float, pl_s: float, boards: Sequence[BoardFigures], around: str) -> str:
    """What limits the device's stage: the FPGA, or what is around it; of boards elsewhere also the wire."""
    if boards:
        device_s, pl_s = sum(board.busy_s for board in boards), sum(board.pl_s for board in boards)
    if pl_s >= PL_SHARE * device_s:
        return "fpga"
    if boards and sum(board.device_s for board in boards) < BOARD_SHARE * device_s:
        return "wire"
    return around


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Of all batches; None unless all have it."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
