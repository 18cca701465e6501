from __future__ import annotations

import pytest


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory, require_tool):
    """One cache for these tests, so that a design is compiled once and nothing is taken from an earlier day."""
    for name in ("verilator", "g++", "cocotb", "cocotbext"):
        require_tool(name)
    from find_libpython import find_libpython

    require_tool("libpython as a shared library, into which cocotb's simulators load Python,", bool(find_libpython()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
