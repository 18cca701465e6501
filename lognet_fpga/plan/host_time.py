"""How long the host's part of a model takes a board's processor: estimates, as a range.

Nothing was measured on a board.  Instructions are what benchmarks/host_time.py counts on x86, carried over to the other
processor by its vector width; cycles an instruction are a guess from below and from above.  docs/board.md tells both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lognet_fpga.errors import UsageError
from lognet_fpga.fabric.board import Board
from lognet_fpga.ir.system import processor_of
from lognet_fpga.partition.host_work import HostWork

SLOW_S = 0.1  # a frame that may take longer had better be finished on a PC


@dataclass(frozen=True)
class Runtime:
    """What runs the host's part.  instructions: of one core, for one of each unit of HostWork, by its name.  cycles:
    that an instruction takes, the least and the most.  speedup: by all cores that are used."""

    title: str
    instructions: Mapping[str, float]
    cycles: tuple[float, float]
    speedup: float

    def count(self, work: HostWork) -> float:
        """Instructions for that."""
        return math.fsum(count * self.instructions[unit] for unit, count in vars(work).items())


# The packages of NumPy and OpenBLAS for 32-bit ARM use no vector instructions: products of matrices take what the inner
# loop of OpenBLAS's kernel has there (16 products, 8 loads) and some for its edges; depthwise ones, copies, pools and
# functions what x86 was counted to take; other elements, which x86 works on four at a time, twice that.
NUMPY_ARM32 = Runtime(
    "NumPy",
    dict(macs=1.7, depthwise_macs=10, unfolded=3, pooled=11, elements=10, functions=80, nodes=2_000, groups=1_000),
    (0.9, 1.8),
    1,
)
# Assumed: four products an instruction and its loads; three of four cores at work.
ONNXRUNTIME_ARM64 = Runtime(
    "onnxruntime",
    dict(macs=0.4, depthwise_macs=1.2, unfolded=0.5, pooled=1.5, elements=1.5, functions=10, nodes=6_000, groups=0),
    (0.9, 2.5),
    3,
)
# Assumed: eight products an instruction.
ONNXRUNTIME_X86 = Runtime(
    "onnxruntime",
    dict(macs=0.2, depthwise_macs=0.6, unfolded=0.3, pooled=0.8, elements=0.8, functions=5, nodes=6_000, groups=0),
    (0.4, 1.2),
    3,
)


@dataclass(frozen=True)
class HostTime:
    """Seconds that a frame of a stream takes: at best and at worst, by estimate.  runtime: what it runs in."""

    best_s: float
    worst_s: float
    runtime: str

    @property
    def middle_s(self) -> float:
        """Where one number is needed: the geometric mean."""
        return math.sqrt(self.best_s * self.worst_s)

    @property
    def fps(self) -> tuple[float, float]:
        """Frames a second, the least and the most; infinite where there is nothing to do."""
        least, most = (1 / seconds if seconds else math.inf for seconds in (self.worst_s, self.best_s))
        return least, most

    @property
    def slow(self) -> bool:
        return self.worst_s > SLOW_S


def host_time(work: HostWork, board: Board) -> HostTime:
    """work: of a frame."""
    runtime = runtime_of(board)
    seconds = runtime.count(work) / (board.host_mhz * 1e6 * runtime.speedup)
    best, worst = (seconds * cycles for cycles in runtime.cycles)
    return HostTime(best, worst, runtime.title)


def runtime_of(board: Board) -> Runtime:
    """What the board's own image runs the host's part in; for a board without a processor a PC is assumed."""
    if not has_processor(board):
        return ONNXRUNTIME_X86
    return NUMPY_ARM32 if processor_of(board.part).machine == "armv7l" else ONNXRUNTIME_ARM64


def rounded(value: float) -> str:
    """To two digits: an estimate has no more."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def has_processor(board: Board) -> bool:
    try:
        processor_of(board.part)
    except UsageError:
        return False
    return True
