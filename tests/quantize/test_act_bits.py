"""Bits chosen for the activations, against float models in onnxruntime and against all other choices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lognet_fpga.flow.reports.act_bits import lines
from lognet_fpga.frontend import load
from lognet_fpga.frontend.dense import dense_as_convolutions
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition import Partition, partition
from lognet_fpga.partition.reach import reach
from lognet_fpga.quantize import AskedBits, quantize, quantize_by_error
from lognet_fpga.quantize.act_bits import BUDGET, LEAST_BITS, MOST_BITS, Work, descend
from tests.models import ModelBuilder, run_onnx, save
from tests.quantize.test_quantize import smooth_frames

SCALE = Preprocessing(1 / 255)
FRAMES = 128


def residual_net(seed: int) -> ModelBuilder:
    """Whole up to its scores: a residual sum, a linear layer, an average."""
    net = ModelBuilder((3, 12, 12), seed=seed).conv(8).relu()
    net.residual(lambda block: block.conv(8).relu().conv(8)).relu().conv(12, strides=[2, 2]).conv(8, 1).relu()
    return net.add("GlobalAveragePool").flatten().gemm(8, 5)


def whole(net: ModelBuilder, folder) -> tuple[ModelBuilder, Partition]:
    graph = dense_as_convolutions(load(save(net.model(), folder)))
    return net, partition(graph, reach(graph).possible)


def squared_error(quant: QuantGraph, net: ModelBuilder, frames: np.ndarray) -> float:
    """Of golden.onnx in onnxruntime against the file there."""
    last = quant.layers[-1]
    found = (run_onnx(golden_onnx(quant), frames)[-1].astype(float) - last.out_zero) * last.out_scale.reshape(
        1, -1, 1, 1
    )
    return float(np.mean((found[:, :, 0, 0] - run_onnx(net.model(), SCALE.apply(frames))[0]) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_fewer_bits_for_no_more_error_than_the_budget(seed: int, tmp_path) -> None:
    net, parts = whole(residual_net(seed), tmp_path)
    frames = smooth_frames(FRAMES, seed, (3, 12, 12))
    given = AskedBits().given(len(parts.layers))
    quant, chosen = quantize_by_error(parts, frames, SCALE, given=given)
    bits = [layer.bits for layer in chosen.layers]
    assert [layer.act_bits for layer in quant.layers][:-1] == bits[:-1], seed
    assert all(LEAST_BITS <= its <= MOST_BITS for its in bits) and sum(bits) < MOST_BITS * len(bits) - 4, seed
    assert sum(layer.added or 0.0 for layer in chosen.layers) <= BUDGET
    eight = squared_error(quantize(parts, frames, SCALE, act_bits=8), net, frames)
    # The choice looks at a quarter of these frames, and weights are rounded anew: it holds but for chance.
    assert squared_error(quant, net, frames) <= (1 + 2 * BUDGET) * eight, seed
    again, same = quantize_by_error(parts, frames, SCALE, given=given)
    assert same == chosen and np.array_equal(again.run(frames[:4]), quant.run(frames[:4]))


@pytest.mark.parametrize("seed", range(2))
def test_what_a_layer_adds_is_what_rounding_it_does(seed: int, tmp_path) -> None:
    """The estimate of each layer by itself, of which the budget is a sum, against quantizing with that one rounded."""
    net, parts = whole(residual_net(seed), tmp_path)
    frames = smooth_frames(FRAMES, 10 + seed, (3, 12, 12))
    _, chosen = quantize_by_error(parts, frames, SCALE, given=AskedBits().given(len(parts.layers)))
    eight = squared_error(quantize(parts, frames, SCALE, act_bits=8), net, frames)
    ratios = []
    for number, layer in enumerate(chosen.layers[:-1]):
        bits = [LEAST_BITS if other == number else MOST_BITS for other in range(len(parts.layers))]
        found = squared_error(quantize(parts, frames, SCALE, act_bits=bits), net, frames) / eight - 1
        assert layer.least is not None and layer.added is not None and layer.added <= layer.least
        ratios.append((1 + layer.least) / (1 + found))
    # Weights are rounded anew for each, which changes the error by itself.
    assert 0.6 < min(ratios) and max(ratios) < 1.7 and 0.8 < np.mean(ratios) < 1.25, (seed, ratios)


def test_layers_that_hurt_keep_bits_and_are_named(tmp_path) -> None:
    """Few weights make little error, beside which that of 4-bit activations is large; of the layer in front of the
    scores, whose results nothing averages, more than of the first."""
    net = ModelBuilder((3, 8, 8), seed=5).conv(4).relu().conv(4, 1).relu().flatten().gemm(256, 3)
    _, parts = whole(net, tmp_path)
    frames = smooth_frames(FRAMES, 5, (3, 8, 8))
    _, chosen = quantize_by_error(parts, frames, SCALE, given=AskedBits().given(len(parts.layers)))
    hurting = [layer for layer in chosen.layers if layer.hurts]
    assert hurting and all(layer.bits > LEAST_BITS and layer.least > BUDGET for layer in hurting)
    (line,) = [line for line in lines(chosen) if "sensitive layers" in line]
    assert all((layer.name in line) == layer.hurts for layer in chosen.layers)


def test_what_is_given_stays(tmp_path) -> None:
    _, parts = whole(residual_net(7), tmp_path)
    frames = smooth_frames(32, 7, (3, 12, 12))
    given = AskedBits(pinned=(5, 7)).given(len(parts.layers))
    assert given == (5, 7, *[None] * (len(parts.layers) - 2))
    quant, chosen = quantize_by_error(parts, frames, SCALE, given=given)
    assert [layer.act_bits for layer in quant.layers[:2]] == [5, 7]
    assert [layer.added for layer in chosen.layers[:2]] == [None, None]
    assert AskedBits(4, (8, 8)).given(3) == (4, 4, 4)
    cut = partition(parts.graph, 3)
    quant, _ = quantize_by_error(cut, frames, SCALE, given=AskedBits().given(3))
    assert quant.layers[-1].out_bits == MOST_BITS  # for the host


def random_case(seed: int) -> tuple[Work, dict[int, dict[int, float]], float]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 5))
    sources = tuple(
        frozenset(int(other) for other in rng.choice(number, min(number, int(rng.integers(1, 3))), replace=False))
        for number in range(count)
    )
    work = Work(sources, *(tuple(int(its) for its in rng.integers(1, 1000, count)) for _ in range(2)))
    scale = 4.0 ** rng.uniform(-4, 0, count)
    return work, {n: {bits: scale[n] * 4.0 ** (4 - bits) for bits in range(4, 9)} for n in range(count - 1)}, 0.2


@pytest.mark.parametrize("seed", range(20))
def test_nothing_more_can_be_taken_away_and_little_was_missed(seed: int) -> None:
    work, shares, budget = random_case(seed)
    most = (MOST_BITS,) * len(work.macs)

    def error(bits) -> float:
        return sum(each[bits[number]] for number, each in shares.items())

    found = descend(most, shares, work, budget)
    assert found[-1] == MOST_BITS and error(found) <= max(budget, error(most)), seed
    for number in shares:
        fewer = tuple(bits - (other == number) for other, bits in enumerate(found))
        assert fewer[number] < LEAST_BITS or error(fewer) > budget, seed
    every = [(*bits, MOST_BITS) for bits in itertools.product(range(LEAST_BITS, MOST_BITS + 1), repeat=len(shares))]
    best = min((work.bits(bits) for bits in every if error(bits) <= budget), default=work.bits(most))
    assert work.bits(most) - work.bits(found) >= 0.8 * (work.bits(most) - best), seed
