"""The DMA's registers, lognet_fpga.ir.dma_registers."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.axi import AxiLite
from lognet_fpga.hw.axi_lite import axi_lite_slave
from lognet_fpga.hw.dma.channel import CONTROL, LENGTH, STATUS, dma_channel
from lognet_fpga.hw.dma.transfer import Reception, RegisterWrite, Transfer
from lognet_fpga.hw.wiring import flag, vector
from lognet_fpga.ir.dma_registers import MM2S, RESET, S2MM

SECOND = S2MM.word - MM2S.word  # words from one channel to the other
SETTLE_CYCLES = 16  # without anything on its way, until a reset is made
RESET_CYCLES = 16
RESET_BIT = RESET.low


@block
def dma_registers(clk, rst, s_axil: AxiLite, core_rst, stop, mm2s: Transfer, s2mm: Reception, *, mm2s_step, s2mm_step):
    """AXI4-Lite slave; whole words are written, whatever the strobes say.

    Ports: core_rst: of everything else; stop: begin nothing new, for a reset comes.
    A transfer from memory is a multiple of `mm2s_step` bytes, a beat; one into memory has `s2mm_step` at least.
    """
    writes, reads = flag(), flag()
    write_steps, read_steps = vector(2), vector(3)  # comes, acts; indexed, chosen, told
    write, read_index = RegisterWrite.fresh(), vector(5)
    of_status, of_length, of_second, of_neither = (flag() for _ in range(4))
    resets, resetting, settled = flag(), flag(), vector(5)
    no_error, all_quiet = flag(), flag()
    first_control, first_status, second_control, second_status = (vector(32) for _ in range(4))
    first_word, second_word = vector(32), vector(32)
    slave = axi_lite_slave(clk, rst, s_axil, writes, write_steps, reads, read_steps)
    slave.name = "slave"

    @always_comb
    def ports():
        no_error.next = False
        stop.next = resetting
        write.comes.next = write_steps[0]

    @always(clk.posedge)
    def keep_write():
        """What is written is kept, then decoded, then takes effect out of registers, and then is answered."""
        if writes:
            write.data.next = s_axil.wdata
            write.word.next = s_axil.awaddr[7:2]

    @always(clk.posedge)
    def ask_reset():
        resets.next = (
            write.comes and write.data[RESET_BIT] and (write.word == CONTROL or write.word == SECOND + CONTROL)
        )

    @always(clk.posedge)
    def listen():
        all_quiet.next = mm2s.quiet and s2mm.quiet

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
            elif settled >= SETTLE_CYCLES or all_quiet:
                settled.next = settled + 1
            else:
                settled.next = 0
        else:
            core_rst.next = False

    sends = dma_channel(
        clk,
        core_rst,
        write,
        resetting,
        mm2s,
        no_error,
        first_control,
        first_status,
        first=0,
        step=mm2s_step,
        whole=True,
    )
    receives = dma_channel(
        clk,
        core_rst,
        write,
        resetting,
        s2mm,
        s2mm.too_long,
        second_control,
        second_status,
        first=SECOND,
        step=s2mm_step,
        whole=False,
    )
    sends.name, receives.name = "mm2s", "s2mm"

    @always(clk.posedge)
    def find():
        """Which word of a channel, and whose."""
        of_status.next = read_index == STATUS or read_index == SECOND + STATUS
        of_length.next = read_index == SECOND + LENGTH
        of_second.next = (
            read_index == SECOND + CONTROL or read_index == SECOND + STATUS or read_index == SECOND + LENGTH
        )
        of_neither.next = (
            read_index != CONTROL
            and read_index != STATUS
            and read_index != SECOND + CONTROL
            and read_index != SECOND + STATUS
            and read_index != SECOND + LENGTH
        )

    @always(clk.posedge)
    def choose():
        if of_status:
            first_word.next = first_status
        else:
            first_word.next = first_control
        if of_length:
            second_word.next = s2mm.received
        elif of_status:
            second_word.next = second_status
        else:
            second_word.next = second_control

    @always(clk.posedge)
    def read():
        if reads:
            read_index.next = s_axil.araddr[7:2]
        if read_steps[2]:
            if of_neither:
                s_axil.rdata.next = 0
            elif of_second:
                s_axil.rdata.next = second_word
            else:
                s_axil.rdata.next = first_word

    return slave, ports, keep_write, ask_reset, listen, reset, sends, receives, find, choose, read
