"""lognet-selftest: a bundle's own vectors through a device, compared bit by bit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import runner
from lognet_fpga.cli.devices import add_device_options, device_of, devices_of
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import LogNetError

PROGRAM = "lognet-selftest"
EXAMPLES = """\
examples:
  lognet-selftest model.lognet
  lognet-selftest model.lognet --device rtl
  lognet-selftest model.lognet --device pynq
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Run a device on the frames with which lognet-deploy verified the bundle, and name the\n"
        "first value that differs: tensor, index, got, expected.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    add_device_options(this)
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.runtime.selftest import run_selftest

    devices_of(arguments)
    with reporter.stage("read bundle") as stage:
        bundle = read_bundle(arguments.bundle)
        stage.note(f"{bundle.name} for {bundle.board_title}, SHA-256 {bundle.digest[:12]}")
    with reporter.stage("self-test"):
        result = run_selftest(bundle, device_of(arguments, bundle, reporter))
    failure: LogNetError | None = None
    try:
        result.require()
    except LogNetError as error:
        failure = error
    return reporter.verdict(result.report(bundle), failure)


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
