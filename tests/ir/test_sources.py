"""Directed graphs: forks, strides and concatenations between layers, against onnxruntime and NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.ir.sources import FRAMES, Source, chain
from tests.ir.test_golden import random_layer


def random_graph(seed: int) -> QuantGraph:
    """Every layer takes all earlier outputs of its own frame size, some of a larger one by stride, or a chain's."""
    rng = np.random.default_rng(seed)
    shape = (2, 8, 8)
    layers, sources = [], []
    for number in range(5):
        outputs = [(FRAMES, shape), *((index, layer.out_shape) for index, layer in enumerate(layers))]
        unread = {index for index, _ in outputs[1:]} - {source.layer for its in sources for source in its}
        newest = outputs[-1]
        taken = [Source(newest[0])]
        for index, other in outputs[:-1]:
            steps = [step for step in (1, 2) if tuple(-(-side // step) for side in other[1:]) == newest[1][1:]]
            if steps and (index in unread or rng.integers(0, 2)):
                taken.append(Source(index, (steps[0], steps[0])))
        bits = max([8, *(layer.out_bits for layer in layers)])
        channels = sum((shape if source.layer == FRAMES else layers[source.layer].out_shape)[0] for source in taken)
        layer = random_layer(rng, f"conv{number}", (channels, *newest[1][1:]), bits, 3, None)
        stride = (2, 2) if number in (1, 3) and newest[1][1] >= 4 else (1, 1)
        layers.append(replace(layer, pads=(1, 1, 1, 1), stride=stride))
        sources.append(tuple(taken))
    return QuantGraph(f"graph{seed}", shape, tuple(layers), tuple(sources))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [golden_onnx, execution_onnx])
def test_graphs_are_what_onnxruntime_makes_of_them(make, seed: int) -> None:
    quant = random_graph(seed)
    assert not quant.is_chain, f"seed {seed}"
    frames = np.random.default_rng(seed).integers(0, 256, (3, *quant.input_shape), np.uint8)
    session = onnxruntime.InferenceSession(make(quant), providers=["CPUExecutionProvider"])
    for layer, ours, theirs in zip(quant.layers, quant.run_layers(frames), session.run(None, {"frames": frames})):
        np.testing.assert_array_equal(ours, theirs, err_msg=f"{layer.name} of seed {seed}")


def test_a_chain_is_the_usual_graph() -> None:
    layer = random_layer(np.random.default_rng(1), "conv1", (2, 6, 6), 8, 1, None)
    quant = QuantGraph("one", (2, 6, 6), (layer,))
    assert quant.is_chain and quant.sources == chain(1) == ((Source(FRAMES),),)


@pytest.mark.parametrize(
    "sources, why",
    [
        ([(FRAMES,), (1,)], "before it"),
        ([(FRAMES,), ()], "before it"),
        ([(FRAMES,), (0, FRAMES)], "its sources give"),
        ([(FRAMES,)], "sources for 1"),
    ],
)
def test_sources_must_make_the_input(sources, why: str) -> None:
    rng = np.random.default_rng(2)
    first = replace(random_layer(rng, "conv1", (2, 6, 6), 8, 1, None), pads=(0, 0, 0, 0))
    second = replace(random_layer(rng, "conv2", first.out_shape, 8, 1, None), pads=(0, 0, 0, 0))
    given = tuple(tuple(Source(layer) for layer in its) for its in sources)
    with pytest.raises(ValueError, match=why):
        QuantGraph("two", (2, 6, 6), (first, second), given)


def test_what_a_layer_puts_out_must_be_taken() -> None:
    rng = np.random.default_rng(3)
    first, second, third = (
        replace(random_layer(rng, f"conv{n}", (2, 6, 6), 8, 1, None), pads=(0,) * 4) for n in range(3)
    )
    with pytest.raises(ValueError, match="nothing takes what conv0, conv1 put out"):
        QuantGraph("three", (2, 6, 6), (first, second, third), ((Source(FRAMES),),) * 3)


@pytest.mark.parametrize("seed", range(6))
def test_the_first_layers_up_to_a_cut_are_a_graph(seed: int) -> None:
    quant = random_graph(seed)
    frames = np.random.default_rng(seed).integers(0, 256, (2, *quant.input_shape), np.uint8)
    assert quant.cuts[-1] == len(quant.layers)
    for count in quant.cuts:
        np.testing.assert_array_equal(quant.first(count).run(frames), quant.run_layers(frames)[count - 1])


def test_no_cut_lies_beside_a_fork() -> None:
    rng = np.random.default_rng(4)
    first, second = (replace(random_layer(rng, f"conv{n}", (2, 6, 6), 8, 1, None), pads=(0,) * 4) for n in range(2))
    second = replace(
        second,
        in_shape=first.out_shape,
        codes=np.ones((3, first.out_shape[0], 1, 1), np.int8),
        bias=np.zeros(3, np.int64),
        channel_shift=np.zeros(3, np.int64),
        pad_value=np.zeros(first.out_shape[0], np.int64),
    )
    third = replace(
        second,
        in_shape=(3 + first.out_shape[0], 6, 6),
        codes=np.ones((3, 3 + first.out_shape[0], 1, 1), np.int8),
        pad_value=np.zeros(3 + first.out_shape[0], np.int64),
    )
    quant = QuantGraph(
        "block", (2, 6, 6), (first, second, third), ((Source(FRAMES),), (Source(0),), (Source(1), Source(0)))
    )
    assert quant.cuts == (1, 3)
    assert QuantGraph("chain", (2, 6, 6), (first, second)).cuts == (1, 2)
