"""The first two of a stream's three stages, each in a thread of its own: frames are loaded, and the device runs them.

The third, the host's part of the model, is the caller's, who takes finished batches with get().
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.handover import Handover
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.sources import batches_of

PLACES = 2  # batches that may wait between two stages: one would make a stage wait for the next to take it
PATIENCE_S = 5.0  # for a source that gives nothing when the stream is to end


@dataclass(frozen=True, eq=False)
class Batch:
    """frames: (n, channels, height, width) uint8.  numbers: (n,) int64, their places in the source.  came: (n,)
    float64, time.perf_counter() at which the source gave each."""

    frames: np.ndarray
    numbers: np.ndarray
    came: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Finished:
    """A batch and what the device made of it."""

    batch: Batch
    run: DeviceRun

    def __len__(self) -> int:
        return len(self.batch)


class Stages:
    """size: frames a batch.  drop: batches that come while PLACES of them wait push out the oldest.

    load_s, device_s: seconds that each stage was at work, without its waiting for the others.  loaded: frames so far.
    """

    def __init__(self, session: Session, source: FrameSource, size: int, *, drop: bool) -> None:
        self._session, self._source, self._size = session, source, size
        self._loaded: Handover[Batch] = Handover(PLACES, drop=drop)
        self._finished: Handover[Finished] = Handover(PLACES)
        self._threads: list[threading.Thread] = []
        self.load_s = self.device_s = 0.0
        self.loaded = 0

    @property
    def dropped(self) -> int:
        """Frames that were loaded and let go of."""
        return self._loaded.dropped

    def first(self) -> Batch | None:
        """Begin to load, and wait for the first batch; None where the source has no frames.  Raises what the source
        raises."""
        self._start(self._load, "frames")
        return self._loaded.get()

    def begin(self, first: Batch) -> None:
        """Begin to run batches, that one before the others."""
        self._start(lambda: self._compute(first), "device")

    def get(self) -> Finished | None:
        """The next finished batch; None at the end.  Raises what the source or the device raised."""
        return self._finished.get()

    def stop(self) -> None:
        """End both stages after what they are at, and wait for them."""
        self._loaded.stop()
        self._finished.stop()
        for thread in self._threads:
            thread.join(PATIENCE_S if thread.name == "frames" else None)

    def _start(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _load(self) -> None:
        try:
            begin = time.perf_counter()
            for frames, came in batches_of(self._source, self._size):
                batch = Batch(frames, np.arange(self.loaded, self.loaded + len(frames)), came)
                self.loaded += len(frames)
                self.load_s += time.perf_counter() - begin
                if not self._loaded.put(batch):
                    return
                begin = time.perf_counter()
            self._loaded.end()
        except BaseException as error:  # whatever it is, the stream's caller is to see it
            self._loaded.end(error)

    def _compute(self, first: Batch) -> None:
        sent: deque[Batch] = deque()
        waited_s = 0.0

        def batches() -> Iterator[np.ndarray | None]:
            nonlocal waited_s
            batch: Batch | None = first
            while batch is not None:
                sent.append(batch)
                yield batch.frames
                while sent and self._loaded.would_wait():
                    yield None
                begin = time.perf_counter()
                batch = self._loaded.get()
                waited_s += time.perf_counter() - begin

        try:
            begin = time.perf_counter()
            for run in self._session.fpga_runs(batches()):
                self.device_s += time.perf_counter() - begin - waited_s
                if not self._finished.put(Finished(sent.popleft(), run)):
                    return
                begin, waited_s = time.perf_counter(), 0.0
            self._finished.end()
        except BaseException as error:
            self._finished.end(error)
