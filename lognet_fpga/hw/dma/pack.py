"""From the beats of a stream, 8 to 1024 bits, to the words of memory, and to bursts of them."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block, concat

from lognet_fpga.hw.axi import AxiStream
from lognet_fpga.hw.control import control_leaf, late_next
from lognet_fpga.hw.dma.countdown import beats_left
from lognet_fpga.hw.dma.packet_slice import packet_slice
from lognet_fpga.hw.dma.units import LENGTH_BITS, ROW_BITS, WORD_BITS
from lognet_fpga.hw.wiring import counter, flag, join, vector


@block
def dma_pack(
    clk,
    rst,
    start,
    address,
    n_bytes,
    stop,
    slave_error,
    decode_error,
    room,
    s_axis: AxiStream,
    word_push,
    word,
    burst_push,
    burst,
    n_received,
    ended,
    too_long,
):
    """beats_to_words behind packet_slice; ports as there, but for start: six cycles after which the first beat can be
    taken, and address and n_bytes, which stay."""
    width = len(s_axis.tdata)
    begins, valid, closes = flag(), flag(), flag()
    beats, marked, shown = AxiStream.fresh(tdata=width), vector(width + 1), vector(width + 1)
    arrive = packet_slice(
        clk, rst, begins, closes, marked, s_axis.tvalid, s_axis.tready, s_axis.tlast, shown, valid, beats.tready
    )
    convert = beats_to_words(
        clk,
        rst,
        start,
        begins,
        address,
        n_bytes,
        stop,
        slave_error,
        decode_error,
        room,
        beats,
        word_push,
        word,
        burst_push,
        burst,
        n_received,
        ended,
        too_long,
        closes,
    )
    arrive.name, convert.name = "arrive", "convert"

    @always_comb
    def ports():
        marked.next = concat(s_axis.tlast, s_axis.tdata)
        beats.tvalid.next = valid
        beats.tdata.next = shown[width:]
        beats.tlast.next = shown[width]

    @always(clk.posedge)
    def follow():
        begins.next = start and not rst

    return arrive, convert, ports, follow


@block
def beats_to_words(
    clk,
    rst,
    start,
    begins,
    address,
    n_bytes,
    stop,
    slave_error,
    decode_error,
    room,
    s_axis: AxiStream,
    word_push,
    word,
    burst_push,
    burst,
    n_received,
    ended,
    too_long,
    packet_ends,
):
    """Beats of one packet to words, and the words to bursts that end where 16 words do; word and burst as in dma_write.

    Ports: start: a pulse, and begins: a cycle later, three cycles after which the first beat can be taken; address:
    bytes, a multiple of 8; n_bytes: what there is room for in memory; stop, slave_error, decode_error: take nothing
    more; room: in the FIFO, for what is on its way there; n_received: bytes of the packet; ended: all of it has been
    pushed; too_long: it has not ended with the room; both stay until start; packet_ends: its last beat was taken, in
    the cycle before.
    Latency: 2 from the beat that completes a word.  Throughput: a word or a beat a cycle, whichever takes longer.
    """
    width = len(s_axis.tdata)
    shift = (width // 8).bit_length() - 1
    lanes = max(1, WORD_BITS // width)
    loading, counting, active, accept, at_limit, taken, is_final = (flag() for _ in range(7))
    received = vector(LENGTH_BITS + 1 - shift)
    ready, ends, over, closed, active_soon = (flag() for _ in range(5))
    ready_idle, ready_beat, ready_end, ready_soon = (flag() for _ in range(4))
    free_idle, free_beat, free_behind = flag(), flag(), flag()  # for a beat behind none, one taken now, one offered
    row, place, first = (
        vector(ROW_BITS),
        vector(4),
        vector(4),
    )  # of the next word: where in which 16; of its burst's first
    full, full_last, closes = flag(), flag(), flag()  # a word is whole; the packet's last one; a burst's last one
    data, filled = vector(WORD_BITS), vector(lanes)
    behind = flag()  # of the packet's end, until all of it is pushed
    longer = vector(4)  # longer: beats of the burst but for one
    row_ends, begins_last, was_reset = flag(), flag(), flag()  # 16 words end with the one at place

    countdown = beats_left(clk, begins, n_bytes, accept, at_limit, width=width)
    countdown.name = "countdown"

    @always_comb
    def handshake():
        s_axis.tready.next = ready
        accept.next = ready and s_axis.tvalid
        ends.next = s_axis.tlast or at_limit
        over.next = at_limit and not s_axis.tlast
        active_soon.next = counting or (active and not (accept and ends))
        free_behind.next = (ready and free_beat) or (not ready and free_idle)
        ready_idle.next = (counting or active) and not closed and free_idle
        ready_beat.next = (counting or active) and not closed and free_behind
        ready_end.next = (counting or (active and not ready)) and not closed and free_behind

    choosing = late_next(s_axis.tvalid, ends, ready_idle, ready_beat, ready_end, ready_soon)
    choosing.name = "ready"

    @always(clk.posedge)
    def close_entry():
        closed.next = stop or slave_error or decode_error or not room

    @always(clk.posedge)
    def take():
        """loading, counting: between start and active."""
        is_final.next = ends
        packet_ends.next = ready and s_axis.tvalid and (s_axis.tlast or at_limit)
        was_reset.next = rst
        begins_last.next = address[7:3] == 15
        if rst:
            ready.next = False
            taken.next = False
            loading.next = False
            counting.next = False
            active.next = False
        else:
            ready.next = ready_soon
            taken.next = accept
            loading.next = begins
            counting.next = loading
            active.next = active_soon
        if rst or start:
            too_long.next = False
        elif accept:
            too_long.next = over

    @always(clk.posedge)
    def count():
        if begins:
            received.next = 0
        elif taken:
            received.next = received + 1

    @always_comb
    def tell():
        n_received.next = received << shift

    rows = 1 << ROW_BITS
    parts = []
    if width <= WORD_BITS:
        beat = vector(width)
        lane, held, held_lanes = vector(lanes), [vector(width) for _ in range(lanes)], [flag() for _ in range(lanes)]

        @always(clk.posedge)
        def keep():
            beat.next = s_axis.tdata

        for index in range(lanes):
            comes = flag()
            leaf = control_leaf(clk, accept, comes)
            leaf.name = f"lane{index}_taken"
            parts.append(leaf)
            part = dma_lane(clk, comes, lane(index), lane(0), beat, held[index], held_lanes[index])
            part.name = f"lane{index}"
            parts.append(part)
        rotated = join([lane(lanes - 1), *(lane(index) for index in range(lanes - 1))])
        joined = ConcatSignal(*reversed(held)) if lanes > 1 else held[0]
        joined_lanes = ConcatSignal(*reversed(held_lanes)) if lanes > 1 else held_lanes[0]

        @always(clk.posedge)
        def fill():
            """lane: of the next beat, a bit each."""
            full_last.next = is_final
            if rst:
                full.next = False
            else:
                full.next = taken and (is_final or lane[lanes - 1])
            if was_reset or loading or (taken and is_final):
                lane.next = 1
            elif taken:
                lane.next = rotated

        @always_comb
        def gather():
            data.next = joined
            filled.next = joined_lanes
            free_idle.next = True
            free_beat.next = True

        parts.append(gather)

    else:
        more, is_last, some, may_take, may_take_next = counter(width // WORD_BITS + 1), flag(), flag(), flag(), flag()
        words = width // WORD_BITS

        slots = [vector(WORD_BITS) for _ in range(words + 1)]
        for index in range(words):
            opens = flag()
            leaf = control_leaf(clk, may_take_next, opens)
            leaf.name = f"slot{index}_opens"
            coming = s_axis.tdata(WORD_BITS * (index + 1), WORD_BITS * index)
            part = dma_slot(clk, opens, coming, slots[index + 1], slots[index])
            part.name = f"slot{index}"
            parts += [leaf, part]
        first_slot = slots[0]

        @always_comb
        def look():
            """may_take: one word at most has not been pushed."""
            free_idle.next = was_reset or may_take or more == 2
            free_beat.next = was_reset
            if accept:
                may_take_next.next = free_beat
            else:
                may_take_next.next = free_idle

        @always(clk.posedge)
        def keep():
            """more: words of the beat that have not been pushed; some: there are any."""
            may_take.next = may_take_next
            if rst:
                more.next = 0
                some.next = False
            elif accept:
                more.next = words
                some.next = True
            elif some:
                more.next = more - 1
                some.next = not may_take

        @always(clk.posedge)
        def fill():
            full_last.next = may_take and is_last
            if rst:
                full.next = False
            else:
                full.next = some
            data.next = first_slot

        @always(clk.posedge)
        def remember():
            if accept:
                is_last.next = ends

        parts += [look, remember]

    @always_comb
    def close():
        closes.next = full and (full_last or row_ends)
        longer.next = place - first

    if lanes > 1:

        @always(clk.posedge)
        def mark():
            word.next = concat(filled[lanes:1], closes, data)

    else:

        @always(clk.posedge)
        def mark():
            word.next = concat(closes, data)

    @always(clk.posedge)
    def push():
        if rst:
            word_push.next = False
            burst_push.next = False
        else:
            word_push.next = full
            burst_push.next = closes
        burst.next = concat(row, first, longer)  # all of it is in one row
        if begins:
            row.next = address[32:7]
        elif full and row_ends:
            row.next = (row + 1) % rows
        if begins:
            place.next = address[7:3]
            row_ends.next = begins_last
        elif full:
            place.next = (place + 1) % 16
            row_ends.next = place == 14
        if begins:
            first.next = address[7:3]
        elif closes:
            first.next = (place + 1) % 16

    @always(clk.posedge)
    def finish():
        if rst:
            behind.next = False
        else:
            behind.next = full and full_last
        if rst or start:
            ended.next = False
        elif behind:
            ended.next = True

    return (
        countdown,
        handshake,
        choosing,
        close_entry,
        take,
        count,
        tell,
        keep,
        parts,
        fill,
        close,
        mark,
        push,
        finish,
    )


@block
def dma_lane(clk, comes, mine, first, beat, held, filled):
    """A part of a word, which takes the beat that comes if it is mine.  filled: there is data in it; told anew with a
    word's first lane."""

    @always(clk.posedge)
    def keep():
        if comes:
            if mine:
                held.next = beat
                filled.next = True
            elif first:
                filled.next = False

    return keep


@block
def dma_slot(clk, opens, coming, above, held):
    """A word of a beat of several.  opens: what comes may be taken, whether or not it is a beat; else it moves down."""

    @always(clk.posedge)
    def keep():
        if opens:
            held.next = coming
        else:
            held.next = above

    return keep
