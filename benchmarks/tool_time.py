"""Processor time of the tool's parts, section by section.

`python benchmarks/tool_time.py --help` says how to run it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import command_time, device_time, plan_time, scale_time  # noqa: E402
from benchmarks.tables import show  # noqa: E402
from lognet_fpga.cli import runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.progress import Progress  # noqa: E402
from lognet_fpga.report import Report, Section  # noqa: E402

EXAMPLES = """\
  python benchmarks/tool_time.py
  python benchmarks/tool_time.py --only simulated-device
  python benchmarks/tool_time.py --only simulated-device --json
  python benchmarks/tool_time.py --only commands --only plan --before c9628af
"""
SECTIONS: dict[str, Callable[[Progress, str | None], tuple[Section, object]]] = {
    "commands": command_time.section,
    "plan": plan_time.section,
    "scale": lambda progress, before: scale_time.section(progress),
    "simulated-device": lambda progress, before: device_time.section(progress),
}
"""Each makes its section of the report, and the same figures for JSON; before: a commit to compare with."""


def parser() -> runner.Parser:
    this = runner.Parser(
        "tool_time.py",
        "Processor time of the tool's parts on this machine, each compared with something within\n"
        "the same run, for other work on the machine makes all of it slower. Prints Markdown.",
        f"examples:\n{EXAMPLES}",
    )
    this.add_argument("--only", choices=[*SECTIONS], action="append", help="this section only; may be given again")
    this.add_argument("--before", metavar="COMMIT", help="run the commands of that version too, each beside its own")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    sections, data = [], {}
    for name, make in SECTIONS.items():
        if arguments.only is None or name in arguments.only:
            with reporter.stage(name):
                section, data[name] = make(reporter, arguments.before)
            sections.append(section)
    show(Report("Processor time", tuple(sections), data), arguments, reporter)


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
