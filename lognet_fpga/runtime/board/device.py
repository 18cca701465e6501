"""A PYNQ board as a Device."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BoardError, MissingToolError
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.runtime.device import DeviceRun
from lognet_fpga.runtime.values import Measured

if TYPE_CHECKING:
    from lognet_fpga.runtime.board.overlay import LogNetOverlay, Transfer


class BoardDevice:
    """The board that this program runs on.  bitstream, timeout_s: as of LogNetOverlay.

    Its time is what the overlay's own cycle counters measured.
    """

    def __init__(self, bundle: Bundle, *, bitstream: Path | None = None, timeout_s: float | None = None) -> None:
        self.kind = bundle.board_name
        self.description = self._plain = f"{bundle.board_title}: the FPGA itself, time by its own cycle counters"
        self._bundle, self._bitstream, self._timeout_s = bundle, bitstream, timeout_s
        self._overlay: LogNetOverlay | None = None

    def open(self) -> None:
        """Load the bitstream.  Raises MissingToolError without pynq, BoardError where it cannot be loaded."""
        try:
            importlib.import_module("pynq")
        except Exception as error:  # on a machine that is no board its import fails in many ways
            raise MissingToolError(
                f"pynq cannot be imported: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
                hint="run this on a PYNQ board, whose image has it, or use the simulated device",
            ) from error
        from lognet_fpga.runtime.board.overlay import LogNetOverlay

        self._overlay = LogNetOverlay(self._bundle, bitstream=self._bitstream, timeout_s=self._timeout_s)
        self.description = "; ".join(filter(None, (self._plain, self._overlay.clock.note)))

    @property
    def overlay(self) -> LogNetOverlay:
        """The open overlay, for its counters and buffers; raises BoardError before open."""
        if self._overlay is None:
            raise BoardError("the board is not open", hint="call open() first, or use it in a Session")
        return self._overlay

    def run(self, frames: np.ndarray) -> DeviceRun:
        return self._result(self.overlay.run(frames))

    def runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        for transfer in self.overlay.stream(batches):
            yield self._result(transfer)

    def figure(self, value: float, unit: str) -> Measured:
        return Measured(value, unit, f"by the overlay's cycle counters at {mhz_text(self.overlay.clk_mhz)} MHz")

    def power(self) -> str:
        return f"not measured (sensor of a {self._bundle.board_title}: {self._bundle.power_sensor})"

    def _result(self, transfer: Transfer) -> DeviceRun:
        return DeviceRun(transfer.activations, transfer.pl_cycles, self.overlay.clk_mhz)

    def close(self) -> None:
        if self._overlay is not None:
            self._overlay.close()
            self._overlay = None
