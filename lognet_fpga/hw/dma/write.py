"""Into memory: AXI bursts of writes out of two FIFOs, one of bursts and one of words."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.axi import DECERR, SLVERR, AxiWrites
from lognet_fpga.hw.wiring import flag, join, vector

MAX_OUTSTANDING = 8  # of the HP ports of a Zynq-7000
LAST = MAX_OUTSTANDING - 1
OPEN_BITS = 5  # of the number of bursts from the FIFO to the answer


@block
def dma_write(
    clk,
    rst,
    burst_pushed,
    burst_valid,
    burst,
    burst_ready,
    word_valid,
    word,
    word_ready,
    quiet,
    slave_error,
    decode_error,
    m_axi: AxiWrites,
    *,
    lanes,
):
    """All words of a burst are in the FIFO when its description is, so that an address once given is always followed
    by its words.  Up to 8 bursts are unanswered at a time.

    Ports: burst: beats - 1 in 4 bits, then the place of its first word in 29; word: 64 bits of data, one that marks the
    last of a burst, then one for each lane but the first that it holds data; burst_pushed: a burst has gone into its
    FIFO; quiet: every burst has been answered; slave_error, decode_error: stay until rst.
    Throughput: one word a cycle.
    """
    owed, unanswered = vector(MAX_OUTSTANDING), vector(MAX_OUTSTANDING)  # bursts, a bit each, lowest first
    open_bursts = vector(OPEN_BITS)
    gives_address, has_given, gives_last, answered = flag(), flag(), flag(), flag()
    may_ask, all_asked, one_left = flag(), flag(), flag()
    strobe_lane = 8 // lanes

    @always_comb
    def addresses():
        m_axi.awid.next = 0
        m_axi.awsize.next = 3
        m_axi.awburst.next = 1
        m_axi.awaddr.next = concat(burst[33:4], "000")
        m_axi.awlen.next = burst[4:]
        m_axi.awvalid.next = burst_valid and may_ask
        burst_ready.next = m_axi.awready and may_ask
        gives_address.next = burst_valid and m_axi.awready and may_ask

    @always_comb
    def data():
        m_axi.wdata.next = word[64:]
        m_axi.wlast.next = word[64]
        m_axi.wvalid.next = word_valid and owed[0]
        word_ready.next = m_axi.wready and owed[0]
        gives_last.next = word_valid and owed[0] and m_axi.wready and word[64]
        m_axi.bready.next = True
        answered.next = m_axi.bvalid

    if lanes == 1:

        @always(clk.posedge)
        def strobe():
            m_axi.wstrb.next = 0xFF

    else:
        marks = join([True] * strobe_lane + [word(64 + lane) for lane in range(1, lanes) for _ in range(strobe_lane)])

        @always_comb
        def strobe():
            m_axi.wstrb.next = marks

    @always_comb
    def limit():
        all_asked.next = unanswered[LAST] or (unanswered[LAST - 1] and has_given)
        one_left.next = unanswered[LAST - 1] or (unanswered[LAST - 2] and has_given)

    @always(clk.posedge)
    def account():
        """may_ask: fewer than 8 are unanswered; in owed and unanswered a burst counts a cycle later."""
        has_given.next = gives_address and not rst
        if rst:
            owed.next = 0
            unanswered.next = 0
            may_ask.next = True
            open_bursts.next = 0
            quiet.next = True
        else:
            may_ask.next = answered or not (all_asked or (one_left and gives_address))
            if has_given and not answered:
                unanswered.next = concat(unanswered[LAST:], "1")
            elif answered and not has_given:
                unanswered.next = unanswered >> 1
            if has_given and not gives_last:
                owed.next = concat(owed[LAST:], "1")
            elif gives_last and not has_given:
                owed.next = owed >> 1
            open_bursts.next = open_bursts + burst_pushed - answered
            quiet.next = open_bursts == 0 and not burst_pushed

    @always(clk.posedge)
    def judge():
        if rst:
            slave_error.next = False
            decode_error.next = False
        elif m_axi.bvalid:
            if m_axi.bresp == SLVERR:
                slave_error.next = True
            if m_axi.bresp == DECERR:
                decode_error.next = True

    return addresses, data, strobe, limit, account, judge
