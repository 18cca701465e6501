"""A rate that some plan reaches has a plan: asking for less than the fastest never makes one vanish."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.engines.stores import AUTO, sketch_layers, stores_of
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.plan.budget import fits
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import draft_hardware, fitting_plan, settle_stores
from lognet_fpga.plan.survey import survey
from tests.quant_models import random_net, solved, target

SHARES = (1, 0.97, 0.9, 0.7, 0.5, 0.3, 0.1, 0.01, 1e-5)
PARTS = ("lut", "ff", "bram36", "m_lut")


def boards(rng: np.random.Generator, quant, weights: str, count: int) -> list[Board]:
    """Boards on which some plans fit and others do not: of each part between what the slowest and the fastest take,
    and now and then none of block RAM."""
    board = load_board("pynq-z2")
    roomy = dataclasses.replace(board, lut=10**7, ff=10**7, bram36=10**5, m_lut=10**7)
    engines = sketch_layers(quant.layers, stores_of(weights))
    ends = [draft_hardware(engines, target(roomy, weights=weights, fps=fps)).total for fps in (None, 1e-3)]
    out = []
    for _ in range(count):
        low, high = np.sort([[getattr(end, part) for part in PARTS] for end in ends], axis=0) * 1.25
        room = dict(zip(PARTS, low + (high - low) * rng.random(4) + 1))
        if rng.random() < 0.3:
            room["bram36"] = 0
        out.append(dataclasses.replace(board, **room))
    return out


@pytest.mark.parametrize("store", ["clb", "bram", "auto"])
@pytest.mark.parametrize("seed", range(8))
def test_every_rate_below_the_fastest_has_a_sketch_that_fits(seed: int, store: str) -> None:
    rng = np.random.default_rng(seed)
    quant, _ = random_net(rng, seed)
    engines = sketch_layers(quant.layers, stores_of(store))
    for board in boards(rng, quant, store, 3):
        best = draft_hardware(engines, target(board, weights=store))
        if not fits(best):
            continue
        for share in SHARES:
            fps = best.fps * share
            draft = draft_hardware(engines, target(board, weights=store, fps=fps))
            assert draft is not None and fits(draft) and draft.fps >= fps * (1 - 1e-9), f"seed {seed}, {share}"


@pytest.mark.parametrize("store", ["clb", "bram"])
@pytest.mark.parametrize("seed", [1, 3, 5])
def test_every_rate_below_the_fastest_has_a_plan_that_fits(seed: int, store: str) -> None:
    """With adder graphs, FIFOs and the cycle model."""
    rng = np.random.default_rng(seed)
    quant, _ = random_net(rng, seed)
    engines = solved(quant, [store == "bram"] * len(quant.layers))
    for board in boards(rng, quant, store, 2):
        try:
            best = plan_engines(engines, target(board, weights=store))
        except DoesNotFitError:
            continue
        for share in SHARES:
            plan = plan_engines(engines, target(board, weights=store, fps=best.fps * share))
            assert fits(plan) and plan.fps >= best.fps * share * (1 - 1e-9), f"seed {seed}, {share}"


@pytest.mark.parametrize("seed", range(4))
def test_a_number_of_layers_that_fits_stays_one(seed: int) -> None:
    """What lognet-inspect tells: for a rate below the best of a number of layers, that number still fits."""
    rng = np.random.default_rng(seed)
    quant, _ = random_net(rng, seed)
    macs = dict.fromkeys(range(1, len(quant.layers) + 1), 1000)
    (board,) = boards(rng, quant, AUTO, 1)
    fastest = survey(quant, macs, target(board, weights=AUTO))
    for share in (0.9, 0.4, 0.1):
        for before in (candidate for candidate in fastest if candidate.fits):
            again = survey(quant, macs, target(board, weights=AUTO, fps=before.plan.fps * share))
            assert again[before.layers - 1].fits, f"seed {seed}, {share}"


@pytest.mark.parametrize("seed", range(4))
def test_the_stores_are_settled_for_a_rate_that_can_be_had(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quant, _ = random_net(rng, seed)
    board = load_board("pynq-z2")

    def plan(fps: float | None):
        stores = settle_stores(quant, target(board, weights=AUTO, fps=fps))
        engines = [sketch_layers([layer], [store])[0][0] for layer, store in zip(quant.layers, stores)]
        return fitting_plan(engines, target(board, weights=AUTO, fps=fps))

    best = plan(None)
    for share in SHARES:
        found = plan(best.fps * share)
        assert found is not None and found.fps >= best.fps * share * (1 - 1e-9), f"seed {seed}, {share}"


@pytest.mark.parametrize("fps", [5e-324, 1e-310, 1e-12])
@pytest.mark.parametrize("clk_mhz", [1.0, 1000.0])
def test_a_frame_in_ages_is_a_rate_as_any_other(fps: float, clk_mhz: float) -> None:
    """Cycles without end are none that a number holds; the smallest engines are what serves them."""
    (quant, _), board = random_net(np.random.default_rng(0), 0), load_board("zcu104")
    plans = [
        draft_hardware(sketch_layers(quant.layers, ("bram",)), target(board, weights="bram", fps=rate, clk_mhz=clk_mhz))
        for rate in (fps, 1e-6)
    ]
    assert plans[0] is not None and plans[0].cycles_per_frame == plans[1].cycles_per_frame
