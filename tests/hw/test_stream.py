from __future__ import annotations

import itertools
import random

import pytest

from lognet_fpga.fabric.latencies import FIFO_LATENCY, SINK_LATENCY, SOURCE_LATENCY
from lognet_fpga.hw.fifo import fifo
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.overlay.axi_stream import axis_source
from lognet_fpga.overlay.edges import stream_entry, stream_exit
from tests.hw.bench import Pause, Sink, Source, every_pause, reset_then, run
from tests.shallow import shallow


def beats_of(count: int, width: int, seed: int = 1) -> list[int]:
    return [random.Random(seed).getrandbits(width) for _ in range(count)]


@every_pause
@pytest.mark.parametrize("depth,lag", [(4, 0), (8, 0), (8, 3), (16, 5)])
def test_fifo(idle, stall, depth, lag):
    """Whoever decides by `room` and pushes `lag` cycles later never overfills it, and order is kept."""
    clk, rst, in_valid, out_valid, out_ready, room = (flag() for _ in range(6))
    in_data, out_data = vector(12), vector(12)
    reserve = lag + 2  # pushes decided in the cycles that the level in `room` does not show yet, and this one
    dut = shallow(fifo, clk, rst, in_valid, in_data, out_valid, out_data, out_ready, room, depth=depth, reserve=reserve)
    beats = beats_of(150, 12)
    on_the_way = [False] * lag
    sink, pause = Sink(out_data, out_valid, out_ready, stall=stall), Pause(idle, 3)
    pushed, decided, levels = [], 0, [0, 0]

    def drive(cycle):
        nonlocal decided
        sink.drive()
        released = reset_then(rst, cycle)
        decision = bool(released and cycle > 5 and room and decided < len(beats) and not pause())
        decided += decision
        on_the_way.append(decision)
        push = on_the_way.pop(0)
        in_valid.next = push
        if push:
            in_data.next = beats[len(pushed)]
            pushed.append(cycle)

    def observe(cycle):
        if cycle > 5:
            assert room == (levels[-2] <= depth - reserve), f"cycle {cycle}"
        sink.observe(cycle)
        # in the next cycle:
        levels.append(len(pushed) - len(sink.beats))
        assert levels[-1] <= depth
        return len(sink.beats) == len(beats)

    run(dut, clk, drive, observe, cap=6000)
    assert sink.beats == beats
    assert all(out - at >= FIFO_LATENCY for at, out in zip(pushed, sink.taken))
    assert sink.taken[0] - pushed[0] == FIFO_LATENCY or stall
    if not idle and not stall and lag == 0 and depth > 4:
        assert sink.taken[-1] - sink.taken[0] == len(beats) - 1


def entry(beats_per_frame: int):
    clk, rst, tvalid, tready, tlast, ends, out_valid, out_ready, begin, short, long = (flag() for _ in range(11))
    tdata, out_data = vector(16), vector(12)
    dut = shallow(
        axis_source,
        clk,
        rst,
        tdata,
        tvalid,
        tready,
        tlast,
        ends,
        out_data,
        out_valid,
        out_ready,
        begin,
        short,
        long,
        beats_per_frame=beats_per_frame,
    )
    return dut, locals()


@every_pause
def test_entry(idle, stall):
    dut, s = entry(5)
    beats = beats_of(100, 16)
    source = Source(beats, s["tdata"], s["tvalid"], s["tready"], idle=idle, last=s["tlast"], beats_per_frame=5)
    sink = Sink(s["out_data"], s["out_valid"], s["out_ready"], stall=stall)
    begins = []

    def drive(cycle):
        reset_then(s["rst"], cycle)
        source.drive()
        sink.drive()

    def observe(cycle):
        if cycle < 3:
            assert cycle == 0 or not s["tready"]  # nothing is accepted, and lost, in reset
            return False
        if s["begin"]:  # a frame, in the cycle before
            begins.append(source.sent - 1)
        assert not s["short"] and not s["long"]
        source.observe(cycle)
        sink.observe(cycle)
        return len(sink.beats) == len(beats)

    run(dut, s["clk"], drive, observe, cap=3000)
    assert sink.beats == [beat & 0xFFF for beat in beats]
    assert begins == list(range(0, 100, 5))
    if not stall:
        assert all(out - at == 1 for at, out in zip(source.taken, sink.taken))
    if not idle and not stall:
        assert source.taken[-1] - source.taken[0] == len(beats) - 1


