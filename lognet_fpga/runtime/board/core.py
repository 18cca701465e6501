"""The overlay's own registers (docs/stream.md): who it is, what it did, and its reset."""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.errors import BoardError
from lognet_fpga.ir import core_registers as core
from lognet_fpga.runtime.board.words import Words, poll

RESET_TIMEOUT_S = 0.1  # a reset takes some microseconds

_TLAST_ERRORS = core.TOO_SHORT.mask | core.TOO_LONG.mask


@dataclass(frozen=True)
class Counters:
    """Since the last reset; all count modulo 2**32.  source_idles: cycles in which a ready overlay was offered
    nothing; sink_stalls: cycles in which it offered what was not taken; misplaced_tlast: TLAST was not where a packet
    of frames ends."""

    frames_begun: int
    frames_finished: int
    cycles: int
    sink_stalls: int
    source_idles: int
    misplaced_tlast: bool

    def __str__(self) -> str:
        return (
            f"{self.frames_begun:,} frames begun, {self.frames_finished:,} finished, {self.cycles:,} cycles, of them "
            f"{self.source_idles:,} waiting for data and {self.sink_stalls:,} held up by the receiver; "
            f"TLAST {'misplaced' if self.misplaced_tlast else 'never misplaced'}"
        )


class CoreRegisters:
    """words: the overlay's registers."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def require(self, model_sha256: str) -> None:
        """Raise BoardError unless this is an overlay of ours, with that model in it (SHA-256 of its golden.onnx)."""
        identification, version = self._words[core.IDENTIFICATION.word], self._words[core.VERSION.word]
        if identification != core.LOGN:
            raise BoardError(
                f"at the overlay's address the bitstream has no LogNet overlay: it says 0x{identification:08X}",
                hint="use the bitstream that was made for this bundle",
            )
        if version != core.MAP_VERSION:
            raise BoardError(
                f"the overlay's registers are version {version}, and this program knows version {core.MAP_VERSION}",
                hint="use the version of lognet-fpga that made the bitstream, or make the bitstream again",
            )
        if self.model_sha256 != model_sha256:
            raise BoardError(
                "the bitstream holds another model than the bundle",
                context=(f"in the bitstream: SHA-256 {self.model_sha256}", f"in the bundle:    SHA-256 {model_sha256}"),
                hint="use the bundle that the bitstream was made from, or make the bitstream of this one",
            )

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the golden.onnx that the hardware was generated from, hexadecimal."""
        first = core.MODEL_SHA256.word
        return b"".join(self._words[first + i].to_bytes(4, "little") for i in range(core.MODEL_SHA256.words)).hex()

    def taken_over(self, model_sha256: str, frames: int) -> bool:
        """Whether somebody else has loaded or used the overlay, which holds that model and, empty as it is, has begun
        so many frames since its reset."""
        first_word = int.from_bytes(bytes.fromhex(model_sha256[:8]), "little")
        words = self._words
        return words[core.MODEL_SHA256.word] != first_word or words[core.FRAMES_BEGUN.word] != frames % 2**32

    def reset(self) -> None:
        """Empty the overlay and clear its counters; raises BoardError if it does not come back."""
        words = self._words
        words[core.CONTROL.word] = core.RESET.mask
        if not poll(lambda: not words[core.CONTROL.word] & core.RESET.mask, RESET_TIMEOUT_S):
            raise BoardError(
                f"the overlay does not come out of reset within {RESET_TIMEOUT_S:g} s",
                hint="check that its clock runs (pynq.Clocks), or open the overlay again, which loads its bitstream",
            )
        words[core.STATUS.word] = _TLAST_ERRORS

    def set_frames_per_packet(self, count: int) -> None:
        """From now on TLAST is expected and given after every `count` frames.  The overlay must be empty."""
        self._words[core.MORE_FRAMES.word] = count - 1

    def misplaced_tlast(self) -> bool:
        """Whether TLAST has come at a wrong place since the last reset."""
        return bool(self._words[core.STATUS.word] & _TLAST_ERRORS)

    def packet_cycles(self) -> int:
        """Clock cycles of the last packet, from its first beat in to its last beat out."""
        words = self._words
        return (words[core.PACKET_FINISHED.word] - words[core.PACKET_BEGUN.word]) % 2**32

    def counters(self) -> Counters:
        words = self._words
        return Counters(
            words[core.FRAMES_BEGUN.word],
            words[core.FRAMES_FINISHED.word],
            words[core.CYCLES.word],
            words[core.SINK_STALLS.word],
            words[core.SOURCE_IDLES.word],
            self.misplaced_tlast(),
        )
