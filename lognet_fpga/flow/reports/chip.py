"""What a board's FPGA has, as data for programs and for the page."""

from __future__ import annotations

from lognet_fpga.fabric.board import Board, Resources
from lognet_fpga.plan.budget import budget


def chip_data(board: Board) -> dict[str, object]:
    """has, may_take: `lut`, `positions`, `ff`, `bram36` and `m_lut` of the part, and what a plan may take of them."""
    has = Resources(board.lut, board.ff, board.bram36, board.m_lut)
    parts = {name: some.to_json() for name, some in (("has", has), ("may_take", budget(board)))}
    for some in parts.values():
        del some["lone_ffs"]  # which no part is short of but by its positions
    return {"title": board.title, "part": board.part, **parts}
