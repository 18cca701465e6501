"""Estimated rates of numbers of layers, as tables and JSON: what lognet-inspect and `--fpga-layers auto` tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from lognet_fpga.plan.host_time import HostTime, rounded
from lognet_fpga.plan.survey import Candidate, best
from lognet_fpga.report import Table, fold

ESTIMATED = "estimated, before quantization and adder sharing"
COLUMNS = ("board", "layers", "FPGA fps", "host fps", "together", "LUT", "M LUT", "FF", "BRAM36", "")


def candidate_table(candidates: Sequence[Candidate]) -> Table:
    """A row for every number of layers on every board, and one for boards that are alike; candidates: board by
    board."""
    boards = groupby(candidates, key=lambda candidate: candidate.board.title)
    return Table(COLUMNS, fold((title, _rows(tuple(of_board))) for title, of_board in boards))


def candidate_data(candidate: Candidate) -> dict[str, object]:
    """As JSON has it."""
    plan = candidate.plan
    return {
        "layers": candidate.layers,
        "fits": candidate.fits,
        "pl_fps": candidate.pl_fps,
        "host_fps": _finite(candidate.host_fps),
        "host_fps_range": _range(candidate.host_time),
        "fps": candidate.fps,
        "host_macs": candidate.host_macs,
        "estimate": None if plan is None else plan.total.to_json(),
        "prune": candidate.prune,
    }


def reason(chosen: Candidate) -> str:
    """Why this number of layers, in a sentence."""
    layers = f"{chosen.layers} layer{'s' if chosen.layers > 1 else ''}"
    ours, host = chosen.pl_fps, chosen.host_fps
    if ours is None:
        return f"{layers}: by estimate not even that fits"
    if host is None:
        return f"{layers}: the most that fit; the host's rate is not known"
    slower = "the FPGA" if ours <= host else "the host's part"
    return f"{layers}: about {min(ours, host):,.0f} frames a second together with the host, limited by {slower}"


def _rows(of_board: Sequence[Candidate]) -> list[tuple[object, ...]]:
    chosen = best(of_board)
    return [_row(candidate, candidate is chosen) for candidate in of_board]


def _row(candidate: Candidate, chosen: bool) -> tuple[object, ...]:
    """Without the board's title."""
    board, plan = candidate.board, candidate.plan
    if plan is None:
        return (candidate.layers, *["-"] * 7, "no engines are that fast")
    total = plan.total
    if candidate.fits:
        note = "best" if chosen else ""
    elif candidate.prune is None:
        note = "too large"
    else:
        note = f"too large: prune to about {candidate.prune:.0%} zeros"
    return (
        candidate.layers,
        _rate(candidate.pl_fps),
        _rates(candidate.host_time),
        _rate(candidate.fps),
        f"{total.positions / board.lut:.0%}",
        f"{total.m_lut / board.m_lut:.0%}",
        f"{total.ff / board.ff:.0%}",
        f"{total.bram36 / board.bram36:.0%}",
        note,
    )


def _rate(fps: float | None) -> str:
    if fps is None:
        return "-"
    if math.isinf(fps):
        return "no limit"
    return f"{fps:,.0f}" if fps >= 10 else f"{fps:.2g}"


def _rates(time: HostTime | None) -> str:
    if time is None or math.isinf(time.fps[0]):
        return "-" if time is None else "no limit"
    return " to ".join(rounded(fps) for fps in time.fps)


def _range(time: HostTime | None) -> list[float | None] | None:
    return None if time is None else [_finite(fps) for fps in time.fps]


def _finite(fps: float | None) -> float | None:
    return None if fps is None or math.isinf(fps) else fps
