"""lognet-bitstream: the bitstream of a bundle, or one made elsewhere put into it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import runner
from lognet_fpga.cli.bitstream_options import add_bitstream_options, request_of
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.report import Report

PROGRAM = "lognet-bitstream"
EXAMPLES = """\
examples:
  lognet-bitstream model.lognet
  lognet-bitstream model.lognet --remote me@server
  lognet-bitstream model.lognet --results model.vivado/out

The bundle is replaced once the one with the bitstream is complete, and not before.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Make the bitstream of a bundle that lognet-deploy wrote, and put it into the bundle; or\n"
        "put in a bitstream that was made elsewhere from the bundle's project.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    this.add_argument(
        "--tool",
        choices=("vivado", "open"),
        default="vivado",
        help="Vivado, or open tools (for the xc7z020 only, and experimental) (default: %(default)s)",
    )
    this.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="take the results of a project that was run elsewhere: its folder out/",
    )
    add_bitstream_options(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bitstream.make import make_bitstream

    request = request_of(arguments, arguments.tool, arguments.results)
    result = make_bitstream(arguments.bundle, request, reporter)
    report = Report(f"Bitstream of {arguments.bundle.name}", (result.section,), {"bitstream": result.data})
    reporter.result(report, {"bundle": str(result.bundle_path)})
    reporter.after(
        f"bundle: {result.bundle_path} (and the same as {result.bundle_path.name}.zip)\n"
        f"next:   on the board, as root, lognet-selftest {shlex.quote(result.bundle_path.name)} --device pynq"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
