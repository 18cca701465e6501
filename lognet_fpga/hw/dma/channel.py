"""What the DMA's registers hold of one channel, and what writing them does."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.dma.transfer import RegisterWrite, Transfer
from lognet_fpga.hw.dma.units import LENGTH_BITS
from lognet_fpga.hw.wiring import flag
from lognet_fpga.ir import dma_registers as dma

CONTROL, STATUS, ADDRESS, LENGTH = (register.word for register in (dma.CONTROL, dma.STATUS, dma.ADDRESS, dma.LENGTH))
RUN_BIT, ENDED_BIT, ERROR_BIT = dma.RUN.low, dma.TRANSFER_ENDED.low, dma.ERROR_CAME.low


@block
def dma_channel(
    clk,
    rst,
    write: RegisterWrite,
    resetting,
    transfer: Transfer,
    too_long,
    control_word,
    status_word,
    *,
    first,
    step,
    whole,
):
    """One channel's registers.

    step: bytes, a power of two, that a transfer must have at least; whole: and must be of whole ones.  An error is told
    when nothing is on its way any more, and ends the run: only a reset brings the channel back.
    """
    step_bits = step.bit_length() - 1
    run, busy, idle, began, failed, opened, rests, accepts = (flag() for _ in range(8))
    internal, slave, decode, told, error_told, not_running = (flag() for _ in range(6))
    was_started, has_ended, is_quiet, slave_failed, decode_failed, went_over = (flag() for _ in range(6))
    to_control, to_status, to_address, to_length, wrong = (flag() for _ in range(5))
    starts, refuses, finishes, breaks = (flag() for _ in range(4))

    @always(clk.posedge)
    def decode_write():
        to_control.next = write.comes and write.word == first + CONTROL
        to_status.next = write.comes and write.word == first + STATUS
        to_address.next = write.comes and write.word == first + ADDRESS
        to_length.next = write.comes and write.word == first + LENGTH

    if whole:

        @always(clk.posedge)
        def check():
            wrong.next = (
                write.data[LENGTH_BITS:step_bits] == 0 or (write.data & (step - 1)) != 0 or transfer.address[3:] != 0
            )

    else:

        @always(clk.posedge)
        def check():
            wrong.next = write.data[LENGTH_BITS:step_bits] == 0 or transfer.address[3:] != 0

    @always_comb
    def admit():
        accepts.next = to_length and opened
        failed.next = slave_failed or decode_failed or went_over

    @always(clk.posedge)
    def open_for_writes():
        """opened: for a transfer; rests: none is running.  A cycle late: from one write to the next there are more."""
        opened.next = run and not busy and not resetting and not rst
        rests.next = not busy
        starts.next = accepts and not wrong and not rst
        refuses.next = accepts and wrong and not rst

    @always(clk.posedge)
    def judge():
        """began: start has been heard, so that what ended and quiet say is of this transfer."""
        finishes.next = began and busy and not finishes and has_ended and is_quiet and not failed
        breaks.next = began and busy and not breaks and is_quiet and failed and (has_ended or not went_over)

    @always(clk.posedge)
    def listen():
        """What the others say, a cycle late."""
        has_ended.next = transfer.ended
        is_quiet.next = transfer.quiet
        slave_failed.next = transfer.slave_error
        decode_failed.next = transfer.decode_error
        went_over.next = too_long

    @always(clk.posedge)
    def keep():
        if rst:
            transfer.start.next = False
            was_started.next = False
            began.next = False
            run.next = False
            busy.next = False
            idle.next = False
            told.next = False
            error_told.next = False
            internal.next = False
            slave.next = False
            decode.next = False
        else:
            transfer.start.next = starts
            was_started.next = transfer.start
            began.next = was_started or (began and busy)
            if to_control:
                run.next = write.data[RUN_BIT] and not (internal or slave or decode)
            elif refuses or breaks:
                run.next = False
            busy.next = starts or (busy and not finishes and not breaks)
            idle.next = finishes or (idle and not starts)
            told.next = finishes or (told and not (to_status and write.data[ENDED_BIT]))
            error_told.next = refuses or breaks or (error_told and not (to_status and write.data[ERROR_BIT]))
            internal.next = internal or refuses or (breaks and went_over)
            slave.next = slave or (breaks and slave_failed)
            decode.next = decode or (breaks and decode_failed)

    @always(clk.posedge)
    def take():
        if rst:
            transfer.address.next = 0
        elif to_address and rests:
            transfer.address.next = write.data
        if rst:
            transfer.length.next = 0
        elif accepts:
            transfer.length.next = write.data[LENGTH_BITS:]

    @always_comb
    def show():
        control_word.next = concat("000000000000000100000000000", "00", resetting, "1", run)
        status_word.next = concat(
            "00000000000000000", error_told, "0", told, "00000", decode, slave, internal, "00", idle, not_running
        )

    @always_comb
    def halt():
        not_running.next = not (run or busy)

    return decode_write, check, admit, open_for_writes, judge, listen, keep, take, show, halt
