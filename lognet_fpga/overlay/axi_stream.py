"""The AXI4-Stream edges of the overlay."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import stream_gate
from lognet_fpga.hw.counting import wrapping_counter
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
    keep, short, was_short, filling, fill, dropping = (flag() for _ in range(6))
    step, at_begin, keeping, ready_next, dropping_next = (flag() for _ in range(5))
    counting = wrapping_counter(clk, rst, step, beat, at_end, count=beats_per_frame)
    counting.name = "count"
    moves_data, opens_skid = flag(), flag()
    gates = [
        stream_gate(held_valid, out_ready, moves),
        stream_gate(held_valid, out_ready, moves_data),
        stream_gate(skid_used, keeping, opens_skid),
    ]
    for gate, name in zip(gates, ("moves", "moves_data", "opens_skid")):
        gate.name = name

    @always_comb
    def handshake():
        accept.next = s_axis_tvalid and ready
        keep.next = s_axis_tvalid and keeping
        s_axis_tready.next = ready

    @always_comb
    def fit():
        """fill: a beat of zeros is made in this cycle."""
        short.next = keep and s_axis_tlast and not at_end
        fill.next = filling and moves and not skid_used
        step.next = keep or fill

    @always_comb
    def watch():
        frame_begin.next = keep and at_begin
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
        else:
            if moves:
                held_valid.next = skid_used or keep or filling
                skid_used.next = False
            elif keep:
                skid_used.next = True

    @always_comb
    def goes_on():
        if short or was_short:
            ready_next.next = False
        elif filling:
            ready_next.next = fill and at_end
        else:
            ready_next.next = moves or (ready and not keep)
        if accept:
            dropping_next.next = (dropping or at_end) and not s_axis_tlast
        else:
            dropping_next.next = dropping

    @always(clk.posedge)
    def entry():
        """keeping: what is accepted is not dropped."""
        if rst:
            ready.next = False  # nothing is accepted, and lost, during reset
            keeping.next = False
            dropping.next = False
        else:
            ready.next = ready_next
            keeping.next = ready_next and not dropping_next
            dropping.next = dropping_next

    @always(clk.posedge)
    def frames():
        """filling begins two cycles after the early TLAST, so that nothing follows from that but a register."""
        if rst:
            at_begin.next = True
            was_short.next = False
            filling.next = False
        else:
            was_short.next = short
            if step:
                at_begin.next = at_end
            if was_short:
                filling.next = True
            elif fill and at_end:
                filling.next = False

    @always(clk.posedge)
    def payload():
        if opens_skid:  # whether or not a beat comes
            skid.next = s_axis_tdata[width:]
        if moves_data:
            if skid_used:
                held.next = skid
            elif filling:
                held.next = 0
            else:
                held.next = s_axis_tdata[width:]

    return counting, gates, handshake, fit, watch, offer, control, goes_on, entry, frames, payload


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
    beat, takes, at_end = counter(beats_per_frame), flag(), flag()
    counting = wrapping_counter(clk, rst, takes, beat, at_end, count=beats_per_frame)
    counting.name = "count"

    @always_comb
    def connect():
        m_axis_tdata.next = in_data
        m_axis_tvalid.next = in_valid
        m_axis_tlast.next = at_end
        in_ready.next = m_axis_tready
        takes.next = in_valid and m_axis_tready
        frame_end.next = in_valid and m_axis_tready and at_end

    return counting, connect
