from __future__ import annotations

import pytest


@pytest.fixture(scope="package", autouse=True)
def tools(require_tool):
    require_tool("verilator")
    require_tool("g++")
