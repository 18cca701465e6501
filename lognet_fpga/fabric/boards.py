"""The boards: read from overlays/BOARD/board.json, whose clk_mhz is the most that is planned with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lognet_fpga.errors import UsageError, did_you_mean
from lognet_fpga.fabric.board import Board


def board_names() -> list[str]:
    return sorted(entry.name for entry in board_files().iterdir() if entry.joinpath("board.json").is_file())


def load_board(name: str) -> Board:
    """The board of that name; raises UsageError with the known names."""
    if name not in board_names():
        known = board_names()
        raise UsageError(f"unknown board {name!r}", hint=did_you_mean(name, known, f"use one of {', '.join(known)}"))
    board = Board(name, **json.loads(board_files().joinpath(name, "board.json").read_text()))
    return replace(board, clk_mhz=board.clock_mhz(board.clk_mhz))


def board_files() -> Path:
    """The folder overlays/, with a folder for each board: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(place for place in (package / "overlays", package.parent / "overlays") if place.is_dir())
