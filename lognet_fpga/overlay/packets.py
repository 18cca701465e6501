"""Packets of several frames at the AXI4-Stream edges, so that a DMA moves many frames in one transfer.

Inside, every frame ends with TLAST.  Outside, a packet of 1 + more_frames frames does, for a DMA gives TLAST once a
transfer, and ends one at the first that it sees.
"""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import all_of, late_logic, late_next
from lognet_fpga.hw.counting import wrapping_counter
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
    frame_ends,
    packet_begin,
    *,
    beats_per_frame,
):
    """Tells where TLAST is to be added: at the end of every frame of a packet but the last, which must have its own.

    Ports: more_frames: frames of a packet beyond the first; several: it is not 0; restart: it has changed, and the next
    beat begins a packet; frame_ends: the next beat gets TLAST; packet_begin: a packet's first beat was accepted in the
    cycle before.  A TLAST from outside ends the packet wherever it comes; a packet that goes on for too long gets no
    further TLAST added until it ends.
    """
    beat = counter(beats_per_frame)
    at_end, more, fresh, over, begins_again, whether_several = (flag() for _ in range(6))
    begin, step, ends, fresh_next, more_next, over_next = (flag() for _ in range(6))
    more_idle, more_beat, more_end, over_idle, over_beat, over_end, one_more = (flag() for _ in range(7))
    begins = flag()
    came = [s_axis_tvalid, s_axis_tready, s_axis_tlast]
    parts = [
        late_logic([s_axis_tvalid, s_axis_tready, fresh], begins, rule=all_of),
        late_logic([begins_again, *came], begin, rule=lambda again, v, r, last: again or (v and r and last)),
        late_logic([s_axis_tvalid, s_axis_tready, over], step, rule=lambda v, r, over: v and r and not over),
        late_logic(
            [s_axis_tvalid, s_axis_tready, at_end, more],
            ends,
            rule=lambda v, r, at_end, more: v and r and at_end and more,
        ),
        late_logic(
            [begins_again, *came, fresh],
            fresh_next,
            rule=lambda again, v, r, last, fresh: again or (last if v and r else fresh),
        ),
        late_next(s_axis_tvalid, s_axis_tlast, more_idle, more_beat, more_end, more_next),
        late_next(s_axis_tvalid, s_axis_tlast, over_idle, over_beat, over_end, over_next),
        wrapping_counter(clk, begin, step, beat, at_end, count=beats_per_frame),
        frame_number(clk, begin, ends, more_frames, one_more, single_beat=beats_per_frame == 1),
    ]
    for part, name in zip(parts, ("begins", "begin", "step", "ends", "fresh", "more", "over", "count", "number")):
        part.name = name

    @always_comb
    def mark():
        frame_ends.next = at_end and more

    @always_comb
    def prepare():
        """What follows where nothing comes, where a beat does, and where one with TLAST does."""
        if begins_again:
            more_idle.next = whether_several
            more_beat.next = whether_several
            more_end.next = whether_several
            over_idle.next = False
            over_beat.next = False
            over_end.next = False
        else:
            more_idle.next = more
            more_beat.next = more and not (s_axis_tready and at_end and one_more)
            more_end.next = whether_several if s_axis_tready else more
            over_idle.next = over
            over_beat.next = (not more) if s_axis_tready and at_end else over
            over_end.next = over and not s_axis_tready

    @always(clk.posedge)
    def count():
        """begins_again, whether_several: a cycle late, out of registers of this block."""
        begins_again.next = rst or restart
        whether_several.next = several
        packet_begin.next = begins
        fresh.next = fresh_next
        more.next = more_next
        over.next = over_next

    return parts, mark, prepare, count


@block
def frame_number(clk, begin, step, more_frames, one_more, *, single_beat):
    """Counts the frames of a packet, from 1 on.  one_more: but for the frame on its way there is one more.

    Whether that is so is looked at a cycle late, which is early enough for all frames but those of a single beat.
    """
    number, last_but_one = vector(len(more_frames)), vector(len(more_frames))
    most = 1 << len(more_frames)

    @always(clk.posedge)
    def keep():
        last_but_one.next = more_frames

    @always(clk.posedge)
    def count():
        if begin:
            number.next = 1
        elif step:
            number.next = (number + 1) % most

    if single_beat:

        @always_comb
        def look():
            one_more.next = number == last_but_one

    else:

        @always(clk.posedge)
        def look():
            one_more.next = number == last_but_one

    return keep, count, look


@block
def packet_exit(clk, rst, offered, ready, frame_ends, more_frames, several, restart, packet_ends, *, single_beat):
    """Which frame's end is a packet's.

    Ports: offered, ready: a beat is offered, and taken; frame_ends: which is a frame's last; packet_ends: and its
    packet's.  single_beat: so is each.
    """
    more, begins_again, whether_several, begin, step, one_more, ends = (flag() for _ in range(7))
    came = [offered, ready, frame_ends]
    parts = [
        late_logic(
            [begins_again, *came, more],
            begin,
            rule=lambda again, o, r, ends, more: again or (o and r and ends and not more),
        ),
        late_logic([*came, more], step, rule=lambda o, r, ends, more: o and r and ends and more),
        late_logic([begins_again, *came], ends, rule=lambda again, o, r, ends: again or (o and r and ends)),
        frame_number(clk, begin, step, more_frames, one_more, single_beat=single_beat),
    ]
    for part, name in zip(parts, ("begin", "step", "ends", "number")):
        part.name = name

    @always_comb
    def mark():
        packet_ends.next = frame_ends and not more

    @always(clk.posedge)
    def count():
        begins_again.next = rst or restart
        whether_several.next = several
        if ends:
            if begins_again or not more:
                more.next = whether_several
            else:
                more.next = not one_more

    return parts, mark, count
