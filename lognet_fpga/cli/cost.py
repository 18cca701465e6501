"""lognet-cost: LUTs and power of a matrix-vector product against the bits of its weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.files import make_folder, write_text
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import MissingToolError, UsageError

PROGRAM = "lognet-cost"
EXAMPLES = """\
examples:
  lognet-cost --out build
  lognet-cost --bits 1,4 --csv
  lognet-cost --bits 1..5 --rows 128 --cols 1024 --json
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Count the LUTs and estimate the dynamic power of a matrix-vector product whose weights are\n"
        "read from block RAM through 8-bit ports, for log2 and linear weights of 1 to 8 bits (Fig. 4\n"
        "of the LogNet paper). Writes cost.csv, cost.json and, with matplotlib, cost.svg.",
        EXAMPLES,
    )
    this.add_argument(
        "--bits",
        type=options.ranges,
        default=tuple(range(1, 9)),
        metavar="LIST",
        help="bits of a weight, such as 1..8 or 2,4 (default: 1..8); 1 is always included, to compare with",
    )
    this.add_argument(
        "--rows", type=options.positive, default=512, metavar="N", help="rows of the matrix (default: %(default)s)"
    )
    this.add_argument(
        "--cols", type=options.positive, default=4096, metavar="N", help="columns of the matrix (default: %(default)s)"
    )
    this.add_argument(
        "--out", type=Path, default=Path("."), metavar="DIR", help="folder for the files (default: the current one)"
    )
    this.add_argument("--csv", action="store_true", help="print the CSV on stdout instead of the report")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    from lognet_fpga.cost import CostConfig, run_study
    from lognet_fpga.cost.cost_report import cost_csv, cost_report
    from lognet_fpga.cost.plot import cost_svg

    if arguments.csv and arguments.json:
        raise UsageError(
            "--csv and --json both say what goes to stdout", hint="choose one; both files are written anyway"
        )
    config = CostConfig(arguments.bits, arguments.rows, arguments.cols)
    make_folder(arguments.out)
    study = run_study(config, reporter)
    with reporter.stage("sum in the log domain"):
        report = cost_report(study)
    files = {"cost.csv": cost_csv(study), "cost.json": json.dumps(report.data, indent=1) + "\n"}
    try:
        files["cost.svg"] = cost_svg(study)
    except MissingToolError as error:
        reporter.warning(f"no plot: {error}")
    for name, text in files.items():
        write_text(arguments.out / name, text)
    if arguments.csv:
        reporter.text(files["cost.csv"])
    else:
        reporter.result(report)
        reporter.after(f"written: {', '.join(str(arguments.out / name) for name in files)}")


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
