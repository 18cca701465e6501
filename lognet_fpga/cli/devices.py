"""The options of the commands that run a bundle on a device."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from lognet_fpga.bundle import Bundle
    from lognet_fpga.runtime.device import Device

DEVICES = ("simulated", "rtl", "pynq")
URLS = ("http://", "https://")


def add_device_options(parser: argparse.ArgumentParser, *, remote: bool = True, several: bool = False) -> None:
    """remote: whether a server's device will do too; several: of them several."""
    group = parser.add_argument_group("device")
    group.add_argument(
        "--device",
        choices=None if remote else DEVICES,
        action="append",
        metavar="DEVICE" if remote else None,
        help="simulated: the integers of golden.onnx; rtl: the Verilog, in Verilator; pynq: this board"
        + ("; http(s)://HOST[:PORT]: a machine where lognet-serve runs" if remote else "")
        + ("; repeat it for several" if several else "")
        + " (default: simulated)",
    )
    if several:
        group.add_argument(
            "--devices", type=Path, metavar="FILE", help="a file with a device's http(s)://HOST[:PORT] on each line"
        )
    group.add_argument(
        "--bitstream",
        type=Path,
        metavar="FILE",
        help="a .bit file, with its .hwh beside it, to use instead of the bundle's",
    )
    if remote:
        group.add_argument(
            "--token-file", type=Path, metavar="FILE", help="file with the server's token (default: LOGNET_TOKEN)"
        )
        group.add_argument(
            "--certificate", type=Path, metavar="FILE", help="PEM file with the server's certificate, to trust it"
        )
    parser.set_defaults(several=several)


def devices_of(arguments: argparse.Namespace) -> list[str]:
    """The devices asked for, one at least.  Raises UsageError for one that is none, and for options that do not go
    together."""
    devices = list(arguments.device or ())
    if arguments.several and arguments.devices is not None:
        devices += _listed(arguments.devices)
    devices = devices or [DEVICES[0]]
    for device in devices:
        if device not in DEVICES and not device.startswith(URLS):
            otherwise = f"give {', '.join(DEVICES)}, http://HOST[:PORT] or https://HOST[:PORT]"
            raise UsageError(f"{device!r} is no device", hint=did_you_mean(device, DEVICES, otherwise))
    if len(devices) > 1 and not arguments.several:
        raise UsageError(f"one device at a time, not {len(devices)}", hint="give --device once")
    if len(devices) > 1 and not all(device.startswith(URLS) for device in devices):
        raise UsageError(
            "several devices are those of servers", hint="give http://HOST[:PORT] or https://HOST[:PORT] for each"
        )
    if arguments.bitstream and devices != ["pynq"]:
        raise UsageError("--bitstream goes with --device pynq only", hint="add --device pynq, or leave it out")
    return devices


def _listed(file: Path) -> list[str]:
    """The addresses in a file; what follows a # is not read."""
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the devices in {file} cannot be read: {' '.join(str(error).split())}") from error
    devices = [line for line in lines if line]
    if not devices:
        raise UsageError(f"there are no devices in {file}", hint="write http://HOST[:PORT] into each line")
    if wrong := [device for device in devices if not device.startswith(URLS)]:
        raise UsageError(f"{wrong[0]!r} in {file} is no address", hint="write http://HOST[:PORT] into each line")
    return devices


def device_of(arguments: argparse.Namespace, bundle: Bundle, reporter: Reporter) -> Device:
    """The device that was asked for, not opened yet; several as one."""
    devices = devices_of(arguments)
    if devices[0].startswith(URLS):
        from lognet_fpga.runtime.remote.client import RemoteDevice
        from lognet_fpga.runtime.remote.fleet import Fleet
        from lognet_fpga.runtime.remote.protocol import read_token

        token = read_token(arguments.token_file)
        boards = [RemoteDevice(bundle, url, token, certificate=arguments.certificate) for url in devices]
        return boards[0] if len(boards) == 1 else Fleet(bundle, boards, on_change=reporter.warning)
    if devices == ["pynq"]:
        from lognet_fpga.runtime.board import BoardDevice

        return BoardDevice(bundle, bitstream=arguments.bitstream)
    if devices == ["rtl"]:
        from lognet_fpga.flow.rtl_device import RtlDevice

        return RtlDevice(bundle, reporter)
    from lognet_fpga.runtime.simulated import SimulatedDevice

    return SimulatedDevice(bundle)
