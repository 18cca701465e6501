"""How the scripts of this folder are called, and how they show their figures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.cli.runner import Parser
from lognet_fpga.report import Report, Table


def figures_parser(program: str, description: str, examples: str) -> Parser:
    """The options that every script of figures has, beside --json."""
    this = Parser(program, description, f"examples:\n{examples}")
    this.add_argument("--no-synth", action="store_true", help="estimates only, without Yosys")
    this.add_argument("--no-verify", action="store_true", help="do not simulate in Verilator")
    return this


def show(report: Report, arguments: argparse.Namespace, reporter: Reporter) -> None:
    """The report in Markdown, or as JSON with --json."""
    if arguments.json:
        reporter.result(report)
    else:
        reporter.text(report.markdown())


LAYER_COLUMNS = (
    "overlay", "layer", "matrix", "zeros", "adders", "folding", "cycles a position", "accumulator bits",
    "LUT6 estimated", "LUT6 sites", "LUT (Yosys)", "FF", "BRAM36",
)  # fmt: skip


def layer_table(named: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each layer of each overlay; FF and BRAM36 are Yosys', or estimates without it."""
    rows = []
    for name, data in named.items():
        for layer in data["layers"]:
            found = layer["synthesis"] or {}
            rows.append(
                (
                    name,
                    layer["name"],
                    layer["matrix"],
                    f"{layer['zeros']:.1%}",
                    layer["adders"],
                    layer["folding"],
                    layer["ii_cycles"],
                    layer["acc_bits"],
                    round(layer["estimate"]["lut"]),
                    found.get("lut_sites"),
                    found.get("lut"),
                    found.get("ff", round(layer["estimate"]["ff"])),
                    found.get("bram36", layer["estimate"]["bram36"]),
                )
            )
    return Table(LAYER_COLUMNS, tuple(rows))


TOTAL_COLUMNS = (
    "overlay", "board", "fps", "cycles a frame", "LUT6 estimated", "LUT6 sites", "LUT (Yosys)", "FF", "BRAM36", "DSP",
    "longest path, MHz (estimate)", "bits differing", "cycles as planned",
)  # fmt: skip


def total_table(named: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each overlay."""
    rows = []
    for name, data in named.items():
        found, simulated = data["synthesis"] or {}, data["simulation"]
        rows.append(
            (
                name,
                data["board"] if data["fits"] else f"{data['board']}: does not fit",
                round(data["fps"]),
                data["cycles_per_frame"],
                round(data["estimate"]["lut"]),
                found.get("lut_sites"),
                found.get("lut"),
                found.get("ff", round(data["estimate"]["ff"])),
                found.get("bram36", data["estimate"]["bram36"]),
                found.get("dsp"),
                data["path_mhz"] and round(data["path_mhz"]),
                simulated and f"{simulated['differing_bits']:,} of {simulated['bits']:,}",
                simulated and simulated["cycles_as_planned"],
            )
        )
    return Table(TOTAL_COLUMNS, tuple(rows))
