"""Vivado as a toolchain."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bitstream.overlay_system import OverlaySystem, vivado_board
from lognet_fpga.bitstream.toolchain import Toolchain, Tools, required_file, tool_versions
from lognet_fpga.bitstream.vivado.project import project_files
from lognet_fpga.bitstream.vivado.reports import REPORTS, read_reports
from lognet_fpga.bitstream.vivado.run import COMMAND, VARIABLE, find_vivado, run_here, run_there
from lognet_fpga.fabric.board import Board
from lognet_fpga.ir.system import processor_of


def _find(remote: str | None) -> Tools:
    if remote:
        return Tools(lambda overlay, folder, stage: run_there(remote, folder))
    vivado = find_vivado(os.environ.get(VARIABLE))
    if vivado is None:
        return Tools(None, (f"vivado on PATH, or the program that {VARIABLE} names",))
    return Tools(lambda overlay, folder, stage: run_here(vivado, folder, stage))


def _read(overlay: OverlaySystem, folder: Path, result: Mapping[str, str]) -> Bitstream:
    texts = {name: (folder / name).read_bytes() for name in REPORTS if (folder / name).is_file()}
    return Bitstream(
        required_file(folder, f"{overlay.name}.bit"),
        required_file(folder, f"{overlay.name}.hwh"),
        VIVADO.name,
        tool_versions(result),
        read_reports({name: data.decode(errors="replace") for name, data in texts.items()}, overlay.system.clk_mhz),
        result.get("project", ""),
        reports=texts,
    )


def _require(board: Board) -> None:
    processor_of(board.part)
    vivado_board(board.name)


VIVADO = Toolchain(
    "vivado",
    "Vivado",
    project_files,
    _find,
    _read,
    _require,
    shlex.join(("vivado", *COMMAND)),
    "Vivado 2020.1 to 2025.2, from AMD; or --remote user@host for a machine that ssh reaches",
)
