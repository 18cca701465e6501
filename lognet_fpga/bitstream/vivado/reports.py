"""Vivado's reports read: utilization, timing summary, power.  Their layout is that of 2020.1 to 2025.2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lognet_fpga.bitstream.figures import Counts, PlacedFigures, Power, Timing
from lognet_fpga.errors import ToolError
from lognet_fpga.ir.system import CORE_NAME

UTILIZATION, HIERARCHY, TIMING, POWER = "utilization.rpt", "hierarchy.rpt", "timing.rpt", "power.rpt"
REPORTS = (UTILIZATION, HIERARCHY, TIMING, POWER)

# 7-series speaks of slices, UltraScale+ of CLBs.
_LUT = ("Slice LUTs", "CLB LUTs")
_FF = ("Slice Registers", "CLB Registers")
_M_LUT = ("LUT as Memory",)
_CLOCKS = ("clk_fpga_0", "clk_pl_0")  # what the processors' own constraints call the first PL clock
_RESOLUTION_NS = 0.001  # periods are constrained and printed to a picosecond
_BRAM, _DSP = ("Block RAM Tile",), ("DSPs",)


def read_reports(texts: Mapping[str, str], clk_mhz: float) -> PlacedFigures:
    """texts: report's file name to its text.  Timing is judged at clk_mhz, the bundle's.  Raises ToolError for a report
    that is not as expected."""
    for name in (UTILIZATION, TIMING):
        if name not in texts:
            raise ToolError(f"Vivado's results have no {name}", hint="run the whole build.tcl again")
    power = texts.get(POWER)
    return PlacedFigures(
        utilization(texts[UTILIZATION]),
        overlay_counts(texts.get(HIERARCHY, "")),
        timing(texts[TIMING], clk_mhz),
        _power(power) if power else None,
    )


def utilization(text: str) -> Counts:
    """Of report_utilization."""
    used = {
        cells[0].rstrip("*"): cells[1] for cells in _rows(text) if len(cells) > 2 and re.fullmatch(r"[\d.]+", cells[1])
    }

    def of(names: tuple[str, ...]) -> float:
        for name in names:
            if name in used:
                return float(used[name])
        raise _foreign(UTILIZATION, f"no row {' or '.join(names)}")

    return Counts(int(of(_LUT)), int(of(_FF)), of(_BRAM), int(of(_DSP)), int(of(_M_LUT)))


def overlay_counts(text: str) -> Counts | None:
    """The overlay's row of report_utilization -hierarchical; None where it has none."""
    columns: dict[str, int] = {}
    for cells in _rows(text):
        if "Instance" in cells and "Total LUTs" in cells:
            columns = {name: place for place, name in enumerate(cells)}
        elif columns and cells[0] == CORE_NAME and len(cells) == len(columns):
            value = {name: int(cells[place]) for name, place in columns.items() if cells[place].isdigit()}
            dsp = next((value[name] for name in ("DSP Blocks", "DSP48 Blocks", "DSPs") if name in value), None)
            memory = value.get("LUTRAMs", 0) + value.get("SRLs", 0)
            brams = value.get("RAMB36", 0) + value.get("RAMB18", 0) / 2
            return Counts(value["Total LUTs"], value["FFs"], brams, dsp, memory)
    return None


def timing(text: str, clk_mhz: float) -> Timing:
    """Of report_timing_summary, judged at clk_mhz and not at the period that Vivado's own constraint has."""
    summary = re.search(r"^\s*WNS\(ns\)\s+TNS\(ns\).*\n[\s-]*\n\s*(.*)$", text, re.MULTILINE)
    if summary is None:
        raise _foreign(TIMING, "no design timing summary")
    cells = summary.group(1).split()
    clocks = dict(re.findall(r"^(\S+)\s+\{[\d. ]+\}\s+([\d.]+)\s+[\d.]+\s*$", text, re.MULTILINE))
    if len(cells) < 12 or "NA" in cells[:11] or not clocks:
        raise _foreign(TIMING, "no clock is constrained")
    constraint = next((float(clocks[name]) for name in _CLOCKS if name in clocks), max(map(float, clocks.values())))
    setup, hold, pulse = (float(cells[place]) for place in (0, 4, 8))
    failing_setup, failing_other = int(cells[2]), int(cells[6]) + int(cells[10])
    period = 1000.0 / clk_mhz
    longer = period - constraint
    if abs(longer) > _RESOLUTION_NS:
        setup, pulse = round(setup + longer, 6), round(pulse + min(longer, 0), 6)
        if longer > 0 and setup >= 0:
            failing_setup = 0  # they fail at Vivado's faster clock only
    return Timing(period, setup, hold, pulse, failing_setup + failing_other, constraint)


def _power(text: str) -> Power:
    values = {cells[0]: cells[1] for cells in _rows(text) if len(cells) == 2}
    try:
        return Power(float(values["Total On-Chip Power (W)"]), float(values["Device Static (W)"]))
    except (KeyError, ValueError) as error:
        raise _foreign(POWER, "no total on-chip power") from error


def _rows(text: str) -> Iterator[list[str]]:
    """The cells of every line of a table."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def _foreign(name: str, why: str) -> ToolError:
    return ToolError(
        f"{name} is not a report that this program can read: {why}",
        hint="Vivado 2020.1 to 2025.2 are known; run build.tcl with one of them",
    )
