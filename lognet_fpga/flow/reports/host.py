"""The host's part in deploy's report: what it runs in on the board, and what of it could not."""

from __future__ import annotations

import warnings

from lognet_fpga.fabric.board import Board
from lognet_fpga.ir.system import processor_of
from lognet_fpga.partition.work import tail_work
from lognet_fpga.plan.host_time import SLOW_S, HostTime, has_processor, host_time, rounded
from lognet_fpga.report import Section
from lognet_fpga.runtime.numpy_function import unknown_operators

SLOW = f"a frame may take more than {SLOW_S * 1e3:.0f} ms"
SERVE = "run lognet-serve on the board and lognet-stream on a PC, which then does the host's part (docs/board.md)"
WORD_BITS_32 = "armv7l"  # onnxruntime has no package for it


def host_section(tail: bytes, board: Board) -> Section:
    """How tail.onnx runs on the board, and how long by estimate.  Warns where it cannot: a 32-bit processor, and
    operators that NumPy lacks."""
    unknown = unknown_operators(tail)
    if not unknown:
        lines = ["runs in onnxruntime, or in NumPy where that is not installed", *_time_lines(tail, board)]
        return Section("Host's part", tuple(lines))
    lines = ["runs in onnxruntime only, because of", *(f"  {node}" for node in unknown)]
    if _is_32_bit(board):
        warnings.warn(
            f"{board.title} has a 32-bit processor, which onnxruntime is not made for, and the host's part has "
            f"{len(unknown)} {'node' if len(unknown) == 1 else 'nodes'} that NumPy does not run here: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}; run it on another machine",
            stacklevel=2,
        )
        lines.append(f"so not on the {board.title} itself, whose processor is 32-bit: {SERVE}")
    else:
        lines += _time_lines(tail, board)
    return Section("Host's part", tuple(lines))


def host_data(tail: bytes, board: Board) -> dict[str, object]:
    """The same for programs."""
    unknown, time = unknown_operators(tail), _time(tail, board)
    estimate: dict[str, object] | None = None
    if time is not None and not (unknown and _is_32_bit(board)):
        estimate = {"runtime": time.runtime, "frame_ms": [time.best_s * 1e3, time.worst_s * 1e3]}
    return {"only_onnxruntime": list(unknown), "estimated": estimate}


def _time(tail: bytes, board: Board) -> HostTime | None:
    work = tail_work(tail)
    return None if work is None else host_time(work, board)


def _time_lines(tail: bytes, board: Board) -> list[str]:
    time = _time(tail, board)
    if time is None:
        return []
    where = f"the {board.title}'s processor" if has_processor(board) else "a PC"
    least, most = map(rounded, time.fps)
    best_ms, worst_ms = rounded(time.best_s * 1e3), rounded(time.worst_s * 1e3)
    lines = [
        f"estimated on {where} in {time.runtime}, not measured: {best_ms} to {worst_ms} ms a frame, "
        f"{least} to {most} frames a second"
    ]
    return [*lines, f"{SLOW} there: {SERVE}"] if time.slow and has_processor(board) else lines


def _is_32_bit(board: Board) -> bool:
    return has_processor(board) and processor_of(board.part).machine == WORD_BITS_32
