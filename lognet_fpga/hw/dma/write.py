"""Into memory: AXI bursts of writes out of two FIFOs, one of bursts and one of words."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv

from lognet_fpga.hw.axi import DECERR, SLVERR, AxiWrites
from lognet_fpga.hw.control import late_logic
from lognet_fpga.hw.dma.handshake import handshake
from lognet_fpga.hw.slice import register_slice
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
    by its words.  Up to 8 bursts are unanswered at a time.  Addresses and words go through two registers, so that one
    of each can be placed at the memory's pins.

    Ports: burst: beats - 1 in 4 bits, then the place of its first word in 29; word: 64 bits of data, one that marks the
    last of a burst, then one for each lane but the first that it holds data; burst_pushed: a burst has gone into its
    FIFO; quiet: every burst has been answered; slave_error, decode_error: stay until rst.
    Throughput: one word a cycle.
    """
    owed, unanswered = vector(MAX_OUTSTANDING), vector(MAX_OUTSTANDING)  # bursts, a bit each, lowest first
    open_bursts = vector(OPEN_BITS)
    takes, may_take, takes_soon, held, holds = (
        flag() for _ in range(5)
    )  # a burst out of the FIFO; the register behind
    moves, waits, has_given, gives_last, answered, pushed = (flag() for _ in range(6))
    strobe_lane = 8 // lanes
    place, resp, change = vector(33), vector(2), Signal(intbv(0, min=-1, max=2))
    taking = late_logic([burst_valid, takes, may_take], takes_soon, rule=lambda v, takes, may: v and may and not takes)
    offering = handshake(clk, rst, moves, waits, [m_axi.awready], has_given)
    taking.name, offering.name = "taking", "offering"

    # Words wait in front of the gate that owed is, and behind it.
    first, first_valid, first_ready = vector(len(word)), flag(), flag()
    second, second_valid, goes, second_ready = vector(len(word)), flag(), flag(), flag()
    arrive = register_slice(clk, rst, word, word_valid, word_ready, first, first_valid, first_ready)
    leave = register_slice(clk, rst, first, goes, second_ready, second, second_valid, m_axi.wready)
    arrive.name, leave.name = "arrive", "leave"

    @always_comb
    def addresses():
        m_axi.awid.next = 0
        m_axi.awsize.next = 3
        m_axi.awburst.next = 1
        m_axi.awvalid.next = waits
        burst_ready.next = takes
        may_take.next = not unanswered[LAST] and not held
        moves.next = held and not waits

    @always_comb
    def data():
        m_axi.wdata.next = second[64:]
        m_axi.wlast.next = second[64]
        m_axi.wvalid.next = second_valid
        m_axi.bready.next = True
        goes.next = first_valid and owed[0]
        first_ready.next = second_ready and owed[0]
        change.next = 1 if pushed else -1
        gives_last.next = first_valid and owed[0] and second_ready and first[64]
        holds.next = takes or (held and not moves)

    if lanes == 1:

        @always(clk.posedge)
        def strobe():
            m_axi.wstrb.next = 0xFF

    else:
        marks = join([True] * strobe_lane + [second(64 + lane) for lane in range(1, lanes) for _ in range(strobe_lane)])

        @always_comb
        def strobe():
            m_axi.wstrb.next = marks

    @always(clk.posedge)
    def give():
        """A burst is taken in every second cycle at the most, so that may_take knows of the one before."""
        if rst:
            takes.next = False
            held.next = False
        else:
            takes.next = takes_soon
            held.next = holds
        if takes:
            place.next = burst
        if moves:
            m_axi.awaddr.next = concat(place[33:4], "000")
            m_axi.awlen.next = place[4:]

    @always(clk.posedge)
    def account():
        """unanswered: of the bursts taken; owed: of those given, whose words have not gone."""
        resp.next = m_axi.bresp
        if rst:
            answered.next = False
            pushed.next = False
            owed.next = 0
            unanswered.next = 0
            open_bursts.next = 0
            quiet.next = True
        else:
            answered.next = m_axi.bvalid
            pushed.next = burst_pushed
            if takes and not answered:
                unanswered.next = concat(unanswered[LAST:], "1")
            elif answered and not takes:
                unanswered.next = unanswered >> 1
            if has_given and not gives_last:
                owed.next = concat(owed[LAST:], "1")
            elif gives_last and not has_given:
                owed.next = owed >> 1
            if pushed != answered:
                open_bursts.next = open_bursts + change
            quiet.next = open_bursts == 0 and not pushed and not burst_pushed

    @always(clk.posedge)
    def judge():
        if rst:
            slave_error.next = False
            decode_error.next = False
        elif answered:
            if resp == SLVERR:
                slave_error.next = True
            if resp == DECERR:
                decode_error.next = True

    return taking, offering, arrive, leave, addresses, data, strobe, give, account, judge
