"""From memory: AXI bursts of reads into a FIFO."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.axi import DECERR, SLVERR, AxiReads
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

    Ports: start: a pulse; address: bytes, a multiple of 8; stop: ask for no more; pop: a word has left the FIFO;
    push, push_data: a word into it; quiet: nothing is on its way; slave_error, decode_error: stay until rst.
    Latency: 4 from start to the first address.  Throughput: one word a cycle.
    """
    row, place, left = (
        vector(ROW_BITS),
        vector(4),
        vector(24),
    )  # of the words not asked for yet: where in which 16, how many
    beats = vector(5)
    chosen, offered, failed, moves, comes, left_one = (flag() for _ in range(6))
    rows = 1 << ROW_BITS
    free, pending = vector(depth.bit_length()), vector(depth.bit_length())
    asked, are_asked = vector(5), flag()
    to_end, few, settled, has_room = vector(5), flag(), flag(), flag()

    @always_comb
    def ports():
        m_axi.arid.next = 0
        m_axi.arsize.next = 3
        m_axi.arburst.next = 1
        m_axi.arvalid.next = offered
        m_axi.rready.next = True
        moves.next = offered and m_axi.arready
        comes.next = m_axi.rvalid
        failed.next = slave_error or decode_error
        has_room.next = free >= BURST_WORDS

    @always(clk.posedge)
    def reserve():
        """asked: words of the burst that was asked for a cycle ago."""
        are_asked.next = moves and not rst
        left_one.next = pop and not rst
        if moves and not rst:
            asked.next = beats
        else:
            asked.next = 0

    @always(clk.posedge)
    def look():
        """What is left and where, a cycle after it has changed: to_end: words until 16 end; few: fewer than 16 left."""
        settled.next = not (rst or start or moves or are_asked)
        few.next = left[24:4] == 0
        to_end.next = BURST_WORDS - place

    @always(clk.posedge)
    def go_on():
        if rst:
            left.next = 0
        elif start:
            left.next = (n_bytes + (WORD_BYTES - 1)) >> 3
        else:
            left.next = left - asked
        if start:
            row.next = address[32:7]
            place.next = address[7:3]
        elif are_asked:  # behind a burst that was not the last one 16 words begin
            row.next = (row + 1) % rows
            place.next = 0

    @always(clk.posedge)
    def ask():
        """One burst in four cycles: what is left, how long, whether there is room, and on."""
        if rst or moves:
            chosen.next = False
            offered.next = False
        elif chosen:
            offered.next = offered or (has_room and not stop and not failed)
        elif settled and not (few and left[4:] == 0):
            chosen.next = True

    @always(clk.posedge)
    def measure():
        if not chosen:
            if few and left[4:] < to_end:
                beats.next = left[4:]
            else:
                beats.next = to_end
        if not offered:
            m_axi.araddr.next = concat(row, place, "000")
            m_axi.arlen.next = beats - 1

    @always(clk.posedge)
    def account():
        """free: places of the FIFO that no word will take; pending: words asked for that have not come.  Both are told
        of a burst before the next one looks at them."""
        if rst:
            free.next = depth
            pending.next = 0
            quiet.next = True
        else:
            free.next = free - asked + left_one
            pending.next = pending + asked - comes
            quiet.next = pending == 0 and not offered and not are_asked

    @always(clk.posedge)
    def take():
        push_data.next = m_axi.rdata
        if rst:
            push.next = False
            slave_error.next = False
            decode_error.next = False
        else:
            push.next = m_axi.rvalid and not failed and not m_axi.rresp[1]
            if m_axi.rvalid and m_axi.rresp == SLVERR:
                slave_error.next = True
            if m_axi.rvalid and m_axi.rresp == DECERR:
                decode_error.next = True

    return ports, reserve, look, go_on, ask, measure, account, take
