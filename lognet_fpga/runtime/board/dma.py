"""Xilinx's AXI DMA in direct register mode, by its registers (PG021).

`pynq.lib.dma` waits without end and takes many times as long for a transfer; this knows two buffers, a start and a wait
with a limit.  The DMA has two channels: MM2S reads memory and feeds the overlay, S2MM takes its results to memory.
"""

from __future__ import annotations

from lognet_fpga.errors import BoardError
from lognet_fpga.ir import dma_registers as dma
from lognet_fpga.ir.dma_registers import MM2S, S2MM, Channel
from lognet_fpga.runtime.board.words import Words, poll

RESET_TIMEOUT_S = 0.1

# Words of a channel, and bits of its status, as whole numbers: they are looked at while a transfer is waited for.
CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = (
    register.word for register in (dma.CONTROL, dma.STATUS, dma.ADDRESS, dma.ADDRESS_HIGH, dma.LENGTH)
)
RUN, RESET = dma.RUN.mask, dma.RESET.mask
HALTED, IDLE = dma.HALTED.mask, dma.IDLE.mask
INTERNAL_ERROR, SLAVE_ERROR, DECODE_ERROR = dma.INTERNAL_ERROR.mask, dma.SLAVE_ERROR.mask, dma.DECODE_ERROR.mask
ERRORS = INTERNAL_ERROR | SLAVE_ERROR | DECODE_ERROR
ENDED = IDLE | HALTED | ERRORS


def status_names(status: int) -> str:
    """The bits that are set, by PG021's names."""
    return ", ".join(bit.name for bit in dma.STATUS_BITS if status & bit.mask) or "none set"


class AxiDma:
    """words: the DMA's registers.  max_bytes: the longest transfer; high_addresses: it has registers for address
    bits 32 and up."""

    def __init__(self, words: Words, max_bytes: int, high_addresses: bool) -> None:
        self._words = words
        self.max_bytes = max_bytes
        self._high_addresses = high_addresses
        self._high = {MM2S: 0, S2MM: 0}  # what the registers of the high bits hold

    def reset(self) -> None:
        """Abort whatever runs, in both channels, and start them again; raises BoardError if they do not answer."""
        words = self._words
        words[MM2S.word + CONTROL] = RESET  # resets the whole DMA
        if not poll(lambda: not (words[MM2S.word] | words[S2MM.word]) & RESET, RESET_TIMEOUT_S):
            raise self._stuck("does not come out of reset")
        self._high = {MM2S: 0, S2MM: 0}
        for channel in (MM2S, S2MM):
            words[channel.word + CONTROL] = RUN
        if not poll(lambda: not (self.status(MM2S) | self.status(S2MM)) & HALTED, RESET_TIMEOUT_S):
            raise self._stuck("does not start after a reset")

    def start(self, channel: Channel, address: int, n_bytes: int) -> None:
        """Begin a transfer of n_bytes, up to max_bytes, from or to the physical address.

        The channel must be idle.  S2MM is begun first, so that the overlay never waits for it.
        """
        words, first = self._words, channel.word
        if self._high_addresses and address >> 32 != self._high[channel]:
            words[first + ADDRESS_HIGH] = self._high[channel] = address >> 32
        words[first + ADDRESS] = address & 0xFFFF_FFFF
        words[first + LENGTH] = n_bytes

    def wait(self, timeout_s: float) -> bool:
        """Wait until both channels have ended, well or with an error, or one of them with an error; False if
        timeout_s passed before."""
        words = self._words
        send, receive = MM2S.word + STATUS, S2MM.word + STATUS
        if words[receive] & ENDED and words[send] & ENDED:  # as it nearly always is with results at hand
            return True

        def ended() -> bool:
            status = words[receive], words[send]
            return (status[0] | status[1]) & (ERRORS | HALTED) != 0 or status[0] & status[1] & IDLE != 0

        return poll(ended, timeout_s)

    def status(self, channel: Channel) -> int:
        return self._words[channel.word + STATUS]

    def received_bytes(self) -> int:
        """What the last receive that ended has put into memory."""
        return self._words[S2MM.word + LENGTH]

    def _stuck(self, what: str) -> BoardError:
        return BoardError(
            f"the AXI DMA {what} within {RESET_TIMEOUT_S:g} s",
            context=[
                f"{channel.name} ({channel.task}): status 0x{status:08X}: {status_names(status)}"
                for channel in (MM2S, S2MM)
                for status in (self.status(channel),)
            ],
            hint="open the overlay again, which loads its bitstream anew; if that does not help, restart the board",
        )
