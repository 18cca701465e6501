"""docs/stream.md once more, as a model that sees nothing but the ports: what registers must read and results be."""

from __future__ import annotations

from collections import deque

import numpy as np

from lognet_fpga.ir import core_registers as core
from tests.conformance.case import MODEL_SHA256, Case
from tests.conformance.channels import Channel

IDENTIFICATION, VERSION, CONTROL, STATUS = (
    register.address for register in (core.IDENTIFICATION, core.VERSION, core.CONTROL, core.STATUS)
)
BEGUN, FINISHED, CYCLES = (register.address for register in (core.FRAMES_BEGUN, core.FRAMES_FINISHED, core.CYCLES))
STALLS, IDLES, MORE_FRAMES = (register.address for register in (core.SINK_STALLS, core.SOURCE_IDLES, core.MORE_FRAMES))
PACKET_BEGUN, PACKET_FINISHED = core.PACKET_BEGUN.address, core.PACKET_FINISHED.address
MODEL_HASH = core.MODEL_SHA256.address
SHORT, LONG = core.TOO_SHORT.mask, core.TOO_LONG.mask
RESET_CYCLES = 1023
SETTLING_CYCLES = 8  # in which the streams may follow the beginning and the end of a reset


class Contract:
    """Fed with what every rising edge of the clock sees.

    pending: results to come, in the order of the frames, as bytes of the exit.  answers: data of reads to come.
    since_reset: edges since the last one with rst high, or since a soft reset was written.  first_taken, last_given:
    edges of every frame's first beat in and last beat out; edge: number of this one.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.pending: deque[bytes] = deque()
        self.answers: deque[int] = deque()
        self.edge = self.since_reset = 0
        self.first_taken: list[int] = []
        self.last_given: list[int] = []
        self._status, self._listened, self._more_frames = 0, False, 0
        self._written: tuple[int, int, int] | None = None
        self._read: int | None = None
        self._begin_again()

    @property
    def in_reset(self) -> bool:
        return self.since_reset <= RESET_CYCLES

    def _begin_again(self) -> None:
        self._packet: list[int] = []  # beats taken of the frame at the entry
        self._dropping = False
        self._given = 0  # beats of the frame at the exit
        self._frames_taken = self._frames_given = 0  # whole frames of the packet at the entry, at the exit
        self._counts = dict.fromkeys((BEGUN, FINISHED, CYCLES, STALLS, IDLES, PACKET_BEGUN, PACKET_FINISHED), 0)

    def step(self, rst: bool, entry: Channel, exit: Channel, taken, given, write, read: int | None) -> None:
        """One rising edge.  taken, given: (tdata, tlast) of a beat that moves at the entry, at the exit, else None;
        write: (address, data, strobe), read: address of an access that is accepted, else None."""
        self.edge += 1
        self.since_reset += 1
        self._check_streams(entry, exit)
        if self._read is not None:  # an access acts in the cycle after
            self.answers.append(self._value(self._read & ~3))
        if self.in_reset:
            self._begin_again()
            if self.since_reset == SETTLING_CYCLES:
                self.pending.clear()
        else:
            self._counts[CYCLES] += 1
            self._counts[STALLS] += exit.valid and not exit.ready
            self._counts[IDLES] += entry.ready and not entry.valid
        errors = self._take(*taken) if taken and not self.in_reset else 0
        if given and not self.in_reset:
            self._give(given[1])
        self._write(errors, self._written)
        self._written, self._read = write, read
        if rst:
            self.since_reset, self._status, self._more_frames = 0, 0, 0
            self.answers.clear()
            self._written = self._read = None

    def _value(self, address: int) -> int:
        """What a register shows."""
        if address in self._counts:
            return self._counts[address]
        if address in core.MODEL_SHA256.addresses:
            return int.from_bytes(bytes.fromhex(MODEL_SHA256)[address - MODEL_HASH :][:4], "little")
        named = {
            IDENTIFICATION: core.LOGN,
            VERSION: core.MAP_VERSION,
            CONTROL: int(self.in_reset),
            STATUS: self._status,
        }
        named[MORE_FRAMES] = self._more_frames
        return named.get(address, 0)

    def _check_streams(self, entry: Channel, exit: Channel) -> None:
        if SETTLING_CYCLES <= self.since_reset <= RESET_CYCLES:
            assert not entry.ready, "s_axis_tready is high in reset"
            assert not exit.valid, "m_axis_tvalid is high in reset"
        self._listened = entry.ready or (self._listened and not self.in_reset)
        if self.since_reset == RESET_CYCLES + SETTLING_CYCLES:
            assert self._listened, "s_axis_tready stays low behind reset"

    def _take(self, tdata: int, tlast: int) -> int:
        """A beat at the entry; the bits that it sets in the status register."""
        beats, errors = self.case.source.beats_per_frame, 0
        if not self._dropping:
            if not self._packet:
                if not self._frames_taken:
                    self._counts[PACKET_BEGUN] = self._counts[CYCLES] - 1  # this edge counts already
                self._counts[BEGUN] += 1
                self.first_taken.append(self.edge)
            self._packet.append(tdata)
            whole = len(self._packet) == beats
            more = whole and self._frames_taken < self._more_frames
            errors = (SHORT if tlast and not whole else 0) | (LONG if whole and not (tlast or more) else 0)
            if tlast or whole:
                self.pending.append(self._result([*self._packet, *[0] * (beats - len(self._packet))]))
                self._packet = []
                self._frames_taken += 1
            self._dropping = whole and not more
        if tlast:
            self._dropping, self._frames_taken = False, 0
        return errors

    def _result(self, beats: list[int]) -> bytes:
        source, sink = self.case.source, self.case.sink
        data = b"".join(beat.to_bytes(source.tdata_bits // 8, "little") for beat in beats)
        frame = source.unpack(np.frombuffer(data, np.uint8).reshape(1, len(beats), -1))
        return sink.pack(self.case.quant.run(frame)).tobytes()

    def _give(self, tlast: int) -> None:
        """A beat at the exit."""
        self._given += 1
        whole = self._given == self.case.sink.beats_per_frame
        ends = whole and self._frames_given == self._more_frames
        assert bool(tlast) == ends, f"TLAST is {tlast} at beat {self._given} of result {self._frames_given} of a packet"
        if whole:
            self._given, self._frames_given = 0, 0 if ends else self._frames_given + 1
            self._counts[PACKET_FINISHED] = self._counts[CYCLES] - 1
            self._counts[FINISHED] += 1
            self.last_given.append(self.edge)

    def _write(self, errors: int, write: tuple[int, int, int] | None) -> None:
        address, data, strobe = write or (0, 0, 0)
        lowest = data if strobe & 1 else 0
        cleared = lowest if address & ~3 == STATUS else 0
        self._status = (self._status & ~cleared) | errors
        if address & ~3 == MORE_FRAMES and strobe & 1:
            self._more_frames = data & core.MORE_FRAMES.mask
            self._frames_taken = self._frames_given = 0
        if address & ~3 == CONTROL and lowest & 1:
            self.since_reset = 0
