from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.fabric.latencies import pool_latency
from lognet_fpga.hw.pool import Mean, PoolShape, pool
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.ir import reference
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
    ],
)
def test_against_the_reference(idle, kernel, stride, size, channels, lanes, bits, mean):
    frames = np.random.default_rng(1).integers(0, 2**bits, (2, channels, *size)).astype(np.uint8)
    if mean:
        expected = reference.average(reference.sum_pool(frames, AveragePool(kernel, stride)), mean.shift, mean.bits)
    else:
        expected = reference.run_pool(frames, MaxPool(kernel, stride))
    out_bits = mean.bits if mean else bits
    before = StreamFormat((channels, *size), bits, lanes, 64)
    after = StreamFormat(expected.shape[1:], out_bits, lanes, 64)
    clk, rst, in_valid, out_valid = (flag() for _ in range(4))
    in_data, out_data = vector(lanes * bits), vector(lanes * out_bits)
    shape = PoolShape(*size, bits, lanes, before.beats_per_position, kernel, stride, mean)
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
    # Each result comes pool_latency behind the last beat of its window.
    ends = [
        (frame, r * stride[0] + kernel[0] - 1, c * stride[1] + kernel[1] - 1)
        for frame in range(2)
        for r in range(expected.shape[2])
        for c in range(expected.shape[3])
    ]
    beats = before.beats_per_position
    places = [((frame * size[0] + r) * size[1] + c) * beats + beat for frame, r, c in ends for beat in range(beats)]
    assert sink.taken == [source.taken[place] + pool_latency(kernel, mean is not None) for place in places]
