"""Saying at once, and not after an hour's search, that a model is far too large for a board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.plan.boards import board_names, load_board
from lognet_fpga.plan.model import Board

LEAST_LUT_PER_WEIGHT = 0.2  # no layer tried came below 0.5, sharing included
USUAL_LUT_PER_WEIGHT = 1.3  # of bit-serial engines, the smallest ones


def require_possible(weights: Sequence[tuple[str, np.ndarray]], prune: float, board: Board) -> None:
    """Raise DoesNotFitError for layers that no plan could fit the board.

    weights: (layer name, real weights) in order; prune: the share of them that will be set to zero at least.
    """
    counts = [min(int(np.count_nonzero(weight)), round((1 - prune) * weight.size)) for _, weight in weights]
    total = sum(counts)
    if total * LEAST_LUT_PER_WEIGHT <= board.lut:
        return
    room = board.lut / USUAL_LUT_PER_WEIGHT
    table = [f"{name}: {count:,} weights" for (name, _), count in zip(weights, counts)]
    table.append(
        f"total: {total:,} weights other than zero; the {board.lut:,} LUT of {board.title} hold about {room:,.0f}"
    )
    ways = [f"--prune {1 - room / sum(weight.size for _, weight in weights):.2f} (about; check the accuracy)"]
    fewer = next((n for n in range(len(counts) - 1, 0, -1) if sum(counts[:n]) <= room), 0)
    if fewer:
        ways.append(f"--fpga-layers {fewer}")
    larger = [name for name in board_names() if load_board(name).lut / USUAL_LUT_PER_WEIGHT >= total]
    ways.append(
        f"--board {' or '.join(larger)}"
        if larger
        else "a model with smaller convolution layers: no board here is large enough"
    )
    raise DoesNotFitError(f"the overlay is far too large for {board.title}", context=table, hint="; or ".join(ways))
