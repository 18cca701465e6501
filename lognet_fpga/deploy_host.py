"""The host's part in deploy's report: what it runs in on the board, and what of it could not."""

from __future__ import annotations

import warnings

from lognet_fpga.errors import UsageError
from lognet_fpga.ir.system import processor_of
from lognet_fpga.plan.model import Board
from lognet_fpga.report import Section
from lognet_fpga.runtime.numpy_function import unknown_operators

WORD_BITS_32 = "armv7l"  # onnxruntime has no package for it


def host_section(tail: bytes, board: Board) -> Section:
    """How tail.onnx runs on the board.  Warns where it cannot: a 32-bit processor, and operators that NumPy lacks."""
    unknown = unknown_operators(tail)
    if not unknown:
        return Section("Host's part", ("runs in onnxruntime, or in NumPy where that is not installed",))
    lines = ["runs in onnxruntime only, because of", *(f"  {node}" for node in unknown)]
    if _is_32_bit(board):
        warnings.warn(
            f"{board.title} has a 32-bit processor, which onnxruntime is not made for, and the host's part has "
            f"{len(unknown)} {'node' if len(unknown) == 1 else 'nodes'} that NumPy does not run here: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}; run it on another machine",
            stacklevel=2,
        )
        lines.append(f"so not on the {board.title} itself, whose processor is 32-bit")
    return Section("Host's part", tuple(lines))


def host_data(tail: bytes) -> dict[str, object]:
    """The same for programs."""
    return {"only_onnxruntime": list(unknown_operators(tail))}


def _is_32_bit(board: Board) -> bool:
    try:
        return processor_of(board.part).machine == WORD_BITS_32
    except UsageError:  # a board without a processor: its host is a PC
        return False
