"""Foldings of layers with their weights in memories, and the choice between the two places."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lognet_fpga.engines.bram.cost import field_wires, kept_bits, lowest_bit, rom_resources
from lognet_fpga.engines.bram.foldings import bram_folding, lanes_for
from lognet_fpga.engines.bram.layout import bram_shape, output_constants, weight_words
from lognet_fpga.engines.bram.tables import TableShape
from lognet_fpga.engines.stores import sketch_layers, stores_of
from lognet_fpga.errors import DoesNotFitError
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.ir.groups import dense_kernel
from lognet_fpga.plan.budget import fits
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import draft_hardware, settle_stores
from tests.engines.bram.walked import walked
from tests.quant_models import Spec, memory_folding, random_graph, random_layer, solved, target

VALUES = [0, 1, 2, 4, 8, 16, 32, 64, 0, -1, -2, -4, -8, -16, -32, -64]


@pytest.fixture(scope="module")
def model():
    """Two layers of a size at which either place may be the cheaper one."""
    return random_graph(5, (3, 16, 16), Spec(12), Spec(20, pool=None))


def board(**changes):
    return dataclasses.replace(load_board("pynq-z2"), **changes)


SPLITS = {  # input channels, layer, (pe, simd)
    **{f"{pe} x {simd}": (5, Spec(7, (3, 2), zeros=0.3), pe, simd) for pe, simd in [(1, 1), (3, 2), (4, 5), (7, 3)]},
    "depthwise": (6, Spec(6, groups=6, zeros=0.1), 4, 1),
    "depthwise, one at a time": (6, Spec(6, (1, 3), groups=6), 1, 1),
    "two outputs an input": (5, Spec(10, groups=5), 4, 1),
    "within a group": (8, Spec(12, groups=2), 3, 2),
    "several groups": (12, Spec(8, (2, 2), groups=4), 4, 3),
    "grouped, 1x1": (12, Spec(8, (1, 1), pads=(0,) * 4, groups=4), 1, 1),
    "holes of all outputs": (12, Spec(8, holes=(0.6, 8, 2)), 4, 2),
    "holes of a pass": (12, Spec(8, holes=(0.6, 2, 3)), 2, 3),
    "holes in groups": (12, Spec(8, groups=2, holes=(0.5, 2, 3)), 2, 3),
    "no weight at all": (4, Spec(5, zeros=1.0), 2, 3),
}


@pytest.mark.parametrize("name", SPLITS)
def test_every_weight_lies_where_it_is_read(name):
    channels, spec, pe, simd = SPLITS[name]
    layer = random_layer(np.random.default_rng(3), "conv1", (channels, 6, 7), 8, spec)
    shape = bram_shape(layer, pe, simd)
    words, reads = weight_words(layer, shape), walked(shape)
    assert len(set(reads)) == len(words) == shape.weight_words <= shape.ii_cycles
    assert [read.number for read in reads] == sorted(read.number for read in reads)
    assert np.bincount([read.number for read in reads]).tolist() == list(shape.pass_cycles)
    wanted = dense_kernel(layer.codes, spec.groups)
    seen = np.zeros_like(wanted)
    for word, read in zip(words, reads):
        for element in range(pe):
            for lane in range(simd):
                value = VALUES[word >> 4 * (element * simd + lane) & 15]
                out = read.number * pe + element
                channel = read.word * shape.lanes + shape.first_lane(element) + lane
                if out < len(wanted) and channel < channels:
                    seen[out, channel, read.ky, read.kx] = value
                else:
                    assert value == 0
    np.testing.assert_array_equal(seen, wanted)


def test_a_walk_reads_the_words_that_hold_a_weight_and_no_others():
    """A 3x3 convolution of 64 channels that takes 32 more in the middle; of each output, one of these."""
    layer = random_layer(np.random.default_rng(4), "conv1", (96, 8, 8), 8, Spec(64, zeros=0.1))
    codes = layer.codes.copy()
    codes[:, 64:] = 0
    codes[:, 64:, 1, 1] = layer.codes[:, 64:, 1, 1]
    beside = dataclasses.replace(layer, codes=codes)
    assert bram_folding(beside, 8, 8).ii_cycles == 8 * (9 * 64 + 32) // 8
    assert bram_folding(beside, 16, 32).ii_cycles == 4 * (9 * 64 + 32) // 32
    own = np.arange(64)[:, None] // 8 == np.arange(32) // 1
    codes = codes.copy()
    codes[:, 64:, 1, 1] = np.where(own, 1, 0)
    identity = dataclasses.replace(layer, codes=codes)
    folding = bram_folding(identity, 8, 8)
    assert folding.ii_cycles == 8 * 9 * 8 + 8 and len(folding.shape.walk.runs) <= 8 * 5


@pytest.mark.parametrize(
    "groups,outputs,pe,simd,cycles", [(64, 64, 8, 1, 72), (64, 128, 16, 1, 72), (4, 64, 8, 4, 288)]
)
def test_grouped_layers_cost_their_own_weights(groups, outputs, pe, simd, cycles):
    layer = random_layer(np.random.default_rng(4), "conv1", (64, 8, 8), 8, Spec(outputs, zeros=0.0, groups=groups))
    folding = bram_folding(layer, pe, simd)
    assert folding.ii_cycles == cycles == layer.codes.size // (pe * simd)
    assert sum(len(bin(word)) > 2 for word in weight_words(layer, folding.shape)) == cycles


@pytest.mark.parametrize("pe,simd", [(3, 1), (2, 3), (8, 2), (6, 4)])
def test_passes_that_would_split_a_group(pe, simd):
    layer = random_layer(np.random.default_rng(4), "conv1", (12, 8, 8), 8, Spec(12, groups=3))
    with pytest.raises(ValueError, match="groups of 4 -> 4 channels"):
        bram_shape(layer, pe, simd)


@pytest.mark.parametrize("seed", range(6))
def test_constants_give_what_bias_and_shift_give(seed):
    """With sums one less for every negative weight, as one's complement has them."""
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, "conv1", (3, 5, 5), 8, Spec(6, pads=(0, 0, 0, 0), pool=None))
    layer = dataclasses.replace(layer, shift=int(rng.integers(0, 10)), channel_shift=rng.integers(0, 6, 6))
    constants = output_constants(layer)
    sign = np.sign(layer.codes)
    x = np.concatenate([rng.integers(0, 256, (9, 3, 5, 5)), np.zeros((1, 3, 5, 5), int)])
    ends = np.concatenate([np.where(sign > 0, 255, 0), np.where(sign < 0, 255, 0)])
    plain = dataclasses.replace(layer, channel_shift=np.zeros(6, np.int64), bias=np.zeros(6, np.int64))
    negative = (layer.codes < 0).sum(axis=(1, 2, 3)).reshape(-1, 1, 1)
    for some, shape in ((x, (3, 5, 5)), (ends, (3, 3, 3))):
        sums = dataclasses.replace(plain, in_shape=shape).accumulate(some) - negative
        assert -(2 ** (constants.sum_bits - 1)) <= sums.min() and sums.max() < 2 ** (constants.sum_bits - 1)
        total = (sums << constants.lift) + constants.offset.reshape(-1, 1, 1)
        assert -(2 ** (constants.total_bits - 1)) <= total.min() and total.max() < 2 ** (constants.total_bits - 1)
        kept = total >> constants.drop.reshape(-1, 1, 1)
        expected = dataclasses.replace(layer, in_shape=shape).run(some)
        np.testing.assert_array_equal(np.clip(kept, 0, 255), expected)


