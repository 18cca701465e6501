"""What a bitstream is made of: the overlay's Verilog, the board, and the system around the overlay, out of a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lognet_fpga.bundle import VERILOG_FOLDER, Bundle
from lognet_fpga.errors import BundleError, DoesNotFitError, UsageError
from lognet_fpga.fabric.boards import board_files, load_board
from lognet_fpga.ir.system import BoardSystem, processor_of
from lognet_fpga.machine.cache import digest

CORE_TOP = "lognet_overlay"
MAX_STREAM_BITS = 1024


@dataclass(frozen=True)
class VivadoBoard:
    """part: with package and grades, as Vivado names it.  board_files: pattern of the board files' names.  connections:
    of a module with its carrier card.  without_board_files: what the processor's own defaults have wrong."""

    part: str
    board_files: str
    connections: str
    without_board_files: Mapping[str, str]


@dataclass(frozen=True)
class OverlaySystem:
    """name: the bundle's.  board: its name, title: as people write it, part: as in the plan.  files: (file name, text)
    of the overlay, Verilog and the contents of memories; its top module is CORE_TOP."""

    name: str
    board: str
    title: str
    part: str
    system: BoardSystem
    files: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """Of all that decides about the hardware."""
        return digest(self.board, repr(self.system), *(part for file in self.files for part in file))


def system_of(bundle: Bundle) -> OverlaySystem:
    """Raises UsageError for a board without a processor that runs PYNQ, BundleError for a bundle without
    Verilog, DoesNotFitError for streams wider than a DMA's."""
    files = tuple(bundle.verilog.items())
    if f"{CORE_TOP}.v" not in dict(files):
        raise BundleError(f"the bundle {bundle.name} has no {VERILOG_FOLDER}/{CORE_TOP}.v; deploy the model again")
    widest = max(bundle.source.tdata_bits, bundle.sink.tdata_bits)
    if widest > MAX_STREAM_BITS:
        raise DoesNotFitError(
            f"a stream of the overlay is {widest} bits wide, and an AXI DMA takes {MAX_STREAM_BITS} at most",
            hint="deploy with fewer frames a second (--fps), so that fewer channels go side by side",
        )
    system = BoardSystem(
        processor_of(bundle.part),
        bundle.clk_mhz,
        bundle.source.tdata_bits,
        bundle.sink.tdata_bits,
        pll_mhz=load_board(bundle.board_name).pll_mhz,
    )
    return OverlaySystem(bundle.name, bundle.board_name, bundle.board_title, bundle.part, system, files)


def vivado_board(name: str) -> VivadoBoard:
    """Read from overlays/BOARD/vivado.json; raises UsageError for a board that has none."""
    load_board(name)  # refuses what is no board's name
    entry = board_files().joinpath(name, "vivado.json")
    if not entry.is_file():
        raise UsageError(f"no Vivado project can be made for board {name}", hint="deploy for a PYNQ board")
    return VivadoBoard(**json.loads(entry.read_text(encoding="utf-8")))
