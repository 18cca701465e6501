"""Replay a bundle's vectors on a device and say where it first differs from what it must give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lognet_fpga.bundle import SCORES, VECTORS, Bundle
from lognet_fpga.errors import BundleError, VerificationError
from lognet_fpga.ir.output import SCORES as KIND_SCORES
from lognet_fpga.ir.packed import pack, unpack
from lognet_fpga.report import Report, Section, Table
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.session import Session

OUTPUTS = "outputs.npz"  # the model's output for those frames where SCORES is not there
TOLERANCE = 1e-5  # of the greatest score, between two evaluators of the host's part


@dataclass(frozen=True)
class Mismatch:
    """The first element that differs.  index: its place, (frame, channel, row, column) of an activation, (frame, class)
    of a score.  got, expected: numbers, or text.  count: how many of the tensor's elements differ."""

    tensor: str
    index: tuple[int, ...]
    got: float | str
    expected: float | str
    count: int

    def __str__(self) -> str:
        got, expected = (f"{v:g}" if isinstance(v, float) else repr(v) for v in (self.got, self.expected))
        return (
            f"{self.tensor}{list(self.index)} is {got}, but must be {expected}; {self.count:,} of its elements differ"
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
                hint="load the bitstream again; if it stays, the chip may not reach this clock: deploy with a lower "
                "--clk-mhz",
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

    Activations must be equal in every bit to those in the vectors; the model's outputs, where the bundle has them, in
    size and in every whole number and text, and else within TOLERANCE of the greatest.  Raises BundleError where the
    bundle has no vectors, and what the device raises.
    """
    frames, activations, outputs = _vectors(bundle)
    name, expected = activations
    with Session(bundle, device) as session:
        run = session.fpga(frames)
        found = session.outputs(run.activations)
        description, output = device.description, session.output
    compared = [_compare(name, run.activations.transpose(0, 3, 1, 2), expected, 0.0)]
    if outputs is not None and len(outputs) != len(found):
        raise BundleError(f"{VECTORS} of the bundle has {len(outputs)} outputs, but there are {len(found)}")
    for tensor, got, wanted in zip(output.tensors, found, outputs or ()):
        title = "scores" if output.kind == KIND_SCORES else f"output {tensor.name}"
        compared += _compare_output(title, got, wanted)
    planned = bundle.latency_cycles + (len(frames) - 1) * bundle.cycles_per_frame
    return SelfTest(
        description,
        len(frames),
        tuple(entry for entry, _ in compared),
        next((mismatch for _, mismatch in compared if mismatch is not None), None),
        run.pl_cycles,
        planned,
    )


Compared = tuple[tuple[str, int, int], Mismatch | None]


def _compare_output(name: str, got: np.ndarray, expected: np.ndarray) -> list[Compared]:
    """One of the model's outputs, (n, ...); where sizes differ from frame to frame, these first."""
    if len(got) != len(expected) or (got.dtype == object) != (expected.dtype == object):
        raise BundleError(f"{VECTORS} of the bundle does not fit {name}, of {len(expected)} and {len(got)} frames")
    if expected.dtype != object:
        return [_compare(name, got, expected.reshape(got.shape) if expected.size == got.size else expected)]
    shapes = _compare(f"size of {name}", _sizes(got), _sizes(expected))
    if shapes[1] is not None:
        return [shapes]
    return [shapes, _compare(name, pack([got])["outputs"], pack([expected])["outputs"])]


def _sizes(frames: np.ndarray) -> np.ndarray:
    return np.array([frame.shape for frame in frames])


def _compare(name: str, got: np.ndarray, expected: np.ndarray, tolerance: float | None = None) -> Compared:
    """tolerance: the most that elements may differ; None: TOLERANCE of the greatest, of fractions only."""
    if got.shape != expected.shape:
        raise BundleError(f"{VECTORS} of the bundle has {name} of shape {expected.shape}, but it is {got.shape}")
    if expected.dtype.kind == "f":
        if tolerance is None:
            tolerance = TOLERANCE * float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
        with np.errstate(invalid="ignore"):
            near = np.abs(got.astype(np.float64) - expected) <= tolerance
        wrong = ~(near | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    else:
        wrong = got != expected
    count = int(wrong.sum())
    if not count:
        return (name, got.size, 0), None
    index = tuple(int(place) for place in np.argwhere(wrong)[0])
    return (name, got.size, count), Mismatch(name, index, _value(got[index]), _value(expected[index]), count)


def _value(element: np.generic) -> float | str:
    return str(element) if isinstance(element, np.str_) else float(element)


def _vectors(bundle: Bundle) -> tuple[np.ndarray, tuple[str, np.ndarray], list[np.ndarray] | None]:
    """The frames, the name of the last layer and its activations, and the model's outputs."""
    last = bundle.last_layer
    vectors = bundle.arrays(VECTORS, "frames", last)
    outputs = None
    if SCORES in bundle.files:
        outputs = list(bundle.arrays(SCORES).values())
    elif OUTPUTS in bundle.files:
        try:
            outputs = unpack(bundle.arrays(OUTPUTS))
        except (ValueError, KeyError) as error:
            raise BundleError(f"{OUTPUTS} of the bundle cannot be read: {' '.join(str(error).split())}") from error
    return vectors["frames"], (last, vectors[last]), outputs
