"""docs/commands.md says what the commands do: their options, their exit codes, their JSON."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from lognet_fpga import errors
from lognet_fpga.cli import (
    bitstream,
    cost,
    deploy,
    doctor,
    dut,
    explain,
    inspect,
    mlperf,
    runner,
    selftest,
    serve,
    stream,
    submit,
)

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """The text from a heading to the next one."""
    return re.split(r"^#+ .*\n", TEXT.split(f" {heading}\n", 1)[1], flags=re.MULTILINE)[0]


def first_column(heading: str) -> list[str]:
    """All names in backticks in the first column of the section's table."""
    rows = re.findall(r"^\| (.*?) \|", section(heading), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]*)`", row)]


def error_classes(base: type = errors.LogNetError) -> list[type]:
    return [
        kind
        for sub in base.__subclasses__()
        if sub.__module__ == errors.__name__
        for kind in (sub, *error_classes(sub))
    ]


@pytest.mark.parametrize(
    "command", [bitstream, cost, deploy, doctor, dut, explain, inspect, mlperf, selftest, serve, stream, submit]
)
def test_options_are_the_parser_s(command):
    expected = []
    for action in command.parser()._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        name = action.option_strings[0] if action.option_strings else action.metavar
        choices = action.metavar or "{" + ",".join(map(str, action.choices or ())) + "}"
        expected.append(name if action.nargs == 0 or not action.option_strings else f"{name} {choices}")
    assert sorted(first_column(command.PROGRAM)) == sorted(expected)


def test_exit_codes_are_those_of_the_errors():
    expected = {
        errors.EXIT_OK,
        errors.EXIT_INTERNAL,
        errors.EXIT_USAGE,
        errors.EXIT_INTERRUPTED,
        *(kind.exit_code for kind in error_classes()),
    }
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)]
    assert documented == sorted(expected)
    assert {int(code) for code in re.findall(r"(?:^| )(\d+)  \w", runner.EXIT_CODES, re.MULTILINE)} == expected
    assert len({kind.exit_code for kind in error_classes()}) == len(error_classes())
