"""What verification found, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lognet_fpga.errors import VerificationError


@dataclass(frozen=True)
class LayerCount:
    """One layer at one level against golden.onnx.  bits: activation bits compared; differing_bits: of these."""

    level: str
    layer: str
    frames: int
    bits: int
    differing_bits: int


@dataclass(frozen=True)
class Difference:
    """The first activation that differs from golden.onnx.  layer may be the output stream."""

    level: str
    layer: str
    frame: int
    channel: int
    y: int
    x: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"{self.level}, {self.layer}: frame {self.frame}, channel {self.channel}, y {self.y}, x {self.x}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class Cycles:
    """Measured in the run without stalls, beside the plan.

    latency_cycles: last output beat of frame 0 minus its first input beat, None if the frame never came.  intervals:
    cycles between the last output beats of consecutive frames in steady state.  run_cycles: of the whole run.
    """

    latency_cycles: int | None
    planned_latency_cycles: int
    intervals: tuple[int, ...]
    planned_cycles_per_frame: int
    run_cycles: int

    @property
    def as_planned(self) -> bool:
        return (
            self.latency_cycles == self.planned_latency_cycles
            and bool(self.intervals)
            and set(self.intervals) == {self.planned_cycles_per_frame}
        )


@dataclass(frozen=True)
class Verdict:
    """frames: how many went through each level.  problems: breaches of the stream contract, in words."""

    frames: int
    seed: int
    idle_percent: int
    stall_percent: int
    counts: tuple[LayerCount, ...]
    first_difference: Difference | None
    cycles: Cycles
    problems: tuple[str, ...]

    @property
    def bits(self) -> int:
        """Activation bits compared over all levels and layers."""
        return sum(count.bits for count in self.counts)

    @property
    def differing_bits(self) -> int:
        return sum(count.differing_bits for count in self.counts)

    @property
    def passed(self) -> bool:
        return self.differing_bits == 0 and self.bits > 0 and self.cycles.as_planned and not self.problems

    def failures(self) -> tuple[str, ...]:
        """Why it did not pass, a line each; empty when it passed."""
        lines = []
        if self.differing_bits:
            lines.append(f"{self.differing_bits} of {self.bits} activation bits differ")
        if self.first_difference is not None:
            lines.append(f"first difference: {self.first_difference}")
        lines += self.problems
        cycles = self.cycles
        if cycles.latency_cycles != cycles.planned_latency_cycles:
            lines.append(f"latency: {cycles.latency_cycles} cycles measured, {cycles.planned_latency_cycles} planned")
        if set(cycles.intervals) != {cycles.planned_cycles_per_frame}:
            measured = ", ".join(str(value) for value in sorted(set(cycles.intervals))) or "none"
            lines.append(f"cycles per frame: {measured} measured, {cycles.planned_cycles_per_frame} planned")
        return tuple(lines)

    def require(self) -> None:
        """Raise VerificationError unless it passed."""
        if not self.passed:
            raise VerificationError(
                "the generated hardware does not do what the integer reference does",
                context=(*self.failures(), f"seed {self.seed}, {self.frames} frames"),
                hint="this is a defect of LogNet FPGA: please report it with this text and the model",
            )

    def to_json(self) -> dict[str, object]:
        """Everything as plain lists, numbers and strings."""
        return {**asdict(self), "bits": self.bits, "differing_bits": self.differing_bits, "passed": self.passed}
