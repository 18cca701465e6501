"""The driver on the simulated board, with the real pynq.  `tests/test_pynq_environments.py` runs these tests in
environments with pynq 3.1 and with pynq 4.0; where pynq is missing they are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from lognet_fpga.bundle import Bundle, make_bundle
from tests import small_bundle

pynq = pytest.importorskip("pynq", exc_type=ImportError)

ZYNQ, ULTRASCALE = "xc7z020clg400-1", "xczu3eg-sbva484-1"
PARTS = (ULTRASCALE,) if pynq.__version__.startswith("4") else (ZYNQ, ULTRASCALE)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle(small_bundle.files(), small_bundle.manifest())


@pytest.fixture(scope="session")
def slow_bundle(bundle) -> Bundle:
    """As bundle, with a plan of 2 ms a frame."""
    plan = {**small_bundle.MANIFEST["plan"], "cycles_per_frame": 200_000, "latency_cycles": 300_000}
    return make_bundle(bundle.files, small_bundle.manifest(plan=plan))


@pytest.fixture(params=PARTS)
def make_board(request, bundle) -> Iterator[Callable]:
    """make_board(**options): a SimulatedBoard, which is pynq's device until the test ends."""
    from lognet_fpga.runtime.simboard.board import SimulatedBoard

    with ExitStack() as stack:
        yield lambda bundle=bundle, **options: stack.enter_context(
            SimulatedBoard(bundle, **{"part": request.param, **options})
        )


@pytest.fixture
def make_overlay(make_board, bundle) -> Callable:
    """make_overlay(timeout_s=..., bundle=..., **board options): (board, overlay)."""
    from lognet_fpga.runtime.board.overlay import LogNetOverlay

    def make(timeout_s: float | None = None, bundle=bundle, **options):
        board = make_board(bundle=bundle, **options)
        return board, LogNetOverlay(bundle, bitstream=board.bitstream, timeout_s=timeout_s)

    return make
