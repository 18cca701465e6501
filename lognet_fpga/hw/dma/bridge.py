"""From the processor's AXI3 port to AXI4-Lite registers, those of the DMA and of the overlay."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.axi import DECERR, AxiControl, AxiLite
from lognet_fpga.hw.wiring import flag, vector

PAGE = 4096  # bytes that a slave sees


@block
def register_bridge(
    clk, rst, s_axi: AxiControl, first: AxiLite, second: AxiLite, *, first_page, second_page, page_bits
):
    """One write and one read at a time, each beat of a burst an access of its own at the next word.

    first_page, second_page: of the two slaves, address >> page_bits; every other one is answered with DECERR.  The
    slaves' own answers are taken for good ones.
    Throughput: an access in about 7 cycles.
    """
    (write_idle, begins, gives, address_open, data_open, answer_open, gives_b) = (flag() for _ in range(7))
    (to_first, to_second, write_wrong, was_last, address_taken, data_taken, answered) = (flag() for _ in range(7))
    (read_idle, asks, awaits, gives_r, from_first, from_second, read_wrong, asked, told) = (flag() for _ in range(9))
    left = vector(4)
    answer = vector(32)
    write_address, read_address = vector(12), vector(12)

    @always_comb
    def write_ports():
        s_axi.awready.next = write_idle
        begins.next = (write_idle and s_axi.awvalid) or (answer_open and answered and not was_last)
        first.awvalid.next = address_open and to_first
        second.awvalid.next = address_open and to_second
        first.wvalid.next = data_open and s_axi.wvalid and to_first
        second.wvalid.next = data_open and s_axi.wvalid and to_second
        first.bready.next = answer_open
        second.bready.next = answer_open
        address_taken.next = (to_first and first.awready) or (to_second and second.awready) or write_wrong
        s_axi.wready.next = data_open and ((to_first and first.wready) or (to_second and second.wready) or write_wrong)
        data_taken.next = (
            data_open and s_axi.wvalid and ((to_first and first.wready) or (to_second and second.wready) or write_wrong)
        )
        answered.next = (to_first and first.bvalid) or (to_second and second.bvalid) or write_wrong
        s_axi.bvalid.next = gives_b

    @always_comb
    def both():
        first.awaddr.next = write_address
        second.awaddr.next = write_address
        first.wdata.next = s_axi.wdata
        second.wdata.next = s_axi.wdata
        first.wstrb.next = s_axi.wstrb
        second.wstrb.next = s_axi.wstrb
        first.araddr.next = read_address
        second.araddr.next = read_address
        first.awprot.next = 0
        second.awprot.next = 0
        first.arprot.next = 0
        second.arprot.next = 0

    @always(clk.posedge)
    def write():
        """In turn: idle, gives (address and data, in either order), awaits the answer; and gives b after the last."""
        if rst:
            write_idle.next = True
            gives.next = False
            address_open.next = False
            data_open.next = False
            answer_open.next = False
            gives_b.next = False
        else:
            write_idle.next = (write_idle and not s_axi.awvalid) or (gives_b and s_axi.bready)
            gives.next = begins or (gives and (address_open or data_open))
            address_open.next = begins or (address_open and not address_taken)
            data_open.next = begins or (data_open and not data_taken)
            answer_open.next = (gives and not address_open and not data_open) or (answer_open and not answered)
            gives_b.next = (answer_open and answered and was_last) or (gives_b and not s_axi.bready)

    @always(clk.posedge)
    def keep_write():
        if write_idle:
            s_axi.bid.next = s_axi.awid
            write_address.next = s_axi.awaddr[12:]
            to_first.next = s_axi.awaddr[32:page_bits] == first_page
            to_second.next = s_axi.awaddr[32:page_bits] == second_page
            write_wrong.next = (s_axi.awaddr[32:page_bits] != first_page) and (
                s_axi.awaddr[32:page_bits] != second_page
            )
        elif answer_open and answered:
            write_address.next = (write_address + 4) % PAGE
        if data_taken:
            was_last.next = s_axi.wlast
        if write_wrong:
            s_axi.bresp.next = DECERR
        else:
            s_axi.bresp.next = 0

    @always_comb
    def read_ports():
        s_axi.arready.next = read_idle
        first.arvalid.next = asks and from_first
        second.arvalid.next = asks and from_second
        first.rready.next = awaits
        second.rready.next = awaits
        asked.next = (from_first and first.arready) or (from_second and second.arready) or read_wrong
        told.next = (from_first and first.rvalid) or (from_second and second.rvalid) or read_wrong
        s_axi.rvalid.next = gives_r
        s_axi.rlast.next = left == 0
        s_axi.rdata.next = answer

    @always(clk.posedge)
    def read():
        if rst:
            read_idle.next = True
            asks.next = False
            awaits.next = False
            gives_r.next = False
        elif read_idle:
            if s_axi.arvalid:
                read_idle.next = False
                asks.next = True
        elif asks:
            if asked:
                asks.next = False
                awaits.next = True
        elif awaits:
            if told:
                awaits.next = False
                gives_r.next = True
        elif gives_r and s_axi.rready:
            gives_r.next = False
            if left == 0:
                read_idle.next = True
            else:
                asks.next = True

    @always(clk.posedge)
    def keep_read():
        if read_idle:
            s_axi.rid.next = s_axi.arid
            read_address.next = s_axi.araddr[12:]
            left.next = s_axi.arlen[4:]
            from_first.next = s_axi.araddr[32:page_bits] == first_page
            from_second.next = s_axi.araddr[32:page_bits] == second_page
            read_wrong.next = (s_axi.araddr[32:page_bits] != first_page) and (s_axi.araddr[32:page_bits] != second_page)
        elif gives_r and s_axi.rready:
            read_address.next = (read_address + 4) % PAGE
            if left != 0:
                left.next = left - 1
        if awaits:
            if from_first:
                answer.next = first.rdata
            elif from_second:
                answer.next = second.rdata
            else:
                answer.next = 0
        if read_wrong:
            s_axi.rresp.next = DECERR
        else:
            s_axi.rresp.next = 0

    return write_ports, both, write, keep_write, read_ports, read, keep_read
