"""The Vivado project of a bundle as files, the same bytes for the same bundle, and as a folder or an archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from lognet_fpga.bitstream.overlay_system import OverlaySystem, vivado_board
from lognet_fpga.bitstream.vivado.settings import settings_tcl
from lognet_fpga.bitstream.vivado.wrapper import WRAPPER, wrapper_verilog
from lognet_fpga.bundle.writer import ZIP_DATE
from lognet_fpga.cache import digest

SCRIPTS = ("build.tcl", "package_core.tcl", "system.tcl", "implement.tcl")
RESULTS = "out"

_CONSTRAINTS = """\
# The only clock is the processor's, and its IP constrains it, to {clk_mhz:g} MHz.  No pins are used.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
"""
_README = """\
Vivado project of {name} for {title}: Vivado 2020.1 to 2025.2.

    vivado -mode batch -source build.tcl

leaves {results}/{name}.bit and {name}.hwh, with reports, in this folder.  Back in the bundle with them:

    lognet-bitstream {name}.lognet --results {folder}/{results}

Board files are used where Vivado has them ({board_files}) and not needed: the part is {part}.
"""


def project_files(overlay: OverlaySystem) -> dict[str, bytes]:
    """File name, below the project's folder, to content.  Raises UsageError for no board of Vivado's."""
    board = vivado_board(overlay.board)
    scripts = {name: _script(name) for name in SCRIPTS}
    texts = {
        **scripts,
        "settings.tcl": settings_tcl(overlay, board, project_id(overlay)),
        "constraints.xdc": _CONSTRAINTS.format(clk_mhz=overlay.system.clk_mhz),
        "README.txt": _README.format(
            name=overlay.name,
            title=overlay.title,
            results=RESULTS,
            folder=folder_name(overlay),
            board_files=board.board_files,
            part=board.part,
        ),
        **{f"verilog/{name}": text for name, text in overlay.files},
        f"verilog/{WRAPPER}.v": wrapper_verilog(overlay),
    }
    return {name: text.encode() for name, text in sorted(texts.items())}


def project_id(overlay: OverlaySystem) -> str:
    """Identifies what a bitstream was made of, for its results to be told from another's."""
    return digest(overlay.digest, repr(vivado_board(overlay.board)), *map(_script, SCRIPTS))[:16]


def folder_name(overlay: OverlaySystem) -> str:
    return f"{overlay.name}.vivado"


def archive(overlay: OverlaySystem) -> bytes:
    """The project as a .zip with one folder in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made:
        for name, data in project_files(overlay).items():
            member = zipfile.ZipInfo(f"{folder_name(overlay)}/{name}", ZIP_DATE)
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
            member.external_attr = 0o644 << 16
            made.writestr(member, data)
    return buffer.getvalue()


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files below folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _script(name: str) -> str:
    return resources.files("lognet_fpga.bitstream.vivado").joinpath("tcl", name).read_text(encoding="utf-8")
