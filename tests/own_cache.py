from __future__ import annotations

import pytest


@pytest.fixture(scope="package", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is taken from an earlier day's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
