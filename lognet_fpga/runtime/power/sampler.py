"""Samples of a power sensor while something runs, and what they say: idle, running, the difference, energy a frame."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np

from lognet_fpga.errors import LogNetError

INTERVAL_S = 0.05  # between two looks at the sensor


class Meter(Protocol):
    """A power sensor.  name: which, and of what, for the user."""

    name: str

    def samples(self) -> list[float]:
        """What it has measured since the last call, in watts; empty where nothing is new.  Raises a LogNetError when
        the sensor fails."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class Phase:
    """Power while nothing, or while something ran.  mean_w; error_w: its standard error, None for fewer than 3 samples;
    samples: how many; seconds: how long."""

    mean_w: float
    error_w: float | None
    samples: int
    seconds: float

    @classmethod
    def of(cls, watts: list[float], seconds: float) -> Phase | None:
        """None without samples.

        Samples of one sensor follow each other closely, so n of them say less than n independent ones: with the
        correlation r of neighbours they count as n (1 - r) / (1 + r).
        """
        if not watts:
            return None
        values = np.asarray(watts, np.float64) - watts[0]  # so that equal samples leave no rounding error
        count = len(values)
        mean = watts[0] + float(values.mean())
        if count < 3:
            return cls(mean, None, count, seconds)
        deviations = values - values.mean()
        square = float((deviations**2).sum())
        r = min(max(float((deviations[1:] * deviations[:-1]).sum()) / square, 0.0), 0.99) if square else 0.0
        independent = max(count * (1 - r) / (1 + r), 1.0)
        return cls(mean, math.sqrt(square / (count - 1) / independent), count, seconds)

    def __str__(self) -> str:
        error = "" if self.error_w is None else f" ± {self.error_w:.2g}"
        return f"{self.mean_w:.4g}{error} W ({self.samples:,} samples in {self.seconds:.1f} s)"

    def to_dict(self) -> dict[str, object]:
        return {"mean_w": self.mean_w, "error_w": self.error_w, "samples": self.samples, "seconds": self.seconds}


@dataclass(frozen=True)
class PowerResult:
    """idle, running: None where the sensor gave nothing.  fps: frames a second while running.  failure: what the sensor
    failed of, empty for none.  Errors are standard errors of the samples; the sensor's own error comes on top."""

    sensor: str
    idle: Phase | None
    running: Phase | None
    fps: float
    failure: str = ""

    @property
    def difference_w(self) -> tuple[float, float | None] | None:
        """Running less idle, and its standard error."""
        idle, running = self.idle, self.running
        if idle is None or running is None:
            return None
        difference = running.mean_w - idle.mean_w
        if idle.error_w is None or running.error_w is None:
            return difference, None
        return difference, math.hypot(idle.error_w, running.error_w)

    @property
    def energy_mj(self) -> tuple[float, float | None] | None:
        """Millijoules that a frame takes above idle, and their standard error."""
        if self.difference_w is None:
            return None
        watts, error = self.difference_w
        return watts / self.fps * 1e3, None if error is None else error / self.fps * 1e3

    @property
    def total_energy_mj(self) -> float | None:
        """Millijoules a frame with what is drawn at idle too."""
        return None if self.running is None else self.running.mean_w / self.fps * 1e3

    def lines(self) -> tuple[str, ...]:
        """For the user."""
        lines = [f"sensor      {self.sensor}"]
        if self.running is not None and self.running.seconds > 0:
            lines[0] += f", {self.running.samples / self.running.seconds:.3g} samples a second"
        lines += [
            f"{name:10}  {phase or 'no samples'}" for name, phase in (("idle", self.idle), ("running", self.running))
        ]
        if self.difference_w is not None and self.energy_mj is not None:
            lines.append(f"difference  {_with_error(*self.difference_w)} W: {_with_error(*self.energy_mj)} mJ a frame")
        if self.total_energy_mj is not None:
            lines.append(f"all in all  {self.total_energy_mj:.3g} mJ a frame at {self.fps:,.1f} fps")
        if self.running is not None:
            lines.append("± is the standard error of the samples; the sensor's own error comes on top")
        if any(phase is not None and phase.error_w == 0 for phase in (self.idle, self.running)):
            lines.append("± 0: all samples are equal, so the sensor's steps are coarser than what they scatter")
        return (*lines, f"the sensor failed: {self.failure}") if self.failure else tuple(lines)

    def to_dict(self) -> dict[str, object]:
        difference, energy = self.difference_w or (None, None), self.energy_mj or (None, None)
        return {
            "sensor": self.sensor,
            "idle": self.idle and self.idle.to_dict(),
            "running": self.running and self.running.to_dict(),
            "difference_w": difference[0],
            "difference_error_w": difference[1],
            "energy_mj": energy[0],
            "energy_error_mj": energy[1],
            "total_energy_mj": self.total_energy_mj,
            "failure": self.failure,
        }


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.3g}" + ("" if error is None else f" ± {error:.2g}")


class Sampler:
    """Use as a context manager: a thread looks at the meter inside.  A sensor that fails ends the sampling, nothing
    else."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.failure = ""
        self._samples: list[tuple[float, float]] = []  # time.perf_counter(), watts
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def watts(self) -> float | None:
        """The last sample; None before the first."""
        return self._samples[-1][1] if self._samples else None

    def phase(self, begin: float, end: float) -> Phase | None:
        """What was measured between two times of time.perf_counter(); None for nothing."""
        return Phase.of([watts for at, watts in tuple(self._samples) if begin <= at <= end], end - begin)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(INTERVAL_S):
                watts = self.meter.samples()
                now = time.perf_counter()
                self._samples.extend((now, value) for value in watts)
        except LogNetError as error:
            self.failure = error.message
