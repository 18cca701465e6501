"""The option --device of the commands that run a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError

if TYPE_CHECKING:
    from lognet_fpga.bundle import Bundle
    from lognet_fpga.runtime.device import Device


def add_device_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=("simulated", "rtl", "pynq"),
        default="simulated",
        help="simulated: golden.onnx in onnxruntime; rtl: the Verilog in Verilator; pynq: the board that this runs on "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--bitstream", type=Path, metavar="FILE", help="a .bit file, its .hwh beside it, instead of the bundle's"
    )


def check_device_options(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go together."""
    if arguments.bitstream and arguments.device != "pynq":
        raise UsageError("--bitstream goes with --device pynq only", hint="add --device pynq, or leave it out")


def device_of(arguments: argparse.Namespace, bundle: Bundle, reporter: Reporter) -> Device:
    """The device that was asked for, not opened yet."""
    if arguments.device == "pynq":
        from lognet_fpga.runtime.board import BoardDevice

        return BoardDevice(bundle, bitstream=arguments.bitstream)
    if arguments.device == "rtl":
        from lognet_fpga.rtl_device import RtlDevice

        return RtlDevice(bundle, reporter)
    from lognet_fpga.runtime.simulated import SimulatedDevice

    return SimulatedDevice(bundle)
