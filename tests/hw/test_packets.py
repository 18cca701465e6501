"""Packets at the edges, against counting by hand."""

from __future__ import annotations

import pytest

from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.overlay.packets import packet_entry, packet_exit
from tests.hw.bench import Sink, Source, reset_then, run
from tests.shallow import shallow

MORE = [pytest.param(*more, marks=pytest.mark.slow) for more in ((50, 0), (0, 50))]
every_pause = pytest.mark.parametrize("idle,stall", [(0, 0), (40, 60), *MORE])


def restart_with(s, more, cycle, at):
    """The number of further frames, and the strobe behind it, as axil_registers gives them; True once that is over."""
    if cycle >= at:
        s["more_frames"].next = more
        s["several"].next = more != 0
    s["restart"].next = cycle == at + 1
    return cycle > at + 2


def entry(beats_per_frame):
    clk, rst, tvalid, tready, tlast, several, restart, frame_ends, begin = (flag() for _ in range(9))
    more_frames = vector(16)
    dut = shallow(
        packet_entry,
        clk,
        rst,
        tvalid,
        tready,
        tlast,
        more_frames,
        several,
        restart,
        frame_ends,
        begin,
        beats_per_frame=beats_per_frame,
    )
    return dut, locals()


def marked(beats_per_frame, more, ends, *, idle=0, stall=0):
    """TLAST towards the overlay and beginnings of packets, as beat numbers, for TLAST from outside at beats `ends`."""
    dut, s = entry(beats_per_frame)
    tdata = vector(16)
    total = max(ends) + 1
    source = Source(list(range(total)), tdata, s["tvalid"], s["tready"], idle=idle, last=s["tlast"], ends=ends)
    sink = Sink(tdata, s["tvalid"], s["tready"], stall=stall)
    lasts, begins, numbers = [], [], []

    def drive(cycle):
        reset_then(s["rst"], cycle)
        if restart_with(s, more, cycle, 4):
            source.drive()
            sink.drive()

    def observe(cycle):
        over = len(numbers) == total
        if s["begin"]:  # of a packet, in the cycle before
            begins.append(numbers[-1])
        if s["tvalid"] and s["tready"]:
            numbers.append(len(numbers))
            if s["tlast"] or s["frame_ends"]:
                lasts.append(numbers[-1])
        source.observe(cycle)
        sink.observe(cycle)
        return over

    run(dut, s["clk"], drive, observe, cap=3000)
    return lasts, begins


@every_pause
@pytest.mark.parametrize("beats,more", [(1, 0), (1, 3), (2, 1), (4, 0), (5, 2), (3, 7)])
def test_every_frame_of_a_packet_ends(beats, more, idle, stall):
    packet = beats * (more + 1)
    lasts, begins = marked(beats, more, [packet - 1, 2 * packet - 1, 3 * packet - 1], idle=idle, stall=stall)
    assert lasts == list(range(beats - 1, 3 * packet, beats))
    assert begins == [0, packet, 2 * packet]


def test_an_early_tlast_ends_the_packet():
    """Packets of two frames of three beats; the first ends after four."""
    lasts, begins = marked(3, 1, [3, 9])
    assert lasts == [2, 3, 6, 9] and begins == [0, 4]


def test_a_late_tlast_is_not_hidden():
    """The second frame has no TLAST of its own, and none is added until the packet ends, two beats late."""
    lasts, begins = marked(3, 1, [7, 13])
    assert lasts == [2, 7, 10, 13] and begins == [0, 8]


@every_pause
@pytest.mark.parametrize("beats,more", [(1, 0), (1, 3), (4, 0), (3, 2)])
def test_exit_ends_packets(beats, more, idle, stall):
    clk, rst, tvalid, tready, frame_ends, several, restart, ends = (flag() for _ in range(8))
    more_frames, tdata = vector(16), vector(16)
    s = locals()
    dut = shallow(
        packet_exit, clk, rst, tvalid, tready, frame_ends, more_frames, several, restart, ends, single_beat=beats == 1
    )
    total = 3 * beats * (more + 1)
    source = Source(list(range(total)), tdata, tvalid, tready, idle=idle, last=frame_ends, beats_per_frame=beats)
    sink = Sink(tdata, tvalid, tready, stall=stall)
    lasts, count = [], []

    def drive(cycle):
        reset_then(rst, cycle)
        if restart_with(s, more, cycle, 4):
            source.drive()
            sink.drive()

    def observe(cycle):
        if tvalid and tready:
            count.append(None)
            if ends:
                lasts.append(len(count) - 1)
        source.observe(cycle)
        sink.observe(cycle)
        return len(count) == total

    run(dut, clk, drive, observe, cap=3000)
    packet = beats * (more + 1)
    assert lasts == [packet - 1, 2 * packet - 1, 3 * packet - 1]
