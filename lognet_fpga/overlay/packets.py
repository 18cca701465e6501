"""Packets of several frames at the AXI4-Stream edges, so that a DMA moves many frames in one transfer.

Inside, every frame ends with TLAST.  Outside, a packet of 1 + more_frames frames does, for a DMA gives TLAST once a
transfer, and ends one at the first that it sees.
"""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.wiring import counter, flag, vector


@block
def packet_entry(
    clk,
    rst,
    s_axis_tvalid,
    s_axis_tready,
    s_axis_tlast,
    more_frames,
    several,
    restart,
    frame_tlast,
    packet_begin,
    *,
    beats_per_frame,
):
    """Adds TLAST at the end of every frame of a packet but the last, which must have one of its own.

    Ports: more_frames: frames of a packet beyond the first; several: it is not 0; restart: it has changed, and the next
    beat begins a packet; frame_tlast: TLAST for the entry; packet_begin: a packet's first beat is accepted in this
    cycle.  A TLAST from outside ends the packet wherever it comes; a packet that goes on for too long gets no further
    TLAST added until it ends.  Latency: 0.
    """
    last = beats_per_frame - 1
    before_last = max(last - 1, 0)
    single_beat = last == 0
    beat, left = counter(beats_per_frame), vector(len(more_frames))
    at_end, more, fresh, over = flag(), flag(), flag(), flag()

    @always_comb
    def mark():
        frame_tlast.next = s_axis_tlast or (at_end and more)
        packet_begin.next = s_axis_tvalid and s_axis_tready and fresh

    @always(clk.posedge)
    def count():
        if rst or restart or (s_axis_tvalid and s_axis_tready and s_axis_tlast):
            beat.next = 0
            at_end.next = single_beat
            left.next = more_frames
            more.next = several
            fresh.next = True
            over.next = False
        elif s_axis_tvalid and s_axis_tready:
            fresh.next = False
            if at_end:
                beat.next = 0
                at_end.next = single_beat and more
                over.next = not more
                if more:
                    left.next = left - 1
                    more.next = left != 1
            elif not over:
                beat.next = beat + 1
                at_end.next = beat == before_last

    return mark, count


@block
def packet_exit(
    clk, rst, frame_tlast, m_axis_tvalid, m_axis_tready, more_frames, several, restart, m_axis_tlast, *, width
):
    """Lets TLAST through after the last frame of a packet only.  more_frames has `width` bits.  Latency: 0."""
    left = vector(width)
    more = flag()

    @always_comb
    def mark():
        m_axis_tlast.next = frame_tlast and not more

    @always(clk.posedge)
    def count():
        if rst or restart:
            left.next = more_frames
            more.next = several
        elif frame_tlast and m_axis_tvalid and m_axis_tready:
            if more:
                left.next = left - 1
                more.next = left != 1
            else:
                left.next = more_frames
                more.next = several

    return mark, count
