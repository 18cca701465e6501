"""The study as a report, as CSV, and beside what the paper says."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lognet_fpga.cost.log_error import LogError, log_errors
from lognet_fpga.cost.points import CLK_MHZ, CostPoint, Study
from lognet_fpga.report import Report, Section, Table

# Relative to 1 bit: heading, the figure of a point.  "all" is all rows at the same time, "lane" one block RAM port.
MEASURES: Mapping[str, tuple[str, Callable[[CostPoint], float]]] = {
    "lut_all": ("LUTs, all rows at once", lambda point: point.lut),
    "power_all": ("power, all rows at once", lambda point: point.power_mw),
    "lut_lane": ("LUTs, one lane", lambda point: point.lane.lut),
    "power_lane": ("power, one lane", lambda point: point.lane_mw),
}


@dataclass(frozen=True)
class Claim:
    """cost: what the paper gives for this kind and width, relative to 1 bit."""

    kind: str
    bits: int
    cost: float


PAPER_CLAIMS = (Claim("log2", 4, 1.04), Claim("linear", 4, 2.4))


def relative(study: Study, point: CostPoint, measure: str) -> float:
    """The point's cost over that of 1 bit."""
    figure = MEASURES[measure][1]
    return figure(point) / figure(study.reference)


def point_figures(study: Study, point: CostPoint) -> dict[str, object]:
    """All figures of a point, by column of the CSV; those in mW and uJ are estimates."""
    return {
        "kind": point.shape.kind,
        "bits": point.shape.bits,
        "pes_per_lane": point.shape.pes,
        "lanes": point.lanes,
        "cycles": point.shape.cycles,
        "sum_bits": point.shape.sum_bits,
        "lut": point.lut,
        "lut_sites": point.lut_sites,
        "ff": point.ff,
        "bram36": point.bram36,
        "power_mw_estimate": round(point.power_mw, 3),
        "energy_uj_estimate": round(point.energy_uj, 4),
        "lane_lut": point.lane.lut,
        "lane_lut_sites": point.lane.lut_sites,
        "lane_ff": point.lane.ff,
        "lane_array_mw_estimate": round(point.lane_array_mw, 4),
        "lane_array_mw_estimate_no_glitches": round(point.lane_quiet_array_mw, 4),
        "lane_memory_mw_estimate": round(point.lane_memory_mw, 4),
        **{f"relative_{name}": round(relative(study, point, name), 4) for name in MEASURES},
    }


def cost_csv(study: Study) -> str:
    rows = [point_figures(study, point) for point in study.points]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cost_report(study: Study) -> Report:
    config = study.config
    errors = [error for point in study.points if point.shape.kind == "log-domain" for error in log_errors(point.shape)]
    claims = _claims(study)
    sections = [_all_rows(study), _one_lane(study)]
    if claims:
        sections.append(_claims_section(claims))
    if errors:
        sections.append(_errors_section(study, errors))
    data = {
        "rows": config.rows,
        "cols": config.cols,
        "clk_mhz": CLK_MHZ,
        "tool": study.tool,
        "power_model": study.reference.model.to_json(),
        "points": [point_figures(study, point) for point in study.points],
        "claims": claims,
        "log_domain_errors": [error.to_json() for error in errors],
    }
    return Report(f"{config.rows} x {config.cols} matrix-vector product", tuple(sections), data)


def _all_rows(study: Study) -> Section:
    rows = tuple(
        (
            _name(p),
            p.lanes,
            p.bram36,
            p.lut,
            p.lut_sites,
            p.ff,
            relative(study, p, "lut_all"),
            p.power_mw,
            relative(study, p, "power_all"),
            p.energy_uj,
        )
        for p in study.points
    )
    cycles = sorted({p.shape.cycles for p in study.points})
    return Section(
        "all rows at once",
        (
            f"as many 8-bit block RAM ports as {study.config.rows} rows need;"
            f" {cycles[0]:,} to {cycles[-1]:,} cycles a product",
            f"LUT, FF, BRAM36: Yosys {study.tool}; mW, uJ: dynamic, an estimate, at {CLK_MHZ:g} MHz",
        ),
        Table(("weights", "lanes", "BRAM36", "LUT", "LUT sites", "FF", "LUT/1b", "mW", "mW/1b", "uJ"), rows),
    )


def _one_lane(study: Study) -> Section:
    rows = tuple(
        (
            _name(p),
            p.shape.pes,
            p.shape.sum_bits,
            p.lane.lut,
            p.lane.ff,
            relative(study, p, "lut_lane"),
            p.lane_array_mw,
            p.lane_quiet_array_mw,
            p.lane_memory_mw,
            relative(study, p, "power_lane"),
        )
        for p in study.points
    )
    return Section(
        "one lane: one 8-bit port and the PEs it feeds",
        ("quiet: without glitches; memory: the block RAM; mW are estimates",),
        Table(("weights", "PE", "sum bits", "LUT", "FF", "LUT/1b", "PE mW", "quiet", "memory", "mW/1b"), rows),
    )


def _claims(study: Study) -> list[dict[str, object]]:
    return [
        {
            "kind": claim.kind,
            "bits": claim.bits,
            "paper": claim.cost,
            **{name: round(relative(study, point, name), 4) for name in MEASURES},
        }
        for claim in PAPER_CLAIMS
        if (point := study.point(claim.kind, claim.bits)) is not None
    ]


def _claims_section(claims: list[dict[str, object]]) -> Section:
    return Section(
        "the paper's claims, cost relative to 1 bit",
        ("docs/cost.md says why they differ",),
        Table(
            ("weights", "paper", *(heading for heading, _ in MEASURES.values())),
            tuple((f"{c['kind']} {c['bits']}b", c["paper"], *(c[name] for name in MEASURES)) for c in claims),
        ),
    )


def _errors_section(study: Study, errors: list[LogError]) -> Section:
    rows = tuple(
        (f"{e.bits} bits, {e.weights}", f"{e.one_sided:+.1%}", f"{e.difference:.1%}")
        for e in sorted(errors, key=lambda e: (e.weights, e.bits))
    )
    return Section(
        "log-domain sums against exact ones",
        (
            f"{study.config.cols:,} random terms; bias: of the sum of one sign; error: of the difference of both sums,",
            "root mean square relative to that of the exact difference",
        ),
        Table(("weights", "bias", "error"), rows),
    )


def _name(point: CostPoint) -> str:
    return f"{point.shape.kind} {point.shape.bits}b"
