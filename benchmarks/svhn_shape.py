"""The convolutions of the hls4ml tutorial's SVHN network at the tutorial's own rate.

`python benchmarks/svhn_shape.py --help` says how to run it; docs/hardware.md has its tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.figures import overlay_figures  # noqa: E402
from benchmarks.tables import figures_parser, layer_table, show, total_table  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import UsageError  # noqa: E402
from lognet_fpga.fabric.boards import load_board  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from tests.models import ModelBuilder  # noqa: E402

EXAMPLES = """\
  python benchmarks/svhn_shape.py
  python benchmarks/svhn_shape.py --act-bits 4 --no-verify
  python benchmarks/svhn_shape.py --filters 4,4,6 --no-synth --json
"""
BOARD = "pynq-z2"
THEIR_CYCLES, THEIR_LUT, THEIR_DSP = 1_028, 99_119, 137  # of the tutorial's convolutions, as its HLS tool estimates
AIM_LUT = 10_000


def parser() -> runner.Parser:
    this = figures_parser(
        "svhn_shape.py",
        "The shape of the hls4ml tutorial's SVHN network (32x32x3; 3x3 convolutions of 16, 16 and\n"
        "24 filters without padding, each with ReLU and a 2x2 pool), random weights, half of them\n"
        f"pruned, at no more than the tutorial's {THEIR_CYCLES:,} cycles a frame: synthesized by Yosys and\n"
        "simulated in Verilator. Prints Markdown. Results are kept.",
        EXAMPLES,
    )
    this.add_argument("--act-bits", type=int, choices=(4, 8), action="append", help="of activations (default: both)")
    this.add_argument("--filters", type=options.sizes, default=(16, 16, 24), help="of the layers (default: 16,16,24)")
    this.add_argument("--zeros", type=options.number, default=0.5, help="share that is pruned (default: %(default)s)")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if not 0 <= arguments.zeros < 1:
        raise UsageError(f"the share of zeros must be at least 0 and below 1, not {arguments.zeros}")
    chain = ModelBuilder((3, 32, 32), seed=2017)
    for filters in arguments.filters:
        chain.conv(filters, pads=[0] * 4).relu().pool()
    found = {}
    for act_bits in arguments.act_bits or (8, 4):
        with reporter.stage(f"activations of {act_bits} bits"):
            found[f"{act_bits}-bit activations"] = overlay_figures(
                chain.model(),
                BOARD,
                fps=load_board(BOARD).clk_mhz * 1e6 / THEIR_CYCLES,
                prune=arguments.zeros,
                act_bits=act_bits,
                synth=not arguments.no_synth,
                simulate=not arguments.no_verify,
                progress=reporter,
            )
    sections = [Section("", (), total_table(found)), Section("Layer by layer", (), layer_table(found))]
    if not arguments.no_synth:
        sections.append(Section("Convolutions alone", (), beside(found)))
    heading = f"32 x 32, {'-'.join(map(str, arguments.filters))} filters, {arguments.zeros:.0%} pruned"
    show(Report(heading, tuple(sections), {"overlays": found}), arguments, reporter)


def beside(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """The layers without the overlay's shell, beside the tutorial's."""
    rows: list[tuple[object, ...]] = [
        ("hls4ml tutorial (HLS estimate)", THEIR_CYCLES, THEIR_LUT, None, THEIR_DSP, None)
    ]
    for name, data in found.items():
        counts = [layer["synthesis"] for layer in data["layers"]]
        sites, dsp = (sum(each[what] for each in counts) for what in ("lut_sites", "dsp"))
        met = sites <= AIM_LUT and not dsp and data["cycles_per_frame"] <= THEIR_CYCLES
        rows.append((name, data["cycles_per_frame"], sites, sum(each["ff"] for each in counts), dsp, met))
    return Table(
        ("convolutions", "cycles a frame", "LUT6 sites", "FF", "DSP", f"at most {AIM_LUT:,} LUT6, no DSP"), tuple(rows)
    )


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