@pytest.mark.parametrize("channels,most", [(1, 1), (3, 64), (10, 10), (64, 64), (192, 64), (384, 384)])
def test_lanes_waste_little(channels, most):
    lanes = lanes_for(channels, most)
    assert (
        lanes[0] == 1 and max(lanes) <= most and set(d for d in range(1, most + 1) if channels % d == 0) <= set(lanes)
    )
    assert all(-(-channels // some) * some <= 1.1 * channels for some in lanes)


def test_slots_are_as_long_as_their_words(model):
    layer = model.layers[1]
    folding = bram_folding(layer, 8, 4)
    assert folding.ii_cycles == 3 * 9 * 3
    raster = slot_raster(layer)
    assert folding.cycles_per_frame == raster.computing * 81 + (raster.slots - raster.computing) * 3
    beats = folding.beat_cycles(4)
    assert len(beats) == 5 and np.all(np.diff(beats) > 0)  # of six, the last one empty
    assert beats[2] - beats[0] == 27 and beats[1] - beats[0] == 1


def test_any_frame_rate_is_met_or_refused(model):
    """Three kinds of graphs: all in memories, the first, the last."""
    for in_memory in ((True, True), (True, False), (False, True)):
        engines = solved(model, in_memory)
        last = None
        for fps in np.geomspace(500, 2e5, 10):
            try:
                plan = plan_engines(engines, target(board(), fps=float(fps)))
            except DoesNotFitError:
                continue
            assert plan.fps >= fps * (1 - 1e-9) and fits(plan)
            assert tuple(layer.folding.store == "bram" for layer in plan.layers) == in_memory
            last = plan
        assert last is not None and plan_engines(engines, target(board())).fps >= last.fps


def test_streams_fit_together(model):
    for fps in (1000, 5000, 12000):
        plan = plan_engines(solved(model, [True, True]), target(board(), fps=fps))
        for layer, real in zip(plan.layers, model.layers):
            folding, streams, fifo = layer.folding, layer.streams, layer.fifo
            shape = folding.shape
            looked_up = (shape.held, shape.block_rom) if isinstance(shape, TableShape) else ()
            assert folding == memory_folding(real, shape.pe, shape.simd, *looked_up)
            assert folding.takes(streams.in_channels_per_beat) and folding.sends(streams.channels_per_beat)
            assert streams.in_beats == -(-real.in_shape[0] // streams.in_channels_per_beat)
            assert folding.to_json()["weight_words"] == folding.ii_cycles
            assert fifo.reserve < fifo.depth and fifo.peak <= fifo.depth
        assert plan.layers[1].streams.in_channels_per_beat == plan.layers[0].streams.channels_per_beat


def test_auto_is_hardly_ever_larger_than_either(model):
    for fps in (300, 3000, 20_000, 80_000):
        roomy = board(lut=10**6, ff=10**6)
        drafts = {
            w: draft_hardware(sketch_layers(model.layers, stores_of(w)), target(roomy, weights=w, fps=fps))
            for w in ("auto", "clb", "bram")
        }
        price = {w: draft and draft.total.lut + 400 * draft.total.bram36 for w, draft in drafts.items()}
        assert all(price["auto"] <= 1.05 * other for other in price.values() if other is not None)


def test_slow_rates_go_to_memories_and_fast_ones_to_the_fabric(model):
    assert settle_stores(model, target(board(), weights="auto", fps=200)) == ("bram", "bram")
    assert settle_stores(model, target(board(lut=10**6, ff=10**6), weights="auto")) == ("clb", "clb")
    assert settle_stores(model, target(board(), weights="bram")) == ("bram", "bram")
    assert settle_stores(model, target(board(), weights="clb")) == ("clb", "clb")


def test_block_ram_that_is_short_goes_to_the_layer_that_needs_it():
    large = random_graph(
        6, (32, 12, 12), Spec(32, pool=None, zeros=0.97), Spec(256, (5, 5), pads=(2, 2, 2, 2), pool=None)
    )
    plan = draft_hardware(sketch_layers(large.layers, stores_of("auto")), target(board(bram36=28), weights="auto"))
    assert fits(plan) and [layer.folding.store for layer in plan.layers] == ["clb", "bram"]


@pytest.mark.parametrize(
    "width,depth,bram36", [(36, 1024, 1), (37, 1024, 1.5), (72, 512, 1), (36, 129, 0.5), (36, 2049, 2.5), (4, 5200, 1)]
)
def test_blocks_of_a_memory(width, depth, bram36):
    """As Yosys 0.70 counts them."""
    assert rom_resources(width, depth).bram36 == bram36


@pytest.mark.parametrize("code_bits", [1, 4])
@pytest.mark.parametrize("words,step", [(1, 36), (7, 36), (64, 36), (65, 9), (128, 9), (200, 9)])
def test_bits_of_a_memory_that_keep_a_register(words, step, code_bits):
    """Not those that never change, and equal ones once in every memory of 36 bits, or of 9 where it is deep."""
    rng = np.random.default_rng(4)
    some = rng.integers(0, 2, (words, 20))
    columns = (np.zeros((words, 20)), np.ones((words, 20)), some, some[:, ::-1], rng.integers(0, 2, (words, 20)))
    bits = np.concatenate(columns, axis=1).astype(np.uint8)
    expected = sum(
        len({tuple(column) for column in bits[:, first : first + step].T} - {(0,) * words, (1,) * words})
        for first in range(0, 100, step)
    )
    codes = (bits.reshape(words, -1, code_bits) << np.arange(code_bits, dtype=np.uint8)).sum(axis=-1, dtype=np.uint8)
    assert kept_bits(codes, code_bits) == expected < 60


def test_wires_of_the_fields_of_a_lane():
    """Of four lanes whose weights have those fields."""
    for fields, wires in (((0,), (0, 0, 0)), ((0, 6, 7), (2, 3, 3)), ((6,), (0, 1, 1)), ((0, 7), (2, 2, 2))):
        assert field_wires(sum(1 << field for field in fields)) == wires


@pytest.mark.parametrize("offset,drop,idle", [(0, 5, 5), (1, 5, 0), (-24, 5, 3), (-64, 5, 5), (12, 0, 0)])
def test_low_bits_that_reach_no_activation(offset, drop, idle):
    """Sums that differ in these bits only have the same activations, and with one bit more not."""
    sums = np.arange(-256, 256)
    assert lowest_bit(offset, drop) == idle
    assert np.array_equal(sums + offset >> drop, (sums >> idle << idle) + offset >> drop)
    assert not np.array_equal(sums + offset >> drop, (sums >> idle + 1 << idle + 1) + offset >> drop)
