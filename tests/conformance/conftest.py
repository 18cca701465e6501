from __future__ import annotations

import pytest


@pytest.fixture(scope="package", autouse=True)
def tools(require_tool):
    for name in ("verilator", "g++", "cocotb", "cocotbext"):
        require_tool(name)
    from find_libpython import find_libpython

    require_tool("libpython as a shared library, into which cocotb's simulators load Python,", bool(find_libpython()))
