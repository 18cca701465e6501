"""What joins streams, leaves out positions, and lets beats into several FIFOs, against plain Python."""

from __future__ import annotations

import random

import pytest

from lognet_fpga.fabric.latencies import ADMIT_LATENCY, PICK_LATENCY, SLICE_LATENCY, rooms_latency
from lognet_fpga.hw.branch import admit, all_room, pick
from lognet_fpga.hw.join import join_slice
from lognet_fpga.hw.wiring import flag, vector
from tests.hw.bench import Pause, Sink, Source, every_pause, reset_then, run
from tests.shallow import shallow


def beats_of(count: int, width: int, seed: int) -> list[int]:
    return [random.Random(seed).getrandbits(width) for _ in range(count)]


@every_pause
@pytest.mark.parametrize("first,second", [(1, 1), (3, 1), (2, 5), (1, 4)])
def test_a_join_takes_turns(first, second, idle, stall):
    clk, rst, first_valid, first_ready, second_valid, second_ready, out_valid, out_ready = (flag() for _ in range(8))
    first_data, second_data, out_data = vector(10), vector(10), vector(10)
    positions = 40
    sides = beats_of(positions * first, 10, 1), beats_of(positions * second, 10, 2)
    dut = shallow(
        join_slice,
        clk,
        rst,
        first_data,
        first_valid,
        first_ready,
        second_data,
        second_valid,
        second_ready,
        out_data,
        out_valid,
        out_ready,
        first_beats=first,
        second_beats=second,
    )
    sources = [
        Source(sides[0], first_data, first_valid, first_ready, idle=idle),
        Source(sides[1], second_data, second_valid, second_ready, idle=idle // 2),
    ]
    sink = Sink(out_data, out_valid, out_ready, stall=stall)
    expected = [
        beat
        for position in range(positions)
        for side, count in zip(sides, (first, second))
        for beat in side[position * count : (position + 1) * count]
    ]

    def drive(cycle):
        sink.drive()
        if reset_then(rst, cycle):
            for source in sources:
                source.drive()

    def observe(cycle):
        assert cycle < 4 or not (first_ready and second_ready)
        for source in sources:
            source.observe(cycle)
        sink.observe(cycle)
        return len(sink.beats) == len(expected)

    run(dut, clk, drive, observe, cap=6000)
    assert sink.beats == expected
    if not idle and not stall:
        assert sink.taken == list(range(sink.taken[0], sink.taken[0] + len(expected)))
        assert sink.taken[0] - sources[0].taken[0] == SLICE_LATENCY


@pytest.mark.parametrize("idle", [0, 60])
@pytest.mark.parametrize(
    "shape,beats,stride", [((4, 5), 1, (2, 2)), ((3, 7), 3, (2, 3)), ((5, 4), 2, (1, 2)), ((1, 6), 1, (3, 1))]
)
def test_a_pick_passes_every_stride_th_position(shape, beats, stride, idle):
    clk, rst, in_valid, out_valid = (flag() for _ in range(4))
    in_data, out_data = vector(9), vector(9)
    dut = shallow(pick, clk, rst, in_valid, in_data, out_valid, out_data, shape=shape, beats=beats, stride=stride)
    rows, cols = shape
    sent = beats_of(2 * rows * cols * beats, 9, 3)
    kept = [
        number
        for number in range(len(sent))
        if not (number // beats // cols % rows % stride[0] or number // beats % cols % stride[1])
    ]
    pause, pushed, got = Pause(idle, 1), [], []

    def drive(cycle):
        push = bool(reset_then(rst, cycle) and len(pushed) < len(sent) and not pause())
        in_valid.next = push
        if push:
            in_data.next = sent[len(pushed)]
            pushed.append(cycle)

    def observe(cycle):
        if out_valid:
            got.append((cycle, int(out_data)))
        return bool(pushed) and cycle > pushed[-1] + 5 and len(pushed) == len(sent)

    run(dut, clk, drive, observe, cap=3000)
    assert got == [(pushed[number] + PICK_LATENCY, sent[number]) for number in kept]


@pytest.mark.parametrize("count", [2, 6, 7, 40])
def test_there_is_room_where_all_have_room(count):
    clk, room, rooms = flag(), flag(), vector(count)
    dut, rng = shallow(all_room, clk, rooms, room), random.Random(count)
    shown: list[int] = []

    def drive(cycle):
        missing = rng.choice([0, 0, 1 << rng.randrange(count), rng.getrandbits(count)])
        shown.append((1 << count) - 1 & ~missing)
        rooms.next = shown[-1]

    def observe(cycle):
        if cycle >= rooms_latency(count):
            assert room == (shown[cycle - rooms_latency(count)] == (1 << count) - 1), f"cycle {cycle}"
        return cycle == 300

    run(dut, clk, drive, observe, cap=400)


def test_frames_are_let_in_as_long_as_there_is_room():
    clk, rst, in_valid, in_ready, room, out_valid = (flag() for _ in range(6))
    in_data, out_data = vector(8), vector(8)
    dut = shallow(admit, clk, rst, in_data, in_valid, in_ready, room, out_valid, out_data)
    source, rng = Source(beats_of(100, 8, 4), in_data, in_valid, in_ready, idle=30), random.Random(5)
    rooms: list[bool] = []
    pushed: list[tuple[int, int]] = []

    def drive(cycle):
        rooms.append(rng.random() < 0.6)
        room.next = rooms[-1]
        if reset_then(rst, cycle):
            source.drive()

    def observe(cycle):
        source.observe(cycle)
        if cycle > 5:
            assert in_ready == rooms[cycle - 1]
        if out_valid:
            pushed.append((cycle - ADMIT_LATENCY, int(out_data)))
        return len(pushed) == 100

    run(dut, clk, drive, observe, cap=2000)
    assert pushed == list(zip(source.taken, beats_of(100, 8, 4)))
