"""Which power sensor is used."""

from __future__ import annotations

from pathlib import Path

from lognet_fpga.errors import LogNetError, UsageError, did_you_mean
from lognet_fpga.runtime.power.lines import BAUD, NvidiaMeter, csv_meter, serial_meter
from lognet_fpga.runtime.power.rails import RailMeter
from lognet_fpga.runtime.power.sampler import Meter
from lognet_fpga.runtime.power.sysfs import HwmonMeter, RaplMeter

AUTO, NONE = "auto", "none"


def open_meter(which: str, *, on_board: bool) -> Meter | None:
    """The sensor `which` names; None for none.

    which: "none"; "hwmon" or "hwmon:CHIP/CHANNEL"; "rail" or "rail:NAME"; "rapl"; "nvidia-smi" or "nvidia-smi:INDEX";
    "csv:FILE"; "serial:PORT" or "serial:PORT@BAUD"; or "auto": on a board its rail or its only hwmon sensor, where
    there is one, elsewhere none.  Raises UsageError for another word, and what the meters raise.
    """
    kind, _, rest = which.partition(":")
    if which == NONE or (which == AUTO and not on_board):
        return None
    if which == AUTO:
        for make in (RailMeter, HwmonMeter):
            try:
                return make()
            except LogNetError:
                continue
        return None
    if kind == "hwmon":
        return HwmonMeter(rest)
    if kind == "rail":
        return RailMeter(rest)
    if which == "rapl":
        return RaplMeter()
    if kind == "nvidia-smi" and (rest or "0").isdecimal():
        return NvidiaMeter(int(rest or "0"))
    if kind == "csv" and rest:
        return csv_meter(Path(rest))
    port, _, baud = rest.partition("@")
    if kind == "serial" and port and (baud or "0").isdecimal():
        return serial_meter(Path(port), int(baud or BAUD))
    raise UsageError(
        f"{which!r} is no power sensor",
        hint=did_you_mean(
            kind,
            ("auto", "none", "hwmon", "rail", "rapl", "nvidia-smi", "csv", "serial"),
            "give auto, none, hwmon[:CHIP/CHANNEL], rail[:NAME], rapl, nvidia-smi[:INDEX], csv:FILE or "
            "serial:PORT[@BAUD]",
        ),
    )
