"""Layers with their weights in memories, alone and beside others, in Verilator against golden.onnx in onnxruntime.

Every case runs free, where latency and cycles per frame must equal the plan, with idles and stalls from a random state,
and with full FIFOs.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.codegen import generate
from lognet_fpga.engines.bram import modules
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.verify.check import FREE, verify
from lognet_fpga.verify.verdict import Verdict
from tests.quant_models import (
    POOL_3X3,
    Spec,
    folded_plan,
    random_foldings,
    random_frames,
    random_graph,
    random_net,
    solved,
)
from tests.shallow import shallow

FRAMES = 4
NETS = {  # input, layers, and for each (pe, simd), or the digit bits of one with its weights in the fabric
    "idle lanes": ((5, 7, 8), (Spec(7, odd_pad=True), Spec(10, pool=None)), [(4, 3), (4, 4)]),
    "behind the fabric": ((3, 8, 7), (Spec(8, odd_pad=True), Spec(6, pool=None)), [2, (3, 4)]),
    "before the fabric": ((3, 9, 9), (Spec(8, pool=POOL_3X3), Spec(6, pool=None)), [(8, 1), 3]),
    "stride 4": (
        (3, 19, 21),
        (Spec(6, (5, 5), (4, 4), (2, 2, 2, 2), None), Spec(3, (1, 1), pads=(0,) * 4)),
        [(6, 3), (1, 2)],
    ),
    "one by one": (
        (4, 5, 6),
        (Spec(3, (1, 1), pads=(0,) * 4, pool=None), Spec(9, (1, 1), pads=(0,) * 4)),
        [(3, 4), (9, 3)],
    ),
    "a word a channel": ((4, 6, 6), (Spec(4, odd_pad=True, out_bits=4), Spec(5, pool=None)), [(2, 1), (1, 1)]),
    "averages": (
        (2, 11, 10),
        (
            Spec(4, pool=AveragePool((2, 2), (2, 2))),
            Spec(3, pool=AveragePool((4, 2), (1, 2), (1, 0, 2, 1)), out_bits=4),
        ),
        [(4, 2), (3, 4)],
    ),
    "averages of what is inside, and of all": (
        (2, 9, 8),
        (
            Spec(4, pool=AveragePool((3, 3), (2, 2), (0, 0, 1, 1), (0, 0, 1, 1)), out_bits=4, average_bits=6),
            Spec(6, pool=AveragePool((4, 4), (4, 4)), average_bits=8),
        ),
        [(4, 2), (3, 1)],
    ),
    "averages with bits of their own": (
        (2, 11, 10),
        (
            Spec(4, pool=AveragePool((2, 2), (2, 2)), out_bits=4, average_bits=5, average_drop=0),
            Spec(3, pool=AveragePool((3, 2), (2, 1)), out_bits=4, average_bits=7),
        ),
        [(4, 2), (3, 4)],
    ),
    "padded pools": (
        (3, 9, 9),
        (
            Spec(4, pool=MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), odd_pad=True),
            Spec(8, pool=MaxPool((2, 2), (2, 2), (0, 0, 1, 1))),
        ),
        [(2, 3), (8, 2)],
    ),
    "depthwise and pointwise": (
        (3, 9, 8),
        (
            Spec(6, (3, 3), (2, 2), pool=None, odd_pad=True),
            Spec(6, groups=6, pool=None, odd_pad=True),
            Spec(10, (1, 1), pads=(0,) * 4, pool=None),
            Spec(20, groups=10, out_bits=4),
        ),
        [(6, 3), (4, 1), (2, 2), (4, 1)],
    ),
    "groups in both stores": (
        (6, 9, 8),
        (Spec(12, groups=3, odd_pad=True), Spec(8, (3, 2), groups=4, pool=None), Spec(4, (2, 2), (1, 2), groups=2)),
        [(8, 2), 3, (1, 4)],
    ),
    "holes": (
        (6, 9, 8),
        (
            Spec(8, pool=None, odd_pad=True, holes=(0.6, 8, 2)),
            Spec(8, pool=AveragePool((2, 2), (2, 2)), holes=(0.6, 2, 2)),
            Spec(8, groups=2, pool=None, holes=(0.6, 2, 2)),
        ),
        [(4, 2), (2, 2), (2, 2)],
    ),
    "few words a window": (
        (8, 9, 8),
        (Spec(4, zeros=0.0, pool=None, holes=(0.85, 4, 2)), Spec(4, (1, 1), (2, 2), (0,) * 4, pool=None)),
        [(4, 2), (4, 4)],
    ),
    "looked up": ((5, 7, 8), (Spec(17, odd_pad=True), Spec(20, pool=None)), [(2, 3, 2), (2, 4, 3)]),
    "looked up, one round": (
        (3, 7, 8),
        (Spec(40, (2, 2), pads=(0, 1, 1, 0)), Spec(9, (1, 1), pads=(0,) * 4)),
        [(1, 3, 4, False), (1, 8, 2)],
    ),
    "looked up, strides and holes": (
        (6, 9, 8),
        (
            Spec(24, pool=None, stride=(2, 1), odd_pad=True, holes=(0.6, 24, 2)),
            Spec(16, (1, 1), (2, 2), (0,) * 4, pool=None),
            Spec(11, (3, 4), pads=(0,) * 4, pool=None),
        ),
        [(3, 2, 1), (2, 3, 1), (1, 8, 4, False)],
    ),
    "whole frames": (
        (3, 8, 9),
        (Spec(8), Spec(12, (4, 4), pads=(0,) * 4, pool=None), Spec(20, (1, 1), pads=(0,) * 4, pool=None)),
        [(4, 3), (2, 4), (5, 6)],
    ),
}
QUICK = ("idle lanes", "behind the fabric", "depthwise and pointwise", "holes", "whole frames")
QUICK += ("looked up, strides and holes",)
QUICK += ("averages of what is inside, and of all",)


@pytest.fixture(scope="module", autouse=True)
def tools(require_tool):
    for name in ("verilator", "g++", "onnxruntime"):
        require_tool(name)


def verdict_of(quant: QuantGraph, foldings: list, model_sha256: str = "ab" * 32) -> Verdict:
    in_memory = [isinstance(folding, tuple) for folding in foldings]
    engines = solved(quant, in_memory)
    plan = folded_plan(foldings, engines)
    design = shallow(generate, plan, model_sha256)
    return verify(design, quant, golden_onnx(quant), random_frames(quant, FRAMES, 1), plan)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NETS])
def test_no_bit_differs(name):
    shape, specs, foldings = NETS[name]
    verdict = verdict_of(random_graph(len(name), shape, *specs), foldings)
    assert verdict.failures() == () and verdict.differing_bits == 0
    assert verdict.cycles.as_planned
    assert verdict.bits > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_random_nets(seed):
    rng = np.random.default_rng(seed)
    quant, specs = random_net(rng, seed, grouped=True)
    foldings = random_foldings(rng, quant)
    print(f"seed {seed}: {quant.input_shape}, {specs}, folded {foldings}")
    verdict = verdict_of(quant, foldings)
    assert verdict.failures() == ()


def test_taps_without_weights_take_no_cycles():
    """A dilated kernel: the places between its weights are zero for all channels."""
    quant = random_graph(4, (3, 9, 8), Spec(4, (5, 5), pads=(2, 2, 2, 2), pool=None))
    layer = quant.layers[0]
    codes = layer.codes.copy()
    codes[:, :, 1::2] = codes[..., 1::2] = 0
    dilated = QuantGraph(quant.name, quant.input_shape, (dataclasses.replace(layer, codes=codes),))
    assert folded_plan([(2, 3)], solved(dilated, [True])).layers[0].folding.ii_cycles == 2 * 9
    assert verdict_of(dilated, [(2, 3)]).failures() == ()


FULLY_CONNECTED = {  # input, outputs, (pe, simd)
    "64x4x4 to 128": ((64, 4, 4), 128, (8, 16)),
    "128 to 10": ((128, 1, 1), 10, (2, 4)),
    "640 to 128": ((640, 1, 1), 128, (4, 16)),
    "128 to 640": ((128, 1, 1), 640, (16, 4)),
    "512 to 1000": ((512, 1, 1), 1000, (8, 32)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "128 to 10" else pytest.mark.slow) for name in FULLY_CONNECTED]
)
def test_one_position_that_takes_the_whole_frame(name):
    shape, outputs, (pe, simd) = FULLY_CONNECTED[name]
    quant = random_graph(3, shape, Spec(outputs, shape[1:], pads=(0,) * 4, pool=None))
    (layer,) = folded_plan([(pe, simd)], solved(quant, [True])).layers
    words = -(-outputs // pe) * quant.layers[0].codes[0].size // simd
    shifting = shape[1] * shape[2] - 1
    assert layer.folding.ii_cycles == words
    assert layer.folding.cycles_per_frame == words + shifting * shape[0] // simd
    verdict = verdict_of(quant, [(pe, simd)])
    assert verdict.failures() == () and verdict.cycles.as_planned


def test_sums_too_small_for_the_activations():
    """Channels that are scaled up by more than is dropped in the end."""
    quant = random_graph(5, (3, 6, 7), Spec(4, (1, 1), pads=(0,) * 4, pool=None), Spec(3, pool=None))
    first = dataclasses.replace(
        quant.layers[0], shift=1, channel_shift=np.array([0, 3, 1, 2]), bias=np.array([7, -30, 1, 13])
    )
    scaled = QuantGraph(quant.name, quant.input_shape, (first, quant.layers[1]))
    assert verdict_of(scaled, [(2, 3), (3, 2)]).failures() == ()


def test_a_wrong_weight_is_found(monkeypatch):
    real = modules.weight_words
    monkeypatch.setattr(modules, "weight_words", lambda *args: (real(*args)[0] ^ 8, *real(*args)[1:]))
    verdict = verdict_of(random_graph(1, (2, 5, 5), Spec(3, zeros=0.0, pool=None)), [(3, 2)], "cd" * 32)
    assert not verdict.passed and verdict.differing_bits > 0
    assert (verdict.first_difference.level, verdict.first_difference.layer) == (FREE, "conv1")
