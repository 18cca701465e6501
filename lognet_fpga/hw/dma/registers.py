"""The DMA's registers, those of Xilinx's AXI DMA in direct register mode (PG021) that a driver needs.

Byte addresses; MM2S begins at 0x00, S2MM at 0x30:

    +0x00 DMACR   bit 0 runs the channel, bit 2 resets the whole DMA and reads 1 while that lasts
    +0x04 DMASR   bit 0 halted, 1 idle, 4 internal error, 5 slave error, 6 decode error; 12: a transfer has ended,
                  14: an error has come, which writing 1 clears.  There are no interrupts.
    +0x18 address of the transfer, a multiple of 8     +0x1C its upper half, 0
    +0x28 LENGTH  in bytes; writing it starts the transfer; of S2MM it reads what came in when that has ended
"""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.wiring import flag, vector

LENGTH_BITS = 26
CONTROL, STATUS, ADDRESS, LENGTH = 0, 1, 6, 10  # words of a channel
SECOND = 12  # words from one channel to the other
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
    mm2s_step: bytes of a beat, of which a transfer from memory must be a multiple; s2mm_step: the least a transfer
    into memory can be.
    """
    write_now, write_acts, write_waits = flag(), flag(), flag()
    read_now, read_chosen, read_waits = flag(), flag(), flag()
    write_index, read_index, written = vector(5), vector(5), vector(32)
    resets, resetting, settled = flag(), flag(), vector(5)
    no_error = flag()
    words = [vector(32) for _ in range(6)]  # control, status, length of either channel
    word = vector(32)

    @always_comb
    def handshake():
        write_now.next = s_axil_awvalid and s_axil_wvalid and not (write_waits or write_acts)
        read_now.next = s_axil_arvalid and not (read_waits or read_chosen)
        s_axil_awready.next = s_axil_awvalid and s_axil_wvalid and not (write_waits or write_acts)
        s_axil_wready.next = s_axil_awvalid and s_axil_wvalid and not (write_waits or write_acts)
        s_axil_arready.next = s_axil_arvalid and not (read_waits or read_chosen)
        s_axil_bvalid.next = write_waits
        s_axil_rvalid.next = read_waits
        s_axil_bresp.next = 0
        s_axil_rresp.next = 0
        no_error.next = False
        stop.next = resetting

    @always(clk.posedge)
    def write():
        """What is written takes effect in the cycle after, out of registers, and then is answered."""
        write_acts.next = write_now
        written.next = s_axil_wdata
        write_index.next = s_axil_awaddr[7:2]
        if rst:
            write_acts.next = False
            write_waits.next = False
        elif write_acts:
            write_waits.next = True
        elif s_axil_bready:
            write_waits.next = False

    @always_comb
    def ask_reset():
        resets.next = write_acts and written[2] and (write_index == CONTROL or write_index == SECOND)

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
        write_acts,
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
        write_acts,
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

    @always_comb
    def choose():
        if read_index == CONTROL:
            word.next = first_control
        elif read_index == STATUS:
            word.next = first_status
        elif read_index == ADDRESS:
            word.next = mm2s_address
        elif read_index == LENGTH:
            word.next = first_length
        elif read_index == SECOND + CONTROL:
            word.next = second_control
        elif read_index == SECOND + STATUS:
            word.next = second_status
        elif read_index == SECOND + ADDRESS:
            word.next = s2mm_address
        elif read_index == SECOND + LENGTH:
            word.next = second_length
        else:
            word.next = 0

    @always(clk.posedge)
    def read():
        read_chosen.next = read_now
        if read_now:
            read_index.next = s_axil_araddr[7:2]
        if read_chosen:
            s_axil_rdata.next = word
        if rst:
            read_chosen.next = False
            read_waits.next = False
        elif read_chosen:
            read_waits.next = True
        elif s_axil_rready:
            read_waits.next = False

    return handshake, write, ask_reset, reset, mm2s, s2mm, choose, read


@block
def dma_channel(
    clk,
    rst,
    write_acts,
    write_index,
    written,
    resetting,
    start,
    address,
    length,
    moved,
    ended,
    too_long,
    quiet,
    slave_error,
    decode_error,
    control_word,
    status_word,
    length_word,
    *,
    first,
    step,
    whole,
):
    """One channel's registers.  moved: what the length reads when the transfer has ended.

    whole: a transfer must be of whole steps.  An error is told when nothing is on its way any more, and ends the run:
    only a reset brings the channel back.
    """
    run, busy, idle, began, failed = (flag() for _ in range(5))
    internal, slave, decode, told, error_told, not_running = (flag() for _ in range(6))
    to_control, to_status, to_address, to_length, wrong, finishes, breaks = (flag() for _ in range(7))

    @always_comb
    def decode_write():
        to_control.next = write_acts and write_index == first + CONTROL
        to_status.next = write_acts and write_index == first + STATUS
        to_address.next = write_acts and write_index == first + ADDRESS and not busy
        to_length.next = write_acts and write_index == first + LENGTH and run and not busy and not resetting
        failed.next = slave_error or decode_error or too_long

    if whole:

        @always_comb
        def check():
            wrong.next = written[LENGTH_BITS:] < step or (written & (step - 1)) != 0 or address[3:] != 0

    else:

        @always_comb
        def check():
            wrong.next = written[LENGTH_BITS:] < step or address[3:] != 0

    @always_comb
    def judge():
        """began: start's cycle has passed, so that what ended and quiet say is of this transfer."""
        finishes.next = busy and began and not start and ended and quiet and not failed
        breaks.next = busy and began and not start and quiet and failed and (ended or not too_long)

    @always(clk.posedge)
    def keep():
        start.next = False
        began.next = start or (began and busy)
        if rst:
            run.next = False
            busy.next = False
            idle.next = False
            internal.next = False
            slave.next = False
            decode.next = False
            told.next = False
            error_told.next = False
            length.next = 0
            address.next = 0
        else:
            if to_address:
                address.next = written
            if to_control:
                run.next = written[0] and not (internal or slave or decode)
            if to_length:
                length.next = written[LENGTH_BITS:]
            if to_status:
                told.next = told and not written[12]
                error_told.next = error_told and not written[14]
            if to_length and wrong:
                internal.next = True
                error_told.next = True
                run.next = False
            elif to_length:
                start.next = True
                busy.next = True
                idle.next = False
            elif finishes:
                busy.next = False
                idle.next = True
                told.next = True
            elif breaks:
                busy.next = False
                run.next = False
                internal.next = too_long
                slave.next = slave_error
                decode.next = decode_error
                error_told.next = True

    @always_comb
    def show():
        control_word.next = concat("000000000000000100000000000", "00", resetting, "1", run)
        status_word.next = concat(
            "00000000000000000", error_told, "0", told, "00000", decode, slave, internal, "00", idle, not_running
        )

    @always_comb
    def halt():
        not_running.next = not (run or busy)

    if whole:

        @always_comb
        def measure():
            length_word.next = length

    else:

        @always_comb
        def measure():
            if busy:
                length_word.next = length
            else:
                length_word.next = moved

    return decode_write, check, judge, keep, show, halt, measure
