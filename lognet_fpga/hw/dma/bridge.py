"""From the processor's AXI3 port to AXI4-Lite registers, those of the DMA and of the overlay."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.wiring import flag, vector

ID_BITS = 12  # of a Zynq-7000's general purpose ports
DECERR = 3
PAGE = 4096  # bytes that a slave sees


@block
def register_bridge(
    clk,
    rst,
    s_axi_awid,
    s_axi_awaddr,
    s_axi_awlen,
    s_axi_awvalid,
    s_axi_awready,
    s_axi_wdata,
    s_axi_wstrb,
    s_axi_wlast,
    s_axi_wvalid,
    s_axi_wready,
    s_axi_bid,
    s_axi_bresp,
    s_axi_bvalid,
    s_axi_bready,
    s_axi_arid,
    s_axi_araddr,
    s_axi_arlen,
    s_axi_arvalid,
    s_axi_arready,
    s_axi_rid,
    s_axi_rdata,
    s_axi_rresp,
    s_axi_rlast,
    s_axi_rvalid,
    s_axi_rready,
    m_awaddr,
    m_wdata,
    m_wstrb,
    m_araddr,
    first_awvalid,
    first_awready,
    first_wvalid,
    first_wready,
    first_bvalid,
    first_bready,
    first_arvalid,
    first_arready,
    first_rdata,
    first_rvalid,
    first_rready,
    second_awvalid,
    second_awready,
    second_wvalid,
    second_wready,
    second_bvalid,
    second_bready,
    second_arvalid,
    second_arready,
    second_rdata,
    second_rvalid,
    second_rready,
    *,
    first_page,
    second_page,
    page_bits,
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

    @always_comb
    def write_ports():
        s_axi_awready.next = write_idle
        begins.next = (write_idle and s_axi_awvalid) or (answer_open and answered and not was_last)
        first_awvalid.next = address_open and to_first
        second_awvalid.next = address_open and to_second
        first_wvalid.next = data_open and s_axi_wvalid and to_first
        second_wvalid.next = data_open and s_axi_wvalid and to_second
        first_bready.next = answer_open
        second_bready.next = answer_open
        address_taken.next = (to_first and first_awready) or (to_second and second_awready) or write_wrong
        s_axi_wready.next = data_open and ((to_first and first_wready) or (to_second and second_wready) or write_wrong)
        data_taken.next = (
            data_open and s_axi_wvalid and ((to_first and first_wready) or (to_second and second_wready) or write_wrong)
        )
        answered.next = (to_first and first_bvalid) or (to_second and second_bvalid) or write_wrong
        s_axi_bvalid.next = gives_b
        m_wdata.next = s_axi_wdata
        m_wstrb.next = s_axi_wstrb

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
            write_idle.next = (write_idle and not s_axi_awvalid) or (gives_b and s_axi_bready)
            gives.next = begins or (gives and (address_open or data_open))
            address_open.next = begins or (address_open and not address_taken)
            data_open.next = begins or (data_open and not data_taken)
            answer_open.next = (gives and not address_open and not data_open) or (answer_open and not answered)
            gives_b.next = (answer_open and answered and was_last) or (gives_b and not s_axi_bready)

    @always(clk.posedge)
    def keep_write():
        if write_idle:
            s_axi_bid.next = s_axi_awid
            m_awaddr.next = s_axi_awaddr[12:]
            to_first.next = s_axi_awaddr[32:page_bits] == first_page
            to_second.next = s_axi_awaddr[32:page_bits] == second_page
            write_wrong.next = (s_axi_awaddr[32:page_bits] != first_page) and (
                s_axi_awaddr[32:page_bits] != second_page
            )
        elif answer_open and answered:
            m_awaddr.next = (m_awaddr + 4) % PAGE
        if data_taken:
            was_last.next = s_axi_wlast
        if write_wrong:
            s_axi_bresp.next = DECERR
        else:
            s_axi_bresp.next = 0

    @always_comb
    def read_ports():
        s_axi_arready.next = read_idle
        first_arvalid.next = asks and from_first
        second_arvalid.next = asks and from_second
        first_rready.next = awaits
        second_rready.next = awaits
        asked.next = (from_first and first_arready) or (from_second and second_arready) or read_wrong
        told.next = (from_first and first_rvalid) or (from_second and second_rvalid) or read_wrong
        s_axi_rvalid.next = gives_r
        s_axi_rlast.next = left == 0
        s_axi_rdata.next = answer

    @always(clk.posedge)
    def read():
        if rst:
            read_idle.next = True
            asks.next = False
            awaits.next = False
            gives_r.next = False
        elif read_idle:
            if s_axi_arvalid:
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
        elif gives_r and s_axi_rready:
            gives_r.next = False
            if left == 0:
                read_idle.next = True
            else:
                asks.next = True

    @always(clk.posedge)
    def keep_read():
        if read_idle:
            s_axi_rid.next = s_axi_arid
            m_araddr.next = s_axi_araddr[12:]
            left.next = s_axi_arlen[4:]
            from_first.next = s_axi_araddr[32:page_bits] == first_page
            from_second.next = s_axi_araddr[32:page_bits] == second_page
            read_wrong.next = (s_axi_araddr[32:page_bits] != first_page) and (s_axi_araddr[32:page_bits] != second_page)
        elif gives_r and s_axi_rready:
            m_araddr.next = (m_araddr + 4) % PAGE
            if left != 0:
                left.next = left - 1
        if awaits:
            if from_first:
                answer.next = first_rdata
            elif from_second:
                answer.next = second_rdata
            else:
                answer.next = 0
        if read_wrong:
            s_axi_rresp.next = DECERR
        else:
            s_axi_rresp.next = 0

    return write_ports, write, keep_write, read_ports, read, keep_read
