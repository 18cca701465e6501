"""From the processor's AXI3 port to AXI4-Lite registers, those of the DMA and of the overlay."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.axi import DECERR, AxiControl, AxiLite
from lognet_fpga.hw.dma.handshake import handshake
from lognet_fpga.hw.wiring import flag, vector

PAGE = 4096  # bytes that a slave sees


@block
def register_bridge(
    clk, rst, s_axi: AxiControl, first: AxiLite, second: AxiLite, *, first_page, second_page, page_bits
):
    """One write and one read at a time, each beat of a burst an access of its own at the next word.

    Whatever comes or goes is in a register at this block's edge, and in a second one behind it, so that one of them can
    be placed at the processor's pins.
    first_page, second_page: of the two slaves, address >> page_bits; every other one is answered with DECERR.  The
    slaves' own answers are taken for good ones.
    Throughput: an access in about 16 cycles.
    """
    write = bridge_writes(
        clk, rst, s_axi, first, second, first_page=first_page, second_page=second_page, page_bits=page_bits
    )
    read = bridge_reads(
        clk, rst, s_axi, first, second, first_page=first_page, second_page=second_page, page_bits=page_bits
    )
    write.name, read.name = "write", "read"

    return write, read


def asked_one_answers(to_first, first_comes, to_second, second_comes):
    """The answer of the one that was asked, for handshake."""
    return (to_first and first_comes) or (to_second and second_comes)


@block
def page_of(clk, address, to_first, to_second, wrong, *, first_page, second_page, page_bits):
    """Whose registers are at address, a cycle later."""

    @always(clk.posedge)
    def decode():
        to_first.next = address[32:page_bits] == first_page
        to_second.next = address[32:page_bits] == second_page
        wrong.next = address[32:page_bits] != first_page and address[32:page_bits] != second_page

    return decode


@block
def bridge_writes(clk, rst, s_axi: AxiControl, first: AxiLite, second: AxiLite, *, first_page, second_page, page_bits):
    """In turn: an address; and for each beat its word, the slave's address, word and answer; then the answer."""
    page, offset, word, strobe = vector(32), vector(12), vector(32), vector(4)
    to_first, to_second, wrong, was_last, power_up = (flag() for _ in range(5))
    awready, wready, bvalid, awaits = (flag() for _ in range(4))
    came, decoded, word_came, answered, told = (flag() for _ in range(5))
    begins, wants, gives, gives_first, gives_second, asks, goes_on, tells = (flag() for _ in range(8))
    first_valids = [flag(), flag()]
    second_valids = [flag(), flag()]
    pages = page_of(
        clk, page, to_first, to_second, wrong, first_page=first_page, second_page=second_page, page_bits=page_bits
    )
    pages.name = "page"
    write_answers = [to_first, first.bvalid, to_second, second.bvalid]
    parts = [
        handshake(clk, rst, begins, awready, [s_axi.awvalid], came),
        handshake(clk, rst, wants, wready, [s_axi.wvalid], word_came),
        handshake(clk, rst, tells, bvalid, [s_axi.bready], told),
        handshake(clk, rst, asks, awaits, write_answers, answered, come=asked_one_answers),
    ]
    for part, name in zip(parts, ("address", "data", "answer", "slave")):
        part.name = name
    done = [flag() for _ in range(4)]  # nobody looks: a slave answers when it has both
    offers = [
        handshake(clk, rst, gives_first, first_valids[0], [first.awready], done[0]),
        handshake(clk, rst, gives_first, first_valids[1], [first.wready], done[1]),
        handshake(clk, rst, gives_second, second_valids[0], [second.awready], done[2]),
        handshake(clk, rst, gives_second, second_valids[1], [second.wready], done[3]),
    ]
    for part, name in zip(offers, ("first_aw", "first_w", "second_aw", "second_w")):
        part.name = name
    first_aw, first_w = first_valids
    second_aw, second_w = second_valids

    @always_comb
    def ports():
        s_axi.awready.next = awready
        s_axi.wready.next = wready
        s_axi.bvalid.next = bvalid
        first.awvalid.next = first_aw
        first.wvalid.next = first_w
        second.awvalid.next = second_aw
        second.wvalid.next = second_w
        first.bready.next = awaits
        second.bready.next = awaits
        first.awaddr.next = offset
        second.awaddr.next = offset
        first.awprot.next = 0
        second.awprot.next = 0
        first.wdata.next = word
        second.wdata.next = word
        first.wstrb.next = strobe
        second.wstrb.next = strobe

    @always_comb
    def turns():
        begins.next = power_up or told
        wants.next = decoded or (goes_on and not was_last)
        gives_first.next = gives and to_first
        gives_second.next = gives and to_second
        asks.next = gives and not wrong
        tells.next = goes_on and was_last

    @always(clk.posedge)
    def follow():
        power_up.next = rst
        if rst:
            decoded.next = False
            gives.next = False
            goes_on.next = False
        else:
            decoded.next = came
            gives.next = word_came
            goes_on.next = answered or (gives and wrong)

    @always(clk.posedge)
    def keep():
        if awready:
            s_axi.bid.next = s_axi.awid
            page.next = s_axi.awaddr
        if wready:
            word.next = s_axi.wdata
            strobe.next = s_axi.wstrb
            was_last.next = s_axi.wlast
        if came:
            offset.next = page[12:]
        elif goes_on:
            offset.next = (offset + 4) % PAGE
        if wrong:
            s_axi.bresp.next = DECERR
        else:
            s_axi.bresp.next = 0

    return pages, parts, offers, ports, turns, follow, keep


