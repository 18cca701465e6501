"""What build.tcl leaves, read and held against the bundle that it is for."""

from __future__ import annotations

from pathlib import Path

from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bitstream.overlay_system import OverlaySystem
from lognet_fpga.bitstream.vivado.project import project_id
from lognet_fpga.bitstream.vivado.reports import REPORTS, read_reports
from lognet_fpga.errors import InputError

RESULT = "result.txt"


def read_results(overlay: OverlaySystem, folder: Path) -> Bitstream:
    """The bitstream in folder.  Raises InputError for one that is not whole or was made for something else, ToolError
    for reports that cannot be read."""
    names = (f"{overlay.name}.bit", f"{overlay.name}.hwh", RESULT)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} does not hold Vivado's results for {overlay.name}: {', '.join(missing)} is missing",
            hint="give the folder out/ of the project after build.tcl has ended well",
        )
    try:
        bit, hwh, said = ((folder / name).read_bytes() for name in names)
        texts = {name: (folder / name).read_bytes() for name in REPORTS if (folder / name).is_file()}
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    result = dict(line.partition(" ")[::2] for line in said.decode(errors="replace").splitlines())
    if result.get("project") != project_id(overlay):
        raise InputError(
            f"{folder} holds a bitstream of another project than this bundle's",
            context=(f"it was made of: {result.get('project', 'not said')}", f"the bundle is: {project_id(overlay)}"),
            hint="make it again from the project of this bundle, or give the bundle that it was made from",
        )
    tool, _, version = result.get("tool", "").partition(" ")
    figures = read_reports({name: data.decode(errors="replace") for name, data in texts.items()})
    return Bitstream(
        bit,
        hwh,
        "vivado",
        {tool or "Vivado": version or "not said", "board files": result.get("board_files", "not said")},
        figures,
        result["project"],
        reports=texts,
    )
