"""Layouts of layers whose elements look products up: what memories hold, followed in NumPy to the sums."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.bram.foldings import bram_folding, bram_foldings, splits, table_folding, table_shapes
from lognet_fpga.engines.bram.layout import bram_shape, weight_words
from lognet_fpga.engines.bram.tables import TableShape, excess, fill_cycles, table_codes, table_constants, table_shape
from lognet_fpga.engines.folding import BRAM_PRICES, Streams, Widths, price
from lognet_fpga.ir.quant import QuantLayer
from tests.engines.bram.walked import walked
from tests.quant_models import Spec, random_layer

LAYERS = {  # input channels, layer, (pe, simd, held)
    "whole words": (8, Spec(16, (2, 3), zeros=0.2), 2, 4, 1),
    "idle lanes everywhere": (5, Spec(29, (3, 2), zeros=0.2), 3, 3, 2),
    "all at once": (3, Spec(40, zeros=0.0), 1, 3, 9),
    "a word behind the last": (6, Spec(33, (2, 2), zeros=0.5), 2, 3, 3),
    "words without a weight": (6, Spec(20, zeros=0.0, holes=(0.6, 20, 2)), 2, 2, 2),
    "a position": (12, Spec(24, (1, 1), pads=(0,) * 4), 2, 4, 2),
}


def sums_of(layer: QuantLayer, shape: TableShape, window: np.ndarray) -> np.ndarray:
    """(rounds, out): partial sums of a window, (channels, height, width), as the elements form them."""
    reads = walked(shape)
    words = np.zeros((shape.rounds * shape.held, shape.simd), np.int64)
    for place, read in enumerate(reads):
        some = window[read.word * shape.simd : (read.word + 1) * shape.simd, read.ky, read.kx]
        words[place, : len(some)] = some
    lanes = words.reshape(shape.rounds, 1, 1, -1)
    codes = table_codes(layer, shape).reshape(shape.rounds, shape.passes, shape.pe, -1).astype(np.int64)
    products = np.where(codes & 7, lanes << np.maximum((codes & 7) - 1, 0), 0)
    agrees, step = codes >> 3 == 1, 1
    while products.shape[-1] > 1:  # the second of two is subtracted, or its one's complement
        first, second = products[..., ::2], products[..., 1::2]
        second = np.where(agrees[..., step :: 2 * step], ~second, second)
        products = first - np.pad(second, [(0, 0)] * 3 + [(0, first.shape[-1] - second.shape[-1])])
        step *= 2
    sums = -np.where(agrees[..., 0], ~products[..., 0], products[..., 0])
    return np.cumsum(sums, axis=0).reshape(shape.rounds, -1)[:, : len(layer.codes)]


@pytest.mark.parametrize("name", LAYERS)
def test_elements_sum_up_what_the_layer_is_defined_by(name):
    channels, spec, pe, simd, held = LAYERS[name]
    rng = np.random.default_rng(len(name))
    layer = random_layer(rng, "conv1", (channels, 6, 7), 8, spec)
    shape = table_shape(layer, pe, simd, held)
    assert len(walked(shape)) == shape.walk.cycles <= shape.rounds * held and shape.passes >= fill_cycles(held)
    constants, off = table_constants(layer), excess(layer, shape)
    signs = np.sign(layer.codes[0])
    for window in (
        rng.integers(0, 256, (channels, *layer.kernel)),
        np.where(signs > 0, 255, 0),
        np.where(signs < 0, 255, 0),
        np.zeros((channels, *layer.kernel), int),
    ):
        sums = sums_of(layer, shape, window)
        assert -(2 ** (constants.sum_bits - 1)) <= sums.min() and sums.max() < 2 ** (constants.sum_bits - 1)
        np.testing.assert_array_equal(sums[-1] - off, (layer.codes * window).sum(axis=(1, 2, 3)))
    offset = constants.beside(off).offset
    total = (sums[-1] << constants.lift) + offset
    assert np.abs(total).max() < 2 ** (constants.total_bits - 1)


@pytest.mark.parametrize("pe,held,groups", [(2, 2, 1), (1, 10, 1), (1, 1, 2)])
def test_rounds_too_short_to_fill_the_tables(pe, held, groups):
    layer = random_layer(np.random.default_rng(1), "conv1", (4, 6, 6), 8, Spec(16, groups=groups))
    with pytest.raises(ValueError, match="do not look up"):
        table_shape(layer, pe, 2, held)


def test_a_layer_with_many_weights_a_cycle_takes_fewer_luts():
    """512 weights a cycle: two LUTs a bit and lane for a shift against two for three bits of a table."""
    layer = random_layer(np.random.default_rng(2), "conv1", (32, 10, 10), 6, Spec(64, zeros=0.0, pool=None))
    streamed = [bram_folding(layer, *split) for split in splits(layer)]
    looked_up = [table_folding(layer, s.pe, s.simd, s.held, s.block_rom) for s in table_shapes(layer)]
    cycles = 1.2 * layer.codes.size / 512 * 100  # of the 100 positions
    streamed_luts, looked_up_luts = (
        min(price(folding, BRAM_PRICES[2]) for folding in some if folding.cycles_per_frame <= cycles)
        for some in (streamed, looked_up)
    )
    assert looked_up_luts < 0.75 * streamed_luts
    assert bram_foldings(layer).fold(cycles, Widths(frozenset({8})), BRAM_PRICES[2]) in looked_up


def test_streams_that_need_it_find_layers_flexible():
    """Results that are looked up leave in beats of pe channels, and no others."""
    layer = random_layer(np.random.default_rng(2), "conv1", (32, 10, 10), 6, Spec(64, zeros=0.0, pool=None))
    every, cycles = bram_foldings(layer), max(bram_foldings(layer).paces())
    fastest, flexible = min(every.paces()), min(every.flexible.paces())
    chosen = every.fold(fastest, Widths(frozenset({1, 2, 4, 8})), BRAM_PRICES[0])
    assert isinstance(chosen.shape, TableShape) or fastest == flexible
    for budget in (flexible, (flexible + cycles) // 2, cycles):
        folding = every.flexible.fold(budget, Widths(frozenset({1, 2, 4, 8})), BRAM_PRICES[0])
        assert not isinstance(folding.shape, TableShape) and folding.cycles_per_frame <= budget
        assert folding.sends(folding.shape.pe)
    assert every.flexible.flexible is every.flexible


def test_weights_of_the_streamed_form_are_signs_themselves():
    """The two forms differ in their signs only."""
    layer = random_layer(np.random.default_rng(3), "conv1", (4, 5, 5), 8, Spec(8, (1, 1), pads=(0,) * 4, zeros=0.0))
    looked_up = table_codes(layer, table_shape(layer, 1, 4, 1))
    streamed = weight_words(layer, bram_shape(layer, 1, 4))
    fields = [sum((int(code) & 7) << 4 * lane for lane, code in enumerate(word)) for word in looked_up]
    assert fields == [word & 0x7777 for word in streamed]


def test_every_bit_of_what_elements_meet_is_told():
    """The nets of lognet-explain are as wide as the Verilog's."""
    layer = random_layer(np.random.default_rng(4), "conv1", (5, 6, 6), 8, Spec(24, (2, 2)))
    folding = table_folding(layer, 2, 3, 2)
    widths = {port.name: port.width for port in folding.modules(Streams(1, 5, 2), "layer1")[1]}
    told = folding.nets()
    assert {"x", "codes", "values", "columns"} <= set(told)
    for net, spans in told.items():
        if spans[0][1]:  # a width of 0: of the whole net
            assert [low for low, _, _ in spans] == list(range(0, widths[net], spans[0][1]))
