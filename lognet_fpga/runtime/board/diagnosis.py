"""What went wrong in a transfer, in words, from the registers of the DMA and of the overlay."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lognet_fpga.errors import BoardError
from lognet_fpga.runtime.board.core import Counters
from lognet_fpga.runtime.board.dma import (
    DECODE_ERROR,
    ERRORS,
    HALTED,
    IDLE,
    INTERNAL_ERROR,
    MM2S,
    S2MM,
    SLAVE_ERROR,
    Channel,
    status_names,
)

_AGAIN = "try again; if it happens again, "


class Reason(Enum):
    """Why a transfer failed; the value is the message."""

    TAKEN_OVER = "another program, or another overlay in this one, has loaded or used the FPGA meanwhile"
    NO_MEMORY = "the DMA was given an address without memory behind it"
    MEMORY_ERROR = "memory answered the DMA with an error"
    TOO_LONG = "the overlay sent more than was asked for: a TLAST is missing or late"
    DMA_ERROR = "the DMA reports an internal error"
    HALTED = "the DMA was stopped from outside"
    TOO_SHORT = "the overlay sent less than was asked for: its TLAST came early"
    TLAST_MISPLACED = "TLAST was not at the end of the packet on its way into the overlay"
    TLAST_LOST = "every frame left the overlay, but the end of the packet (TLAST) did not reach the DMA"
    SINK_STALLED = "the overlay has results, but the DMA does not take them"
    SOURCE_STARVED = "the DMA does not feed the overlay"
    INPUT_LOST = "the DMA has sent everything, but the overlay waits for more"
    CLOCK_STOPPED = "the overlay's clock does not run"
    OVERLAY_STUCK = "the overlay neither takes frames nor gives results"

    @property
    def hint(self) -> str:
        return _HINTS[self]


_MEMORY = "another master may hold the memory: stop it, raise the timeout, or send fewer frames at a time"
_HINTS = {
    Reason.TAKEN_OVER: "let one program at a time use the FPGA, and open the overlay again",
    Reason.NO_MEMORY: "the buffers were freed, or another program has loaded the board: open the overlay again",
    Reason.MEMORY_ERROR: _AGAIN + "check the memory port of the bitstream (width and address range)",
    Reason.TOO_LONG: _AGAIN + "run lognet-selftest; the bitstream may not be the bundle's",
    Reason.DMA_ERROR: _AGAIN + "open the overlay again",
    Reason.HALTED: "another program uses the same DMA: stop it, then open the overlay again",
    Reason.TOO_SHORT: _AGAIN + "run lognet-selftest; the bitstream may not be the bundle's",
    Reason.TLAST_MISPLACED: _AGAIN + "run lognet-selftest; the widths of the DMA and the overlay may differ",
    Reason.TLAST_LOST: _AGAIN + "run lognet-selftest; the bitstream may not be the bundle's",
    Reason.SINK_STALLED: _MEMORY,
    Reason.SOURCE_STARVED: _MEMORY,
    Reason.INPUT_LOST: _AGAIN + "run lognet-selftest; the widths of the DMA and the overlay may differ",
    Reason.CLOCK_STOPPED: "open the overlay again, which sets its clock (pynq.Clocks)",
    Reason.OVERLAY_STUCK: _AGAIN
    + "see whether it does at a lower clock, LogNetOverlay(bundle, clk_mhz=...): the chip may "
    "not reach this one, and a deployment with a lower --clk-mhz helps",
}


@dataclass(frozen=True)
class TransferState:
    """A transfer as the registers show it.  frames, sent_bytes, expected_bytes: what it is; bytes_per_frame: into the
    overlay and out of it.  begun, finished: its frames that the overlay began and finished.  received_bytes: what S2MM
    reports, None where it has not ended.  before, after: the overlay's counters, read at the end twice in short
    succession.  timeout_s: None where it ended before.  same_model: whether the overlay still holds it."""

    frames: int
    sent_bytes: int
    expected_bytes: int
    begun: int
    finished: int
    send_status: int
    receive_status: int
    received_bytes: int | None
    before: Counters
    after: Counters
    timeout_s: float | None
    same_model: bool = True

    @property
    def reason(self) -> Reason:
        if not self.same_model or self.begun > self.frames:
            return Reason.TAKEN_OVER
        for status in (self.send_status, self.receive_status):
            if status & DECODE_ERROR:
                return Reason.NO_MEMORY
            if status & SLAVE_ERROR:
                return Reason.MEMORY_ERROR
        if self.receive_status & INTERNAL_ERROR:
            return Reason.TOO_LONG
        if self.send_status & INTERNAL_ERROR:
            return Reason.DMA_ERROR
        if (self.send_status | self.receive_status) & HALTED:
            return Reason.HALTED
        if self.receive_status & IDLE:
            if self.received_bytes is not None and self.received_bytes < self.expected_bytes:
                return Reason.TOO_SHORT
            if self.after.misplaced_tlast:
                return Reason.TLAST_MISPLACED
            return Reason.SOURCE_STARVED  # MM2S alone has not ended
        if self.after.cycles == self.before.cycles:
            return Reason.CLOCK_STOPPED
        if self.finished >= self.frames:
            return Reason.TLAST_LOST
        if self.after.sink_stalls != self.before.sink_stalls:
            return Reason.SINK_STALLED
        if self.after.source_idles != self.before.source_idles:
            return Reason.INPUT_LOST if self.send_status & IDLE else Reason.SOURCE_STARVED
        return Reason.OVERLAY_STUCK

    def lines(self) -> list[str]:
        received = "unknown" if self.received_bytes is None else f"{self.received_bytes:,}"
        return [
            _channel_line(MM2S, self.send_status, f"{self.sent_bytes:,} bytes to send"),
            _channel_line(
                S2MM, self.receive_status, f"{self.expected_bytes:,} bytes expected, {received} reported as received"
            ),
            f"overlay: {self.begun:,} of {self.frames:,} frames begun, {self.finished:,} finished; since its reset "
            f"{self.after}",
        ]


class TransferError(BoardError):
    """A transfer that failed.  reason: why; state: what the registers held."""

    def __init__(self, state: TransferState, recovery: str) -> None:
        self.reason, self.state = state.reason, state
        waited = "" if state.timeout_s is None else f" (waited {state.timeout_s:g} s)"
        super().__init__(
            f"a transfer of {state.frames:,} {'frame' if state.frames == 1 else 'frames'} failed: "
            f"{self.reason.value}{waited}",
            context=(*state.lines(), recovery),
            hint=self.reason.hint,
        )


def _channel_line(channel: Channel, status: int, amount: str) -> str:
    state = "failed" if status & ERRORS else "ended" if status & IDLE else "halted" if status & HALTED else "running"
    return f"{channel.name} ({channel.task}): {state}, status 0x{status:08X}: {status_names(status)}; {amount}"
