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
    frame_short,
    frame_long,
    *,
    beats_per_frame,
):
    """The entry: a skid buffer (tready is a register) that makes whole frames of whatever comes.

    TLAST ends a frame.  Where it comes early, beats of zeros follow until the frame is whole, and nothing is accepted
    meanwhile; where it does not come with the last beat, all further beats up to the one with TLAST are dropped.  So
    every TLAST gives one frame, and an error ends with the frame that has it.

    Ports: frame_begin: the first beat of a frame is accepted in this cycle; frame_short, frame_long: a beat is
    accepted in this cycle that has TLAST too early, or that is the last one and has no TLAST.
    Latency: 1.  Throughput: one beat a cycle.
    """
    width = len(out_data)
    skid, skid_used, held, held_valid = vector(width), flag(), vector(width), flag()
    beat, accept, ready, at_end, moves = counter(beats_per_frame), flag(), flag(), flag(), flag()
    keep, short, filling, fill, dropping = flag(), flag(), flag(), flag(), flag()
    last = beats_per_frame - 1

    @always_comb
    def handshake():
        accept.next = s_axis_tvalid and ready
        keep.next = s_axis_tvalid and ready and not dropping
        s_axis_tready.next = ready
        at_end.next = beat == last
        moves.next = out_ready or not held_valid

    @always_comb
    def fit():
        """fill: a beat of zeros is made in this cycle."""
        short.next = keep and s_axis_tlast and not at_end
        fill.next = filling and moves and not skid_used

    @always_comb
    def watch():
        frame_begin.next = keep and (beat == 0)
        frame_short.next = short
        frame_long.next = keep and at_end and not s_axis_tlast

    @always_comb
    def offer():
        out_data.next = held
        out_valid.next = held_valid

    @always(clk.posedge)
    def control():
        if rst:
            skid_used.next = False
            held_valid.next = False
            ready.next = False  # nothing is accepted, and lost, during reset
        else:
            if moves:
                held_valid.next = skid_used or keep or filling
                skid_used.next = False
            elif keep:
                skid_used.next = True
            if short:
                ready.next = False
            elif filling:
                ready.next = fill and at_end
            elif moves:
                ready.next = True
            elif keep:
                ready.next = False

    @always(clk.posedge)
    def frames():
        if rst:
            beat.next = 0
            filling.next = False
            dropping.next = False
        else:
            if keep or fill:
                if at_end:
                    beat.next = 0
                else:
                    beat.next = beat + 1
            if short:
                filling.next = True
            elif fill and at_end:
                filling.next = False
            if accept:
                dropping.next = (dropping or at_end) and not s_axis_tlast

    @always(clk.posedge)
    def payload():
        if keep:
            skid.next = s_axis_tdata[width:]
        if moves:
            if skid_used:
                held.next = skid
            elif filling:
                held.next = 0
            else:
                held.next = s_axis_tdata[width:]

    return handshake, fit, watch, offer, control, frames, payload


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
