"""The simulated board's overlay: its registers, and frames through a model of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from lognet_fpga.bundle import GOLDEN, Bundle
from lognet_fpga.ir import core_registers as core
from lognet_fpga.ir.registers import WORD_BYTES, Register
from lognet_fpga.runtime.onnx_function import OnnxFunction

Engine = Callable[[np.ndarray], np.ndarray]
"""Frames, (n, channels, height, width) uint8, to the overlay's activations, (n, channels, height, width)."""

_COUNTERS = (
    core.FRAMES_BEGUN,
    core.FRAMES_FINISHED,
    core.CYCLES,
    core.SINK_STALLS,
    core.SOURCE_IDLES,
    core.PACKET_BEGUN,
    core.PACKET_FINISHED,
)
_WRAP = 1 << 32


def golden_engine(bundle: Bundle) -> Engine:
    """The bundle's golden.onnx, which the generated Verilog equals bit for bit."""
    return OnnxFunction(bundle, GOLDEN)


class SimulatedCore:
    """Registers as docs/stream.md has them.  Time stands still but while frames pass and registers are read."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._engine = engine
        self._bundle = bundle
        self.source, self.sink = bundle.source, bundle.sink
        self.model_sha256 = hashlib.sha256(bundle.file(GOLDEN)).digest()
        self.clock_runs = True
        self.stuck_idle = self.stuck_stalled = False  # what a hang looks like from inside
        self.counts: dict[Register, int] = dict.fromkeys(_COUNTERS, 0)
        self.frames_per_packet = 1
        self.misplaced_tlast = False

    def read(self, address: int) -> int:
        """A word, as of the register at a byte address; 0 where there is none."""
        register = core.CORE_REGISTERS.at(address)
        if register is core.STATUS:
            return core.TOO_SHORT.mask if self.misplaced_tlast else 0
        if register is core.MORE_FRAMES:
            return self.frames_per_packet - 1
        if register is core.MODEL_SHA256:
            first = address - register.address
            return int.from_bytes(self.model_sha256[first : first + WORD_BYTES], "little")
        if register in self.counts:
            if register is core.CYCLES:
                self._pass(100)
            return self.counts[register]
        return (register.reset or 0) if register else 0  # what never changes, and the reset, over at once

    def write(self, address: int, value: int) -> None:
        register = core.CORE_REGISTERS.at(address)
        if register is core.CONTROL and value & core.RESET.mask:
            self.reset()
        elif register is core.STATUS and value & register.mask:
            self.misplaced_tlast = False
        elif register is core.MORE_FRAMES:
            self.frames_per_packet = (value & register.mask) + 1

    def reset(self) -> None:
        self.counts = dict.fromkeys(self.counts, 0)
        self.misplaced_tlast = self.stuck_idle = self.stuck_stalled = False
        self.clock_runs = True

    def process(self, beats: np.ndarray) -> np.ndarray:
        """Whole frames of a packet through the overlay: (n, beats, bytes) uint8 of the source to those of the sink."""
        count = len(beats)
        self.counts[core.PACKET_BEGUN] = self.counts[core.CYCLES]
        self._count(core.FRAMES_BEGUN, count)
        results = self.sink.pack(np.asarray(self._engine(self.source.unpack(beats)), self.sink.dtype))
        self._pass(self._bundle.latency_cycles + (count - 1) * self._bundle.cycles_per_frame)
        self.counts[core.PACKET_FINISHED] = self.counts[core.CYCLES]
        self._count(core.FRAMES_FINISHED, count)
        return results

    def begin(self, frames: int) -> None:
        """Frames that come in and never get out."""
        self._count(core.FRAMES_BEGUN, frames)

    def _pass(self, cycles: int) -> None:
        if self.clock_runs:
            self._count(core.CYCLES, cycles)
            if self.stuck_idle:
                self._count(core.SOURCE_IDLES, cycles)
            if self.stuck_stalled:
                self._count(core.SINK_STALLS, cycles)

    def _count(self, register: Register, amount: int) -> None:
        self.counts[register] = (self.counts[register] + amount) % _WRAP
