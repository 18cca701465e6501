"""The simulated board's AXI DMA in direct register mode (PG021), between its memory and its overlay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lognet_fpga.ir import core_registers as overlay
from lognet_fpga.ir import dma_registers as registers
from lognet_fpga.ir.dma_registers import S2MM
from lognet_fpga.runtime.simboard.core import SimulatedCore
from lognet_fpga.runtime.simboard.dram import Memory, NoMemoryError
from lognet_fpga.runtime.simboard.faults import Fault

RUN, RESET = registers.RUN.mask, registers.RESET.mask
HALTED, IDLE = registers.HALTED.mask, registers.IDLE.mask
INTERNAL, SLAVE, DECODE = registers.INTERNAL_ERROR.mask, registers.SLAVE_ERROR.mask, registers.DECODE_ERROR.mask
CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = (
    register.address
    for register in (registers.CONTROL, registers.STATUS, registers.ADDRESS, registers.ADDRESS_HIGH, registers.LENGTH)
)


@dataclass
class _Channel:
    control: int = 0
    status: int = HALTED
    address: int = 0
    length: int = 0
    ends_at: float = 0.0  # monotonic seconds: idle from then on
    busy: bool = False

    def fail(self, error: int) -> None:
        self.status, self.busy = self.status | error | HALTED, False


class SimulatedDma:
    """clk_mhz: says the overlay's clock; transfers take the time that the plan has at that, none where it is None.
    next_faults: a fault a transfer, in turn."""

    def __init__(
        self, core: SimulatedCore, memory: Memory, length_bits: int, clk_mhz: Callable[[], float] | None
    ) -> None:
        self._core, self._memory = core, memory
        self._length_mask = (1 << length_bits) - 1
        self._clk_mhz = clk_mhz
        self.next_faults: list[Fault | None] = []
        self._send, self._receive = _Channel(), _Channel()
        self._begun = 0.0  # the last packet, monotonic seconds: what computing it here takes is part of its time

    @property
    def busy(self) -> bool:
        """Whether a channel is at work."""
        self.read(STATUS), self.read(S2MM.base + STATUS)  # looks at the time
        return self._send.busy or self._receive.busy

    def read(self, address: int) -> int:
        channel, offset = self._channel(address)
        if offset == CONTROL:
            return channel.control
        if offset == STATUS:
            if channel.busy and channel.ends_at and time.monotonic() >= channel.ends_at:
                channel.busy, channel.status = False, channel.status | IDLE
            return channel.status
        if offset == LENGTH:
            return channel.length
        return channel.address >> (32 if offset == ADDRESS_HIGH else 0) & 0xFFFF_FFFF

    def write(self, address: int, value: int) -> None:
        channel, offset = self._channel(address)
        if offset == CONTROL:
            if value & RESET:
                self._send, self._receive = _Channel(), _Channel()
            else:
                channel.control = value
                channel.status = channel.status & ~HALTED if value & RUN else channel.status | HALTED
        elif offset == ADDRESS:
            channel.address = channel.address >> 32 << 32 | value
        elif offset == ADDRESS_HIGH:
            channel.address = channel.address & 0xFFFF_FFFF | value << 32
        elif offset == LENGTH and channel.status & HALTED == 0 and not channel.busy:
            channel.length = value & self._length_mask
            if not channel.length:
                channel.fail(INTERNAL)
                return
            channel.busy, channel.ends_at, channel.status = True, 0.0, channel.status & ~IDLE
            if self._send.busy and self._receive.busy:
                self._move(self.next_faults.pop(0) if self.next_faults else None)

    def _channel(self, address: int) -> tuple[_Channel, int]:
        return (self._send, address) if address < S2MM.base else (self._receive, address - S2MM.base)

    def _move(self, fault: Fault | None) -> None:
        """One packet through the overlay.  Both channels have been started."""
        self._begun = time.monotonic()
        core, send, receive = self._core, self._send, self._receive
        if fault in (Fault.SEND_DECODE_ERROR, Fault.SEND_SLAVE_ERROR, Fault.SEND_HALTED):
            send.fail({Fault.SEND_DECODE_ERROR: DECODE, Fault.SEND_SLAVE_ERROR: SLAVE}.get(fault, 0))
            return
        try:
            data = self._memory.view(send.address, send.length)
        except NoMemoryError:
            send.fail(DECODE)
            return
        whole, rest = divmod(len(data), core.source.bytes_per_frame)
        if rest or whole % core.frames_per_packet or fault is Fault.TLAST_MISPLACED:
            core.misplaced_tlast = True
        half = whole // 2
        if fault in (Fault.SEND_HANGS, Fault.INPUT_LOST, Fault.OVERLAY_HANGS, Fault.CLOCK_STOPS):
            if half:
                self._through(data, half)
            core.begin(1 if half < whole else 0)
            core.stuck_idle = fault is not Fault.OVERLAY_HANGS
            core.clock_runs = fault is not Fault.CLOCK_STOPS
            if fault is Fault.INPUT_LOST:
                self._end(send)
            return
        if fault is Fault.RECEIVE_HANGS:
            if half:
                self._through(data, half)
            core.stuck_stalled = True
            return
        if not whole:  # the overlay waits for the rest of the frame
            core.stuck_idle = True
            self._end(send)
            return
        before = core.counts[overlay.CYCLES]
        results = self._through(data, whole)
        cycles = core.counts[overlay.CYCLES] - before
        if fault is Fault.SLOW_SINK:
            core.counts[overlay.SINK_STALLS] += 9 * cycles
            cycles *= 10
        self._end(send, cycles)
        self._store(receive, results, fault, cycles)

    def _through(self, data: np.ndarray, frames: int) -> np.ndarray:
        """The first frames of data through the overlay, as bytes."""
        core = self._core
        n_bytes = core.source.bytes_per_frame
        beats = data[: frames * n_bytes].reshape(frames, core.source.beats_per_frame, -1)
        return core.process(beats).reshape(-1)

    def _store(self, receive: _Channel, results: np.ndarray, fault: Fault | None, cycles: int) -> None:
        """Results up to the first TLAST into memory."""
        core = self._core
        packet = core.frames_per_packet * core.sink.bytes_per_frame
        results = results[:packet]
        if fault is Fault.TLAST_EARLY:
            results = results[: max(len(results) // 2, 1)]
        if fault in (Fault.RECEIVE_DECODE_ERROR, Fault.RECEIVE_SLAVE_ERROR):
            receive.fail(DECODE if fault is Fault.RECEIVE_DECODE_ERROR else SLAVE)
            return
        try:
            self._memory.view(receive.address, min(len(results), receive.length))[:] = results[: receive.length]
        except NoMemoryError:
            receive.fail(DECODE)
            return
        if fault is Fault.RESULT_TOO_LONG or len(results) > receive.length:
            receive.fail(INTERNAL)
        elif fault is not Fault.TLAST_LOST:
            receive.length = len(results)
            self._end(receive, cycles)

    def _end(self, channel: _Channel, cycles: int = 0) -> None:
        if self._clk_mhz is None:
            channel.busy, channel.status = False, channel.status | IDLE
        else:
            channel.ends_at = self._begun + cycles / (self._clk_mhz() * 1e6)
