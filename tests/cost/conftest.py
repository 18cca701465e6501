from __future__ import annotations

import pytest

from lognet_fpga.cost import points


@pytest.fixture(scope="package", autouse=True)
def short_simulations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "_TRIALS", 4)
        patch.setattr(points, "_CYCLES", 100)
        yield
