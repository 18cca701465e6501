"""The registers of Xilinx's AXI DMA in direct register mode, those that a driver needs, under the names of PG021.

What no driver reads, this project's DMA does not show: addresses, and the length of MM2S, read 0.

The DMA of this project (lognet_fpga.hw.dma) has the same.  `python -m lognet_fpga.ir.dma_registers` prints the table
that docs/bitstream.md has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lognet_fpga.ir.registers import READ_WRITE, WORD_BYTES, WRITE_ONLY, Field, Register, RegisterMap

RUN = Field("RS", 0, "runs the channel")
RESET = Field("Reset", 2, "resets the whole DMA; reads 1 while that lasts")
IRQ_THRESHOLD = Field("IRQThreshold", 16, "1; without interrupts of no use", 8)

HALTED = Field("Halted", 0, "the channel does not run")
IDLE = Field("Idle", 1, "the last transfer has ended")
INTERNAL_ERROR = Field("DMAIntErr", 4, "a length that is not possible, or more than that came in")
SLAVE_ERROR = Field("DMASlvErr", 5, "memory answered with an error")
DECODE_ERROR = Field("DMADecErr", 6, "there is no memory at the address")
TRANSFER_ENDED = Field("IOC_Irq", 12, "a transfer has ended; writing 1 clears it")
ERROR_CAME = Field("Err_Irq", 14, "an error has come; writing 1 clears it")
_ELSEWHERE = (("SGIncld", 3), ("SGIntErr", 8), ("SGSlvErr", 9), ("SGDecErr", 10), ("Dly_Irq", 13))

CONTROL = Register("DMACR", 0x00, "control; bit 1 reads 1", READ_WRITE, (RUN, RESET, IRQ_THRESHOLD), reset=0x1_0002)
STATUS = Register(
    "DMASR",
    0x04,
    "status",
    READ_WRITE,
    (HALTED, IDLE, INTERNAL_ERROR, SLAVE_ERROR, DECODE_ERROR, TRANSFER_ENDED, ERROR_CAME),
    reset=HALTED.mask,
)
STATUS_BITS = (*STATUS.fields, *(Field(name, bit, "not in direct register mode") for name, bit in _ELSEWHERE))
ADDRESS = Register("ADDRESS", 0x18, "address of the transfer in memory, a multiple of 8", WRITE_ONLY)
ADDRESS_HIGH = Register("ADDRESS_HIGH", 0x1C, "its upper half, always 0 in this project's DMA", WRITE_ONLY)
LENGTH = Register(
    "LENGTH",
    0x28,
    "bytes of the transfer; writing it starts it",
    READ_WRITE,
    remark="that of S2MM reads, when the transfer has ended, how many came in; that of MM2S reads 0",
)
CHANNEL_REGISTERS = RegisterMap((CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH))


@dataclass(frozen=True)
class Channel:
    """name: PG021's; task: for people; base: byte address of its registers."""

    name: str
    task: str
    base: int

    @property
    def word(self) -> int:
        """The first of its registers, counted in words."""
        return self.base // WORD_BYTES

    def registers(self) -> Iterator[Register]:
        """Its registers with their addresses in the DMA."""
        for register in CHANNEL_REGISTERS:
            yield replace(register, name=f"{self.name}_{register.name}", address=self.base + register.address)


MM2S = Channel("MM2S", "memory to overlay", 0x00)
S2MM = Channel("S2MM", "overlay to memory", 0x30)
CHANNELS = (MM2S, S2MM)
DMA_REGISTERS = RegisterMap((*MM2S.registers(), *S2MM.registers()))

if __name__ == "__main__":
    print(CHANNEL_REGISTERS.table(), end="")
