#!/usr/bin/env python3
"""What of a frame is left to the board's processor, in instructions, and what then limits a stream.

    python benchmarks/host_share.py before.lognet whole.lognet

Three pieces of work are counted by Valgrind's callgrind, each as the runtime does it: frames become words for the DMA,
words become activations, and the tail makes scores of them.  They are counted on x86, without vector instructions
beyond SSE and in NumPy as on a 32-bit board (see benchmarks/host_time.py), a frame's share of a batch.  How long a
board's processor takes for them is an estimate, by the same cycles an instruction as lognet-inspect's.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.host_time import PLAIN  # noqa: E402
from lognet_fpga.bundle import Bundle, read_bundle  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import MissingToolError  # noqa: E402
from lognet_fpga.fabric.boards import load_board  # noqa: E402
from lognet_fpga.plan.host_time import runtime_of  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.runtime.numpy_function import NumpyFunction  # noqa: E402

CHILD = "--count-one"
PIECES = ("pack", "unpack", "tail")
CALLS = 3
ESTIMATED = "processor: by estimate, with no time for registers, caches and Python between batches"


def parser() -> runner.Parser:
    this = runner.Parser(
        "host_share.py",
        "Instructions a frame of the host: packing for the DMA, unpacking, and the tail, counted by Valgrind; and\n"
        "frames a second that FPGA, DMA and processor allow, each alone. Nothing runs on a board.",
        "examples:\n  python benchmarks/host_share.py build/demo/model_log2.lognet whole.lognet\n",
    )
    this.add_argument("bundle", type=Path, nargs="+", help="NAME.lognet")
    this.add_argument("--batch", type=options.positive, default=64, help="frames at a time (default: %(default)s)")
    this.add_argument(CHILD, action="store_true", help=argparse.SUPPRESS)
    return this


def work_of(bundle: Bundle, batch: int) -> dict[str, object]:
    """The three pieces as functions without arguments."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 2**bundle.source.bits, (batch, *bundle.input_shape)).astype(bundle.source.dtype)
    activations = rng.integers(0, 2 ** min(bundle.sink.bits, 8), (batch, *bundle.output_shape))
    words, out = bundle.sink.pack(activations.astype(bundle.sink.dtype)), bundle.source.pack(frames)
    output = bundle.model_output
    tail = NumpyFunction(bundle.file("tail.onnx"), "tail") if "tail.onnx" in bundle.files else None
    shown = bundle.sink.unpack_positions(words)
    return {
        "pack": lambda: bundle.source.pack(frames, out=out),
        "unpack": lambda: bundle.sink.unpack_positions(words),
        "tail": (lambda: tail(shown)) if tail else (lambda: output),
    }


def count_here(path: Path, batch: int) -> None:
    """In the process that callgrind watches."""

    def mark(name: str) -> None:
        command = [str(shutil.which("callgrind_control")), f"--dump={name}", str(os.getpid())]
        subprocess.run(command, check=True, capture_output=True)

    pieces = work_of(read_bundle(path), batch)
    mark("start")
    mark("nothing")
    for name, piece in pieces.items():
        piece()
        mark(f"before_{name}")
        for _ in range(CALLS):
            piece()
        mark(name)


def counted(path: Path, batch: int) -> dict[str, float]:
    """Instructions a frame of every piece.  Raises MissingToolError without Valgrind."""
    if shutil.which("valgrind") is None:
        raise MissingToolError("valgrind was not found; it counts the instructions", hint="apt install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, __file__, CHILD]
        command += ["--batch", str(batch), str(path)]
        subprocess.run(command, check=True, env={**os.environ, **PLAIN}, capture_output=True)
        totals = {}
        for file in Path(folder).glob("callgrind.*"):
            text = file.read_text()
            if trigger := re.search(r"^desc: Trigger: dump (\w+)", text, re.MULTILINE):
                totals[trigger[1]] = int(re.search(r"^totals: (\d+)", text, re.MULTILINE)[1])
    return {name: max(0, totals[name] - totals["nothing"]) / CALLS / batch for name in PIECES}


def row_of(path: Path, batch: int) -> dict[str, object]:
    bundle, counts = read_bundle(path), counted(path, batch)
    board = load_board(bundle.board_name)
    clk = bundle.clk_mhz * 1e6
    rates = {"FPGA": clk / bundle.cycles_per_frame}
    rates["DMA"] = clk / max(8 * form.bytes_per_frame / form.tdata_bits for form in (bundle.source, bundle.sink))
    runtime, total = runtime_of(board), sum(counts.values())
    rates["processor"] = board.host_mhz * 1e6 / (total * float(np.sqrt(np.prod(runtime.cycles))))
    return {
        "bundle": bundle.name,
        "board": bundle.board_name,
        **{f"{name}_instructions": count for name, count in counts.items()},
        **{f"{name.lower()}_fps": rate for name, rate in rates.items()},
        "bytes_in": bundle.source.bytes_per_frame,
        "bytes_out": bundle.sink.bytes_per_frame,
        "limited_by": min(rates, key=rates.__getitem__),
    }


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    rows = []
    for path in arguments.bundle:
        with reporter.stage(f"count the host's instructions for {path.name}"):
            rows.append(row_of(path, arguments.batch))
    columns = ("bundle", "board", *PIECES, "bytes in, out", "FPGA fps", "DMA fps", "processor fps", "limited by")
    cells = tuple(
        (
            r["bundle"], r["board"], *(f"{r[f'{name}_instructions']:,.0f}" for name in PIECES),
            f"{r['bytes_in']:,}, {r['bytes_out']:,}", f"{r['fpga_fps']:,.0f}", f"{r['dma_fps']:,.0f}",
            f"{r['processor_fps']:,.0f}", r["limited_by"],
        )
        for r in rows
    )  # fmt: skip
    reporter.result(
        Report(
            f"Instructions a frame of the host, in batches of {arguments.batch}",
            (
                Section(
                    "", ("counted on x86", f"FPGA: as planned; DMA: a word a cycle; {ESTIMATED}"), Table(columns, cells)
                ),
            ),
            {"batch": arguments.batch, "rows": rows},
        )
    )


def main() -> int:
    if CHILD in sys.argv[1:]:
        arguments = parser().parse_args()
        count_here(arguments.bundle[0], arguments.batch)
        return 0
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())
