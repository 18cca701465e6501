"""The paper's network, three layers of 64 filters 3x3 on 224x224 frames, on a chip six times smaller than the paper's.

`python benchmarks/paper_network.py --help` says how to run it; docs/hardware.md has its tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.figures import overlay_figures  # noqa: E402
from benchmarks.tables import figures_parser, layer_table, show, total_table  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import UsageError  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from tests.models import ModelBuilder  # noqa: E402

EXAMPLES = """\
  python benchmarks/paper_network.py
  python benchmarks/paper_network.py --only pools-950 --no-verify
  python benchmarks/paper_network.py --size 32 --filters 8 --no-synth --json
"""
FULL_SIZE = 224


@dataclass(frozen=True)
class Case:
    """fps at 224x224, scaled by the pixels of other sizes; None: the fastest that the board holds.  lut, ff, bram36:
    the most that it should take; None: no aim.  clk_mhz: None for the board's."""

    name: str
    board: str
    pools: bool
    fps: float | None
    lut: int | None = None
    ff: int | None = None
    bram36: int | None = None
    clk_mhz: float | None = None


CASES = (
    Case("pools-950", "pynq-z2", True, 950, 42_000, 80_000, 100),
    Case("pools", "pynq-z2", True, None),
    Case("pools-200-mhz", "pynq-z2", True, None, clk_mhz=200),
    Case("pools-vc707", "vc707", True, None),
    Case("85", "pynq-z2", False, 85, 28_000),
    Case("170", "pynq-z2", False, 170, 45_000),
    Case("vc707", "vc707", False, None),
)


def parser() -> runner.Parser:
    this = figures_parser(
        "paper_network.py",
        "The paper's network (64-64-64 filters 3x3, random weights, most of them pruned) as whole\n"
        "overlays: planned, generated, synthesized part by part by Yosys, and two frames of noise\n"
        "compared bit by bit and cycle by cycle in Verilator. Prints Markdown. The first run takes\n"
        "hours; results are kept, so that a run that was stopped takes up where it was.",
        EXAMPLES,
    )
    names = [case.name for case in CASES]
    this.add_argument("--only", choices=names, action="append", help="this overlay only; may be given again")
    this.add_argument("--size", type=options.positive, default=FULL_SIZE, help="of a frame (default: %(default)s)")
    this.add_argument("--filters", type=options.positive, default=64, help="of each layer (default: %(default)s)")
    this.add_argument("--zeros", type=options.number, default=0.67, help="share that is pruned (default: %(default)s)")
    this.add_argument("--act-bits", type=int, choices=(4, 8), default=4, help="of activations (default: %(default)s)")
    return this


def model(size: int, filters: int, pools: bool):
    """The network without its host part, weights after He et al. from a fixed seed."""
    chain = ModelBuilder((3, size, size), seed=2017)
    for _ in range(3):
        chain.conv(filters).relu()
        if pools:
            chain.pool()
    return chain.model()


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if not 0 <= arguments.zeros < 1:
        raise UsageError(f"the share of zeros must be at least 0 and below 1, not {arguments.zeros}")
    chosen = [case for case in CASES if arguments.only is None or case.name in arguments.only]
    found = {}
    for case in chosen:
        with reporter.stage(f"overlay {case.name}"):
            found[case.name] = overlay_figures(
                model(arguments.size, arguments.filters, case.pools),
                case.board,
                fps=case.fps and case.fps * (FULL_SIZE / arguments.size) ** 2,
                clk_mhz=case.clk_mhz,
                prune=arguments.zeros,
                act_bits=arguments.act_bits,
                synth=not arguments.no_synth,
                simulate=not arguments.no_verify,
                progress=reporter,
            )
    heading = (
        f"{arguments.filters} filters, {arguments.size} x {arguments.size}, {arguments.zeros:.0%} of the weights "
        f"pruned, activations of {arguments.act_bits} bits"
    )
    sections = [Section("", (), total_table(found)), Section("Layer by layer", (), layer_table(found))]
    if arguments.size == FULL_SIZE and not arguments.no_synth:
        sections.append(Section("Aims", (), aims(chosen, found)))
    show(Report(heading, tuple(sections), {"overlays": found}), arguments, reporter)


def aims(cases: list[Case], found: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for case in cases:
        counts = found[case.name]["synthesis"]
        for what, most, is_now in (
            ("LUT6 sites", case.lut, counts["lut_sites"]),
            ("FF", case.ff, counts["ff"]),
            ("BRAM36", case.bram36, counts["bram36"]),
        ):
            if most is not None:
                rows.append((case.name, what, most, is_now, f"{is_now / most - 1:+.0%}", is_now <= most))
    return Table(("overlay", "what", "at most", "is", "difference", "met"), tuple(rows))


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
