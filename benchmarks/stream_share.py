#!/usr/bin/env python3
"""Which share of the programmable logic's own rate a stream reaches from end to end, batch size by batch size.

`.venv-pynq40/bin/python benchmarks/stream_share.py --help` says how to run it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lognet_fpga.bundle import Bundle, make_bundle, read_bundle  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import UsageError  # noqa: E402
from lognet_fpga.progress import Stage  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.runtime.board import BoardDevice  # noqa: E402
from lognet_fpga.runtime.session import Session  # noqa: E402
from lognet_fpga.runtime.sources import SYNTHETIC, open_source  # noqa: E402
from lognet_fpga.runtime.streaming import StreamResult, stream  # noqa: E402

EXAMPLES = """\
examples:
  .venv-pynq40/bin/python benchmarks/stream_share.py build/demo/model_log2.lognet
  .venv-pynq40/bin/python benchmarks/stream_share.py build/demo/model_log2.lognet --slower 32 --batches 64,256 --json
"""
PART = "xczu3eg-sbva484-1"  # a chip that both versions of pynq know; only its registers matter here


def parser() -> runner.Parser:
    this = runner.Parser(
        "stream_share.py",
        "The driver, the real pynq and the tail on the simulated board in real time: a transfer\n"
        "takes as long as the plan says. The overlay's activations are made beforehand, so that this\n"
        "machine's time goes into what a board's processor does (packing, flushing, registers,\n"
        "unpacking, the tail), and into the simulated DMA's copies. --slower N makes the overlay N\n"
        "times as slow, for a processor that cannot keep up with it. One run each; the share counts.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, help="NAME.lognet")
    this.add_argument(
        "--batches", type=options.sizes, default=(1, 4, 16, 64, 256), help="batch sizes (default: 1,4,16,64,256)"
    )
    this.add_argument("--seconds", type=options.number, default=2.0, help="of each run, by the plan (default: 2)")
    this.add_argument("--slower", type=options.number, default=1.0, help="than the plan (default: 1)")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if not arguments.slower >= 1 or not arguments.seconds > 0:
        raise UsageError("--slower must be at least 1, and --seconds more than 0")
    bundle = slowed(read_bundle(arguments.bundle), arguments.slower)
    pl_fps = bundle.clk_mhz * 1e6 / bundle.cycles_per_frame
    rows, data = [], []
    for batch in arguments.batches:
        count = max(4 * batch, int(pl_fps * arguments.seconds))
        with reporter.stage(f"{count:,} frames, {batch:,} at a time") as stage:
            result = run(bundle, batch, count, stage)
        rates = {name: getattr(result, name).value for name in ("pl_rate", "wall_rate", "device_rate", "tail_rate")}
        pl, wall, device, tail = map(round, rates.values())
        rows.append((batch, len(result), pl, wall, 100 * result.pl_share, device, tail, result.limited_by))
        data.append(
            {"batch": batch, "frames": len(result), "pl_share": result.pl_share, "limited_by": result.limited_by}
            | rates
        )
    columns = ("batch", "frames", "PL fps", "end to end", "share %", "driver", "tail fps", "limited by")
    reporter.result(
        Report(
            f"Share of the overlay's own rate, {arguments.slower:g} times as slow as planned",
            (Section("", (), Table(columns, tuple(rows))),),
            {"bundle": bundle.name, "slower": arguments.slower, "runs": data},
        )
    )


def slowed(bundle: Bundle, factor: float) -> Bundle:
    """The bundle with a plan that takes `factor` times as many cycles."""
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("files", "digest")}
    plan = dict(manifest["plan"])
    for key in ("cycles_per_frame", "latency_cycles"):
        plan[key] = round(plan[key] * factor)
    return make_bundle(bundle.files, {**manifest, "plan": plan})


def run(bundle: Bundle, batch: int, count: int, stage: Stage) -> StreamResult:
    from lognet_fpga.runtime.simboard.board import SimulatedBoard

    activations = np.random.default_rng(0).integers(0, 256, (batch, *bundle.output_shape), np.uint8)
    with SimulatedBoard(bundle, engine=lambda frames: activations[: len(frames)], real_time=True, part=PART) as board:
        with Session(bundle, BoardDevice(bundle, bitstream=board.bitstream)) as session:
            return stream(
                session,
                open_source(SYNTHETIC, bundle.input_shape, limit=count),
                batch,
                on_update=lambda update: stage.update(update.done, update.total, str(update)),
            )


def main() -> int:
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())
