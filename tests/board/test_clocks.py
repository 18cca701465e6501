"""The overlay's clock by real pynq.Clocks on the simulated board: never refused, never too fast, as fast as can be."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pynq
import pytest

from lognet_fpga.bundle import make_bundle
from lognet_fpga.errors import BoardError
from lognet_fpga.fabric.boards import board_files
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.runtime.board.clock import set_clock
from lognet_fpga.runtime.board.device import BoardDevice
from lognet_fpga.runtime.board.overlay import LogNetOverlay
from lognet_fpga.runtime.simboard.board import SimulatedBoard
from tests import small_bundle
from tests.board.conftest import PARTS, ZYNQ

PLLS = (1000.0, 1500.0, 999.99, 1499.985)
ASKED = range(50, 301, 5)
MHZ = 10**6
PRODUCTS = sorted({a * b for a in range(1, 64) for b in range(1, 64)})


def boards() -> dict[str, dict]:
    """Name to board.json, of those that this pynq runs on; and one that knows nothing of PLLs."""
    found = {
        entry.name: json.loads(entry.joinpath("board.json").read_text())
        for entry in board_files().iterdir()
        if entry.joinpath("vivado.json").is_file()
    }
    return {name: {"name": name, **board} for name, board in found.items() if ZYNQ in PARTS or board["pll_mhz"] != 1000}


@lru_cache
def reachable(pll: float) -> list[int]:
    """Every clock that the divisors make of pll, in whole hertz as pynq rounds them, fastest first."""
    return [round(Fraction(str(pll)) * MHZ / p) for p in PRODUCTS]


def slower_or_equal(pll: float, most: float) -> int:
    """The fastest of them that is at or below most, in hertz."""
    return next(clock for clock in reachable(pll) if clock <= most * MHZ * (1 + 1e-12))


@contextmanager
def powered(board: dict, clk_mhz: float, pll_mhz: float):
    """The board, booted with that PLL exactly, and a bundle for clk_mhz on it."""
    bundle = make_bundle(small_bundle.files(), small_bundle.manifest(board=board, clk_mhz=clk_mhz))
    with SimulatedBoard(bundle, pll_mhz=pll_mhz) as simulated:
        _crystal(simulated, pll_mhz)
        yield simulated, bundle


def _crystal(simulated: SimulatedBoard, pll_mhz: float) -> None:
    """pynq has 50 and 33.333 MHz for the boards' crystals; one with which this PLL is just pll_mhz."""
    clocks = pynq.Clocks._instance
    register = clocks.PL_CLK_CTRLS[0]
    clocks._ref_clk_mhz *= pll_mhz / clocks._get_src_clk_mhz(register.SRCSEL)


@pytest.mark.parametrize("pll", PLLS)
@pytest.mark.parametrize("name", boards())
def test_every_clock_on_every_board(name, pll):
    """What was planned for the board's usual PLL, on a board with this one."""
    board = boards()[name]
    with powered(board, 100.0, pll):
        for asked in ASKED:
            planned = slower_or_equal(board["pll_mhz"], asked) / MHZ
            best = slower_or_equal(pll, planned)
            clock = set_clock(planned)
            assert clock.mhz == pytest.approx(pynq.Clocks.fclk0_mhz, abs=1e-9)
            assert clock.mhz <= planned <= asked
            assert round(clock.mhz * MHZ) == best, (asked, planned, clock.mhz, best)
            assert bool(clock.note) == (abs(clock.mhz - planned) * MHZ > 0.5)
            assert clock.pll_mhz == pytest.approx(pll, rel=1e-6)
            if pll == board["pll_mhz"]:
                assert clock.mhz == planned


def test_random_clocks_of_random_plls():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for name, board in boards().items():
        for _ in range(2):
            pll = round(rng.uniform(800, 1600), rng.choice((0, 3, 6)))
            with powered(board, 100.0, pll):
                exact = pynq.Clocks._instance._get_src_clk_mhz(0)
                for _ in range(10):
                    most = round(rng.uniform(0.4, 400), rng.choice((0, 1, 6))) or 1.0
                    clock = set_clock(most)
                    best = slower_or_equal(exact, most)
                    assert clock.mhz <= most, (seed, name, pll, most)
                    assert abs(round(clock.mhz * MHZ) - best) <= 1, (seed, name, pll, most, clock.mhz, best)


