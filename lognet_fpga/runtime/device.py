"""What runs the FPGA part: the one interface of the simulated device and of boards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from lognet_fpga.runtime.values import Value


@dataclass(frozen=True, eq=False)
class DeviceRun:
    """What a device made of a batch.  activations: (n, height, width, channels) of `ir.codes.code_type`, the order in
    which they leave the FPGA.  pl_cycles: clock cycles from the first beat in to the last beat out.  clk_mhz: of the
    programmable logic.
    """

    activations: np.ndarray
    pl_cycles: int
    clk_mhz: float


@dataclass(frozen=True)
class BoardFigures:
    """What a board elsewhere did since it was last told to count.

    name: its address.  frames, requests: answered.  resent: requests that were sent again elsewhere.  busy_s: time in
    which at least one request was on its way.  pl_s: of the programmable logic; device_s: in which requests had the
    device, as the other side measured.  latency_p50_ms, latency_p99_ms: of a request, there and back; wire_p50_ms: what
    of it was neither waiting for the device nor on it.  aside, away_s: how often and for how long it was set aside;
    reason: the last time, empty for never.  Times of requests are NaN where none was answered.
    """

    name: str
    frames: int
    requests: int
    resent: int
    busy_s: float
    pl_s: float
    device_s: float
    latency_p50_ms: float
    latency_p99_ms: float
    wire_p50_ms: float
    aside: int = 0
    away_s: float = 0.0
    reason: str = ""


class Device(Protocol):
    """kind: one word, "simulated" or the board's name.  description: one line for the user."""

    kind: str
    description: str

    def open(self) -> None:
        """Get ready to run.  Raises a LogNetError that says what is missing."""

    def run(self, frames: np.ndarray) -> DeviceRun:
        """Run a batch of frames, (n, channels, height, width) uint8, n > 0, sent back to back."""

    def runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        """Run batches as of run, each sent when the one before has left; a device that can fills its buffers with the
        next batch meanwhile.  None among them says that the next one will be long in coming: what comes back of those
        before is then yielded first."""

    def figure(self, value: float, unit: str) -> Value:
        """A figure of the programmable logic as the type that says where this device has it from."""

    def power(self) -> str:
        """What is known of the power drawn, in one line."""

    def close(self) -> None:
        """Let go of everything; open may follow."""


@runtime_checkable
class Distant(Protocol):
    """What a Device has besides whose board, or boards, are at the other end of a network."""

    def count_anew(self) -> None:
        """Begin to count: figures are of what comes from now on."""

    def boards(self) -> tuple[BoardFigures, ...]:
        """Of each board."""
