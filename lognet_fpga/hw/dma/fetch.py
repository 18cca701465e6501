"""From memory: AXI bursts of reads into a FIFO."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.wiring import flag, vector

BURST_WORDS = 16  # AXI3 has no more
WORD_BYTES = 8
SLVERR, DECERR = 2, 3


@block
def dma_fetch(
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
    m_axi_arid,
    m_axi_araddr,
    m_axi_arlen,
    m_axi_arsize,
    m_axi_arburst,
    m_axi_arvalid,
    m_axi_arready,
    m_axi_rid,
    m_axi_rdata,
    m_axi_rresp,
    m_axi_rlast,
    m_axi_rvalid,
    m_axi_rready,
    *,
    depth,
):
    """Ask for n_bytes from address on, in bursts that end where 16 words do, so that none crosses a 4 KB boundary.

    A burst is asked for when the FIFO behind has room for all of it beside what is on its way, so rready is always
    given, and up to depth / 16 bursts are on their way at a time.  The first error ends the asking and the pushing.

    Ports: start: a pulse; address: bytes, a multiple of 8; stop: ask for no more; pop: a word has left the FIFO;
    push, push_data: a word into it; quiet: nothing is on its way; slave_error, decode_error: stay until rst.
    Latency: 3 from start to the first address.  Throughput: one word a cycle.
    """
    place, left = vector(29), vector(24)  # of the words not asked for yet
    beats = vector(5)
    chosen, offered, failed, moves, comes = flag(), flag(), flag(), flag(), flag()
    free, pending = vector(depth.bit_length()), vector(depth.bit_length())
    asked = vector(5)
    to_end = vector(5)

    @always_comb
    def ports():
        m_axi_arid.next = 0
        m_axi_arsize.next = 3
        m_axi_arburst.next = 1
        m_axi_arvalid.next = offered
        m_axi_rready.next = True
        moves.next = offered and m_axi_arready
        comes.next = m_axi_rvalid
        failed.next = slave_error or decode_error
        to_end.next = BURST_WORDS - place[4:]

    @always_comb
    def reserve():
        if moves:
            asked.next = beats
        else:
            asked.next = 0

    @always(clk.posedge)
    def ask():
        """One burst in three cycles: how long, whether there is room, and on."""
        if rst:
            left.next = 0
            chosen.next = False
            offered.next = False
        elif start:
            place.next = address[32:3]
            left.next = (n_bytes + (WORD_BYTES - 1)) >> 3
        elif moves:
            offered.next = False
            chosen.next = False
            place.next = place + beats
            left.next = left - beats
        elif chosen and not offered:
            offered.next = free >= BURST_WORDS and not stop and not failed
            m_axi_araddr.next = concat(place, "000")
            m_axi_arlen.next = beats - 1
        elif left != 0 and not chosen:
            chosen.next = True
            if left < to_end:
                beats.next = left[5:]
            else:
                beats.next = to_end

    @always(clk.posedge)
    def account():
        """free: places of the FIFO that no word will take; pending: words asked for that have not come."""
        if rst:
            free.next = depth
            pending.next = 0
            quiet.next = True
        else:
            free.next = free - asked + pop
            pending.next = pending + asked - comes
            quiet.next = pending == 0 and not offered

    @always(clk.posedge)
    def take():
        push_data.next = m_axi_rdata
        if rst:
            push.next = False
            slave_error.next = False
            decode_error.next = False
        else:
            push.next = m_axi_rvalid and not failed and not m_axi_rresp[1]
            if m_axi_rvalid and m_axi_rresp == SLVERR:
                slave_error.next = True
            if m_axi_rvalid and m_axi_rresp == DECERR:
                decode_error.next = True

    return ports, reserve, ask, account, take
