"""What is said of a bitstream: in the report, estimate beside synthesis beside place and route, and in the manifest."""

from __future__ import annotations

from collections.abc import Mapping

from lognet_fpga.bitstream.figures import NOT_RUN, Bitstream, Counts
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.report import Section, Table

HEADING = "Bitstream: estimate, synthesis, place and route side by side"
TOOLCHAINS = {"vivado": "Vivado", "open": "open tools (Yosys, nextpnr, Project X-Ray)"}
_ROWS = (("LUT", "lut", "lut_sites"), ("M LUT", "m_lut", "m_lut"), ("FF", "ff", "ff"), ("BRAM36", "bram36", "bram36"))


def bitstream_section(made: Bitstream, report: Mapping[str, object], board: Mapping[str, object]) -> Section:
    """report: data of the deployment's report (report.json).  board: the manifest's."""
    figures = made.figures
    estimate = _mapping(report, "plan", "estimate")
    counted = _mapping(report, "synthesis", "total")
    placed = figures.overlay
    columns = ("", "estimate", "Yosys", "placed: overlay", "placed: whole chip", "board has")
    rows = [
        (
            label,
            _estimated(key, estimate.get(key)),
            counted.get(yosys),
            _of(placed, key),
            _of(figures.total, key),
            board.get(key),
        )
        for label, key, yosys in _ROWS
    ]
    rows.append(("DSP", 0, counted.get("dsp"), _of(placed, "dsp"), figures.total.dsp, board.get("dsp")))
    timing, power = figures.timing, figures.power
    lines = [
        f"by {TOOLCHAINS[made.flow]}: {', '.join(f'{tool} {version}' for tool, version in made.versions.items())}",
        f"{NOT_RUN}"
        + ("; experimental: no board has run a bitstream of this toolchain yet" if made.experimental else ""),
        f"clock      {mhz_text(1000 / timing.period_ns)} MHz planned; {timing.fmax_mhz:.1f} MHz by the longest path "
        f"(slack {timing.slack_ns:.3f} ns); timing {'met' if timing.met else 'NOT MET, and allowed by the user'}",
    ]
    if path := figures.path:
        lines.append(
            f"path       the longest, from {path.start} to {path.end}: {path.logic_ns:.1f} ns in {path.cells} cells "
            f"and {path.wire_ns:.1f} ns of wire, {path.net_ns:.1f} of it {path.net}"
        )
    if power:
        lines.append(
            f"power      {power.total_w:.3f} W of the whole chip with its processor, {power.static_w:.3f} W of it "
            "static: an estimate by the tool, nothing was measured"
        )
    lines.append("estimate and Yosys: the overlay alone; whole chip: with DMA and interconnect")
    return Section(HEADING, tuple(lines), Table(columns, tuple(rows)))


def bitstream_data(made: Bitstream) -> dict[str, object]:
    """The field bitstream of the manifest and of report.json."""
    met = made.figures.timing.met
    return {
        "flow": made.flow,
        "versions": dict(made.versions),
        "experimental": made.experimental,
        "hardware": NOT_RUN,
        "timing_met": met,
        "timing_violation_allowed": not met,
        "made_from": made.made_from,
        "figures": made.figures.to_json(),
    }


def _of(counts: Counts | None, key: str) -> float | None:
    return None if counts is None else getattr(counts, key)


def _estimated(key: str, value: object) -> object:
    """Estimates are no whole numbers; block RAMs come in halves."""
    return round(value) if isinstance(value, float) and key != "bram36" else value


def _mapping(data: Mapping[str, object], *path: str) -> Mapping[str, object]:
    for key in path:
        inner = data.get(key)
        data = inner if isinstance(inner, Mapping) else {}
    return data
