"""How LUTs, flip-flops, deploy time and simulation speed grow with filters, frame size and sparsity.

`python benchmarks/growth.py --help` says how to run it; docs/hardware.md has its table and plot.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.figures import Overlay, build_overlay, counted, kept, quantized  # noqa: E402
from benchmarks.growth_plot import growth_svg  # noqa: E402
from benchmarks.tables import figures_parser, show  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.errors import UsageError  # noqa: E402
from lognet_fpga.fabric.boards import load_board  # noqa: E402
from lognet_fpga.progress import Progress, Stage  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.synth.yosys import synthesize  # noqa: E402
from lognet_fpga.verify.rtl import run_rtl  # noqa: E402
from lognet_fpga.verify.simulator import compile_simulator  # noqa: E402
from tests.models import ModelBuilder  # noqa: E402

EXAMPLES = """\
  python benchmarks/growth.py --plot docs/growth.svg
  python benchmarks/growth.py --filters 8,16 --sizes 16,32 --zeros 0.5,0.9 --no-synth --json
"""
CYCLES_A_PIXEL = 5  # of the frame: four for each position of the first layer, and some for padding
SIMULATED_CYCLES = 200_000  # at least, for the speed
ACT_BITS = 4
BOARD = "vc707"


@dataclass(frozen=True)
class Point:
    """A network of three layers, each with a 2x2 pool."""

    filters: int
    size: int
    zeros: float


BASE = Point(32, 64, 0.67)
AXES = {"filters": "filters", "size": "frame size", "zeros": "share of zeros"}


def parser() -> runner.Parser:
    this = figures_parser(
        "growth.py",
        "Three layers of 3x3 filters, each with a 2x2 pool, at a fixed number of cycles a pixel:\n"
        "resources by estimate for all points and by Yosys for the ends of each axis and the point\n"
        "in common; the processor time of a deployment from the ONNX model to Verilog (nothing from\n"
        "the cache) and the cycles that Verilator simulates in a second of it, both relative to the\n"
        "axis' first point. Prints Markdown. Results are kept: a run that was stopped takes up\n"
        "where it was.",
        EXAMPLES,
    )
    this.add_argument("--filters", type=options.sizes, default=(8, 16, 32, 64, 128), help="default: 8,16,32,64,128")
    this.add_argument("--sizes", type=options.sizes, default=(32, 64, 112, 224, 448), help="default: 32 to 448")
    this.add_argument(
        "--zeros", type=options.numbers, default=(0.0, 0.3, 0.5, 0.67, 0.8, 0.9), help="default: 0 to 0.9"
    )
    this.add_argument("--plot", type=Path, metavar="SVG", help="draw the table, too (needs matplotlib)")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if not all(0 <= share < 1 for share in arguments.zeros):
        raise UsageError("the shares of zeros must be at least 0 and below 1")
    values = {"filters": arguments.filters, "size": arguments.sizes, "zeros": arguments.zeros}
    axes = {axis: [replace(BASE, **{axis: value}) for value in sorted(set(some))] for axis, some in values.items()}
    ends = {BASE, *(points[end] for points in axes.values() for end in (0, -1))}
    found: dict[Point, dict[str, Any]] = {}
    every = [point for points in axes.values() for point in points]
    for done, point in enumerate(dict.fromkeys(every), 1):
        with reporter.stage(f"{done} of {len(set(every))}: {point}"):
            synth = point in ends and not arguments.no_synth
            found[point] = figures(point, synth=synth, simulate=not arguments.no_verify, progress=reporter)
    if arguments.plot:
        arguments.plot.write_text(growth_svg(curves(axes, found)))
    heading = f"Three layers, activations of {ACT_BITS} bits, {CYCLES_A_PIXEL} cycles a pixel"
    common = (
        f"Where the axis does not say it: {BASE.filters} filters, {BASE.size} x {BASE.size}, {BASE.zeros:.0%} zeros"
    )
    sections = [Section(f"By {AXES[axis]}", (), table(axis, rows)) for axis, rows in curves(axes, found).items()]
    report = Report(heading, (Section("", (common,)), *sections), {"axes": curves(axes, found)})
    show(report, arguments, reporter)


def figures(point: Point, *, synth: bool, simulate: bool, progress: Progress) -> dict[str, Any]:
    @cache
    def overlay() -> tuple[Overlay, dict[str, float]]:
        """And the processor time of its stages."""
        chain = ModelBuilder((3, point.size, point.size), seed=2017)
        for _ in range(3):
            chain.conv(point.filters).relu().pool()
        board, clock = load_board(BOARD), ProcessorClock(progress)
        fps = board.clk_mhz * 1e6 / (CYCLES_A_PIXEL * point.size**2)
        with empty_cache():
            quant = quantized(chain.model(), prune=point.zeros, act_bits=ACT_BITS, progress=clock)
            made = build_overlay(quant, board, fps=fps, progress=clock)
        return made, clock.seconds

    def deployed() -> dict[str, Any]:
        made, seconds = overlay()
        total = made.plan.total
        return {
            "adders": sum(planned.folding.to_json()["adders"] for planned in made.plan.layers),
            "cycles_per_frame": made.plan.cycles_per_frame,
            "estimate": {"lut": total.lut, "ff": total.ff, "bram36": total.bram36},
            "deploy_s": seconds,
        }

    def synthesized() -> dict[str, Any]:
        return counted(synthesize(overlay()[0].design, progress, jobs=1).total)

    def simulated() -> dict[str, Any]:
        return {"cycles_per_s": simulation_speed(overlay()[0], progress)}

    found = kept("growth", (point,), deployed)
    found["synthesis"] = kept("growth-synthesis", (point,), synthesized) if synth else None
    found["cycles_per_s"] = kept("growth-speed", (point,), simulated)["cycles_per_s"] if simulate else None
    return found


def simulation_speed(overlay: Overlay, progress: Progress) -> float:
    """Cycles in a second of processor time, unstalled."""
    simulator = compile_simulator(overlay.design, progress)
    per_frame = overlay.plan.cycles_per_frame
    count = max(2, SIMULATED_CYCLES // per_frame)
    frames = overlay.frames.repeat(-(-count // len(overlay.frames)), axis=0)[:count]
    start = processor_s()
    run = run_rtl(simulator, overlay.design, frames, cycle_cap=10 * per_frame, progress=progress)
    return run.cycles / (processor_s() - start)


def processor_s() -> float:
    """Processor time of this process and of the programs it waited for, seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class ProcessorClock:
    """A Progress that adds up the processor time of the outermost stages, by name."""

    def __init__(self, shown: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._shown, self._depth = shown, 0

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        self._depth += 1
        start = processor_s()
        with self._shown.stage(name) as stage:
            yield stage
        self._depth -= 1
        if self._depth == 0:
            self.seconds[name] = self.seconds.get(name, 0.0) + processor_s() - start


@contextmanager
def empty_cache() -> Iterator[None]:
    before = os.environ.get("LOGNET_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOGNET_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["LOGNET_CACHE"]
            if before is not None:
                os.environ["LOGNET_CACHE"] = before


def curves(axes: dict[str, list[Point]], found: dict[Point, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each axis; times as multiples of the axis' first point."""
    out: dict[str, list[dict[str, Any]]] = {}
    for axis, points in axes.items():
        first = found[points[0]]
        out[axis] = []
        for point in points:
            data = found[point]
            stages = data["deploy_s"]
            slowest = max(stages, key=lambda name: stages[name])
            out[axis].append(
                {
                    axis: getattr(point, axis),
                    **{name: data[name] for name in ("adders", "cycles_per_frame", "estimate", "synthesis")},
                    "deploy_time": sum(stages.values()) / sum(first["deploy_s"].values()),
                    "longest_stage": slowest,
                    "longest_stage_share": stages[slowest] / sum(stages.values()),
                    "simulation_speed": data["cycles_per_s"] and data["cycles_per_s"] / first["cycles_per_s"],
                }
            )
    return out


def table(axis: str, rows: list[dict[str, Any]]) -> Table:
    columns = (
        AXES[axis], "adders", "cycles a frame", "LUT6 estimated", "LUT6 sites", "LUT (Yosys)", "FF estimated",
        "FF (Yosys)", "BRAM36", "deploy time", "most of it", "cycles simulated a second",
    )  # fmt: skip
    cells = []
    for row in rows:
        counts = row["synthesis"] or {}
        cells.append(
            (
                f"{row[axis]:.0%}" if axis == "zeros" else row[axis],
                row["adders"],
                row["cycles_per_frame"],
                round(row["estimate"]["lut"]),
                counts.get("lut_sites"),
                counts.get("lut"),
                round(row["estimate"]["ff"]),
                counts.get("ff"),
                row["estimate"]["bram36"],
                f"x {row['deploy_time']:.2f}",
                f"{row['longest_stage']} ({row['longest_stage_share']:.0%})",
                row["simulation_speed"] and f"x {row['simulation_speed']:.2f}",
            )
        )
    return Table(columns, tuple(cells))


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
