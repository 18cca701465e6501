"""Stream frames through a session and say how fast each stage was, each figure with where it is from.

The device works on a batch while the host runs the tail on the batch before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import InputError
from lognet_fpga.numerics.ranking import in_top
from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.frames import Frames, require_classes
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.values import Measured, Value


@dataclass(frozen=True, eq=False)
class StreamResult:
    """scores: (n, classes) float; predictions: (n,) int64.  top1: share of right predictions, None without labels.
    top5: share of labels among the five greatest scores, None without labels and for up to five classes.

    pl_rate: frames a second of the programmable logic over the batches as they were sent, each starting in an idle
    overlay.  pl_latency: of the first frame, sent alone, first beat in to last beat out.  tail_rate: of the host's part
    alone.  wall_rate: all stages as they overlapped on this machine; on a simulated device that includes the time of
    simulating.
    """

    scores: np.ndarray
    predictions: np.ndarray
    top1: float | None
    top5: float | None
    batch: int
    pl_rate: Value
    pl_latency: Value
    tail_rate: Measured
    wall_rate: Measured
    power: str

    def __len__(self) -> int:
        return len(self.predictions)


def stream(
    session: Session,
    frames: Frames,
    batch: int = 64,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> StreamResult:
    """Classify all frames, `batch` at a time (the last batch may be smaller).

    on_progress(done, total) is called after every batch, in frames.  Raises InputError for a batch below 1, no
    frames or labels that are no classes, and whatever the session raises.
    """
    if batch < 1:
        raise InputError(f"the batch must be 1 frame or more, not {batch}")
    total = len(frames)
    if not total:
        raise InputError("there are no frames to stream")
    alone = session.fpga(frames.frames[:1])
    scores, done, pl_us, tail_s = [], 0, 0.0, 0.0
    start = time.perf_counter()
    for run in _device_runs(session, frames.frames, batch):
        tail_start = time.perf_counter()
        scores.append(session.tail(run.activations))
        if not done:
            require_classes(frames.labels, scores[0].shape[1])
        tail_s += time.perf_counter() - tail_start
        pl_us += run.pl_cycles / run.clk_mhz
        done += len(run.activations)
        on_progress(done, total)
    wall_s = time.perf_counter() - start
    all_scores = np.concatenate(scores)
    predictions = all_scores.argmax(axis=1)
    device = session.device
    how = "on this host" + (", simulating the FPGA" if device.kind == "simulated" else "")
    return StreamResult(
        all_scores,
        predictions,
        _share_in_top(all_scores, frames.labels, 1),
        _share_in_top(all_scores, frames.labels, 5),
        batch,
        device.figure(total / pl_us * 1e6, "fps"),
        device.figure(alone.pl_cycles / alone.clk_mhz, "us"),
        Measured(total / tail_s, "fps", "on this host"),
        Measured(total / wall_s, "fps", how),
        device.power(),
    )


def _share_in_top(scores: np.ndarray, labels: np.ndarray | None, count: int) -> float | None:
    """Share of labels among the `count` greatest scores, None without labels and where that is trivial."""
    return None if labels is None or scores.shape[1] <= count else float(in_top(scores, labels, count).mean())


def _device_runs(session: Session, frames: np.ndarray, batch: int) -> Iterator[DeviceRun]:
    """The device's results batch by batch, always one batch ahead of the caller."""
    batches = (frames[first : first + batch] for first in range(0, len(frames), batch))
    runs = iter(session.fpga_runs(batches))
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="device") as thread:
        ahead = thread.submit(next, runs, None)
        while (run := ahead.result()) is not None:
            ahead = thread.submit(next, runs, None)
            yield run
