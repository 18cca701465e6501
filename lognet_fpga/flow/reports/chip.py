"""What a board's FPGA has, as data for programs and for the page."""

from __future__ import annotations

from dataclasses import asdict

from lognet_fpga.fabric.board import Board, Resources
from lognet_fpga.plan.budget import budget


def chip_data(board: Board) -> dict[str, object]:
    """has, may_take: `lut`, `ff`, `bram36` and `m_lut` of the part, and what a plan may take of them."""
    has = Resources(board.lut, board.ff, board.bram36, board.m_lut)
    return {"title": board.title, "part": board.part, "has": asdict(has), "may_take": asdict(budget(board))}
