from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.fabric.pools import Mean, PoolShape
from lognet_fpga.hw.pool import pool
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.ir import reference
from lognet_fpga.ir.border import borders
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.stream_format import StreamFormat
from tests.hw.beats import from_beats, to_beats
from tests.hw.bench import Sink, Source, reset_then, run
from tests.shallow import shallow


@pytest.mark.parametrize("idle", [0, 60])
@pytest.mark.parametrize(
    "kernel,stride,size,channels,lanes,bits,mean",
    [
        ((2, 2), (2, 2), (4, 6), 3, 3, 8, Mean(2, 8)),
        ((4, 2), (1, 2), (6, 5), 3, 2, 4, Mean(3, 4)),
        ((3, 3), (2, 2), (7, 8), 3, 2, 8, Mean(4, 8)),
        ((3, 2), (1, 2), (5, 4), 2, 2, 4, Mean(3, 4)),
        ((5, 7), (5, 7), (5, 7), 3, 2, 8, Mean(6, 8)),
        ((1, 4), (1, 1), (2, 6), 2, 1, 8, Mean(2, 8)),
        ((4, 4), (4, 4), (4, 8), 3, 2, 4, Mean(0, 8)),  # the whole sum
        ((3, 3), (2, 2), (7, 8), 3, 2, 4, Mean(1, 7)),
        ((2, 2), (2, 2), (4, 6), 3, 3, 8, Mean(1, 8)),  # some end at the largest value
        ((4, 2), (1, 2), (6, 5), 3, 2, 4, Mean(1, 4)),
        ((2, 2), (1, 1), (5, 5), 2, 1, 4, Mean(0, 4)),
        ((2, 2), (2, 2), (4, 6), 3, 3, 8, None),
        ((2, 2), (2, 2), (5, 7), 5, 2, 4, None),
        ((3, 3), (2, 2), (7, 8), 2, 1, 8, None),
        ((2, 2), (1, 1), (3, 4), 2, 2, 8, None),
        ((1, 2), (1, 2), (2, 5), 3, 2, 4, None),
        ((3, 1), (3, 1), (6, 2), 1, 1, 8, None),
        ((2, 3), (2, 3), (2, 3), 4, 4, 4, None),
        ((2, 2), (3, 3), (8, 8), 1, 1, 8, None),
        ((1, 1), (2, 2), (4, 5), 3, 1, 8, None),
        # Gathered one by one, along the row, across rows, or both.
        ((3, 3), (3, 3), (7, 9), 3, 2, 4, Mean(3, 6)),
        ((4, 4), (5, 6), (11, 11), 2, 2, 8, Mean(4, 8)),
        ((4, 4), (4, 4), (8, 8), 5, 1, 4, None),
        ((3, 2), (3, 1), (7, 4), 3, 1, 4, Mean(2, 8)),
        ((2, 3), (1, 4), (4, 12), 1, 1, 8, Mean(2, 8)),
        ((13, 13), (13, 13), (13, 13), 3, 2, 4, Mean(4, 8)),
        ((13, 5), (1, 1), (13, 5), 1, 1, 8, None),  # one window
        ((3, 1), (1, 1), (7, 1), 1, 1, 8, None),
        ((2, 2), (2, 2), (5, 2), 1, 1, 8, Mean(2, 8)),
        ((2, 5), (2, 5), (2, 15), 2, 1, 4, None),
    ],
)
def test_against_the_reference(idle, kernel, stride, size, channels, lanes, bits, mean):
    frames = np.random.default_rng(1).integers(0, 2**bits, (2, channels, *size)).astype(np.uint8)
    if mean:
        sums, _ = reference.sum_pool(frames, AveragePool(kernel, stride))
        expected = reference.average(sums, mean.shift, mean.bits)
    else:
        expected = reference.run_pool(frames, MaxPool(kernel, stride))
    against(expected, frames, PoolShape(*size, bits, lanes, -(-channels // lanes), kernel, stride, mean), idle)


@pytest.mark.parametrize("idle", [0, 60])
@pytest.mark.parametrize(
    "kernel,stride,pads,size,channels,lanes,bits,shift,out_bits",
    [
        ((3, 3), (2, 2), (0, 0, 1, 1), (8, 8), 3, 3, 8, 3, 8),  # as Caffe has it
        ((3, 3), (1, 1), (1, 1, 1, 1), (4, 5), 3, 2, 4, 0, 8),
        ((2, 2), (2, 2), (1, 1, 0, 0), (5, 5), 2, 1, 4, 2, 4),
        ((5, 3), (1, 2), (2, 1, 2, 1), (6, 6), 3, 2, 8, 4, 7),  # ratios that are rounded
        ((1, 4), (1, 4), (0, 0, 0, 3), (3, 9), 3, 1, 8, 2, 8),  # gathered one by one
        ((4, 3), (4, 3), (2, 1, 2, 1), (8, 7), 3, 2, 4, 2, 6),
        ((3, 3), (3, 3), (1, 1, 1, 1), (1, 1), 2, 1, 8, 3, 8),  # never a whole window
    ],
)
def test_fewer_elements_at_the_border(idle, kernel, stride, pads, size, channels, lanes, bits, shift, out_bits):
    frames = np.random.default_rng(1).integers(0, 2**bits, (2, channels, *size)).astype(np.uint8)
    average = AveragePool(kernel, stride, pads, pads)
    sums, fraction = reference.sum_pool(frames, average)
    expected = reference.average(sums, shift + fraction, out_bits)
    padded = np.pad(frames, ((0, 0), (0, 0), pads[::2], pads[1::2]))
    mean = Mean(shift + fraction, out_bits, borders(average, *size))
    beats = -(-channels // lanes)
    against(expected, padded, PoolShape(*padded.shape[2:], bits, lanes, beats, kernel, stride, mean), idle)


def against(expected, frames, asked, idle):
    """Simulated on two frames, with what is between frames included."""
    shape, size, channels = asked.simplest, frames.shape[2:], frames.shape[1]
    bits, lanes, kernel, stride = asked.bits, asked.channels_per_beat, asked.kernel, asked.stride
    out_bits = asked.out_bits
    before = StreamFormat((channels, *size), bits, lanes, 64)
    after = StreamFormat(expected.shape[1:], out_bits, lanes, 64)
    clk, rst, in_valid, out_valid = (flag() for _ in range(4))
    in_data, out_data = vector(lanes * bits), vector(lanes * out_bits)
    dut = shallow(pool, clk, rst, in_valid, in_data, out_valid, out_data, shape=shape)
    source, sink = Source(to_beats(before, frames), in_data, in_valid, idle=idle), Sink(out_data, out_valid)
    quiet = 0

    def drive(cycle):
        if reset_then(rst, cycle):
            source.drive()

    def observe(cycle):
        nonlocal quiet
        if cycle >= 3:
            source.observe(cycle)
            sink.held = None  # no ready: a beat shows for one cycle
            sink.observe(cycle)
            quiet += source.sent == len(source.beats)
        return quiet > 10

    run(dut, clk, drive, observe, cap=5000)
    np.testing.assert_array_equal(from_beats(after, sink.beats), expected)
    # Each result comes latency_cycles behind the last beat of its window.
    ends = [
        (frame, r * stride[0] + kernel[0] - 1, c * stride[1] + kernel[1] - 1)
        for frame in range(2)
        for r in range(expected.shape[2])
        for c in range(expected.shape[3])
    ]
    beats = before.beats_per_position
    places = [((frame * size[0] + r) * size[1] + c) * beats + beat for frame, r, c in ends for beat in range(beats)]
    assert sink.taken == [source.taken[place] + shape.latency_cycles for place in places]
