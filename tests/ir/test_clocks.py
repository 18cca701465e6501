"""Clocks that boards make, judged by trying all pairs of divisors with exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from xml.etree import ElementTree

import pytest

from lognet_fpga.errors import UsageError
from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.ir.clocks import PlClock, fastest_clock, hertz, megahertz, mhz_text
from lognet_fpga.ir.hwh import write_hwh
from lognet_fpga.ir.system import BoardSystem, processor_of

PLLS = ("1000", "1500", "999.99", "1499.985", "1600", "1066.656")
ASKED = range(50, 301, 5)
MHZ = 10**6


@lru_cache
def reachable(pll: str) -> list[int]:
    """Every clock that the divisors make, in whole hertz."""
    return sorted(round(Fraction(pll) * MHZ / p) for p in {a * b for a in range(1, 64) for b in range(1, 64)})


@pytest.mark.parametrize("pll", PLLS)
@pytest.mark.parametrize("board", board_names())
def test_every_clock_asked_for_is_given_and_none_is_faster(board, pll):
    board = load_board(board)
    if board.pll_mhz is None:  # no processor: any clock
        assert all(board.clock_mhz(asked) == asked for asked in ASKED)
        return
    board, clocks = replace(board, pll_mhz=float(pll)), reachable(pll)
    for asked in ASKED:
        best = max(clock for clock in clocks if clock <= asked * MHZ)
        made = board.clock_mhz(asked)
        assert made <= asked and hertz(made) == best, (asked, made, best)
        assert board.clock_mhz(made) == made  # asking for it gives it again


def test_clocks_near_a_boundary():
    """One hertz decides: at every clock that can be made, at a hertz more and at a hertz less."""
    for pll in PLLS:
        clocks, pll_hz = reachable(pll), hertz(float(pll))
        for slower, clock in list(zip(clocks, clocks[1:]))[::11]:
            for asked, best in ((clock, clock), (clock + 1, clock), (clock - 1, slower)):
                found = fastest_clock(pll_hz, asked)
                assert found.hz == best == round(Fraction(pll_hz, found.first * found.second)), (pll, asked)
                assert found.first in range(1, 64) and found.second in range(1, 64)


def test_hertz_are_those_that_are_written():
    for mhz in (0.1, 1 / 3, 99.999, 142.857143, 187.498125, 199.998, 249.9975, 1000.0):
        assert hertz(megahertz(hertz(mhz))) == hertz(mhz) <= Fraction(str(mhz)) * MHZ < hertz(mhz) + 1
    assert [mhz_text(mhz) for mhz in (100, 187.498125, 142.857143, 62.5)] == ["100", "187.498125", "142.857143", "62.5"]


def test_slower_than_all_is_refused_and_the_slowest_is_named():
    board = load_board("pynq-z2")
    with pytest.raises(UsageError, match="makes no clock of 0.25 MHz or less(.|\n)*0.251953 MHz"):
        board.clock_mhz(0.25)
    with pytest.raises(UsageError):
        board.clock_mhz(1e-9)
    assert board.clock_mhz(0.251953) == 0.251953


def test_the_boards_own_clocks():
    """As their processors make them after PYNQ's boot."""
    clocks = {name: load_board(name).clk_mhz for name in board_names()}
    assert clocks == {
        "aup-zu3": 187.498125,
        "kr260": 199.998,
        "kv260": 199.998,
        "pynq-z1": 100,
        "pynq-z2": 100,
        "rfsoc4x2": 249.9975,
        "ultra96-v2": 149.9985,
        "vc707": 100,
        "zcu104": 187.498125,
    }


@pytest.mark.parametrize("part, pll", [("xc7z020", 1000), ("xczu7ev", 1499.985), ("xck26", 999.99)])
def test_the_hwh_has_the_clock_that_was_planned(part, pll):
    for asked in (50, 75, 142.857143, 150, 199.998, 300):
        system = BoardSystem(processor_of(part), asked, 32, 16, pll_mhz=pll)
        root = ElementTree.fromstring(write_hwh(system))
        values = {parameter.get("NAME"): parameter.get("VALUE") for parameter in root.iter("PARAMETER")}
        clock = "PCW_FCLK0_PERIPHERAL_" if part.startswith("xc7") else "PSU__CRL_APB__PL0_REF_CTRL__"
        first, second = int(values[f"{clock}DIVISOR0"]), int(values[f"{clock}DIVISOR1"])
        act = "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ" if part.startswith("xc7") else f"{clock}ACT_FREQMHZ"
        made = float(values[act])
        assert made == system.clock.mhz <= asked
        assert PlClock(hertz(pll), first, second).mhz == made


def test_the_hwh_says_what_is_in_the_fabric():
    """By which pynq 3.0 finds the processor."""
    root = ElementTree.fromstring(write_hwh(BoardSystem(processor_of("xck26"), 100, 32, 16)))
    assert {m.get("INSTANCE"): m.get("IS_PL") for m in root.iter("MODULE")} == {
        "ps": "FALSE",
        "axi_dma_0": "TRUE",
        "lognet_overlay_0": "TRUE",
    }
