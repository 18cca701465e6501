"""The DMA's registers, lognet_fpga.ir.dma_registers."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.dma.channel import ADDRESS, CONTROL, LENGTH, STATUS, dma_channel
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.ir.dma_registers import MM2S, S2MM

SECOND = S2MM.word - MM2S.word  # words from one channel to the other
SETTLE_CYCLES = 16  # without anything on its way, until a reset is made
RESET_CYCLES = 16


@block
def dma_registers(
    clk,
    rst,
    s_axil_awaddr,
    s_axil_awprot,
    s_axil_awvalid,
    s_axil_awready,
    s_axil_wdata,
    s_axil_wstrb,
    s_axil_wvalid,
    s_axil_wready,
    s_axil_bresp,
    s_axil_bvalid,
    s_axil_bready,
    s_axil_araddr,
    s_axil_arprot,
    s_axil_arvalid,
    s_axil_arready,
    s_axil_rdata,
    s_axil_rresp,
    s_axil_rvalid,
    s_axil_rready,
    core_rst,
    stop,
    mm2s_start,
    mm2s_address,
    mm2s_length,
    mm2s_ended,
    mm2s_quiet,
    mm2s_slave_error,
    mm2s_decode_error,
    s2mm_start,
    s2mm_address,
    s2mm_length,
    s2mm_received,
    s2mm_ended,
    s2mm_too_long,
    s2mm_quiet,
    s2mm_slave_error,
    s2mm_decode_error,
    *,
    mm2s_step,
    s2mm_step,
):
    """AXI4-Lite slave, one access at a time; whole words are written, whatever the strobes say.

    Ports: core_rst: of everything else; stop: begin nothing new, for a reset comes; *_start: pulses; *_ended: the
    transfer is over on the stream's side; *_quiet: nothing is on its way to or from memory.
    A transfer from memory is a multiple of `mm2s_step` bytes, a beat; one into memory has `s2mm_step` at least.
    """
    write_free, write_now, write_comes, write_acts, write_waits = (flag() for _ in range(5))
    read_free, read_now, read_indexed, read_chosen, read_told, read_waits = (flag() for _ in range(6))
    write_index, read_index, written = vector(5), vector(5), vector(32)
    kind, of_second, of_neither = vector(2), flag(), flag()
    resets, resetting, settled = flag(), flag(), vector(5)
    no_error = flag()
    words = [vector(32) for _ in range(6)]  # control, status, length of either channel
    first_word, second_word = vector(32), vector(32)

    @always_comb
    def handshake():
        write_now.next = s_axil_awvalid and s_axil_wvalid and write_free
        read_now.next = s_axil_arvalid and read_free
        s_axil_awready.next = s_axil_awvalid and s_axil_wvalid and write_free
        s_axil_wready.next = s_axil_awvalid and s_axil_wvalid and write_free
        s_axil_arready.next = s_axil_arvalid and read_free
        s_axil_bvalid.next = write_waits
        s_axil_rvalid.next = read_waits
        s_axil_bresp.next = 0
        s_axil_rresp.next = 0
        no_error.next = False
        stop.next = resetting

    @always(clk.posedge)
    def write():
        """What is written is kept, then decoded, then takes effect out of registers, and then is answered."""
        if write_now:
            written.next = s_axil_wdata
            write_index.next = s_axil_awaddr[7:2]
        write_comes.next = write_now and not rst
        write_acts.next = write_comes and not rst
        if rst:
            write_free.next = True
            write_waits.next = False
        elif write_now:
            write_free.next = False
        elif write_acts:
            write_waits.next = True
        elif write_waits and s_axil_bready:
            write_waits.next = False
            write_free.next = True

    @always(clk.posedge)
    def ask_reset():
        resets.next = write_comes and written[2] and (write_index == CONTROL or write_index == SECOND)

    @always(clk.posedge)
    def reset():
        """Nothing new is begun; when all that is on its way has ended, everything is reset."""
        if rst:
            resetting.next = False
            settled.next = 0
            core_rst.next = True
        elif resets and not resetting:
            resetting.next = True
            settled.next = 0
            core_rst.next = False
        elif resetting:
            core_rst.next = settled >= SETTLE_CYCLES
            if settled == SETTLE_CYCLES + RESET_CYCLES - 1:
                resetting.next = False
            elif settled >= SETTLE_CYCLES or (mm2s_quiet and s2mm_quiet):
                settled.next = settled + 1
            else:
                settled.next = 0
        else:
            core_rst.next = False

    mm2s = dma_channel(
        clk,
        core_rst,
        write_comes,
        write_index,
        written,
        resetting,
        mm2s_start,
        mm2s_address,
        mm2s_length,
        mm2s_length,
        mm2s_ended,
        no_error,
        mm2s_quiet,
        mm2s_slave_error,
        mm2s_decode_error,
        words[0],
        words[1],
        words[2],
        first=0,
        step=mm2s_step,
        whole=True,
    )
    s2mm = dma_channel(
        clk,
        core_rst,
        write_comes,
        write_index,
        written,
        resetting,
        s2mm_start,
        s2mm_address,
        s2mm_length,
        s2mm_received,
        s2mm_ended,
        s2mm_too_long,
        s2mm_quiet,
        s2mm_slave_error,
        s2mm_decode_error,
        words[3],
        words[4],
        words[5],
        first=SECOND,
        step=s2mm_step,
        whole=False,
    )
    mm2s.name, s2mm.name = "mm2s", "s2mm"
    first_control, first_status, first_length, second_control, second_status, second_length = words

    @always(clk.posedge)
    def find():
        """Which word of a channel, and whose."""
        if read_index == CONTROL or read_index == SECOND + CONTROL:
            kind.next = 0
        elif read_index == STATUS or read_index == SECOND + STATUS:
            kind.next = 1
        elif read_index == ADDRESS or read_index == SECOND + ADDRESS:
            kind.next = 2
        else:
            kind.next = 3
        of_second.next = (
            read_index == SECOND + CONTROL
            or read_index == SECOND + STATUS
            or read_index == SECOND + ADDRESS
            or read_index == SECOND + LENGTH
        )
        of_neither.next = (
            read_index != CONTROL
            and read_index != STATUS
            and read_index != ADDRESS
            and read_index != LENGTH
            and read_index != SECOND + CONTROL
            and read_index != SECOND + STATUS
            and read_index != SECOND + ADDRESS
            and read_index != SECOND + LENGTH
        )

    @always(clk.posedge)
    def choose():
        if kind == 0:
            first_word.next = first_control
            second_word.next = second_control
        elif kind == 1:
            first_word.next = first_status
            second_word.next = second_status
        elif kind == 2:
            first_word.next = mm2s_address
            second_word.next = s2mm_address
        else:
            first_word.next = first_length
            second_word.next = second_length

    @always(clk.posedge)
    def read():
        if read_now:
            read_index.next = s_axil_araddr[7:2]
        if read_told:
            if of_neither:
                s_axil_rdata.next = 0
            elif of_second:
                s_axil_rdata.next = second_word
            else:
                s_axil_rdata.next = first_word
        read_indexed.next = read_now and not rst
        read_chosen.next = read_indexed and not rst
        read_told.next = read_chosen and not rst
        if rst:
            read_free.next = True
            read_waits.next = False
        elif read_now:
            read_free.next = False
        elif read_told:
            read_waits.next = True
        elif read_waits and s_axil_rready:
            read_waits.next = False
            read_free.next = True

    return handshake, write, ask_reset, reset, mm2s, s2mm, find, choose, read
