"""The AXI4-Stream edges of the overlay."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.wiring import counter, flag, vector


@block
def axis_source(
    clk,
    rst,
    s_axis_tdata,
    s_axis_tvalid,
    s_axis_tready,
    s_axis_tlast,
    out_data,
    out_valid,
    out_ready,
    frame_begin,
    tlast_error,
    *,
    beats_per_frame,
):
    """The entry: a skid buffer (tready is a register) that checks TLAST against the frame length.

    Ports: frame_begin: the first beat of a frame is accepted in this cycle; tlast_error: TLAST came early or
    did not come at the end.  Latency: 1.  Throughput: one beat a cycle.
    """
    width = len(out_data)
    skid, skid_used, held, held_valid = vector(width), flag(), vector(width), flag()
    beat, accept, ready = counter(beats_per_frame), flag(), flag()
    last = beats_per_frame - 1

    @always_comb
    def handshake():
        accept.next = s_axis_tvalid and ready
        s_axis_tready.next = ready

    @always_comb
    def watch():
        frame_begin.next = accept and (beat == 0)
        tlast_error.next = accept and (s_axis_tlast != (beat == last))

    @always_comb
    def offer():
        out_data.next = held
        out_valid.next = held_valid

    @always(clk.posedge)
    def control():
        if rst:
            skid_used.next = False
            held_valid.next = False
            beat.next = 0
            ready.next = False  # nothing is accepted, and lost, during reset
        else:
            if out_ready or not held_valid:
                held_valid.next = skid_used or accept
                skid_used.next = False
                ready.next = True
            elif accept:
                skid_used.next = True
                ready.next = False
            if accept:
                if beat == last:
                    beat.next = 0
                else:
                    beat.next = beat + 1

    @always(clk.posedge)
    def payload():
        if accept:
            skid.next = s_axis_tdata[width:]
        if out_ready or not held_valid:
            if skid_used:
                held.next = skid
            else:
                held.next = s_axis_tdata[width:]

    return handshake, watch, offer, control, payload


@block
def axis_sink(
    clk,
    rst,
    in_data,
    in_valid,
    in_ready,
    m_axis_tdata,
    m_axis_tvalid,
    m_axis_tready,
    m_axis_tlast,
    frame_end,
    *,
    beats_per_frame,
):
    """The exit: marks the last beat of each frame with TLAST.  frame_end: that beat is taken in this cycle."""
    beat = counter(beats_per_frame)
    final = beats_per_frame - 1

    @always_comb
    def connect():
        m_axis_tdata.next = in_data
        m_axis_tvalid.next = in_valid
        m_axis_tlast.next = beat == final
        in_ready.next = m_axis_tready
        frame_end.next = in_valid and m_axis_tready and (beat == final)

    @always(clk.posedge)
    def count():
        if rst:
            beat.next = 0
        elif in_valid and m_axis_tready:
            if beat == final:
                beat.next = 0
            else:
                beat.next = beat + 1

    return connect, count
