from __future__ import annotations

import pytest

from lognet_fpga.cost import points


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is taken from an earlier day's cache, and the simulations are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "_TRIALS", 4)
        patch.setattr(points, "_CYCLES", 100)
        patch.setenv("LOGNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
