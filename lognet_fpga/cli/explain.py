"""lognet-explain: what a bit of a bundle's Verilog is, in terms of the model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import runner
from lognet_fpga.cli.reporter import Reporter

PROGRAM = "lognet-explain"
EXAMPLES = """\
examples:
  lognet-explain model.lognet layer2.adders.acc[17]
  lognet-explain model.lognet lognet_overlay/layer2/adders/sum5_3_leg0_full_adders/held_reg[17]
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM, "Tell what a bit of the Verilog is: layer, node of the adder graph, output channel, leg.", EXAMPLES
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    this.add_argument("signal", metavar="SIGNAL", help="its name in the Verilog, or as a tool shows it, with an index")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.bundle.explain import explain
    from lognet_fpga.report import Report, Section

    meaning = explain(read_bundle(arguments.bundle), arguments.signal)
    data = {"signal": meaning.signal, **meaning.data, "text": list(meaning.lines)}
    reporter.result(Report(meaning.signal, (Section("", meaning.lines),), data))


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
