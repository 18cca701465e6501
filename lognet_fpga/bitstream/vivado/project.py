"""The files of a Vivado project: Tcl that is the same for all, its settings, and the Verilog."""

from __future__ import annotations

from importlib import resources

from lognet_fpga.bitstream.overlay_system import OverlaySystem, vivado_board
from lognet_fpga.bitstream.toolchain import RESULTS
from lognet_fpga.bitstream.vivado.settings import settings_tcl
from lognet_fpga.bitstream.vivado.wrapper import WRAPPER, wrapper_verilog
from lognet_fpga.ir.clocks import mhz_text

SCRIPTS = ("build.tcl", "package_core.tcl", "system.tcl", "implement.tcl")

_CONSTRAINTS = """\
# The only clock is the processor's, and its IP constrains it, to {clk_mhz} MHz.  No pins are used.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
"""
_README = """\
Vivado project of {name} for {title}: Vivado 2020.1 to 2025.2.

    vivado -mode batch -source build.tcl

leaves {results}/{name}.bit and {name}.hwh, with reports, in this folder.  Back in the bundle with them:

    lognet-bitstream {name}.lognet --results {name}.vivado/{results}

Board files are used where Vivado has them ({board_files}) and not needed: the part is {part}.
"""


def project_files(overlay: OverlaySystem) -> dict[str, bytes]:
    """File name, below the project's folder, to content.  Raises UsageError for no board of Vivado's."""
    board = vivado_board(overlay.board)
    texts = {
        **{name: _script(name) for name in SCRIPTS},
        "settings.tcl": settings_tcl(overlay, board),
        "constraints.xdc": _CONSTRAINTS.format(clk_mhz=mhz_text(overlay.system.clock.mhz)),
        "README.txt": _README.format(
            name=overlay.name, title=overlay.title, results=RESULTS, board_files=board.board_files, part=board.part
        ),
        **{f"verilog/{name}": text for name, text in overlay.files},
        f"verilog/{WRAPPER}.v": wrapper_verilog(overlay),
    }
    return {name: text.encode() for name, text in texts.items()}


def _script(name: str) -> str:
    folder = resources.files("lognet_fpga.bitstream.vivado") / "tcl"
    return (folder / name).read_text(encoding="utf-8")