@pytest.mark.parametrize("pll", PLLS)
@pytest.mark.parametrize("name", boards())
def test_a_bundle_runs_at_the_clock_that_its_board_was_planned_with(name, pll):
    """The whole driver, PYNQ's own setting of the .hwh's clocks before it included."""
    board = boards()[name]
    planned = slower_or_equal(board["pll_mhz"], board["clk_mhz"]) / MHZ
    with powered(board, planned, pll) as (simulated, bundle):
        overlay = LogNetOverlay(bundle, bitstream=simulated.bitstream)
        best = slower_or_equal(pll, planned)
        assert overlay.clk_mhz <= planned and round(overlay.clk_mhz * MHZ) == best
        frames = small_bundle.frames(3)
        wanted = small_bundle.quant_graph().run(frames).transpose(0, 2, 3, 1)
        assert np.array_equal(overlay.run(frames).activations, wanted)


def test_no_clock_on_the_way_is_faster_than_before_or_after(make_board):
    """Every write to the divisors counts, as a clock that runs."""
    seen = []
    board = make_board()
    write = board.write
    board.write = lambda address, value: (write(address, value), seen.append(board.clk_mhz()))
    for most in (10.0, 250.0, 33.0, 140.0, 75.0, 300.0, 0.5):
        before = board.clk_mhz()
        seen.clear()
        after = set_clock(most).mhz
        assert after <= most and seen and max(seen) <= max(before, after, board.clk_mhz()) + 1e-9
    board.write = write


def test_another_pll_than_planned_is_said_and_figures_use_the_true_clock(make_board, bundle):
    board = make_board(pll_mhz=1200.0)  # 100 is not among its clocks on an UltraScale+, whose crystal is 33.333
    device = BoardDevice(bundle, bitstream=board.bitstream)
    plain = device.description
    device.open()
    clock = device.overlay.clock
    run = device.run(small_bundle.frames(2))
    assert run.clk_mhz == clock.mhz == pynq.Clocks.fclk0_mhz <= 100
    assert bool(clock.note) == (clock.mhz < 100) and device.description.startswith(plain)
    if clock.note:
        assert clock.note in device.description and "none between that and the 100 MHz allowed" in clock.note
        assert f"{clock.mhz:g}" in str(device.figure(1, "fps"))


def test_a_clock_slower_than_all_is_refused(make_board, bundle):
    board = make_board()
    slow = make_bundle(bundle.files, small_bundle.manifest(clk_mhz=0.1))
    with pytest.raises(BoardError, match="no clock of 0.1 MHz or less(.|\n)*its slowest clock is 0[.]") as caught:
        LogNetOverlay(slow, bitstream=board.bitstream)
    assert "--clk-mhz" in str(caught.value)


def test_an_overlay_runs_slower_on_request_and_never_faster(make_board, bundle):
    board = make_board()
    slow = LogNetOverlay(bundle, bitstream=board.bitstream, clk_mhz=50)
    assert 48 < slow.clk_mhz <= 50 and slow.clk_mhz == pynq.Clocks.fclk0_mhz
    assert 99 < LogNetOverlay(bundle, bitstream=board.bitstream, clk_mhz=300).clk_mhz <= 100


def test_registers_that_pynq_does_not_know_end_in_one_line(make_board, bundle, monkeypatch):
    board = make_board()

    def broken(*arguments: object) -> None:
        raise ValueError("Invalid PLL Source")

    overlay = LogNetOverlay(bundle, bitstream=board.bitstream)
    monkeypatch.setattr(type(pynq.Clocks._instance), "get_pll_mhz", broken)
    with pytest.raises(BoardError, match="cannot set the overlay's clock: ValueError: Invalid PLL Source"):
        set_clock(overlay.clk_mhz)


def test_the_hwh_of_an_earlier_version_of_this_program_runs_too(make_board, bundle):
    """Divisors that are too fast for the bundle, as PYNQ sets them from the .hwh."""
    board = make_board()
    fast = replace(board.system, clk_mhz=2.5 * small_bundle.CLK_MHZ)
    board.bitstream.with_suffix(".hwh").write_bytes(write_hwh(fast))
    overlay = LogNetOverlay(bundle, bitstream=board.bitstream)
    assert 99 < overlay.clk_mhz <= 100
