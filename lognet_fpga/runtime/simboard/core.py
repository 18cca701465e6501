"""The simulated board's overlay: its registers, and frames through a model of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.ir.system import CORE_REGISTERS, IDENTIFICATION, MODEL_SHA256, REGISTER_MAP_VERSION
from lognet_fpga.runtime.onnx_function import OnnxFunction

Engine = Callable[[np.ndarray], np.ndarray]
"""Frames, (n, channels, height, width) uint8, to the overlay's activations, (n, channels, height, width) uint8."""

_NAME = {register.address: name for name, register in CORE_REGISTERS.items()}
_WRAP = 1 << 32


def golden_engine(bundle: Bundle) -> Engine:
    """The bundle's golden.onnx, which the generated Verilog equals bit for bit."""
    return OnnxFunction(bundle, "golden.onnx")


class SimulatedCore:
    """Registers as docs/stream.md has them.  Time stands still but while frames pass and registers are read."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._engine = engine
        self._bundle = bundle
        self.source, self.sink = bundle.source, bundle.sink
        self.model_sha256 = hashlib.sha256(bundle.file("golden.onnx")).digest()
        self.clock_runs = True
        self.stuck_idle = self.stuck_stalled = False  # what a hang looks like from inside
        self.counts = dict.fromkeys(
            (
                "frames_begun",
                "frames_finished",
                "cycles",
                "sink_stalls",
                "source_idles",
                "packet_begun",
                "packet_finished",
            ),
            0,
        )
        self.frames_per_packet = 1
        self.misplaced_tlast = False

    def read(self, address: int) -> int:
        """A word, as of the register at a byte address; 0 where there is none."""
        name = _NAME.get(address, "")
        if name == "identification":
            return IDENTIFICATION
        if name == "version":
            return REGISTER_MAP_VERSION
        if name == "status":
            return int(self.misplaced_tlast)
        if name == "more_frames":
            return self.frames_per_packet - 1
        if name.startswith("model_sha256"):
            first = address - MODEL_SHA256
            return int.from_bytes(self.model_sha256[first : first + 4], "little")
        if name == "cycles":
            self._pass(100)
        return self.counts.get(name, 0)

    def write(self, address: int, value: int) -> None:
        name = _NAME.get(address, "")
        if name == "control" and value & 1:
            self.reset()
        elif name == "status" and value & 0b11:
            self.misplaced_tlast = False
        elif name == "more_frames":
            self.frames_per_packet = (value & 0xFFFF) + 1

    def reset(self) -> None:
        self.counts = dict.fromkeys(self.counts, 0)
        self.misplaced_tlast = self.stuck_idle = self.stuck_stalled = False
        self.clock_runs = True

    def process(self, beats: np.ndarray) -> np.ndarray:
        """Whole frames of a packet through the overlay: (n, beats, bytes) uint8 of the source to those of the sink."""
        count = len(beats)
        self.counts["packet_begun"] = self.counts["cycles"]
        self._count("frames_begun", count)
        results = self.sink.pack(np.asarray(self._engine(self.source.unpack(beats)), np.uint8))
        self._pass(self._bundle.latency_cycles + (count - 1) * self._bundle.cycles_per_frame)
        self.counts["packet_finished"] = self.counts["cycles"]
        self._count("frames_finished", count)
        return results

    def begin(self, frames: int) -> None:
        """Frames that come in and never get out."""
        self._count("frames_begun", frames)

    def _pass(self, cycles: int) -> None:
        if self.clock_runs:
            self._count("cycles", cycles)
            if self.stuck_idle:
                self._count("source_idles", cycles)
            if self.stuck_stalled:
                self._count("sink_stalls", cycles)

    def _count(self, name: str, amount: int) -> None:
        self.counts[name] = (self.counts[name] + amount) % _WRAP
