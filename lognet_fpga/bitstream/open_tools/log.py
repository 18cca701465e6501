"""nextpnr's log read: what was placed, and the clock that was reached; alike in both of its flavours."""

from __future__ import annotations

import math
import re

from lognet_fpga.bitstream.figures import Counts, PlacedFigures, Timing
from lognet_fpga.errors import ToolError

_USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_CLOCK = re.compile(r"Max frequency for clock\s+'?([^':]+)'?:\s+([\d.]+) MHz \((?:PASS|FAIL) at ([\d.]+) MHz\)")
_HALVES = 2  # of a LUT site, each counted


def read_log(text: str, clk_mhz: float) -> PlacedFigures:
    """Timing is judged at clk_mhz, the bundle's.  Raises ToolError for a log without utilization and clock."""
    used: dict[str, int] = {}
    for name, count, _ in _USED.findall(text):
        used[name] = int(count)  # the last word counts: after packing
    clocks = {name.strip(): (float(reached), float(asked)) for name, reached, asked in _CLOCK.findall(text)}
    if "SLICE_LUTX" not in used or not clocks:
        raise ToolError(
            "nextpnr's log says nothing of utilization or of the clock",
            hint="known are nextpnr-himbaechel with the xilinx microarchitecture, and nextpnr-xilinx",
        )
    reached, asked = min(clocks.values())
    period = 1000.0 / clk_mhz
    total = Counts(
        math.ceil(used["SLICE_LUTX"] / _HALVES),
        used.get("SLICE_FFX", 0),
        _sum(used, "RAMB36") + _sum(used, "RAMBFIFO36") + _sum(used, "RAMB18") / 2,
        _sum(used, "DSP48"),
    )
    return PlacedFigures(total, None, Timing(period, period - 1000.0 / reached, constraint_ns=1000.0 / asked), None)


def _sum(used: dict[str, int], prefix: str) -> int:
    """nextpnr's names go on with the site's."""
    return sum(count for name, count in used.items() if name.startswith(prefix))
