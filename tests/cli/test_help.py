"""--help: as wide as the terminal, its options in groups, what all commands have at the end."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.cli.process import ROOT

COMMANDS = re.findall(r'^lognet-(\w+) = "', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("width", [80, 120])
def test_help_is_as_wide_as_the_terminal(name, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = importlib.import_module(f"lognet_fpga.cli.{name}").parser().format_help()
    example = re.compile(r"  \S*(\.\.\. )?lognet-|      --")  # as it must be typed, on however many lines
    wide = [line for line in text.splitlines() if len(line) > width and not example.match(line)]
    assert not wide
    for word in ("examples:\n  ", "\nexit codes:\n  0  done", "\nwhat is printed:\n  --json"):
        assert word in text
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[headings.index("what is printed:") + 1] == "examples:"
