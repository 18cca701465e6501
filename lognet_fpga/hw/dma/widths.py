"""Between the words of memory, 64 bits, and the beats of a stream, 8 to 1024 bits: a power of two either way."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block, concat

from lognet_fpga.hw.wiring import counter, flag, vector

WORD_BITS = 64


@block
def dma_unpack(
    clk,
    rst,
    start,
    n_bytes,
    word,
    word_valid,
    word_ready,
    m_axis_tdata,
    m_axis_tvalid,
    m_axis_tready,
    m_axis_tlast,
    ended,
    pop,
):
    """Words to beats, the lowest bits first, up to n_bytes, a multiple of a beat's; TLAST with the last one, and what
    is left of its word is dropped.

    Ports: start: a pulse, before the first word; ended: the last beat was taken, until start; pop: a word is taken.
    Latency: 1 from the word that completes a beat.  Throughput: a word or a beat a cycle, whichever takes longer.
    """
    width = len(m_axis_tdata)
    shift = (width // 8).bit_length() - 1
    left, last, moves, ends, loads = vector(27 - shift), flag(), flag(), flag(), flag()
    valid = flag()

    @always_comb
    def handshake():
        moves.next = valid and m_axis_tready
        ends.next = valid and m_axis_tready and last
        m_axis_tvalid.next = valid
        m_axis_tlast.next = last
        word_ready.next = loads
        pop.next = loads and word_valid

    @always(clk.posedge)
    def count():
        if rst or start:
            ended.next = False
        elif ends:
            ended.next = True
        if rst:
            last.next = False
        elif start:
            left.next = n_bytes >> shift
            last.next = (n_bytes >> shift) == 1
        elif moves:
            left.next = left - 1
            last.next = left == 2

    if width < WORD_BITS:
        held, lane = vector(WORD_BITS), counter(WORD_BITS // width)
        end = WORD_BITS // width - 1

        @always_comb
        def fetch():
            loads.next = not valid or (m_axis_tready and ((lane == end) or last))
            m_axis_tdata.next = held[width:]

        @always(clk.posedge)
        def give():
            if rst:
                valid.next = False
            elif loads:
                valid.next = word_valid
                held.next = word
                lane.next = 0
            elif moves:
                held.next = held >> width
                lane.next = lane + 1

    elif width == WORD_BITS:

        @always_comb
        def fetch():
            loads.next = not valid or m_axis_tready

        @always(clk.posedge)
        def give():
            if rst:
                valid.next = False
            elif loads:
                valid.next = word_valid
                m_axis_tdata.next = word

    else:
        held, lane = vector(width), counter(width // WORD_BITS)
        end = width // WORD_BITS - 1

        @always_comb
        def fetch():
            loads.next = not valid or m_axis_tready
            m_axis_tdata.next = held

        @always(clk.posedge)
        def give():
            if rst:
                valid.next = False
                lane.next = 0
            elif loads:
                valid.next = word_valid and lane == end
                if word_valid:
                    held.next = concat(word, held[width:WORD_BITS])
                    if lane == end:
                        lane.next = 0
                    else:
                        lane.next = lane + 1

    return handshake, count, fetch, give


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
    s_axis_tdata,
    s_axis_tvalid,
    s_axis_tready,
    s_axis_tlast,
    word_push,
    word,
    burst_push,
    burst,
    n_received,
    ended,
    too_long,
):
    """Beats of one packet to words, and the words to bursts that end where 16 words do; word and burst as in dma_store.

    Ports: start: a pulse; address: bytes, a multiple of 8; n_bytes: what there is room for in memory; stop,
    slave_error, decode_error: take nothing more; room: in the FIFO, for what is on its way there; n_received: bytes of
    the packet; ended: all of it has been pushed; too_long: it has not ended with the room.  Both stay until start.
    Latency: 2 from the beat that completes a word.  Throughput: a word or a beat a cycle, whichever takes longer.
    """
    width = len(s_axis_tdata)
    shift = (width // 8).bit_length() - 1
    lanes = max(1, WORD_BITS // width)
    active, accept, at_limit, taken, is_final = flag(), flag(), flag(), flag(), flag()
    left, received = vector(27 - shift), vector(27 - shift)
    ready, ends, over, closed = flag(), flag(), flag(), flag()
    place, first = vector(29), vector(29)
    full, full_last, closes = flag(), flag(), flag()  # a word is whole; the packet's last one; a burst's last one
    data, filled = vector(WORD_BITS), vector(lanes)
    behind = flag()  # of the packet's end, until all of it is pushed
    free_hand, longer = flag(), vector(4)  # longer: beats of the burst but for one

    @always_comb
    def handshake():
        s_axis_tready.next = ready
        accept.next = ready and s_axis_tvalid
        ends.next = s_axis_tlast or at_limit
        over.next = at_limit and not s_axis_tlast

    @always_comb
    def listen():
        ready.next = active and free_hand and not closed

    @always(clk.posedge)
    def close_entry():
        closed.next = stop or slave_error or decode_error or not room

    @always(clk.posedge)
    def take():
        """left: beats that there is room for."""
        taken.next = accept and not rst
        is_final.next = ends
        if rst:
            active.next = False
            too_long.next = False
        elif start:
            active.next = True
            too_long.next = False
            left.next = n_bytes >> shift
            at_limit.next = (n_bytes >> shift) == 1
        elif accept:
            active.next = not ends
            too_long.next = over
            left.next = left - 1
            at_limit.next = left == 2

    @always(clk.posedge)
    def count():
        if start:
            received.next = 0
        elif taken:
            received.next = received + 1

    @always_comb
    def tell():
        n_received.next = received << shift

    parts = []
    if width <= WORD_BITS:
        beat = vector(width)
        lane, held, held_lanes = counter(lanes), [vector(width) for _ in range(lanes)], [flag() for _ in range(lanes)]

        @always(clk.posedge)
        def keep():
            beat.next = s_axis_tdata

        for index in range(lanes):
            part = dma_lane(clk, taken, lane, beat, held[index], held_lanes[index], index=index)
            part.name = f"lane{index}"
            parts.append(part)
        joined = ConcatSignal(*reversed(held)) if lanes > 1 else held[0]
        joined_lanes = ConcatSignal(*reversed(held_lanes)) if lanes > 1 else held_lanes[0]

        @always(clk.posedge)
        def fill():
            """lane: of the next beat."""
            full.next = taken and (is_final or lane == lanes - 1) and not rst
            full_last.next = is_final
            if rst or start:
                lane.next = 0
            elif taken:
                if is_final or lane == lanes - 1:
                    lane.next = 0
                else:
                    lane.next = lane + 1

        @always_comb
        def gather():
            data.next = joined
            filled.next = joined_lanes
            free_hand.next = True

    else:
        beat, more, is_last = vector(width), counter(width // WORD_BITS + 1), flag()
        words = width // WORD_BITS

        @always(clk.posedge)
        def keep():
            """more: words of the beat that have not been pushed."""
            if rst:
                more.next = 0
            elif accept:
                beat.next = s_axis_tdata
                more.next = words
            elif more != 0:
                beat.next = beat >> WORD_BITS
                more.next = more - 1

        @always(clk.posedge)
        def fill():
            full_last.next = more == 1 and is_last
            full.next = more != 0 and not rst
            data.next = beat[WORD_BITS:]

        @always(clk.posedge)
        def remember():
            if accept:
                is_last.next = ends

        @always_comb
        def gather():
            filled.next = 1
            free_hand.next = more <= 1

        parts.append(remember)

    @always_comb
    def close():
        closes.next = full and (full_last or place[4:] == 15)
        longer.next = place[4:] - first[4:]

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
        """first: place of the burst's first word."""
        word_push.next = full and not rst
        burst_push.next = closes and not rst
        burst.next = concat(first, longer)
        if start:
            place.next = address[32:3]
            first.next = address[32:3]
        elif full:
            place.next = place + 1
            if closes:
                first.next = place + 1

    @always(clk.posedge)
    def finish():
        behind.next = full and full_last and not rst
        if rst or start:
            ended.next = False
        elif behind:
            ended.next = True

    return handshake, listen, close_entry, take, count, tell, keep, parts, fill, gather, close, mark, push, finish


@block
def dma_lane(clk, taken, lane, beat, held, filled, *, index):
    """A part of a word.  filled: there is data in it; told anew with a word's first lane."""

    @always(clk.posedge)
    def keep():
        if taken:
            if lane == index:
                held.next = beat
                filled.next = True
            elif lane == 0:
                filled.next = False

    return keep
