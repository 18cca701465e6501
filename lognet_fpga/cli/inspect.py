"""lognet-inspect: what would happen to a model, in seconds, without building anything."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.files import write_text
from lognet_fpga.cli.input_options import add_input, preprocessing_of
from lognet_fpga.cli.reporter import Reporter

PROGRAM = "lognet-inspect"
EXAMPLES = """\
examples:
  lognet-inspect model.onnx
  lognet-inspect model.onnx --board pynq-z2 --prune 0.6
  lognet-inspect model.onnx --fpga-layers auto --json
  lognet-inspect model.onnx --html model.html

The exit code is 0 if any board can take the layers, and otherwise the one that lognet-deploy would end with; the
report is printed either way.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Tell in seconds what lognet-deploy would make of a float ONNX CNN: how many layers fit on\n"
        "which board, how fast FPGA and host would be together, and what stops the rest. All\n"
        "sizes and rates are estimates; nothing is built.",
        EXAMPLES,
    )
    this.add_argument("model", type=Path, metavar="MODEL", help="the ONNX file")
    this.add_argument("--html", type=Path, metavar="FILE", help="also write the report as a web page")
    plan = this.add_argument_group("what would be built")
    options.add_board(plan, None, "one board only (default: all)")
    options.add_layers(plan)
    options.add_plan(plan)
    add_input(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int:
    from lognet_fpga.config import DeployConfig

    preprocessing, _ = preprocessing_of(arguments)
    config = DeployConfig(
        model=arguments.model,
        fps=arguments.fps,
        fpga_layers=arguments.fpga_layers,
        act_bits=arguments.act_bits,
        weights=arguments.weights,
        prune=arguments.prune,
        clk_mhz=arguments.clk_mhz,
        input_shape=arguments.input_shape,
        preprocessing=preprocessing,
        **({"board": arguments.board} if arguments.board else {}),
    )
    from lognet_fpga.flow.inspection import inspect
    from lognet_fpga.flow.reports import inspection as inspection_report
    from lognet_fpga.page.inspection import inspection_page

    seen = inspect(config, arguments.board, reporter)
    report = inspection_report.build(config, seen)
    if arguments.html is not None:
        error = None if seen.error is None else seen.error.to_json()
        write_text(arguments.html, inspection_page({**report.data, "error": error}), "choose another --html")
    code = reporter.verdict(report, seen.error)
    fits = {fit.board.name: fit.best for fit in seen.boards if fit.best is not None}
    if seen.error is None and fits:
        board = config.board if config.board in fits else next(iter(fits))
        model = shlex.quote(str(config.model))
        reporter.after(
            f"next:   lognet-deploy {model} --board {board} --fpga-layers {fits[board].layers} --frames YOUR_FRAMES"
        )
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
