"""A toolchain's project of a bundle, as files, as a folder and as an archive."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from lognet_fpga.bitstream.overlay_system import OverlaySystem
from lognet_fpga.bitstream.toolchain import RESULTS, WORK, Toolchain
from lognet_fpga.errors import OutputError
from lognet_fpga.machine.archive import write_zip
from lognet_fpga.machine.cache import digest

MARK = "project.txt"  # holds what identifies the project


def folder_name(toolchain: Toolchain, overlay: OverlaySystem) -> str:
    return f"{overlay.name}.{toolchain.name}"


def project_files(toolchain: Toolchain, overlay: OverlaySystem) -> dict[str, bytes]:
    """All files, name below the project's folder to content."""
    files = dict(toolchain.files(overlay))
    return dict(sorted({**files, MARK: f"{_identity(files)}\n".encode()}.items()))


def project_id(toolchain: Toolchain, overlay: OverlaySystem) -> str:
    """Tells the results of this project from another's."""
    return _identity(dict(toolchain.files(overlay)))


def archive(toolchain: Toolchain, overlay: OverlaySystem) -> bytes:
    """The project as a .zip with one folder in it, the same bytes for the same project."""
    buffer = io.BytesIO()
    folder = folder_name(toolchain, overlay)
    write_zip(buffer, {f"{folder}/{name}": data for name, data in project_files(toolchain, overlay).items()})
    return buffer.getvalue()


def write_project(toolchain: Toolchain, overlay: OverlaySystem, folder: Path) -> None:
    """Write the files below folder, where nothing but an earlier project may be, whose results are removed.  Raises
    OutputError."""
    if folder.exists() and not (folder / MARK).is_file():
        raise OutputError(f"{folder} is in the way of the project", hint="move it, or give the bundle another place")
    try:
        for earlier in (WORK, RESULTS):
            shutil.rmtree(folder / earlier, ignore_errors=True)
        for name, data in project_files(toolchain, overlay).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"the project cannot be written to {folder}: {error.strerror}") from error


def _identity(files: dict[str, bytes]) -> str:
    return digest(*(part for name, data in sorted(files.items()) for part in (name, data)))[:16]
