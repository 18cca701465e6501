#!/usr/bin/env python3
"""Which share of the programmable logic's own rate a stream reaches from end to end, batch size by batch size.

    .venv-pynq40/bin/python benchmarks/stream_share.py build/demo/model_log2.lognet

The driver, the real pynq and the tail run on the simulated board in real time: a transfer takes as long as the plan
says.  The overlay's activations are made beforehand, so that this machine's time goes into what a board's processor
does (packing, flushing, registers, unpacking, the tail), and into the simulated DMA's copies.  --slower N makes the
overlay N times as slow, for a processor that cannot keep up with it.  One run each; the share is what counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lognet_fpga.bundle import Bundle, make_bundle, read_bundle  # noqa: E402
from lognet_fpga.report import Table  # noqa: E402
from lognet_fpga.runtime.board import BoardDevice  # noqa: E402
from lognet_fpga.runtime.session import Session  # noqa: E402
from lognet_fpga.runtime.sources import SYNTHETIC, open_source  # noqa: E402
from lognet_fpga.runtime.stream import StreamResult, stream  # noqa: E402

PART = "xczu3eg-sbva484-1"  # a chip that both versions of pynq know; only its registers matter here


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("bundle", type=Path, help="NAME.lognet")
    options.add_argument("--batches", default="1,4,16,64,256", help="batch sizes (default: %(default)s)")
    options.add_argument("--seconds", type=float, default=2.0, help="of each run, by the plan (default: %(default)s)")
    options.add_argument("--slower", type=float, default=1.0, help="than the plan (default: %(default)s)")
    options.add_argument("--json", action="store_true", help="one JSON object instead of text")
    arguments = options.parse_args()
    bundle = slowed(read_bundle(arguments.bundle), arguments.slower)
    pl_fps = bundle.clk_mhz * 1e6 / bundle.cycles_per_frame
    rows = []
    for batch in map(int, arguments.batches.split(",")):
        result = run(bundle, batch, max(4 * batch, int(pl_fps * arguments.seconds)))
        rows.append((batch, len(result), result))
    if arguments.json:
        figures = ("pl_rate", "device_rate", "tail_rate", "wall_rate")
        data = [
            {"batch": batch, "frames": count, "pl_share": result.pl_share, "limited_by": result.limited_by}
            | {name: getattr(result, name).value for name in figures}
            for batch, count, result in rows
        ]
        print(json.dumps({"bundle": bundle.name, "slower": arguments.slower, "runs": data}))
        return 0
    table = Table(
        ("batch", "frames", "PL fps", "end to end", "share %", "driver", "tail fps", "limited by"),
        tuple(
            (
                batch,
                count,
                *(round(rate.value) for rate in (result.pl_rate, result.wall_rate)),
                100 * result.pl_share,
                *(round(rate.value) for rate in (result.device_rate, result.tail_rate)),
                result.limited_by,
            )
            for batch, count, result in rows
        ),
    )
    print("\n".join(table.text_lines()))
    return 0


def slowed(bundle: Bundle, factor: float) -> Bundle:
    """The bundle with a plan that takes `factor` times as many cycles."""
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("files", "digest")}
    plan = dict(manifest["plan"])
    for key in ("cycles_per_frame", "latency_cycles"):
        plan[key] = round(plan[key] * factor)
    return make_bundle(bundle.files, {**manifest, "plan": plan})


def run(bundle: Bundle, batch: int, count: int) -> StreamResult:
    from lognet_fpga.runtime.simboard.board import SimulatedBoard

    activations = np.random.default_rng(0).integers(0, 256, (4096, *bundle.output_shape), np.uint8)
    with SimulatedBoard(bundle, engine=lambda frames: activations[: len(frames)], real_time=True, part=PART) as board:
        with Session(bundle, BoardDevice(bundle, bitstream=board.bitstream)) as session:
            return stream(session, open_source(SYNTHETIC, bundle.input_shape, limit=count), batch)


if __name__ == "__main__":
    raise SystemExit(main())
