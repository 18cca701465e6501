from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.blocks.window import WindowShape, window
from lognet_fpga.fabric.latencies import TAP_LATENCY
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.ir import reference
from lognet_fpga.ir.stream_format import StreamFormat
from tests.hw.beats import to_beats
from tests.hw.bench import Pause, Source, reset_then, run
from tests.quant_models import Spec, random_layer
from tests.shallow import shallow

FRAMES = 2
CASES = {  # (channels, height, width), bits, lanes a beat, digit bits, legs, ii_cycles, layer
    "bit by bit": ((2, 4, 3), 8, 2, 1, 1, 12, Spec(1)),
    "two bits, odd pad": ((3, 3, 4), 8, 2, 2, 1, 7, Spec(1, odd_pad=True)),
    "three of eight bits": ((1, 4, 4), 8, 1, 3, 1, 5, Spec(1, stride=(2, 2), pads=(0, 1, 1, 0))),
    "whole": ((2, 4, 5), 4, 2, 4, 1, 1, Spec(1)),
    "wider than the input": ((2, 3, 3), 4, 1, 9, 1, 2, Spec(1, odd_pad=True)),
    "two legs": ((2, 4, 3), 8, 2, 1, 2, 4, Spec(1)),
    "three legs, odd pad": ((2, 3, 4), 8, 1, 1, 3, 5, Spec(1, odd_pad=True)),
    "a leg a bit": ((2, 4, 5), 4, 2, 1, 4, 1, Spec(1)),
    "1x1": ((5, 2, 3), 4, 3, 2, 1, 4, Spec(1, (1, 1), pads=(0, 0, 0, 0))),
    "5x2": ((1, 6, 4), 4, 1, 2, 1, 3, Spec(1, (5, 2), pads=(2, 0, 1, 1))),
    "1x3": ((2, 2, 6), 4, 2, 4, 1, 2, Spec(1, (1, 3), pads=(0, 2, 0, 2), odd_pad=True)),
}


@pytest.mark.parametrize(
    "idle,stall",
    [(0, 0), pytest.param(60, 0, marks=pytest.mark.slow), pytest.param(0, 60, marks=pytest.mark.slow), (40, 40)],
)
@pytest.mark.parametrize("name", CASES)
def test_every_window(name, idle, stall):
    in_shape, in_bits, lanes, digit_bits, legs, ii_cycles, spec = CASES[name]
    rng = np.random.default_rng(1)
    layer = random_layer(rng, name, in_shape, in_bits, spec)
    channels, raster = in_shape[0], slot_raster(layer)
    form = StreamFormat(in_shape, in_bits, lanes, 64)
    in_digits = -(-in_bits // (digit_bits * legs))
    shape = WindowShape(
        channels,
        in_bits,
        lanes,
        form.beats_per_position,
        digit_bits,
        in_digits,
        legs,
        ii_cycles,
        layer.kernel,
        raster,
        tuple(int(v) for v in layer.pad_value),
    )
    frames = rng.integers(0, 2**in_bits, (FRAMES, *in_shape)).astype(np.uint8)

    clk, rst, in_valid, in_ready, room, start, compute, blank = (flag() for _ in range(8))
    in_data, taps = vector(lanes * in_bits), vector(shape.taps)
    dut = shallow(window, clk, rst, in_data, in_valid, in_ready, room, taps, start, compute, blank, shape=shape)
    source, stalls = Source(to_beats(form, frames), in_data, in_valid, in_ready, idle=idle), Pause(stall, 4)
    slots, shown, rooms = [], [], []
    total = raster.slots * FRAMES + raster.slots_after_reset

    def drive(cycle):
        room.next = not stalls()
        if reset_then(rst, cycle):
            source.drive()

    def observe(cycle):
        if cycle >= 3:
            source.observe(cycle)
        shown.append(int(taps))
        rooms.append(bool(room))
        if start:
            slots.append((cycle, bool(compute)))
        return len(slots) == total and cycle > slots[-1][0] + TAP_LATENCY + in_digits + 1

    run(dut, clk, drive, observe, cap=6000)
    padded = reference.pad(frames.astype(np.int64), layer.pads, layer.pad_value)
    windows = reference.windows(padded, layer.kernel, layer.stride).transpose(0, 2, 3, 1, 4, 5)
    windows = windows.reshape(-1, shape.taps // shape.wires)
    computing = [at for at, computes in slots if computes]
    assert len(computing) == len(windows) == raster.computing * FRAMES
    for at, expected in zip(computing, windows):
        digits = shown[at + TAP_LATENCY : at + TAP_LATENCY + in_digits]
        found = [
            sum(
                (digit >> (lane * legs + leg) * digit_bits & 2**digit_bits - 1)
                << digit_bits * (leg * in_digits + place)
                for place, digit in enumerate(digits)
                for leg in range(legs)
            )
            for lane in range(len(expected))
        ]
        assert found == expected.tolist(), f"slot that started in cycle {at}"
        assert rooms[at - 2]
    # Else the taps are zero, which extends the unsigned inputs to the accumulators' width.
    busy = {at + TAP_LATENCY + place for at in computing for place in range(in_digits)}
    assert not any(value for cycle, value in enumerate(shown) if cycle not in busy)
    lengths = [later - at for (at, _), (later, _) in zip(slots, slots[1:])]
    least = [ii_cycles if computes else in_digits for _, computes in slots]
    assert all(length >= needed for length, needed in zip(lengths, least))
    if not idle and not stall and form.beats_per_position <= in_digits:
        first = raster.slots_after_reset + 1  # the source has woken up
        assert lengths[first:] == least[first:-1]