@block
def bridge_reads(clk, rst, s_axi: AxiControl, first: AxiLite, second: AxiLite, *, first_page, second_page, page_bits):
    """In turn: an address; and for each beat the slave's address and word, and the word to the processor."""
    page, offset, word, left = vector(32), vector(12), vector(32), vector(4)
    from_first, from_second, wrong, is_last, power_up = (flag() for _ in range(5))
    arready, rvalid, awaits, first_ar, second_ar = (flag() for _ in range(5))
    came, decoded, answered, told, fetched = (flag() for _ in range(5))
    begins, asks, asks_first, asks_second, asks_any, tells = (flag() for _ in range(6))
    pages = page_of(
        clk, page, from_first, from_second, wrong, first_page=first_page, second_page=second_page, page_bits=page_bits
    )
    pages.name = "page"
    done = [flag(), flag()]  # nobody looks: the answer tells
    read_answers = [from_first, first.rvalid, from_second, second.rvalid]
    parts = [
        handshake(clk, rst, begins, arready, [s_axi.arvalid], came),
        handshake(clk, rst, tells, rvalid, [s_axi.rready], told),
        handshake(clk, rst, asks_first, first_ar, [first.arready], done[0]),
        handshake(clk, rst, asks_second, second_ar, [second.arready], done[1]),
        handshake(clk, rst, asks_any, awaits, read_answers, answered, come=asked_one_answers),
    ]
    for part, name in zip(parts, ("address", "data", "first", "second", "slave")):
        part.name = name

    @always_comb
    def ports():
        s_axi.arready.next = arready
        s_axi.rvalid.next = rvalid
        s_axi.rlast.next = is_last
        first.arvalid.next = first_ar
        second.arvalid.next = second_ar
        first.rready.next = awaits
        second.rready.next = awaits
        first.araddr.next = offset
        second.araddr.next = offset
        first.arprot.next = 0
        second.arprot.next = 0

    @always_comb
    def turns():
        begins.next = power_up or (told and is_last)
        asks_first.next = asks and from_first
        asks_second.next = asks and from_second
        asks_any.next = asks and not wrong
        tells.next = fetched

    @always(clk.posedge)
    def follow():
        power_up.next = rst
        if rst:
            decoded.next = False
            asks.next = False
            fetched.next = False
        else:
            decoded.next = came
            asks.next = decoded or (told and not is_last)
            fetched.next = answered or (asks and wrong)

    @always(clk.posedge)
    def keep():
        if arready:
            s_axi.rid.next = s_axi.arid
            page.next = s_axi.araddr
            left.next = s_axi.arlen[4:]
        elif told:
            left.next = (left - 1) % 16
        if came:
            offset.next = page[12:]
        elif told:
            offset.next = (offset + 4) % PAGE
        if awaits:
            if from_first:
                word.next = first.rdata
            else:
                word.next = second.rdata
        if fetched:
            is_last.next = left == 0
            if wrong:
                s_axi.rdata.next = 0
                s_axi.rresp.next = DECERR
            else:
                s_axi.rdata.next = word
                s_axi.rresp.next = 0

    return pages, parts, ports, turns, follow, keep
