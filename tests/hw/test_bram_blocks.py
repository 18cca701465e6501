"""The blocks of a layer with its weights in memories, each against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.bram.blocks.pe import PeShape, shift_accumulate
from lognet_fpga.engines.bram.blocks.requantize import OutputShape, activations
from lognet_fpga.engines.bram.blocks.staging import StagingShape, staging
from lognet_fpga.engines.bram.blocks.window import WordWindowShape, word_window
from lognet_fpga.engines.bram.layout import OutputConstants, bram_shape
from lognet_fpga.engines.bram.modules import constant_words
from lognet_fpga.fabric.latencies import OUTPUT_LATENCY, WORD_LATENCY, sum_latency
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.hw.wiring import counter, flag, vector
from lognet_fpga.ir import reference
from lognet_fpga.ir.stream_format import StreamFormat
from tests.engines.bram.walked import walked
from tests.hw.beats import merge, to_beats
from tests.hw.bench import Pause, Source, every_pause, reset_then, run
from tests.hw.memory_codes import CODES, field, signed
from tests.quant_models import Spec, random_layer
from tests.shallow import shallow


@pytest.mark.parametrize("simd,in_bits", [(1, 8), (2, 4), (3, 8), (5, 8), (8, 4)])
def test_sums_of_every_code(simd, in_bits):
    rng = np.random.default_rng(simd)
    lengths = [1, 7, 2, 1, 5, 30]
    groups = [(rng.choice(CODES, (n, simd)), rng.integers(0, 2**in_bits, (n, simd))) for n in lengths]
    groups[3] = (np.full((1, simd), -64), np.full((1, simd), 2**in_bits - 1))
    low = min(int(np.minimum(codes, 0).sum()) * (2**in_bits - 1) - codes.size for codes, _ in groups)
    high = max(int(np.maximum(codes, 0).sum()) * (2**in_bits - 1) for codes, _ in groups)
    width = max(high.bit_length(), (-low).bit_length()) + 1
    shape = PeShape(simd, in_bits, width)
    levels, words, firsts, captures, at = (simd - 1).bit_length(), {}, set(), {}, 5
    for codes, x in groups:
        firsts.add(at + sum_latency(levels))
        for code, activation in zip(codes, x):
            words[at] = merge([int(v) for v in activation], in_bits), merge([field(int(c)) for c in code], 4)
            at += 1
        captures[at + sum_latency(levels)] = int((codes * x).sum()) - int((codes < 0).sum())
        at += int(rng.integers(0, 3)) if len(captures) % 2 else 0

    clk, first, capture = flag(), flag(), flag()
    x, codes, result = vector(simd * in_bits), vector(simd * 4), vector(width)
    shift_in = vector(width)
    dut = shallow(shift_accumulate, clk, x, codes, first, capture, shift_in, result, shape=shape)
    found = {}

    def drive(cycle):
        # Behind a pause the lanes see noise whose sum belongs to no group.
        noise = int(rng.integers(0, 2**in_bits)), 1
        x.next, codes.next = words.get(cycle, noise)
        first.next, capture.next = cycle + 1 in firsts or cycle + 1 not in window_of, cycle + 1 in captures
        shift_in.next = 5

    window_of = {cycle + sum_latency(levels) for cycle in words}

    def observe(cycle):
        if cycle - 1 in captures:
            found[cycle - 1] = signed(int(result), width)
        elif cycle:
            assert result == 5
        return cycle > max(captures) + 1

    run(dut, clk, drive, observe, cap=500)
    assert found == captures


@every_pause
@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(
    "channels,beat_channels,lanes",
    [
        *[(5, 2, 4), (6, 3, 3), (7, 4, 2), (8, 8, 1), (3, 1, 3), (1, 1, 1), (9, 2, 6)],
        *[(40, 16, 32), (30, 16, 4)],  # a beat of 128 bits, more than a leaf steers
    ],
)
def test_positions_from_beats_to_words(channels, beat_channels, lanes, late, idle, stall):
    beats, words = -(-channels // beat_channels), -(-channels // lanes)
    shape = StagingShape(8, beat_channels, beats, lanes, words)
    rng = np.random.default_rng(channels)
    frames = rng.integers(0, 256, (1, channels, 4, 5)).astype(np.uint8)
    form = StreamFormat((channels, 4, 5), 8, beat_channels, 128)
    clk, rst, in_valid, in_ready, take, turn, full_soon = (flag() for _ in range(7))
    in_data, staged, word = vector(beat_channels * 8), vector(lanes * 8), counter(words)
    dut = shallow(staging, clk, rst, in_data, in_valid, in_ready, take, turn, word, staged, full_soon, shape=shape)
    source, pause = Source(to_beats(form, frames), in_data, in_valid, in_ready, idle=idle), Pause(stall, 3)
    shown, taken, full = {}, [-words], [False]  # cycle -> position and word; cycles of the takes

    def drive(cycle):
        if reset_then(rst, cycle):
            source.drive()
        take.next = cycle > 3 and full[0] and cycle >= taken[-1] + words and not pause()
        if take.next:
            shown.update({cycle + late + 1 + number: (len(taken) - 1, number) for number in range(words)})
            taken.append(cycle)
        turn.next = cycle - late in taken
        word.next = shown.get(cycle, (0, 0))[1]

    def observe(cycle):
        if cycle < 3:
            return False
        source.observe(cycle)
        full[0] = bool(full_soon)
        if cycle - 1 in shown:
            position, number = shown[cycle - 1]
            real = frames[0].reshape(channels, -1)[number * lanes : (number + 1) * lanes, position]
            assert int(staged) & (1 << 8 * len(real)) - 1 == merge([int(v) for v in real], 8)
        return len(taken) == 21 and cycle > max(shown) + 1

    run(dut, clk, drive, observe, cap=4000)


WINDOWS = {  # (channels, height, width), bits, lanes a beat, pe, simd, layer
    "three words": ((5, 4, 3), 8, 2, 2, 2, Spec(3, odd_pad=True)),
    "one word": ((3, 3, 4), 8, 3, 1, 3, Spec(2, zeros=0.0)),
    "stride": ((2, 6, 5), 4, 1, 2, 2, Spec(2, stride=(2, 3), pads=(0, 1, 1, 0))),
    "1x1": ((4, 2, 3), 8, 4, 1, 2, Spec(1, (1, 1), pads=(0, 0, 0, 0))),
    "1x1, padding": ((5, 2, 3), 8, 2, 2, 2, Spec(3, (1, 1), pads=(0, 0, 1, 2), odd_pad=True)),
    "1x1, stride": ((4, 5, 4), 8, 2, 4, 4, Spec(8, (1, 1), (2, 2), pads=(0, 0, 0, 0))),
    "1x1, a slot a cycle": ((3, 4, 4), 8, 3, 2, 3, Spec(2, (1, 1), pads=(0, 0, 0, 0))),
    "depthwise": ((6, 4, 5), 8, 2, 4, 1, Spec(6, groups=6, odd_pad=True)),
    "depthwise 1x1": ((6, 4, 5), 8, 2, 2, 1, Spec(6, (1, 1), pads=(0, 0, 0, 0), groups=6)),
    "within a group": ((8, 4, 5), 8, 2, 3, 2, Spec(6, groups=2)),
    "holes": ((8, 5, 6), 8, 2, 2, 2, Spec(4, zeros=0.0, holes=(0.7, 2, 2), odd_pad=True)),
    "holes of all outputs": ((8, 5, 6), 8, 4, 2, 4, Spec(4, zeros=0.0, holes=(0.5, 4, 4))),
    "5x2": ((3, 6, 4), 4, 1, 1, 2, Spec(1, (5, 2), pads=(2, 0, 1, 1), odd_pad=True, zeros=0.8)),
}


@pytest.mark.parametrize("idle,stall", [(0, 0), (40, 40), pytest.param(85, 20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WINDOWS)
def test_words_of_every_window(name, idle, stall):
    in_shape, in_bits, lanes, pe, simd, spec = WINDOWS[name]
    rng = np.random.default_rng(1)
    layer = random_layer(rng, name, in_shape, in_bits, spec)
    folding, raster = bram_shape(layer, pe, simd), slot_raster(layer)
    form = StreamFormat(in_shape, in_bits, lanes, 64)
    shape = WordWindowShape(folding, lanes, form.beats_per_position, raster, tuple(int(v) for v in layer.pad_value))
    frames = rng.integers(0, 2**in_bits, (2, *in_shape)).astype(np.uint8)
    clk, rst, in_valid, in_ready, room, first, ending, blank = (flag() for _ in range(8))
    in_data, x, address = vector(lanes * in_bits), vector(shape.word_bits), counter(folding.weight_words)
    dut = shallow(
        word_window, clk, rst, in_data, in_valid, in_ready, room, x, address, first, ending, blank, shape=shape
    )
    source, stalls = Source(to_beats(form, frames), in_data, in_valid, in_ready, idle=idle), Pause(stall, 4)
    shown, firsts, captures = [], [], []
    settle = WORD_LATENCY + sum_latency(folding.tree_levels)

    def drive(cycle):
        room.next = not stalls()
        if reset_then(rst, cycle):
            source.drive()

    def observe(cycle):
        if cycle >= 3:
            source.observe(cycle)
        shown.append((int(address), int(x)))
        if first:
            firsts.append(cycle + 1)
        if ending:
            captures.append(cycle + 1)
        return len(captures) == raster.computing * len(frames) * folding.passes

    run(dut, clk, drive, observe, cap=20_000)
    padded = reference.pad(frames.astype(np.int64), layer.pads, layer.pad_value)
    windows = reference.windows(padded, layer.kernel, layer.stride).transpose(0, 2, 3, 1, 4, 5)
    windows = windows.reshape(-1, in_shape[0], *layer.kernel)
    reads, wide = walked(folding), folding.lanes
    by_pass = [[place for place, read in enumerate(reads) if read.number == number] for number in range(folding.passes)]
    for number, at in enumerate(captures):
        places = by_pass[number % folding.passes]
        begin = at - settle - len(places)  # of the pass' first address
        assert begin + settle in firsts
        for offset, place in enumerate(places):
            assert shown[begin + offset][0] == place
            _, ky, kx, word = reads[place]
            real = windows[number // folding.passes][word * wide : (word + 1) * wide, ky, kx]
            found = shown[begin + offset + WORD_LATENCY][1] & (1 << in_bits * len(real)) - 1
            assert found == merge([int(v) for v in real], in_bits)


@pytest.mark.parametrize(
    "channels,pe,lanes,lift,drops,out_bits",
    [(7, 4, 2, 0, (3, 4), 8), (4, 4, 4, 0, (0,), 8), (5, 2, 1, 2, (0, 1, 5), 4), (6, 6, 3, 0, (9,), 4)],
)
def test_activations_against_the_definition(channels, pe, lanes, lift, drops, out_bits):
    rng = np.random.default_rng(channels)
    passes, beats, per_pass, bits = -(-channels // pe), -(-channels // lanes), pe // lanes, 14
    drop = rng.choice(drops, channels)
    drop[: len(drops)] = drops[:channels]
    offset = rng.integers(-2000, 2000, channels)
    constants = OutputConstants(lift, offset, drop, bits, bits + lift + 1)
    shape = OutputShape(
        passes, beats, per_pass, lanes, lift, bits, bits + lift + 1, out_bits, tuple(sorted(set(map(int, drop))))
    )
    table = constant_words(constants, shape)
    sums = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (6, passes * pe))
    sums[1] = rng.integers(-40, 40, passes * pe)
    blanks = [False, False, True, False, True, False]
    period, start = per_pass + 1, 8
    timed, strobes = {}, {}
    for position in range(6):
        for number in range(passes):
            at = start + (position * passes + number) * period
            strobes[at - 2] = blanks[position]
            for beat in range(per_pass):
                some = sums[position, number * pe + beat * lanes :][:lanes]
                timed[at + beat] = merge([int(v) % 2**bits for v in some], bits)

    clk, rst, ending, blank, out_valid = (flag() for _ in range(5))
    joined, index = vector(lanes * bits), counter(passes * per_pass)
    words, out_data = vector(lanes * shape.constant_bits), vector(lanes * out_bits)
    dut = shallow(activations, clk, rst, joined, ending, blank, index, words, out_valid, out_data, shape=shape)
    indices, found = [0, 0], []

    def drive(cycle):
        reset_then(rst, cycle)
        words.next = table[indices[-2]]
        joined.next = timed.get(cycle, 0)
        ending.next, blank.next = cycle in strobes, strobes.get(cycle, True)

    def observe(cycle):
        indices.append(int(index))
        if out_valid:
            assert cycle - OUTPUT_LATENCY in timed
            found.append(int(out_data))
        return cycle > max(timed) + 6

    run(dut, clk, drive, observe, cap=1000)
    total = (sums[:, :channels] << lift) + offset
    scaled = np.floor(total / 2.0**drop)
    expected = np.clip(scaled, 0, 2**out_bits - 1).astype(int) * ~np.array(blanks)[:, None]
    padded = np.zeros((6, beats * lanes), int)
    padded[:, :channels] = expected
    got = np.array([[value >> out_bits * lane & 2**out_bits - 1 for lane in range(lanes)] for value in found])
    np.testing.assert_array_equal(got.reshape(6, -1)[:, :channels], padded[:, :channels])
