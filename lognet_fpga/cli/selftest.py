"""lognet-selftest: a bundle's own vectors through a device, compared bit by bit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.cli import entry
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import LogNetError, UsageError

if TYPE_CHECKING:
    from lognet_fpga.bundle import Bundle
    from lognet_fpga.runtime.device import Device

PROGRAM = "lognet-selftest"
EXAMPLES = """\
examples:
  lognet-selftest model.lognet
  lognet-selftest model.lognet --device rtl
  sudo lognet-selftest model.lognet --device pynq
"""


def parser() -> entry.Parser:
    this = entry.Parser(
        PROGRAM,
        "Run the frames that lognet-deploy verified the bundle with through a device, and name\n"
        "the first value that differs: tensor, index, got, expected.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    this.add_argument(
        "--device",
        choices=("simulated", "rtl", "pynq"),
        default="simulated",
        help="simulated: golden.onnx in onnxruntime; rtl: the Verilog in Verilator; pynq: the board that this runs on "
        "(default: %(default)s)",
    )
    this.add_argument(
        "--bitstream", type=Path, metavar="FILE", help="a .bit file, its .hwh beside it, instead of the bundle's"
    )
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.runtime.selftest import run_selftest

    if arguments.bitstream and arguments.device != "pynq":
        raise UsageError("--bitstream goes with --device pynq only", hint="add --device pynq, or leave it out")
    with reporter.stage("read bundle") as stage:
        bundle = read_bundle(arguments.bundle)
        stage.note(f"{bundle.name} for {bundle.board_title}, SHA-256 {bundle.digest[:12]}")
    with reporter.stage("self-test"):
        result = run_selftest(bundle, _device(arguments, bundle, reporter))
    failure: LogNetError | None = None
    try:
        result.require()
    except LogNetError as error:
        failure = error
    return reporter.verdict(result.report(bundle), failure)


def _device(arguments: argparse.Namespace, bundle: Bundle, reporter: Reporter) -> Device:
    if arguments.device == "pynq":
        from lognet_fpga.runtime.board import BoardDevice

        return BoardDevice(bundle, bitstream=arguments.bitstream)
    if arguments.device == "rtl":
        from lognet_fpga.rtl_device import RtlDevice

        return RtlDevice(bundle, reporter)
    from lognet_fpga.runtime.simulated import SimulatedDevice

    return SimulatedDevice(bundle)


def main(arguments: Sequence[str] | None = None) -> int:
    return entry.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
