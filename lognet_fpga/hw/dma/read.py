"""From memory: AXI bursts of reads into a FIFO."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv

from lognet_fpga.hw.axi import DECERR, SLVERR, AxiReads
from lognet_fpga.hw.dma.handshake import handshake
from lognet_fpga.hw.dma.units import BURST_WORDS, ROW_BITS, WORD_BYTES
from lognet_fpga.hw.wiring import flag, vector


@block
def dma_read(
    clk,
    rst,
    start,
    address,
    n_bytes,
    stop,
    pop,
    push,
    push_data,
    quiet,
    slave_error,
    decode_error,
    m_axi: AxiReads,
    *,
    depth,
):
    """Ask for n_bytes from address on, in bursts that end where 16 words do, so that none crosses a 4 KB boundary.

    A burst is asked for when the FIFO behind has room for all of it beside what is on its way, so rready is always
    given, and up to `depth` / 16 bursts are on their way at a time.  The first error ends the asking and the pushing.
    An address goes through a register of its own behind the one where it is made, and words come through two, so that
    one of each can be placed at the memory's pins.

    Ports: start: a pulse; address: bytes, a multiple of 8, and n_bytes: both stay; stop: ask for no more; pop: a word
    has left the FIFO; push, push_data: a word into it; quiet: nothing is on its way; slave_error, decode_error: stay
    until rst.
    Latency: 7 from start to the first address.  Throughput: one word a cycle.
    """
    row, place = vector(ROW_BITS), vector(4)  # of the words not asked for yet: where in which 16
    left, more_left, borrows = vector(12), vector(12), flag()  # how many, the upper bits apart, a cycle late
    lower = vector(13)
    beats, words = vector(5), vector(24)
    begins, stops, chosen, failed, moves, comes, left_one = (flag() for _ in range(7))
    rows = 1 << ROW_BITS
    free, pending = vector(depth.bit_length()), vector(depth.bit_length())
    asked, are_asked, were_asked, waits, opens, moved = vector(5), flag(), flag(), flag(), flag(), flag()
    fewer_free, more_pending = (Signal(intbv(0, min=low, max=high)) for low, high in ((-BURST_WORDS, 2), (-1, 17)))
    to_end, few, settled, has_room = vector(5), flag(), flag(), flag()
    came, resp = vector(64), vector(2)
    asking = handshake(clk, rst, opens, waits, [m_axi.arready], moved)
    asking.name = "asking"

    @always_comb
    def ports():
        m_axi.arid.next = 0
        m_axi.arsize.next = 3
        m_axi.arburst.next = 1
        m_axi.arvalid.next = waits
        m_axi.rready.next = True
        failed.next = slave_error or decode_error
        opens.next = moves

    @always(clk.posedge)
    def listen():
        """What the others say, a cycle late."""
        words.next = (n_bytes + (WORD_BYTES - 1)) >> 3
        stops.next = stop
        came.next = m_axi.rdata
        resp.next = m_axi.rresp
        if rst:
            begins.next = False
            comes.next = False
            left_one.next = False
        else:
            begins.next = start
            comes.next = m_axi.rvalid
            left_one.next = pop

    @always(clk.posedge)
    def reserve():
        """asked: words of the burst that was asked for a cycle ago."""
        if rst:
            are_asked.next = False
            asked.next = 0
        else:
            are_asked.next = moves
            if moves:
                asked.next = beats
            else:
                asked.next = 0

    @always(clk.posedge)
    def look():
        """What is left and where, a cycle after it has changed: to_end: words until 16 end; few: fewer than 16 left."""
        if rst:
            settled.next = False
        else:
            settled.next = not (begins or moves or are_asked or borrows)
        few.next = left[:4] == 0 and more_left == 0
        to_end.next = BURST_WORDS - place

    @always_comb
    def subtract():
        lower.next = concat(True, left) - asked

    @always(clk.posedge)
    def go_on():
        """The count in halves, for carries through all of it would be the longest path of a small system."""
        borrows.next = are_asked and not lower[12] and not rst
        if rst:
            left.next = 0
            more_left.next = 0
        elif begins:
            left.next = words[12:]
            more_left.next = words[:12]
        elif are_asked:
            left.next = lower[12:]
        elif borrows:
            more_left.next = more_left - 1
        if begins:
            row.next = address[32:7]
            place.next = address[7:3]
        elif are_asked:  # behind a burst that was not the last one 16 words begin
            row.next = (row + 1) % rows
            place.next = 0

    @always(clk.posedge)
    def ask():
        """One burst in six cycles or seven: what is left, how long, if there is room and the one before has gone."""
        if rst or moves:
            chosen.next = False
            moves.next = False
        elif chosen:
            moves.next = has_room and not stops and not failed and not waits
        elif settled and not (few and left[4:] == 0):
            chosen.next = True

    @always(clk.posedge)
    def measure():
        if not chosen:
            if few and left[4:] < to_end:
                beats.next = left[4:]
            else:
                beats.next = to_end
        if moves:
            m_axi.araddr.next = concat(row, place, "000")
            m_axi.arlen.next = beats - 1

    @always(clk.posedge)
    def account():
        """free: places of the FIFO that no word will take; pending: words asked for that have not come.  Both are told
        of a burst before the next one looks at them."""
        has_room.next = free >= BURST_WORDS
        if rst:
            fewer_free.next = 0
            more_pending.next = 0
            were_asked.next = False
            free.next = depth
            pending.next = 0
            quiet.next = True
        else:
            were_asked.next = are_asked
            fewer_free.next = left_one - asked
            more_pending.next = asked - comes
            free.next = free + fewer_free
            pending.next = pending + more_pending
            quiet.next = pending == 0 and not (moves or are_asked or were_asked or waits)

    @always(clk.posedge)
    def take():
        push_data.next = came
        if rst:
            push.next = False
            slave_error.next = False
            decode_error.next = False
        else:
            push.next = comes and not failed and not resp[1]
            if comes and resp == SLVERR:
                slave_error.next = True
            if comes and resp == DECERR:
                decode_error.next = True

    return asking, ports, listen, reserve, look, subtract, go_on, ask, measure, account, take
