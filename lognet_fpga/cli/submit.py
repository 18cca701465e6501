"""lognet-submit: the folders of an MLPerf Tiny submission, of what its runner measured."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from lognet_fpga.cli import runner
from lognet_fpga.cli.mlperf import TASK_NAMES
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.errors import UsageError

PROGRAM = "lognet-submit"
EXAMPLES = """\
examples:
  lognet-submit ic01.lognet --task ic --organization me --system pynq-z2 \\
      --performance sessions/20261201_100000 --accuracy sessions/20261201_101500 --out submission
  lognet-submit ic01.lognet --task ic --organization me --system pynq-z2 --description board.json \\
      --performance sessions/20261201_100000 --division open --out submission
"""


def parser() -> runner.Parser:
    this = runner.Parser(
        PROGRAM,
        "Write systems/, code/ and results/ of an MLPerf Tiny submission: copies of what the\n"
        "benchmark's runner wrote about this bundle on a board, and nothing that was not\n"
        "measured.  What is not known about the system is left empty, for you to fill in.",
        EXAMPLES,
    )
    this.add_argument("bundle", type=Path, metavar="BUNDLE", help="NAME.lognet or NAME.lognet.zip")
    this.add_argument("--task", choices=TASK_NAMES, required=True, metavar="TASK", help=", ".join(TASK_NAMES))
    this.add_argument("--organization", required=True, metavar="NAME", help="who submits: the name of the folder")
    this.add_argument("--system", required=True, metavar="ID", help="the system: the name of its files")
    for mode in ("performance", "accuracy", "energy"):
        this.add_argument(f"--{mode}", type=Path, metavar="DIR", help=f"folder of the runner's session in {mode} mode")
    this.add_argument(
        "--division",
        choices=("closed", "open"),
        default="closed",
        help="division of the benchmark (default: %(default)s)",
    )
    this.add_argument(
        "--description", type=Path, metavar="FILE", help="a JSON object of fields to add to the system's description"
    )
    this.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder that gets the submission (default: the current one)",
    )
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    # Imported here, so that --help and wrong options answer at once.
    from lognet_fpga.bundle import read_bundle
    from lognet_fpga.mlperf_tiny.submission import MODES, Submission
    from lognet_fpga.mlperf_tiny.tasks import TASKS
    from lognet_fpga.report import Report, Section

    description = None if arguments.description is None else _description(arguments.description)
    sessions = {mode: getattr(arguments, mode) for mode in MODES if getattr(arguments, mode) is not None}
    with reporter.stage("read bundle"):
        bundle = read_bundle(arguments.bundle)
    submission = Submission(
        bundle,
        arguments.bundle,
        TASKS[arguments.task],
        arguments.organization,
        arguments.system,
        sessions,
        arguments.division,
        description,
    )
    place = submission.write(arguments.out)
    files = sorted(str(path.relative_to(place)) for path in (place / "results").rglob("*") if path.is_file())
    lines = (f"written to {place}", *(f"results: {name}" for name in files))
    reporter.result(
        Report(f"Submission of {bundle.name}", (Section("", lines),), {"folder": str(place), "results": files})
    )


def _description(place: Path) -> dict[str, str]:
    try:
        fields = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{place} cannot be read as JSON: {' '.join(str(error).split())[:100]}") from error
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise UsageError(f"{place} is no JSON object of texts", hint='write {"Board Name": "...", ...}')
    return fields


def main(arguments: Sequence[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
