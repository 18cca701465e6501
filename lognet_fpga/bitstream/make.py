"""From a written bundle to the same bundle with a bitstream."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lognet_fpga.bitstream.attach import attached, require_report, section_of
from lognet_fpga.bitstream.bitstream_report import bitstream_data
from lognet_fpga.bitstream.figures import Bitstream
from lognet_fpga.bitstream.open_tools.toolchain import OPEN
from lognet_fpga.bitstream.overlay_system import OverlaySystem, system_of
from lognet_fpga.bitstream.project import archive, folder_name, project_id, write_project
from lognet_fpga.bitstream.toolchain import RESULTS, Toolchain, result_lines
from lognet_fpga.bitstream.vivado.toolchain import VIVADO
from lognet_fpga.bundle import read_bundle, write_bundle
from lognet_fpga.config import BitstreamRequest
from lognet_fpga.errors import InputError, MissingToolError
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.machine.output_file import new_file
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.report import Section

TOOLCHAINS: Mapping[str, Toolchain] = {toolchain.name: toolchain for toolchain in (VIVADO, OPEN)}


@dataclass(frozen=True)
class BitstreamResult:
    """section, data: for the report.  bundle_path: the bundle's folder."""

    section: Section
    data: dict[str, object]
    bundle_path: Path


def require_board(request: BitstreamRequest, board: Board) -> None:
    """Raise UsageError for a board that no bitstream can be made for this way."""
    TOOLCHAINS[request.flow].require(board)


def make_bitstream(path: Path, request: BitstreamRequest, progress: Progress = NoProgress()) -> BitstreamResult:
    """Make the bitstream of the bundle at path and put it into the bundle, its archive beside it included.

    The bundle is as it was where this fails: with MissingToolError without the tools, when an archive of the project
    has been written beside the bundle; with TimingError; with ToolError where a tool failed.
    """
    toolchain, bundle = TOOLCHAINS[request.flow], read_bundle(path)
    toolchain.require(load_board(bundle.board_name))
    overlay = system_of(bundle)
    require_report(bundle)  # what is wrong with it shows before hours of work, not after
    results = request.results or _run(toolchain, overlay, path, request.remote, progress)
    made = _read(toolchain, overlay, results)
    made.figures.require(request.allow_timing_violation, str(results), overlay.system.clock.pll_hz)
    files, manifest = attached(bundle, made)
    with progress.stage("write the bundle"):
        written = write_bundle(files, manifest, path.parent)
    return BitstreamResult(section_of(bundle, made), bitstream_data(made), written.folder)


def _run(toolchain: Toolchain, overlay: OverlaySystem, path: Path, remote: str | None, progress: Progress) -> Path:
    """The project beside the bundle, run; the folder of its results."""
    tools = toolchain.find(remote)
    if tools.run is None:
        raise _without_tools(toolchain, overlay, path, tools.missing)
    folder = path.parent / folder_name(toolchain, overlay)
    write_project(toolchain, overlay, folder)
    with progress.stage(f"{toolchain.title}{f' on {remote}' if remote else ''}: {folder}") as stage:
        tools.run(overlay, folder.absolute(), stage)
    return folder / RESULTS


def _read(toolchain: Toolchain, overlay: OverlaySystem, folder: Path) -> Bitstream:
    result, wanted = result_lines(folder), project_id(toolchain, overlay)
    if result.get("project") != wanted:
        raise InputError(
            f"{folder} holds a bitstream of another project than this bundle's",
            context=(f"it was made of: {result.get('project', 'not said')}", f"the bundle's project is: {wanted}"),
            hint="make it again from the project of this bundle, or give the bundle that it was made from",
        )
    return toolchain.read(overlay, folder, result)


def _without_tools(
    toolchain: Toolchain, overlay: OverlaySystem, path: Path, missing: tuple[str, ...]
) -> MissingToolError:
    """Writes the project's archive."""
    name = folder_name(toolchain, overlay)
    place = path.parent / f"{name}.zip"
    with new_file(place, hint="give the bundle another place") as scratch:
        scratch.write_bytes(archive(toolchain, overlay))
    back = "" if toolchain is VIVADO else f"--tool {toolchain.name} "
    return MissingToolError(
        f"{toolchain.title}: not found, so the bundle has no bitstream; the project for it was written",
        context=(
            *(f"missing: {line}" for line in missing),
            f"project: {place}",
            f"to run where the tools are: unzip {place.name} && cd {name} && {toolchain.by_hand}",
            f"then with {name}/{RESULTS} here: lognet-bitstream {shlex.quote(str(path))} {back}--results "
            f"{name}/{RESULTS}",
        ),
        hint=f"run that, or get the tools: {toolchain.getting}",
    )
