"""What a plan is made for: a board, its clock, a frame rate, the stores that weights may go to."""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.fabric.board import Board

_MOST_CYCLES = float(1 << 53)  # of a frame: 104 days at 1 GHz, and still exact


@dataclass(frozen=True)
class Target:
    """clk_mhz: clock of the overlay.  stores: names of those that a layer's weights may go to.  fps: least frames a
    second, None for as many as fit.  share: of the board's parts that plans may count on."""

    board: Board
    clk_mhz: float
    stores: tuple[str, ...]
    fps: float | None = None
    share: float = 1.0

    @property
    def frame_cycles(self) -> float | None:
        """The budget of the frame rate, in cycles; a rate that some plan states must find that plan again."""
        return None if self.fps is None else min(_MOST_CYCLES, self.clk_mhz * 1e6 / self.fps * (1 + 1e-9))
