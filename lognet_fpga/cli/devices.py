"""The options of the commands that run a bundle on a device."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError

if TYPE_CHECKING:
    from lognet_fpga.bundle import Bundle
    from lognet_fpga.runtime.device import Device

DEVICES = ("simulated", "rtl", "pynq")
URLS = ("http://", "https://")


def add_device_options(parser: argparse.ArgumentParser, *, remote: bool = True) -> None:
    """remote: whether a server's device will do too."""
    parser.add_argument(
        "--device",
        choices=None if remote else DEVICES,
        default="simulated",
        metavar="DEVICE" if remote else None,
        help="simulated: golden.onnx's integers; rtl: the Verilog in Verilator; pynq: the board that this runs on"
        + ("; http(s)://HOST[:PORT]: where lognet-serve runs" if remote else "")
        + " (default: %(default)s)",
    )
    parser.add_argument(
        "--bitstream", type=Path, metavar="FILE", help="a .bit file, its .hwh beside it, instead of the bundle's"
    )
    if remote:
        parser.add_argument(
            "--token-file", type=Path, metavar="FILE", help="the server's token (default: that in LOGNET_TOKEN)"
        )
        parser.add_argument(
            "--certificate", type=Path, metavar="FILE", help="PEM file: trust the server that has this certificate"
        )


def check_device_options(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a device that is none, and for options that do not go together."""
    device = arguments.device
    if device not in DEVICES and not device.startswith(URLS):
        raise UsageError(
            f"{device!r} is no device", hint=f"give {', '.join(DEVICES)}, http://HOST[:PORT] or https://HOST[:PORT]"
        )
    if arguments.bitstream and device != "pynq":
        raise UsageError("--bitstream goes with --device pynq only", hint="add --device pynq, or leave it out")


def device_of(arguments: argparse.Namespace, bundle: Bundle, reporter: Reporter) -> Device:
    """The device that was asked for, not opened yet."""
    if arguments.device.startswith(URLS):
        from lognet_fpga.runtime.remote.client import RemoteDevice
        from lognet_fpga.runtime.remote.protocol import read_token

        token = read_token(arguments.token_file)
        return RemoteDevice(bundle, arguments.device, token, certificate=arguments.certificate)
    if arguments.device == "pynq":
        from lognet_fpga.runtime.board import BoardDevice

        return BoardDevice(bundle, bitstream=arguments.bitstream)
    if arguments.device == "rtl":
        from lognet_fpga.flow.rtl_device import RtlDevice

        return RtlDevice(bundle, reporter)
    from lognet_fpga.runtime.simulated import SimulatedDevice

    return SimulatedDevice(bundle)
