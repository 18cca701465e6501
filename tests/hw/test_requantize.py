from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.engines.clb.blocks.requantize import RequantizeShape, requantize
from lognet_fpga.fabric.latencies import CAPTURE_LATENCY
from lognet_fpga.hw.wiring import flag, vector
from tests.hw.beats import digits, merge
from tests.hw.bench import Pause, Sink, reset_then, run
from tests.shallow import shallow

SHAPES = [  # channels, accumulator bits, digit bits, digits of a leg (0: all), shift, out bits, channels a beat
    (3, 14, 1, 0, 4, 8, 3),
    (3, 14, 2, 0, 5, 8, 2),
    (5, 14, 3, 0, 4, 4, 2),
    (2, 14, 5, 0, 3, 8, 1),
    (4, 14, 7, 0, 0, 8, 4),
    (3, 14, 14, 0, 5, 8, 3),
    (2, 12, 4, 0, 0, 4, 2),
    (3, 13, 13, 0, 0, 4, 3),
    (2, 15, 4, 0, 6, 8, 2),
    (1, 9, 2, 0, 0, 8, 1),
    (3, 16, 6, 0, 11, 4, 3),
    (2, 13, 1, 0, 4, 8, 2),
    (3, 14, 1, 1, 4, 8, 3),
    (3, 14, 1, 2, 3, 8, 3),
    (2, 19, 1, 3, 6, 8, 1),
    (2, 15, 1, 4, 4, 8, 2),
    (3, 14, 1, 5, 0, 4, 2),
    (3, 14, 1, 7, 5, 8, 1),
    (2, 22, 1, 12, 11, 8, 2),
    (3, 17, 2, 3, 5, 8, 3),
    (2, 17, 3, 1, 5, 8, 2),
    (2, 19, 3, 2, 7, 8, 1),
]


@pytest.mark.parametrize("idle", [0, 60])
@pytest.mark.parametrize("channels,acc_bits,digit_bits,leg_cycles,shift,out_bits,lanes", SHAPES)
def test_against_the_definition(idle, channels, acc_bits, digit_bits, leg_cycles, shift, out_bits, lanes):
    """Positions as close together as leg_cycles and beats allow, or with pauses."""
    leg_cycles = leg_cycles or -(-acc_bits // digit_bits)
    legs = -(-acc_bits // (digit_bits * leg_cycles))
    shape = RequantizeShape(channels, digit_bits, leg_cycles, legs, shift, out_bits, lanes)
    width = len(shape.wires)
    rng = np.random.default_rng(acc_bits + digit_bits)
    span = 2 ** (shift + out_bits)  # of the values that are not clipped
    values = rng.integers(-span, 2 * span, (30, channels))
    values[:6] = np.array([-(2 ** (acc_bits - 1)), 2 ** (acc_bits - 1) - 1, span - 1, span, -1, 0])[:, None]
    values = np.clip(values, -(2 ** (acc_bits - 1)), 2 ** (acc_bits - 1) - 1)
    expected = np.clip(values >> shift, 0, 2**out_bits - 1)

    blanks = rng.random(len(values)) < 0.2  # padding of the pool behind
    expected[blanks] = 0
    clk, rst, soon, blank, out_valid = (flag() for _ in range(5))
    acc, out_data = vector(channels * width), vector(lanes * out_bits)
    dut = shallow(requantize, clk, rst, acc, soon, blank, out_valid, out_data, shape=shape)
    sink, pause = Sink(out_data, out_valid), Pause(idle, 5)
    random_bits = np.random.default_rng(2)
    position, phase, begins, last_digits, quiet = -1, 10**6, [-(10**6)], [], 0  # begins: of positions, in cycles

    def drive(cycle):
        nonlocal position, phase
        if not reset_then(rst, cycle):
            return
        phase += 1
        if cycle in begins[-2:]:
            position, phase = position + 1, 0
        coming = len(begins) - 1  # the next position to be told of, two cycles ahead
        told = cycle + 2 >= begins[-1] + max(leg_cycles, shape.beats) and coming < len(values) and not pause()
        soon.next = told
        blank.next = bool(blanks[coming]) if told else bool(random_bits.integers(0, 2))
        if told:
            begins.append(cycle + 2)
        if phase < leg_cycles:
            lanes_now = [
                digits(int(value), digit_bits, leg_cycles * legs)[leg * leg_cycles + phase]
                for value in values[position]
                for leg in range(shape.first_leg, legs)
            ]
            acc.next = merge(lanes_now, digit_bits)
            if phase == leg_cycles - 1:
                last_digits.append(cycle)
        else:  # nobody looks
            acc.next = merge([int(v) for v in random_bits.integers(0, 2**width, channels)], width)

    def observe(cycle):
        nonlocal quiet
        if cycle >= 3:
            sink.held = None
            sink.observe(cycle)
            quiet += position == len(values) - 1
        return quiet > leg_cycles + shape.beats + 10

    run(dut, clk, drive, observe, cap=8000)
    groups = [[int(v) for v in row[first : first + lanes]] for row in expected for first in range(0, channels, lanes)]
    assert sink.beats == [merge(group, out_bits) for group in groups]
    assert sink.taken == [at + CAPTURE_LATENCY + beat for at in last_digits for beat in range(shape.beats)]
