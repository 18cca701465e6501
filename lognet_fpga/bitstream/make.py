"""From a written bundle to the same bundle with a bitstream."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bitstream.attach import attached, section_of
from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bitstream.overlay_system import OverlaySystem, system_of, vivado_board
from lognet_fpga.bitstream.report import bitstream_data
from lognet_fpga.bitstream.vivado import project
from lognet_fpga.bitstream.vivado.results import read_results
from lognet_fpga.bitstream.vivado.run import COMMAND, VARIABLE, Remote, find_vivado, note_version, run_here
from lognet_fpga.bundle import read_bundle, write_bundle
from lognet_fpga.config import BitstreamRequest
from lognet_fpga.errors import MissingToolError, OutputError
from lognet_fpga.ir.system import processor_of
from lognet_fpga.plan.model import Board
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.report import Section


@dataclass(frozen=True)
class BitstreamResult:
    """section, data: for the report.  bundle_path: the bundle's folder."""

    section: Section
    data: dict[str, object]
    bundle_path: Path


def require_board(request: BitstreamRequest, board: Board) -> None:
    """Raise UsageError for a board that no bitstream can be made for this way."""
    processor_of(board.part)
    vivado_board(board.name)


def make_bitstream(path: Path, request: BitstreamRequest, progress: Progress = NoProgress()) -> BitstreamResult:
    """Make the bitstream of the bundle at path and put it into the bundle, its archive beside it included.

    The bundle is as it was where this fails: with MissingToolError without the tools, when an archive of the project
    has been written beside the bundle; with TimingError; with ToolError where a tool failed.
    """
    bundle = read_bundle(path)
    overlay = system_of(bundle)
    if request.results is not None:
        made, where = read_results(overlay, request.results), request.results
    else:
        made, where = _by_vivado(overlay, path, request.remote and Remote(request.remote), progress)
    made.figures.require(request.allow_timing_violation, str(where))
    files, manifest = attached(bundle, made)
    with progress.stage("write the bundle"):
        written = write_bundle(files, manifest, path.parent)
    return BitstreamResult(section_of(bundle, made), bitstream_data(made), written.folder)


def _by_vivado(overlay: OverlaySystem, path: Path, remote: Remote | None, progress: Progress) -> tuple[Bitstream, Path]:
    """The bitstream, and where its reports are."""
    vivado = None if remote else find_vivado(os.environ.get(VARIABLE))
    if vivado is None and remote is None:
        raise _without_vivado(overlay, path)
    folder = path.parent / project.folder_name(overlay)
    _write_project(overlay, folder)
    with progress.stage(f"Vivado{f' on {remote.place}' if remote else ''}: {folder}") as stage:
        if remote:
            remote.run(folder)
        elif vivado:
            note_version(vivado.version, stage)
            run_here(vivado, folder)
    results = folder / project.RESULTS
    return read_results(overlay, results), results


def _write_project(overlay: OverlaySystem, folder: Path) -> None:
    if folder.exists() and not (folder / "settings.tcl").is_file():
        raise OutputError(
            f"{folder} is in the way of the Vivado project", hint="move it, or give the bundle another place"
        )
    try:
        for earlier in ("work", project.RESULTS):
            shutil.rmtree(folder / earlier, ignore_errors=True)
        project.write_files(project.project_files(overlay), folder)
    except OSError as error:
        raise OutputError(f"the Vivado project cannot be written to {folder}: {error.strerror}") from error


def _without_vivado(overlay: OverlaySystem, path: Path) -> MissingToolError:
    """Writes the project's archive."""
    name = project.folder_name(overlay)
    place = path.parent / f"{name}.zip"
    try:
        place.write_bytes(project.archive(overlay))
    except OSError as error:
        raise OutputError(f"the Vivado project cannot be written to {place}: {error.strerror}") from error
    return MissingToolError(
        "Vivado was not found, so the bundle has no bitstream; the project for it was written",
        context=(
            f"looked for: vivado on PATH, or the program that {VARIABLE} names",
            f"project: {place}",
            f"where Vivado is: unzip {place.name} && cd {name} && vivado {shlex.join(COMMAND)}",
            f"then with {name}/{project.RESULTS} here: lognet-bitstream {shlex.quote(str(path))} --results "
            f"{name}/{project.RESULTS}",
        ),
        hint="run that, or give --remote user@host for a machine that ssh reaches",
    )
