"""lognet-doctor: what is installed here, for what, and how to get the rest."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lognet_fpga.cli import runner
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError, did_you_mean

PROGRAM = "lognet-doctor"
USES = (
    *("deploy", "verify", "synth", "stream", "serve", "grpc", "metrics"),
    *("retrain", "dask", "plot", "video", "board", "vivado", "open"),
)
EXAMPLES = f"""\
examples:
  lognet-doctor
  lognet-doctor deploy verify synth

Uses: {", ".join(USES)}.

The exit code is 0 if all uses that you name are ready (or if you name none), else 9.  Nothing is changed.
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Tell what is installed here, which commands and options that is enough for, and how to get\nthe rest.",
        EXAMPLES,
    )
    this.add_argument("use", nargs="*", metavar="USE", help="what must be ready for exit code 0")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int:
    from lognet_fpga.flow.surroundings import require, surroundings, uses

    for name in arguments.use:
        if name not in USES:
            raise UsageError(f"there is no use {name!r}", hint=did_you_mean(name, USES, f"take {', '.join(USES)}"))
    with reporter.stage("look at what is installed"):
        known = uses()
    return reporter.verdict(surroundings(known), require(known, arguments.use))


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
