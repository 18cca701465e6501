#!/usr/bin/env python3
"""What a plan could save at most if several slow layers had one engine between them.

    python benchmarks/shared_engines.py pretrainedResnet.onnx vww_96_float.onnx

Layers that are busy for half of a frame or less could take turns, as long as they are not busy for more than a frame
together.  An engine that serves two of them is at least as large as the larger one, so at most the smaller one is
saved: the bound, for what feeds the engine from several layers and takes results back to them is left out.  Plans are
sketches, as lognet-inspect makes them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lognet_fpga.cli import runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.config import ALL_LAYERS, DeployConfig  # noqa: E402
from lognet_fpga.flow.inspection import inspect  # noqa: E402
from lognet_fpga.plan.hardware_plan import HardwarePlan  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402

BOARD = "pynq-z2"
IDLE = 0.5  # share of a frame that a layer may be busy for


def parser() -> runner.Parser:
    this = runner.Parser(
        "shared_engines.py",
        f"LUT sites that a plan for the {BOARD} would save at most if slow layers shared engines.",
        "examples:\n  python benchmarks/shared_engines.py pretrainedResnet.onnx vww_96_float.onnx\n",
    )
    this.add_argument("model", type=Path, nargs="+", help="ONNX file")
    this.add_argument("--board", default=BOARD, help="default: %(default)s")
    return this


def slow_layers(plan: HardwarePlan) -> list[tuple[float, float]]:
    """(share of a frame that it is busy, LUT sites) of every layer busy for IDLE of it or less, the busiest first."""
    frame = plan.cycles_per_frame
    every = ((layer.folding.cycles_per_frame / frame, layer.estimate.lut) for layer in plan.layers)
    return sorted((some for some in every if some[0] <= IDLE), reverse=True)


def saved(layers: list[tuple[float, float]]) -> float:
    """LUT sites, by giving each layer, the busiest first, to the fullest engine that still has time for it."""
    engines: list[tuple[float, float]] = []
    for busy, luts in layers:
        fitting = [engine for engine in engines if engine[0] + busy <= 1]
        if fitting:
            fullest = max(fitting)
            engines.remove(fullest)
            engines.append((fullest[0] + busy, max(fullest[1], luts)))
        else:
            engines.append((busy, luts))
    return sum(luts for _, luts in layers) - sum(luts for _, luts in engines)


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    rows = []
    for model in arguments.model:
        seen = inspect(DeployConfig(model=model, fpga_layers=ALL_LAYERS), arguments.board)
        plan = [one.plan for one in seen.boards[0].candidates if one.fits][-1]
        slow, total = slow_layers(plan), plan.total.lut
        less = saved(slow)
        rows.append(
            {
                "model": model.name, "layers": len(plan.layers), "fps": plan.fps, "lut": total,
                "slow_layers": len(slow), "slow_lut": sum(luts for _, luts in slow), "saved_lut": less,
                "saved_share": less / total,
            }
        )  # fmt: skip
    columns = ("model", "layers", "frames/s", "LUT sites", "slow layers", "LUT sites of these", "saved at most", "%")
    cells = tuple(
        (
            r["model"], r["layers"], f"{r['fps']:,.0f}", f"{r['lut']:,.0f}", r["slow_layers"], f"{r['slow_lut']:,.0f}",
            f"{r['saved_lut']:,.0f}", f"{100 * r['saved_share']:.1f}",
        )
        for r in rows
    )  # fmt: skip
    title = f"Slow layers of plans for the {arguments.board}, by estimate"
    reporter.result(Report(title, (Section("", (), Table(columns, cells)),), {"board": arguments.board, "rows": rows}))


def main() -> int:
    return runner.run(parser(), command)


if __name__ == "__main__":
    raise SystemExit(main())
