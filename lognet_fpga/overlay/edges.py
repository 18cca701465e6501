"""The AXI4-Stream edges of the overlay, each one block: what it says to the others comes out of registers."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import late_logic
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.slice import register_slice
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector
from lognet_fpga.overlay.axi_stream import axis_source
from lognet_fpga.overlay.packets import packet_entry, packet_exit


@block
def stream_entry(
    clk,
    rst,
    s_axis_tdata,
    s_axis_tvalid,
    s_axis_tready,
    s_axis_tlast,
    more_frames,
    several,
    restart,
    out_data,
    out_valid,
    out_ready,
    packet_begin,
    frame_begin,
    frame_short,
    frame_long,
    source_idle,
    *,
    beats_per_frame,
):
    """Packets of frames to whole frames, and a register slice behind.

    Ports: more_frames: frames of a packet beyond the first; several: it is not 0; restart: it has changed.  Of the
    cycle before: packet_begin, frame_begin: a first beat was taken; frame_short, frame_long: one with TLAST too early,
    or the last one without; source_idle: a beat could have been taken and none was offered.
    Latency: `SOURCE_LATENCY`.  Throughput: one beat a cycle.
    """
    ready, ends = flag(), flag()
    beat, beat_valid, beat_ready = vector(len(out_data)), flag(), flag()
    packets = packet_entry(
        clk,
        rst,
        s_axis_tvalid,
        ready,
        s_axis_tlast,
        more_frames,
        several,
        restart,
        ends,
        packet_begin,
        beats_per_frame=beats_per_frame,
    )
    frames = axis_source(
        clk,
        rst,
        s_axis_tdata,
        s_axis_tvalid,
        ready,
        s_axis_tlast,
        ends,
        beat,
        beat_valid,
        beat_ready,
        frame_begin,
        frame_short,
        frame_long,
        beats_per_frame=beats_per_frame,
    )
    leave = register_slice(clk, rst, beat, beat_valid, beat_ready, out_data, out_valid, out_ready)
    packets.name, frames.name, leave.name = "packets", "frames", "leave"

    @always_comb
    def show():
        s_axis_tready.next = ready

    @always(clk.posedge)
    def watch():
        source_idle.next = ready and not s_axis_tvalid

    return packets, frames, leave, show, watch


@block
def stream_exit(
    clk,
    rst,
    in_data,
    in_valid,
    in_ready,
    more_frames,
    several,
    restart,
    m_axis_tdata,
    m_axis_tvalid,
    m_axis_tready,
    m_axis_tlast,
    frame_end,
    sink_stalled,
    *,
    beats_per_frame,
):
    """Marks the last beat of each packet with TLAST, and offers beats out of a register slice.

    Ports: more_frames, several, restart: as at the entry.  Of the cycle before: frame_end: a frame's last beat was
    taken; sink_stalled: a beat was offered and not taken.
    Latency: `SINK_LATENCY`.  Throughput: one beat a cycle.
    """
    width = len(in_data)
    ready, valid, takes, frame_ends, packet_ends = (flag() for _ in range(5))
    beat, marked = counter(beats_per_frame), vector(width + 2)
    counting = wrapping_counter(clk, rst, takes, beat, frame_ends, count=beats_per_frame)
    packets = packet_exit(
        clk,
        rst,
        in_valid,
        ready,
        frame_ends,
        more_frames,
        several,
        restart,
        packet_ends,
        single_beat=beats_per_frame == 1,
    )
    wires = join([*bits(in_data), packet_ends, frame_ends])
    leave = register_slice(clk, rst, wires, in_valid, ready, marked, valid, m_axis_tready)
    counting.name, packets.name, leave.name = "count", "packets", "leave"
    packet_bit, frame_bit = width, width + 1
    ended, stalled = flag(), flag()
    told = [
        late_logic(
            [valid, m_axis_tready, marked(frame_bit)], ended, rule=lambda valid, ready, ends: valid and ready and ends
        ),
        late_logic([valid, m_axis_tready], stalled, rule=lambda valid, ready: valid and not ready),
    ]
    for part, name in zip(told, ("ending", "stalling")):
        part.name = name

    @always_comb
    def take():
        in_ready.next = ready
        takes.next = in_valid and ready

    @always_comb
    def offer():
        m_axis_tdata.next = marked[width:]
        m_axis_tvalid.next = valid
        m_axis_tlast.next = marked[packet_bit]

    @always(clk.posedge)
    def watch():
        frame_end.next = ended
        sink_stalled.next = stalled

    return told, counting, packets, leave, take, offer, watch
