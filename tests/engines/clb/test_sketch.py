"""Sketched engines and plans against solved ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.engines.clb.adder_graph import solve
from lognet_fpga.engines.clb.arithmetic import SolvedAdders
from lognet_fpga.engines.clb.sketch import SketchedAdders
from lognet_fpga.engines.stores import sketch_layers
from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.numerics.log2 import log2_codes
from lognet_fpga.partition.host_work import HostWork
from lognet_fpga.plan.budget import HEADROOM, fits
from lognet_fpga.plan.host_time import host_time
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import draft_hardware
from lognet_fpga.plan.survey import best, least_prune, survey
from tests.quant_models import Spec, random_graph, random_layer, solved, target

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def model(request):
    zeros = {1: 0.0, 2: 0.5, 3: 0.8}[request.param]
    return random_graph(request.param, (3, 12, 12), Spec(32, zeros=zeros), Spec(32, zeros=max(zeros, 0.7)))


@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.6, 0.8, 0.9])
@pytest.mark.parametrize("outputs, channels", [(64, 3), (16, 8), (24, 24)])
def test_adders_and_parts_are_near_those_of_a_solved_graph(require_tool, outputs, channels, zeros):
    require_tool("da4ml")
    rng = np.random.default_rng([outputs, round(10 * zeros)])
    layer = random_layer(rng, "conv1", (channels, 8, 8), 8, Spec(outputs))
    weights = rng.standard_normal(layer.codes.shape)
    codes = log2_codes(np.where(np.abs(weights) < np.quantile(np.abs(weights), zeros), 0, weights) * 24)
    layer = dataclasses.replace(layer, codes=codes, channel_shift=np.zeros(outputs, np.int64))
    exact = SolvedAdders(solve(layer.weights.reshape(outputs, -1), 8), 8)
    sketched = SketchedAdders.of(layer)
    assert abs(sketched.adders / exact.adders - 1) < 0.2
    for folding in ((1, 1), (1, 3), (1, 6), (1, 12), (1, 22), (2, 3), (2, 11)):
        real, estimate = exact.cost(*folding, 22), sketched.cost(*folding, 22)
        assert abs(estimate.resources.lut / real.resources.lut - 1) < 0.25
        assert abs(estimate.resources.ff / real.resources.ff - 1) < 0.3
        assert abs(estimate.out_start - real.out_start) <= 4


def test_empty_and_lone_weights_have_no_adders():
    layer = random_layer(np.random.default_rng(1), "conv1", (2, 5, 5), 8, Spec(3))
    codes = np.zeros_like(layer.codes)
    for count in range(3):
        codes[:count, 0, 0, 0] = 4
        engine = SketchedAdders.of(dataclasses.replace(layer, codes=codes.copy()))
        assert (engine.nonzero, engine.adders) == (count, 0)
        exact = SolvedAdders(solve(codes.reshape(3, -1).astype(np.int64), 8), 8)
        assert abs(engine.cost(2, 8, 16).resources.lut - exact.cost(2, 8, 16).resources.lut) <= 1


def test_layers_solved_in_groups_share_less(monkeypatch):
    engine = SketchedAdders(20_000, 64, 576, 64, 576)
    whole = engine.adders
    monkeypatch.setattr("lognet_fpga.engines.clb.sketch.GROUP_WEIGHTS", 5_000)
    assert whole < engine.adders < engine.nonzero


def test_a_draft_of_exact_engines_is_the_plan_but_for_fifos(model):
    engines = solved(model)
    board = load_board("pynq-z2")
    plan = plan_engines(engines, target(board))
    draft = draft_hardware([(engine,) for engine in engines], target(board))
    assert draft.cycles_per_frame == plan.cycles_per_frame
    for drafted, planned in zip(draft.layers, plan.layers):
        assert dataclasses.replace(drafted, fifo=planned.fifo) == planned
        assert drafted.estimate.lut <= planned.estimate.lut <= 1.1 * drafted.estimate.lut


@pytest.mark.parametrize("lut", [10**6, 20_000, 8_000])
def test_a_sketched_plan_is_near_the_real_one(require_tool, model, lut):
    require_tool("da4ml")
    board = dataclasses.replace(load_board("pynq-z2"), lut=lut)
    plan = plan_engines(solved(model), target(dataclasses.replace(board, lut=10**6), fps=20_000))
    sketch = draft_hardware(sketch_layers(model.layers, ("clb",)), target(board, fps=20_000))
    assert abs(sketch.total.lut / plan.total.lut - 1) < 0.15
    assert abs(sketch.total.ff / plan.total.ff - 1) < 0.25
    assert abs(sketch.total.bram36 - plan.total.bram36) <= 2
    assert fits(sketch) == (sketch.total.lut <= HEADROOM.lut * lut)


def test_a_rate_that_no_engine_reaches_has_no_draft(model):
    assert draft_hardware(sketch_layers(model.layers, ("clb",)), target(load_board("pynq-z2"), fps=1e7)) is None


def test_the_least_prune_is_the_least(model):
    engines = sketch_layers(model.layers, ("clb",))
    board = dataclasses.replace(load_board("pynq-z2"), lut=3_800)
    share = least_prune(engines, target(board))
    assert 0 < share < 1

    def after(pruned: float) -> bool:
        return fits(draft_hardware([(engine.pruned(pruned),) for (engine,) in engines], target(board)))

    assert after(share) and not after(share - 0.011)
    assert least_prune(engines, target(load_board("pynq-z2"))) == 0
    assert least_prune(engines, target(dataclasses.replace(board, lut=500))) is None


@pytest.mark.parametrize("name", board_names())
def test_candidates_take_the_slower_of_fpga_and_host(model, name):
    board = load_board(name)
    behind = {1: HostWork(macs=10**9), 2: HostWork(macs=10**6)}
    candidates = survey(model, behind, target(board))
    assert [candidate.layers for candidate in candidates] == [1, 2]
    for candidate, work in zip(candidates, behind.values()):
        least, most = host_time(work, board).fps
        host = candidate.host_fps
        assert host == pytest.approx((least * most) ** 0.5) and least < host < most
        assert candidate.fps == (pytest.approx(min(candidate.plan.fps, host)) if candidate.fits else None)
    assert best(candidates).layers == max(candidate.layers for candidate in candidates if candidate.fits)


def test_the_best_of_equals_has_the_fewest_layers_and_nothing_is_best_where_nothing_fits(model):
    board = load_board("pynq-z2")
    assert best(survey(model, {1: HostWork(10**9), 2: HostWork(10**9)}, target(board))).layers == 1
    idle = survey(model, {1: HostWork(), 2: HostWork()}, target(board))
    assert best(idle).layers == 1  # the host has nothing to do: the first layers are fastest
    assert best(survey(model, {1: None, 2: None}, target(board))).layers == 2
    tight = dataclasses.replace(board, lut=300)
    candidates = survey(model, {1: HostWork(1), 2: HostWork(1)}, target(tight))
    assert best(candidates) is None and all(candidate.prune is None for candidate in candidates)