@every_pause
@pytest.mark.parametrize("beats_per_frame", [1, 2, 5])
def test_entry_makes_whole_frames(idle, stall, beats_per_frame):
    """Frames of 1 to 12 beats: short ones are filled with zeros, of long ones the rest is dropped."""
    dut, s = entry(beats_per_frame)
    rng = random.Random(f"{idle} {stall} {beats_per_frame}")
    lengths = [rng.choice([beats_per_frame, rng.randint(1, 12)]) for _ in range(60)]
    frames = [[rng.randint(1, 0xFFF) for _ in range(length)] for length in lengths]
    ends = list(itertools.accumulate(lengths))
    starts = [0, *ends[:-1]]
    source = Source(
        sum(frames, []),
        s["tdata"],
        s["tvalid"],
        s["tready"],
        idle=idle,
        last=s["tlast"],
        ends={end - 1 for end in ends},
    )
    sink = Sink(s["out_data"], s["out_valid"], s["out_ready"], stall=stall)
    seen = {"begin": [], "short": [], "long": []}
    quiet = 0

    def drive(cycle):
        reset_then(s["rst"], cycle)
        source.drive()
        sink.drive()

    def observe(cycle):
        nonlocal quiet
        if cycle < 3:
            return False
        for name, beats in seen.items():
            if s[name]:
                beats.append(source.sent - 1)
        source.observe(cycle)
        sink.observe(cycle)
        quiet = quiet + 1 if source.sent == len(source.beats) and not s["out_valid"] else 0
        return quiet > 2 * beats_per_frame

    run(dut, s["clk"], drive, observe, cap=9000)
    assert sink.beats == sum(((frame + beats_per_frame * [0])[:beats_per_frame] for frame in frames), [])
    lasts = list(zip(starts, ends, lengths))
    assert seen["begin"] == starts
    assert seen["short"] == [end - 1 for _, end, length in lasts if length < beats_per_frame]
    assert seen["long"] == [start + beats_per_frame - 1 for start, _, length in lasts if length > beats_per_frame]


@every_pause
@pytest.mark.parametrize("beats_per_frame", [1, 4, 7])
def test_exit(idle, stall, beats_per_frame):
    clk, rst, in_valid, in_ready, tvalid, tready, tlast, end = (flag() for _ in range(8))
    several, restart, stalled = (flag() for _ in range(3))
    in_data, tdata, more_frames = vector(12), vector(16), vector(16)
    dut = shallow(
        stream_exit,
        clk,
        rst,
        in_data,
        in_valid,
        in_ready,
        more_frames,
        several,
        restart,
        tdata,
        tvalid,
        tready,
        tlast,
        end,
        stalled,
        beats_per_frame=beats_per_frame,
    )
    beats = beats_of(8 * beats_per_frame, 12)
    source = Source(beats, in_data, in_valid, in_ready, idle=idle)
    sink = Sink(tdata, tvalid, tready, stall=stall, last=tlast)
    ends, stalls, told = [], 0, 0

    def drive(cycle):
        if reset_then(rst, cycle):
            source.drive()
            sink.drive()

    def observe(cycle):
        nonlocal stalls, told
        if cycle >= 3:
            if end:  # a frame, in the cycle before
                ends.append(len(sink.beats) - 1)
            told += bool(stalled)
            assert told == stalls
            stalls += bool(tvalid and not tready)
            source.observe(cycle)
            sink.observe(cycle)
        return len(ends) == 8

    run(dut, clk, drive, observe, cap=2000)
    assert sink.beats == beats
    assert sink.lasts == [i % beats_per_frame == beats_per_frame - 1 for i in range(len(beats))]
    assert ends == [i for i, last in enumerate(sink.lasts) if last]
    if not stall:
        assert all(out - at == SINK_LATENCY for at, out in zip(source.taken, sink.taken))


@every_pause
def test_whole_entry(idle, stall):
    """Packets of frames come in, and beats out of the slice; idle cycles are told a cycle late."""
    names = ("clk", "rst", "tvalid", "tready", "tlast", "several", "restart", "out_valid", "out_ready")
    events = ("packet_begin", "frame_begin", "frame_short", "frame_long", "source_idle")
    s = {name: flag() for name in (*names, *events)}
    tdata, more_frames, out_data = vector(16), vector(16), vector(12)
    streams = (tdata, s["tvalid"], s["tready"], s["tlast"], more_frames, s["several"], s["restart"], out_data)
    told = (s["out_valid"], s["out_ready"], *(s[name] for name in events))
    dut = shallow(stream_entry, s["clk"], s["rst"], *streams, *told, beats_per_frame=5)
    beats = beats_of(100, 16)
    source = Source(beats, tdata, s["tvalid"], s["tready"], idle=idle, last=s["tlast"], beats_per_frame=10)
    sink = Sink(out_data, s["out_valid"], s["out_ready"], stall=stall)
    seen = {name: [] for name in events[:-1]}
    idles, idles_told = 0, 0

    def drive(cycle):
        more_frames.next, s["several"].next, s["restart"].next = 1, True, cycle == 4
        if reset_then(s["rst"], cycle, 6):
            source.drive()
        sink.drive()

    def observe(cycle):
        nonlocal idles, idles_told
        for name, numbers in seen.items():
            if s[name]:
                numbers.append(source.sent - 1)
        idles_told += bool(s["source_idle"])
        assert idles_told == idles
        idles += bool(s["tready"] and not s["tvalid"])
        source.observe(cycle)
        if cycle > 6:
            sink.observe(cycle)
        return len(sink.beats) == len(beats)

    run(dut, s["clk"], drive, observe, cap=3000)
    assert sink.beats == [beat & 0xFFF for beat in beats]
    assert seen == {
        "packet_begin": list(range(0, 100, 10)),
        "frame_begin": list(range(0, 100, 5)),
        "frame_short": [],
        "frame_long": [],
    }
    if not stall:
        assert all(out - at == SOURCE_LATENCY for at, out in zip(source.taken, sink.taken))
    if not idle and not stall:
        assert source.taken[-1] - source.taken[0] == len(beats) - 1
