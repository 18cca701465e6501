"""Every way out of a plan that does not fit is taken, and then the plan fits."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from lognet_fpga.engines.stores import STORES, sketch_layers
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.budget import HEADROOM, budget, fits, load
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import draft_hardware, settle_stores
from lognet_fpga.plan.ways_out import rate_below
from lognet_fpga.progress import NoProgress
from tests.quant_models import Spec, random_graph, solved, target

MODELS = {
    1: ((3, 12, 12), Spec(32, zeros=0.0), Spec(32, zeros=0.7)),
    2: ((8, 10, 10), Spec(24, zeros=0.3), Spec(16, (1, 1), pads=(0, 0, 0, 0), zeros=0.2)),
    3: ((3, 12, 12), Spec(16, zeros=0.2), Spec(16, zeros=0.2, pool=None), Spec(24, zeros=0.4)),
}
WAYS = r"--(fps|weights|prune|fpga-layers|board) ([^;(]+)"


@pytest.fixture(scope="module", params=[1, 2, pytest.param(3, marks=pytest.mark.slow)])
def model(request, require_tool):
    require_tool("da4ml")
    shape, *specs = MODELS[request.param]
    quant = random_graph(request.param, shape, *specs)
    return quant, solved(quant)


def with_zeros(quant: QuantGraph, share: float) -> QuantGraph:
    """The smallest weights of each layer made zero, as many as it takes to have that share of them."""
    rng, layers = np.random.default_rng(1), []
    for layer in quant.layers:
        codes = layer.codes.copy().reshape(-1)
        order = np.argsort(np.abs(codes) + rng.uniform(0, 0.5, codes.size))
        codes[order[: int(np.ceil(share * codes.size))]] = 0
        layers.append(dataclasses.replace(layer, codes=codes.reshape(layer.codes.shape)))
    return dataclasses.replace(quant, layers=tuple(layers))


def refused(quant, engines, board, **rate) -> list[tuple[str, str]]:
    """The ways out of the refusal, in their order: (option, value)."""
    with pytest.raises(DoesNotFitError, match="does not fit PYNQ-Z2") as caught:
        plan_engines(engines, target(board, **rate))
    assert f"of {board.lut:,} LUT" in str(caught.value)
    for layer, line in zip(quant.layers, caught.value.context):
        assert line.startswith(f"{layer.name}: ") and "memory and shift registers" in line
    found = [(option, value.strip()) for option, value in re.findall(WAYS, caught.value.hint)]
    assert len(found) <= 3 and len({option for option, _ in found}) == len(found)
    return found


def take(way: str, value: str, quant: QuantGraph, engines, board: Board, **rate) -> None:
    """Raises DoesNotFitError if it does not help."""
    if way == "fps":
        plan = plan_engines(engines, target(board, fps=float(value)))
        assert plan.fps >= float(value)
    elif way == "weights":
        stores = settle_stores(quant, target(board, weights=value, **rate))
        engines = [
            engine if engine.store == store else STORES[store].solve([engine.layer], NoProgress())[0]
            for engine, store in zip(engines, stores)
        ]
        plan_engines(engines, target(board, weights=value, **rate))
    elif way == "prune":
        pruned = with_zeros(quant, float(value))
        plan_engines(solved(pruned), target(board, **rate))
    elif way == "fpga-layers":
        count = int(value)
        plan_engines(engines[:count], target(board, **rate))
    else:
        for name in value.split(" or "):
            plan_engines(engines, target(load_board(name), **rate))


@pytest.mark.parametrize("share", [0.9, 0.5])
@pytest.mark.parametrize("what", ["lut", "ff"])
def test_each_way_out_of_the_smallest_plan_fits(model, what, share):
    quant, engines = model
    roomy = dataclasses.replace(load_board("pynq-z2"), lut=10**6, ff=10**6)
    least = plan_engines(engines, target(roomy, fps=1))
    need = getattr(least.total, what) / getattr(HEADROOM, what)
    board = dataclasses.replace(load_board("pynq-z2"), **{what: int(share * need)})
    ways = refused(quant, engines, board)
    assert "prune" in dict(ways) or share < 0.9
    for way, value in ways:
        take(way, value, quant, engines, board)


@pytest.mark.parametrize("share", [0.95, 0.6])
def test_each_way_out_of_too_high_a_rate_fits(model, share):
    quant, engines = model
    roomy = dataclasses.replace(load_board("pynq-z2"), lut=10**6, ff=10**6)
    fast, slow = plan_engines(engines, target(roomy)), plan_engines(engines, target(roomy, fps=1))
    room = slow.total.lut + share * (fast.total.lut - slow.total.lut)
    board = dataclasses.replace(load_board("pynq-z2"), lut=int(room / HEADROOM.lut))
    ways = refused(quant, engines, board, fps=fast.fps)
    assert ways[0][0] == "fps"  # costs nothing but time, and always there: the smallest plan fits
    for way, value in ways:
        take(way, value, quant, engines, board, fps=fast.fps)
    best = plan_engines(engines, target(board))
    assert 0.99 * best.fps <= float(ways[0][1]) <= best.fps


def test_no_way_is_offered_twice_or_where_there_is_none():
    quant = random_graph(1, (3, 12, 12), Spec(8))
    engines = solved(quant)
    board = dataclasses.replace(load_board("pynq-z2"), bram36=0, lut=200)
    assert [way for way, _ in refused(quant, engines, board)] == ["board"]
    assert [way for way, _ in refused(quant, engines, board, weights="auto")] == ["board"]


@pytest.mark.parametrize("fps", [952.38, 0.012345, 1000.0, 99.99, 183_655.2])
def test_rates_are_rounded_down(fps):
    assert 0.99 * fps <= float(rate_below(fps)) <= fps


@pytest.mark.parametrize("resource", ["lut", "ff", "bram36", "m_lut"])
def test_each_resource_has_its_budget(resource):
    quant = random_graph(1, (3, 30, 70), Spec(16), Spec(16))
    board = load_board("pynq-z2")
    plan = draft_hardware(sketch_layers(quant.layers, ("clb",)), target(board, fps=1000))
    used = getattr(plan.total, resource)
    assert used > 0 and getattr(budget(board), resource) < getattr(board, resource)
    enough, short = used / getattr(HEADROOM, resource) * 1.001, used / getattr(HEADROOM, resource) * 0.999
    assert fits(dataclasses.replace(plan, target=target(dataclasses.replace(board, **{resource: enough}))))
    tight = dataclasses.replace(plan, target=target(dataclasses.replace(board, **{resource: short})))
    assert not fits(tight) and load(tight) == pytest.approx(1 / 0.999)


def test_lone_flip_flops_take_positions():
    """Each needs a bypass, and a site of two registered functions has none: beyond the LUT sites they take more."""
    quant = random_graph(1, (3, 12, 12), Spec(8))
    plan = draft_hardware(sketch_layers(quant.layers, ("clb",)), target(load_board("pynq-z2")))
    left = HEADROOM.lut * plan.target.board.lut - plan.total.lone - plan.total.dual
    for more, good in ((left - 1, True), (left + 1, False)):
        shell = dataclasses.replace(plan.shell, lone=plan.shell.lone + more)
        assert fits(dataclasses.replace(plan, shell=shell)) is good
