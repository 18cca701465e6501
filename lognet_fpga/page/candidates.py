"""Numbers of layers that could go onto a board, as lognet-inspect and `--fpga-layers auto` estimate them."""

from __future__ import annotations

from itertools import groupby

from lognet_fpga.page.document import table
from lognet_fpga.page.markup import Markup
from lognet_fpga.page.words import Data, fullest, rate, span
from lognet_fpga.report import Table, fold

Choice = tuple[Data, Data, bool]
"""The field `chip` of a board, one of its candidates, whether it is the best of them."""

_COLUMNS = ("board", "layers", "FPGA fps", "host fps", "together", "most used", "remark")


def candidate_table(choices: list[Choice]) -> Markup:
    boards = groupby(choices, key=lambda choice: choice[0]["title"])
    rows = fold((title, [_row(*choice) for choice in of_board]) for title, of_board in boards)
    return table(Table(_COLUMNS, rows), "Numbers of layers: frames a second and room, estimated")


def _row(chip: Data, candidate: Data, best: bool) -> tuple[object, ...]:
    """Without the board's title."""
    hosts, estimate, prune = candidate["host_fps_range"], candidate["estimate"], candidate["prune"]
    if candidate["fits"]:
        remark = "best" if best else ""
    elif estimate is None:
        remark = "no engines are that fast"
    else:
        remark = "too large" + ("" if prune is None else f": prune to about {prune:.0%} zeros")
    return (
        candidate["layers"],
        _rate(candidate["pl_fps"]),
        None if hosts is None or None in hosts else span(*hosts),
        _rate(candidate["fps"]),
        None if estimate is None else fullest(estimate, chip["has"]),
        remark,
    )


def _rate(fps: float | None) -> str | None:
    return None if fps is None else rate(fps)
