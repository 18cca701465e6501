"""The driver: a bundle's overlay on pynq.Overlay.  Importing this imports pynq.

    overlay = LogNetOverlay("model.lognet")
    activations = overlay.run(frames)

Frames go to the overlay through an AXI DMA, many in one transfer.  There are two pairs of buffers: while the DMA works
on one pair, the host fills the other and empties what came before.  Every wait has a limit; a transfer that fails says
what the DMA and the overlay were doing, and both are reset, so that the next one finds them as after loading.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import pynq

from lognet_fpga.bundle import GOLDEN, Bundle, read_bundle
from lognet_fpga.errors import BoardError, InputError
from lognet_fpga.ir.core_registers import MAX_FRAMES_PER_PACKET
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.ir.system import CORE_VLNV, DMA_VLNVS
from lognet_fpga.runtime.board.bitstream import bitstream_of
from lognet_fpga.runtime.board.clock import set_clock
from lognet_fpga.runtime.board.core import CoreRegisters, Counters
from lognet_fpga.runtime.board.diagnosis import Reason, TransferError, TransferState
from lognet_fpga.runtime.board.dma import ENDED, ERRORS, HALTED, IDLE, MM2S, S2MM, AxiDma
from lognet_fpga.runtime.board.words import words_of

MAX_BUFFER_BYTES = 16 << 20  # of one; PYNQ's contiguous memory is 128 MB on a PYNQ-Z2
LEAST_TIMEOUT_S = 0.5
TIMEOUT_FACTOR = 10  # times what the plan says a transfer takes


class LogNetCore(pynq.DefaultIP):
    """PYNQ's driver of the overlay's registers, bound by its VLNV.  registers: what they say and do."""

    bindto = [CORE_VLNV]

    def __init__(self, description: dict) -> None:
        super().__init__(description)
        self.registers = CoreRegisters(words_of(self.mmio))


@dataclass(frozen=True, eq=False)
class Transfer:
    """activations: (n, height, width, channels) of the sink's dtype.  pl_cycles: from the first beat in to the last
    out."""

    activations: np.ndarray
    pl_cycles: int


@dataclass(eq=False)
class _Buffers:
    """A pair in contiguous memory, (frames, beats, bytes) uint8 each; frames: how many of them are in use."""

    source: pynq.buffer.PynqBuffer
    sink: pynq.buffer.PynqBuffer
    frames: int = 0


class LogNetOverlay(pynq.Overlay):
    """A bundle on the board, loaded and checked.

    bundle: a Bundle, or the path of one.  bitstream: a .bit file to use instead of the one in the bundle.  device: the
    pynq.Device, else the active one.  timeout_s: of a transfer, else ten times what the plan says, and half a second at
    least.  clk_mhz: the most that the clock may have, where that is to be less than the bundle's.  Raises BoardError
    when the bitstream is missing, cannot be loaded, is not the bundle's, or has a DMA that this driver cannot use.  Not
    to be used from two threads at a time.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        *,
        bitstream: Path | None = None,
        device: pynq.Device | None = None,
        timeout_s: float | None = None,
        clk_mhz: float | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else read_bundle(Path(bundle))
        self._source, self._sink = self.bundle.source, self.bundle.sink
        self._timeout_s = timeout_s
        self._frames_since_reset = 0
        self._packet = 0
        self._pair: list[_Buffers] = []
        self._turn: object = None  # of the stream that the overlay works for
        self._at_work = False
        path = bitstream_of(self.bundle, bitstream)
        try:
            super().__init__(str(path), device=device)
        except Exception as error:  # pynq's own exceptions have no base of their own
            raise BoardError(
                f"PYNQ could not load {path.name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
                hint="run on the board, as root (sudo -i), with the pynq of the board's image; docs/board.md",
            ) from error
        self.core: CoreRegisters = getattr(self, self._name_of((CORE_VLNV,), "LogNet overlay")).registers
        self.clock = set_clock(min(self.bundle.clk_mhz, clk_mhz or self.bundle.clk_mhz))
        self.clk_mhz = self.clock.mhz
        self._model_sha256 = hashlib.sha256(self.bundle.file(GOLDEN)).hexdigest()
        self.core.require(self._model_sha256)
        self._dma = self._open_dma()
        self.recover()

    @property
    def frames_per_transfer(self) -> int:
        """The most frames that go into one transfer."""
        largest = max(self._source.bytes_per_frame, self._sink.bytes_per_frame)
        return min(max(1, MAX_BUFFER_BYTES // largest), self._dma.max_bytes // largest, MAX_FRAMES_PER_PACKET)

    def run(self, frames: np.ndarray) -> Transfer:
        """Run frames, (n, channels, height, width) uint8, n > 0, in as few transfers as they need."""
        return next(self.stream([self._checked(frames)]))

    def stream(self, batches: Iterable[np.ndarray | None]) -> Iterator[Transfer]:
        """Run batches of frames, as of run; what comes back of each, in order.

        While the overlay works, the next frames are taken from batches and put into memory, and those before are handed
        out.  None among the batches: nothing more comes soon, so that what runs is waited for and handed out first.  A
        batch of more than frames_per_transfer frames takes several transfers; its pl_cycles are their sum.  Raises
        TransferError, the overlay being ready for new work then.  A run or stream that begins while another stream is
        not at its end ends that one: going on with it raises BoardError.
        """
        parts: list[Transfer] = []
        for part, is_last in self._transfers(self._pieces(batches)):
            parts.append(part)
            if is_last:
                whole = parts[0].activations if len(parts) == 1 else np.concatenate([p.activations for p in parts])
                yield Transfer(whole, sum(p.pl_cycles for p in parts))
                parts = []

    def _pieces(self, batches: Iterable[np.ndarray | None]) -> Iterator[tuple[np.ndarray, bool] | None]:
        """What goes into one transfer each, and whether it is the last of its batch; None as in batches."""
        step = self.frames_per_transfer
        for batch in batches:
            if batch is None:
                yield None
                continue
            self._checked(batch)
            for first in range(0, len(batch), step):
                yield batch[first : first + step], first + step >= len(batch)

    def _checked(self, frames: np.ndarray) -> np.ndarray:
        """frames; raises InputError where they are no frames of this overlay."""
        shape = self.bundle.input_shape
        wanted = f"frames must be a NumPy array, uint8 of shape (n, {', '.join(map(str, shape))})"
        if not isinstance(frames, np.ndarray):
            raise InputError(f"{wanted}, not {type(frames).__name__}")
        if frames.dtype != np.uint8 or frames.shape[1:] != shape or not len(frames):
            raise InputError(f"{wanted}, not {frames.dtype} of shape {frames.shape}")
        return frames

    def _transfers(self, pieces: Iterable[tuple[np.ndarray, bool] | None]) -> Iterator[tuple[Transfer, bool]]:
        running: tuple[_Buffers, bool] | None = None
        pairs = cycle((0, 1))
        turn = self._turn = object()
        if self._at_work:  # for a stream that was left before its end
            self.recover()
        try:
            for piece in chain(pieces, [None]):
                self._require(turn)
                filled = piece and (self._fill(next(pairs), piece[0]), piece[1])
                ended, cycles = running, self._finish(running[0]) if running else 0
                running = filled
                if filled:
                    self._start(filled[0])
                if ended:
                    yield self._empty(ended[0], cycles), ended[1]
        except BaseException:
            # Ctrl-C, a caller that went away, an exception from the source of the frames leave one running.  A failed
            # transfer was cleared away already, and what runs for another stream is not this one's.
            if self._at_work and self._turn is turn:
                self.recover()
            raise

    def _require(self, turn: object) -> None:
        """Raise BoardError where the overlay works for another stream by now."""
        if self._turn is not turn:
            raise BoardError(
                "this stream was ended by another run or stream on the same overlay, which began before its end",
                hint="take all results of a stream before the next run, or close() it",
            )

    def counters(self) -> Counters:
        """What the overlay counted since its last reset."""
        return self.core.counters()

    def recover(self) -> None:
        """Abort what runs and bring DMA and overlay to where they were after loading."""
        self._at_work = False
        self._dma.reset()
        self.core.reset()
        self._frames_since_reset = 0
        self._packet = 0

    def close(self) -> None:
        """Give the buffers back.  The bitstream stays loaded, and the overlay can be used again."""
        self._pair = []

    def _fill(self, index: int, batch: np.ndarray) -> _Buffers:
        pair = self._buffers(index, len(batch))
        self._source.pack(batch, out=np.asarray(pair.source)[: len(batch)])
        pair.source.flush()
        pair.frames = len(batch)
        return pair

    def _start(self, pair: _Buffers) -> None:
        if self.core.taken_over(self._model_sha256, self._frames_since_reset):
            raise BoardError(
                "the FPGA is not as this overlay left it: another program, or another overlay in this one, has "
                "loaded or used it since",
                hint="let one program at a time use the FPGA, and open the overlay again",
            )
        self._at_work = True
        if pair.frames != self._packet:
            self.core.set_frames_per_packet(pair.frames)
            self._packet = pair.frames
        self._dma.start(S2MM, pair.sink.physical_address, pair.frames * self._sink.bytes_per_frame)
        self._dma.start(MM2S, pair.source.physical_address, pair.frames * self._source.bytes_per_frame)

    def _finish(self, pair: _Buffers) -> int:
        """Wait for the transfer; its clock cycles."""
        timeout_s = self._timeout_s or max(LEAST_TIMEOUT_S, TIMEOUT_FACTOR * self._planned_s(pair.frames))
        in_time = self._dma.wait(timeout_s)
        if (
            not in_time
            or (self._dma.status(MM2S) | self._dma.status(S2MM)) & (ERRORS | HALTED)
            or self._dma.received_bytes() != pair.frames * self._sink.bytes_per_frame
            or self.core.misplaced_tlast()
        ):
            raise self._failure(pair.frames, None if in_time else timeout_s)
        self._at_work = False
        self._frames_since_reset += pair.frames
        return self.core.packet_cycles()

    def _empty(self, pair: _Buffers, cycles: int) -> Transfer:
        pair.sink.invalidate()
        return Transfer(self._sink.unpack_positions(np.asarray(pair.sink)[: pair.frames]), cycles)

    def _failure(self, frames: int, timeout_s: float | None) -> TransferError:
        """What the registers say of the failed transfer.  Resets everything, unless it is another program's by now."""
        before = self.counters()
        send, receive = self._dma.status(MM2S), self._dma.status(S2MM)
        time.sleep(1e-3)  # counters that stand still show what hangs
        state = TransferState(
            frames,
            frames * self._source.bytes_per_frame,
            frames * self._sink.bytes_per_frame,
            (before.frames_begun - self._frames_since_reset) % 2**32,
            (before.frames_finished - self._frames_since_reset) % 2**32,
            send,
            receive,
            self._dma.received_bytes() if receive & IDLE and receive & ENDED == IDLE else None,
            before,
            self.counters(),
            timeout_s,
            self.core.model_sha256 == self._model_sha256,
        )
        if state.reason is Reason.TAKEN_OVER:
            self._at_work = False
            return TransferError(state, "DMA and overlay were left to the other")
        try:
            self.recover()
        except BoardError as error:
            return TransferError(state, f"recovery failed too: {error.message}")
        return TransferError(state, "DMA and overlay were reset; the next transfer can be made")

    def _planned_s(self, frames: int) -> float:
        return (self.bundle.latency_cycles + frames * self.bundle.cycles_per_frame) / (self.clk_mhz * 1e6)

    def _buffers(self, index: int, frames: int) -> _Buffers:
        """Pair `index` with room for that many frames; both pairs grow alike."""
        if len(self._pair) <= index or len(self._pair[index].source) < frames:
            made = _Buffers(self._allocate(self._source, frames), self._allocate(self._sink, frames))
            self._pair[index : index + 1] = [made]
        return self._pair[index]

    def _allocate(self, form: StreamFormat, frames: int) -> pynq.buffer.PynqBuffer:
        shape = frames, form.beats_per_frame, form.tdata_bits // 8
        try:
            buffer = pynq.allocate(shape, np.uint8, target=self.device, cacheable=1)
        except Exception as error:  # pynq's own exceptions have no base of their own
            raise BoardError(
                f"PYNQ has no contiguous memory for {frames:,} frames "
                f"({frames * form.bytes_per_frame:,} bytes): {' '.join(str(error).split())[:200]}",
                hint="send fewer frames at a time, or close other notebooks that hold buffers",
            ) from error
        buffer[:] = 0
        buffer.flush()  # nothing of it is left in the cache that could overwrite what the DMA brings
        return buffer

    def _name_of(self, vlnvs: tuple[str, ...], what: str) -> str:
        names = [name for name, entry in self.ip_dict.items() if entry.get("type") in vlnvs]
        if len(names) != 1:
            raise BoardError(
                f"the bitstream has {len(names) or 'no'} {what}{'s' if len(names) > 1 else ''} "
                f"({' or '.join(vlnvs)}), not one",
                hint="use the bitstream and the .hwh that were made for this bundle",
            )
        return names[0]

    def _open_dma(self) -> AxiDma:
        entry = self.ip_dict[self._name_of(DMA_VLNVS, "AXI DMA")]
        parameters: Mapping[str, object] = entry["parameters"]
        for key, wanted in {
            "c_include_sg": 0,
            "c_include_mm2s": 1,
            "c_include_s2mm": 1,
            "c_m_axis_mm2s_tdata_width": self._source.tdata_bits,
            "c_s_axis_s2mm_tdata_width": self._sink.tdata_bits,
        }.items():
            if _whole(parameters.get(key), wanted) != wanted:
                raise BoardError(
                    f"the bitstream's AXI DMA has {key} = {parameters[key]}, but this overlay needs {wanted}",
                    hint="make the bitstream again from the bundle's own project",
                )
        mmio = pynq.MMIO(entry["phys_addr"], entry["addr_range"], device=self.device)
        longest = (1 << _whole(parameters.get("c_sg_length_width"), 14)) - 1
        if longest < max(self._source.bytes_per_frame, self._sink.bytes_per_frame):
            raise BoardError(
                f"the bitstream's AXI DMA moves at most {longest:,} bytes at a time, less than one frame",
                hint="make the bitstream again with c_sg_length_width 26",
            )
        return AxiDma(words_of(mmio), longest, _whole(parameters.get("c_addr_width"), 32) > 32)


def _whole(value: object, default: int) -> int:
    """A parameter of the .hwh as a number; default where it is not given."""
    try:
        return default if value is None else int(str(value))
    except ValueError as error:
        raise BoardError(f"the .hwh has {value!r} where a number belongs") from error
