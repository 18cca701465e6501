"""Replay a bundle's vectors on a device and say where it first differs from what it must give."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np

from lognet_fpga.bundle import SCORES, Bundle
from lognet_fpga.errors import BundleError, VerificationError
from lognet_fpga.report import Report, Section, Table
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.session import Session

VECTORS = "vectors.npz"
TOLERANCE = 1e-5  # of the greatest score, between two evaluators of the host's part


@dataclass(frozen=True)
class Mismatch:
    """The first element that differs.  index: its place, (frame, channel, row, column) of an activation, (frame, class)
    of a score.  count: how many of the tensor's elements differ."""

    tensor: str
    index: tuple[int, ...]
    got: float
    expected: float
    count: int

    def __str__(self) -> str:
        return (
            f"{self.tensor}{list(self.index)} is {self.got:g}, but must be {self.expected:g}; "
            f"{self.count:,} of its elements differ"
        )


@dataclass(frozen=True)
class SelfTest:
    """tensors: (name, elements compared, elements that differ).  first: the first mismatch, None for a pass."""

    device: str
    frames: int
    tensors: tuple[tuple[str, int, int], ...]
    first: Mismatch | None
    pl_cycles: int
    planned_cycles: int

    @property
    def passed(self) -> bool:
        return self.first is None

    def require(self) -> None:
        """Raise VerificationError unless it passed."""
        if self.first is not None:
            raise VerificationError(
                f"the self-test found a difference: {self.first}",
                context=[f"{name}: {wrong:,} of {count:,} elements differ" for name, count, wrong in self.tensors],
                hint="load the bitstream again; if it stays, the chip may not reach this clock (try a lower one)",
            )

    def report(self, bundle: Bundle) -> Report:
        lines = (
            f"device  {self.device}",
            "passed: every element is as it must be" if self.passed else f"FAILED: {self.first}",
            f"clock cycles of {self.frames} frames sent at once: {self.pl_cycles:,}, planned {self.planned_cycles:,}",
        )
        data = {
            "bundle": bundle.name,
            "digest": bundle.digest,
            "device": self.device,
            "passed": self.passed,
            "frames": self.frames,
            "tensors": [{"name": name, "elements": count, "differing": wrong} for name, count, wrong in self.tensors],
            "first": self.first
            and {
                "tensor": self.first.tensor,
                "index": list(self.first.index),
                "got": self.first.got,
                "expected": self.first.expected,
            },
            "pl_cycles": self.pl_cycles,
            "planned_cycles": self.planned_cycles,
        }
        table = Table(("tensor", "elements", "differing"), self.tensors)
        return Report(f"Self-test of {bundle.name}", (Section("", lines, table),), data)


def run_selftest(bundle: Bundle, device: Device) -> SelfTest:
    """Run the frames of the bundle's vectors through device and host.

    Activations must be equal in every bit to those in the vectors; scores, where the bundle has them, within TOLERANCE
    of the greatest.  Raises BundleError where the bundle has no vectors, and what the device raises.
    """
    frames, activations, scores = _vectors(bundle)
    name, expected = activations
    with Session(bundle, device) as session:
        run = session.fpga(frames)
        found = session.tail(run.activations)
        description = device.description
    compared = [_compare(name, run.activations.transpose(0, 3, 1, 2), expected, 0.0)]
    if scores is not None:
        compared.append(_compare("scores", found, scores, TOLERANCE * float(np.abs(scores).max(initial=0.0))))
    planned = bundle.latency_cycles + (len(frames) - 1) * bundle.cycles_per_frame
    return SelfTest(
        description,
        len(frames),
        tuple(entry for entry, _ in compared),
        next((mismatch for _, mismatch in compared if mismatch is not None), None),
        run.pl_cycles,
        planned,
    )


def _compare(
    name: str, got: np.ndarray, expected: np.ndarray, tolerance: float
) -> tuple[tuple[str, int, int], Mismatch | None]:
    if got.shape != expected.shape:
        raise BundleError(f"{VECTORS} of the bundle has {name} of shape {expected.shape}, but it is {got.shape}")
    wrong = ~(np.abs(got.astype(np.float64) - expected) <= tolerance)  # so that NaN differs
    count = int(wrong.sum())
    if not count:
        return (name, got.size, 0), None
    index = tuple(int(place) for place in np.argwhere(wrong)[0])
    return (name, got.size, count), Mismatch(name, index, float(got[index]), float(expected[index]), count)


def _vectors(bundle: Bundle) -> tuple[np.ndarray, tuple[str, np.ndarray], np.ndarray | None]:
    """The frames, the name of the last layer and its activations, and the scores."""
    last = bundle.last_layer
    try:
        with np.load(io.BytesIO(bundle.file(VECTORS)), allow_pickle=False) as arrays:
            frames, activations = arrays["frames"], arrays[last]
        scores = np.load(io.BytesIO(bundle.file(SCORES)), allow_pickle=False) if SCORES in bundle.files else None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"the vectors of the bundle cannot be read: {' '.join(str(error).split())}") from error
    return frames, (last, activations), scores
