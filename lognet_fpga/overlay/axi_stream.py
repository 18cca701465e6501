"""The entry of the overlay: whole frames of whatever comes."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import all_of, late_logic, late_next, stream_gate
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
    frame_ends,
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

    Ports: frame_ends: the next beat is taken as if it had TLAST; frame_begin: the first beat of a frame was accepted in
    the cycle before; frame_short, frame_long: a beat was accepted that has TLAST too early, or that is the last one
    and has no TLAST.  s_axis_tvalid and s_axis_tlast pass one level of logic.
    Latency: 1.  Throughput: one beat a cycle.
    """
    width = len(out_data)
    skid, skid_used, held, held_valid = vector(width), flag(), vector(width), flag()
    beat, ready, at_end, moves = counter(beats_per_frame), flag(), flag(), flag()
    keeping, was_short, filling, fill, dropping, at_begin, step, short, long = (flag() for _ in range(9))
    kept = [s_axis_tvalid, keeping]
    stepping = late_logic([*kept, fill], step, rule=lambda v, k, fill: (v and k) or fill)
    shortening = late_logic(
        [*kept, s_axis_tlast, frame_ends, at_end],
        short,
        rule=lambda v, k, last, ends, at_end: v and k and (last or ends) and not at_end,
    )
    lengthening = late_logic(
        [*kept, s_axis_tlast, frame_ends, at_end],
        long,
        rule=lambda v, k, last, ends, at_end: v and k and at_end and not (last or ends),
    )
    counting = wrapping_counter(clk, rst, step, beat, at_end, count=beats_per_frame)
    offers, spares, other, prepared = flag(), flag(), flag(), vector(width)
    offering = late_logic(
        [*kept, moves, other, held_valid],
        offers,
        rule=lambda v, k, moves, other, held: (other or (v and k)) if moves else held,
    )
    sparing = late_logic(
        [*kept, moves, skid_used], spares, rule=lambda v, k, moves, used: not moves and (used or (v and k))
    )
    begins, closed, closing, filled = (flag() for _ in range(4))
    beginning = late_logic([*kept, at_begin], begins, rule=all_of)
    # What was accepted with an early TLAST, or is being filled, closes the entry.
    closings = late_logic(
        [*kept, s_axis_tlast, frame_ends, at_end, filled],
        closing,
        rule=lambda v, k, last, ends, at_end, filled: filled or (v and k and (last or ends) and not at_end),
    )
    logic = [counting, closings, stepping, beginning, shortening, lengthening, offering, sparing]
    names = ("count", "closing", "stepping", "beginning", "shortening", "lengthening", "offering", "sparing")
    for part, name in zip(logic, names):
        part.name = name
    moves_data, opens_skid = flag(), flag()
    gates = [stream_gate(held_valid, out_ready, moves_data), stream_gate(skid_used, keeping, opens_skid)]
    for gate, name in zip(gates, ("moves_data", "opens_skid")):
        gate.name = name

    @always_comb
    def handshake():
        """fill: a beat of zeros is made in this cycle."""
        s_axis_tready.next = ready
        moves.next = out_ready or not held_valid
        fill.next = filling and (out_ready or not held_valid) and not skid_used
        other.next = skid_used or filling
        filled.next = was_short or (filling and not at_end) or (filling and not (moves and not skid_used))

    @always_comb
    def prepare():
        """What is offered next if nothing comes from outside."""
        prepared.next = skid if skid_used else 0

    # What there is next where no beat comes, where one does, and where one does that ends the packet.
    soon = [[flag() for _ in range(3)] for _ in range(3)]  # ready, keeping, dropping
    nexts = [flag() for _ in range(3)]
    for number, (name, comes, has_last) in enumerate(
        (("idle", False, False), ("beat", True, False), ("end", True, True))
    ):
        part = entry_next(
            frame_ends,
            moves,
            at_end,
            ready,
            keeping,
            dropping,
            *(futures[number] for futures in soon),
            comes=comes,
            has_last=has_last,
        )
        part.name = name
        logic.append(part)
    for name, futures, chosen in zip(("opens", "keeps", "drops"), soon, nexts):
        part = late_next(s_axis_tvalid, s_axis_tlast, *futures, chosen)
        part.name = name
        logic.append(part)
    ready_next, keeping_next, dropping_next = nexts

    @always(clk.posedge)
    def watch():
        frame_begin.next = begins
        frame_short.next = short
        frame_long.next = long

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
            held_valid.next = offers
            skid_used.next = spares

    @always(clk.posedge)
    def entry():
        """keeping: what is accepted is not dropped; closed: while a short frame is filled, and a cycle longer."""
        if rst or closed:
            ready.next = False  # nothing is accepted, and lost, during reset
            keeping.next = False
        else:
            ready.next = ready_next
            keeping.next = keeping_next
        if rst:
            dropping.next = False
        else:
            dropping.next = dropping_next

    @always(clk.posedge)
    def frames():
        """filling begins two cycles after the early TLAST, so that nothing follows from that but a register."""
        if rst:
            at_begin.next = True
            was_short.next = False
            closed.next = False
            filling.next = False
        else:
            was_short.next = short
            closed.next = closing
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
            if other:
                held.next = prepared
            else:
                held.next = s_axis_tdata[width:]

    return logic, gates, handshake, prepare, watch, offer, control, entry, frames, payload


@block
def entry_next(
    frame_ends, moves, at_end, ready, keeping, dropping, ready_next, keeping_next, drops_next, *, comes, has_last
):
    """The entry's state in the next cycle.  comes: a beat is offered; has_last: with TLAST; frame_ends: it gets it."""
    goes_on, drops, ends = flag(), flag(), flag()

    @always_comb
    def last():
        ends.next = has_last or frame_ends

    @always_comb
    def follow():
        goes_on.next = (moves or (ready and not (comes and keeping))) and not (
            comes and keeping and ends and not at_end
        )
        if comes and ready:
            drops.next = (dropping or at_end) and not ends
        else:
            drops.next = dropping

    @always_comb
    def show():
        ready_next.next = goes_on
        keeping_next.next = goes_on and not drops
        drops_next.next = drops

    return last, follow, show
