"""lognet-stream: frames through a bundle; classes and figures out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.devices import add_device_options, device_of, devices_of
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import EXIT_INTERRUPTED, LogNetError, OutputError, UsageError

PROGRAM = "lognet-stream"
MAX_IDLE_S = 3600
EXAMPLES = """\
examples:
  lognet-stream model.lognet --frames test.npz
  lognet-stream model.lognet.zip --frames photos/ --batch 1 --limit 100
  lognet-stream model.lognet --frames cat.png --json
  lognet-stream model.lognet --frames photos/ --save-outputs outputs.npz
  lognet-stream model.lognet --frames synthetic --pace 30 --batch 1
  lognet-stream model.lognet --frames camera --device pynq --batch 1
  lognet-stream model.lognet --frames photos/ --device pynq
  LOGNET_TOKEN=... lognet-stream model.lognet --frames photos/ --device http://pynq:8421
  lognet-stream model.lognet --frames photos/ --device http://board1:8421 --device http://board2:8421
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Stream frames through a bundle, on a board or on the simulated device (bit-exact,\n"
        "cycle-true), and report classes, frames per second, latency and power. Frames are\n"
        "resized, cropped and scaled as the bundle says. Loading, FPGA and host work side by\n"
        "side. Ctrl-C stops the stream and prints the figures so far.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    this.add_argument(
        "--frames",
        required=True,
        metavar="SRC",
        help=".npz, .npy, an image, a folder of images (subfolders are classes), a video file, camera, camera:N, "
        "camera:ADDRESS, or synthetic: random frames",
    )
    flow = this.add_argument_group("how frames flow")
    flow.add_argument(
        "--batch",
        type=options.positive,
        default=64,
        metavar="N",
        help="frames to send back to back (default: %(default)s)",
    )
    flow.add_argument("--limit", type=options.positive, metavar="N", help="use the first N frames only")
    add_device_options(this, several=True)
    flow.add_argument(
        "--policy",
        choices=("block", "drop"),
        help="if frames arrive too fast: make the source wait, or drop those that have waited longest "
        "(default: drop for live sources such as cameras, else block)",
    )
    power = this.add_argument_group("power")
    power.add_argument(
        "--power",
        default="auto",
        metavar="SENSOR",
        help="auto, none, hwmon[:CHIP/CHANNEL], rail[:NAME], rapl, nvidia-smi[:INDEX], csv:FILE or serial:PORT[@BAUD] "
        "(default: auto, the board's own)",
    )
    power.add_argument(
        "--idle",
        type=options.number,
        default=2.0,
        metavar="SECONDS",
        help="read the sensor that long before anything runs (default: %(default)g)",
    )
    this.add_argument(
        "--save-outputs",
        type=Path,
        metavar="FILE",
        help="write the outputs, class numbers and labels of all frames to this .npz",
    )
    flow.add_argument("--pace", type=options.number, metavar="FPS", help="feed FPS frames a second, as a camera would")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.runtime.power import open_meter
    from lognet_fpga.runtime.saved_outputs import check_place, save_outputs
    from lognet_fpga.runtime.session import Session
    from lognet_fpga.runtime.sources import open_source
    from lognet_fpga.runtime.streaming import StreamResult, stream
    from lognet_fpga.runtime.summary import stream_report

    devices = devices_of(arguments)
    with reporter.stage("read bundle") as stage:
        bundle = read_bundle(arguments.bundle)
        stage.note(f"{bundle.name} for {bundle.board_title}, SHA-256 {bundle.digest[:12]}")
    with reporter.stage("open frames") as stage:
        source = open_source(
            arguments.frames,
            bundle.input_shape,
            bundle.preprocessing,
            limit=arguments.limit,
            pace_fps=arguments.pace,
            classes=bundle.classes,
            class_names=bundle.class_names,
        )
        count = "any number of frames" if source.total is None else f"{source.total:,} frames"
        stage.note(f"{source.description}: {count}{'' if source.labels is None else ' with labels'}")
    if arguments.save_outputs is not None:
        check_place(arguments.save_outputs, source)
    if not 0 <= arguments.idle <= MAX_IDLE_S:
        raise UsageError(f"--idle must be 0 to {MAX_IDLE_S} seconds, not {arguments.idle:g}")
    meter = open_meter(arguments.power, on_board=devices == ["pynq"])
    error: LogNetError | None = None
    until_then: list[StreamResult] = []
    try:
        with (
            nullcontext() if meter is None else closing(meter),
            reporter.stage("stream") as stage,
            Session(bundle, device_of(arguments, bundle, reporter)) as session,
        ):
            if meter is not None:
                stage.note(f"power by {meter.name}, idle first")
            result = stream(
                session,
                source,
                arguments.batch,
                policy=arguments.policy,
                meter=meter,
                idle_s=arguments.idle,
                keep_outputs=arguments.save_outputs is not None,
                on_update=lambda update: stage.update(update.done, update.total, str(update)),
                on_broken=until_then.append,
            )
    except LogNetError as broken:
        if not until_then:
            raise
        error, result = broken, until_then[0]
    saved = arguments.save_outputs
    if saved is not None:
        try:
            save_outputs(saved, result)
        except OutputError as problem:  # the figures are no less true for that
            error, saved = error or problem, None
    exit_code = reporter.verdict(stream_report(session, result, saved), error)
    return EXIT_INTERRUPTED if result.interrupted else exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
