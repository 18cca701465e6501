"""What a model gave for a stream's frames, as a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lognet_fpga.errors import OutputError, UsageError
from lognet_fpga.ir.packed import pack
from lognet_fpga.machine.array_file import write_npz
from lognet_fpga.machine.output_file import new_file
from lognet_fpga.runtime.frame_source import FrameSource
from lognet_fpga.runtime.streaming import StreamResult

SUFFIX = ".npz"


def check_place(place: Path, source: FrameSource) -> None:
    """Raise the error that save_outputs would raise in the end, before any work: OutputError for a file that cannot be
    written, UsageError for a name that is no .npz and for frames without end.  Makes nothing that stays."""
    if place.suffix.lower() != SUFFIX:
        raise UsageError(f"--save-outputs writes an .npz file, not {place.name}", hint=f"name it {place.stem}{SUFFIX}")
    if source.total is None:
        raise UsageError(
            "the number of frames is not known, and all outputs are kept until they are written",
            hint="give the number of frames with --limit",
        )
    try:
        if os.path.lexists(place) and not place.is_file():
            raise OutputError(f"{place} is no plain file, so that the outputs cannot be written there", hint=_ELSEWHERE)
        scratch = _scratch(place)
        with scratch.open("wb"):
            pass
        scratch.unlink()
    except OSError as error:
        raise _cannot_write(place, error) from error


def save_outputs(place: Path, result: StreamResult) -> None:
    """Write beside its place and rename: as of ir.packed.pack, `outputs` for all frames that were run, `output_names`,
    `numbers` (places of the frames in the source), `predictions` where there are classes, and `labels` where there are
    any.  Raises OutputError."""
    arrays = {
        **pack(result.outputs or ()),
        "output_names": np.array([tensor.name for tensor in result.output.tensors]),
        "numbers": result.numbers,
        "predictions": result.predictions,
        "labels": result.labels,
    }
    with new_file(place, _ELSEWHERE) as scratch, scratch.open("wb") as file:
        write_npz(file, {name: array for name, array in arrays.items() if array is not None})


_ELSEWHERE = "choose another --save-outputs"


def _scratch(place: Path) -> Path:
    """Beside the place, short whatever its name."""
    return place.with_name(f".outputs.{os.getpid()}")


def _cannot_write(place: Path, error: OSError) -> OutputError:
    return OutputError(f"the outputs cannot be written to {place}: {error.strerror or error}", hint=_ELSEWHERE)
