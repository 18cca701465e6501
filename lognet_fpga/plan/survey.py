"""What a board could do with each number of layers, by sketches: the plan, and the rate together with the host."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lognet_fpga.engines.folding import Engine
from lognet_fpga.engines.stores import sketch_layers
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import Sources
from lognet_fpga.partition.host_work import HostWork
from lognet_fpga.plan.budget import fits
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.host_time import HostTime, host_time
from lognet_fpga.plan.search import draft_hardware, slowest_draft

_PRUNE_STEP = 0.01


@dataclass(frozen=True)
class Candidate:
    """One number of layers on one board; every figure is estimated.

    plan: the fastest that fits, the smallest where none does, None where no engines reach the rate asked for.
    prune: where it does not fit, the least share of zero weights in every layer with which it would, None for none.
    host: what is behind the cut, None where that is not known.
    """

    layers: int
    board: Board
    plan: HardwarePlan | None
    prune: float | None
    host: HostWork | None

    @cached_property
    def fits(self) -> bool:
        return self.plan is not None and fits(self.plan)

    @property
    def pl_fps(self) -> float | None:
        """Of the FPGA alone; None where it does not fit."""
        return self.plan.fps if self.plan is not None and fits(self.plan) else None

    @property
    def host_macs(self) -> int | None:
        """Multiply-accumulates a frame behind the cut."""
        return None if self.host is None else self.host.macs + self.host.depthwise_macs

    @cached_property
    def host_time(self) -> HostTime | None:
        return None if self.host is None else host_time(self.host, self.board)

    @property
    def host_fps(self) -> float | None:
        """Frames a second of the host's part alone, in the middle of their range; infinite for one without work."""
        if self.host_time is None:
            return None
        return 1 / self.host_time.middle_s if self.host_time.middle_s else math.inf

    @property
    def fps(self) -> float | None:
        """Of both together, side by side: the slower one's.  None where it does not fit or is not known."""
        ours, host = self.pl_fps, self.host_fps
        return None if ours is None or host is None else min(ours, host)


def survey(quant: QuantGraph, host: Mapping[int, HostWork | None], target: Target) -> tuple[Candidate, ...]:
    """The candidates among the first layers of quant, a sketch.  host: the numbers of layers that there may be,
    ascending, with what is behind each; those beyond quant are left out."""
    engines = sketch_layers(quant.layers, target.stores)
    out = []
    for count, behind in host.items():
        if count > len(quant.layers):
            break
        plan = draft_hardware(engines[:count], target, quant.sources[:count])
        prune = None if plan is None or fits(plan) else least_prune(engines[:count], target, quant.sources[:count])
        out.append(Candidate(count, target.board, plan, prune, behind))
    return tuple(out)


def on_board(candidates: Sequence[Candidate], target: Target) -> tuple[Candidate, ...]:
    """What is known of one board on another one for which all is planned alike, that of target."""
    return tuple(
        replace(each, board=target.board, plan=each.plan and replace(each.plan, target=target)) for each in candidates
    )


def least_prune(engines: Sequence[Sequence[Engine]], target: Target, sources: Sources = ()) -> float | None:
    """The least share of zeros in every layer with which a plan of these sketches fits, None for none."""
    low, high = 0, round(1 / _PRUNE_STEP)  # high: no weights at all

    def enough(steps: int) -> bool:
        pruned = [tuple(engine.pruned(steps * _PRUNE_STEP) for engine in some) for some in engines]
        if target.fps is None and fits(slowest_draft(pruned, target, sources)):
            return True
        plan = draft_hardware(pruned, target, sources)
        return plan is not None and fits(plan)

    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low * _PRUNE_STEP if low < round(1 / _PRUNE_STEP) else None


def best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one with the highest rate, of equal ones that with the fewest layers; None where nothing fits.

    Where the host's part is not known, the rate of the FPGA alone decides, and more layers are better.
    """
    fitting = [candidate for candidate in candidates if candidate.fits]
    known = [candidate for candidate in fitting if candidate.fps is not None]
    if known:
        return max(known, key=lambda candidate: (candidate.fps, -candidate.layers))
    return max(fitting, key=lambda candidate: candidate.layers, default=None)
