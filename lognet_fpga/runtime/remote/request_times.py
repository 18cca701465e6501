"""The times of a board's requests, as its client sees them."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

from lognet_fpga.runtime.device import BoardFigures

KEPT = 100_000  # latencies, the last ones


class RequestTimes:
    """Counts from begin to end of each request; any thread may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on_their_way = 0
        self.count_anew()

    def count_anew(self) -> None:
        with self._lock:
            self._frames = self._requests = 0
            self._busy_s = self._pl_s = self._device_s = 0.0
            self._since = time.perf_counter()
            self._latencies_s: deque[float] = deque(maxlen=KEPT)
            self._wires_s: deque[float] = deque(maxlen=KEPT)

    def begin(self) -> float:
        """A request goes out; its time, for end."""
        with self._lock:
            now = time.perf_counter()
            if not self._on_their_way:
                self._since = now
            self._on_their_way += 1
            return now

    def end(
        self, begun: float, frames: int = 0, *, pl_s: float = 0.0, device_s: float = 0.0, wait_s: float = 0.0
    ) -> None:
        """It is back: with frames, or without an answer.  pl_s, device_s, wait_s: of the other side."""
        with self._lock:
            now = time.perf_counter()
            self._on_their_way -= 1
            if not self._on_their_way:
                self._busy_s += now - self._since
            if frames:
                self._frames += frames
                self._requests += 1
                self._pl_s += pl_s
                self._device_s += device_s
                self._latencies_s.append(now - begun)
                self._wires_s.append(max(0.0, now - begun - device_s - wait_s))

    def figures(self, name: str) -> BoardFigures:
        with self._lock:
            busy_s = self._busy_s + (time.perf_counter() - self._since if self._on_their_way else 0.0)
            p50 = p99 = wire = float("nan")
            if self._latencies_s:
                p50, p99 = np.percentile(self._latencies_s, (50, 99)) * 1e3
                wire = float(np.median(self._wires_s)) * 1e3
            return BoardFigures(
                name, self._frames, self._requests, 0, busy_s, self._pl_s, self._device_s, float(p50), float(p99), wire
            )
