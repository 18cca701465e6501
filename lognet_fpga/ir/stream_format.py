"""How a frame's activations lie on a stream: the one place that orders positions, channels and bits.

A frame is sent position by position, row by row.  One position takes `beats_per_position` beats; beat b carries
channels b*channels_per_beat and up, each in `bits` bits, the lowest channel in the lowest bits.  Unused bits of
tdata are zero.  `docs/stream.md` states the whole contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FEW_CHANNELS = 4  # are moved plane by plane: as NumPy's innermost loop they would take seven times as long


@dataclass(frozen=True)
class StreamFormat:
    """shape: (channels, height, width) of a frame; bits: of one activation, 1..8; tdata_bits: a multiple of 8.
    Where channels_per_beat does not divide the channels, the last beat of a position is part empty."""

    shape: tuple[int, int, int]
    bits: int
    channels_per_beat: int
    tdata_bits: int

    @property
    def beats_per_position(self) -> int:
        return -(-self.shape[0] // self.channels_per_beat)

    @property
    def beats_per_frame(self) -> int:
        return self.beats_per_position * self.shape[1] * self.shape[2]

    @property
    def bytes_per_frame(self) -> int:
        """In memory, beat after beat."""
        return self.beats_per_frame * self.tdata_bits // 8

    def pack(self, activations: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """(batch, channels, h, w) uint8 to beats, (batch, beats_per_frame, tdata_bits // 8) uint8, little-endian.

        out: an array of that shape to write to, in which the bits that no channel uses are zero already.
        """
        batch, (channels, height, width) = len(activations), self.shape
        if out is None:
            out = np.zeros((batch, self.beats_per_frame, self.tdata_bits // 8), np.uint8)
        positions = activations.transpose(0, 2, 3, 1)
        if self.bits == 8:
            lanes = self._lanes(out)
            if channels <= _FEW_CHANNELS:
                for channel in range(channels):
                    beat, lane = divmod(channel, self.channels_per_beat)
                    lanes[:, :, :, beat, lane] = activations[:, channel]
                return out
            if self.beats_per_position == 1:
                lanes[:, :, :, 0, :channels] = positions
                return out
            whole, rest = divmod(channels, self.channels_per_beat)
            split = whole * self.channels_per_beat
            lanes[:, :, :, :whole] = positions[..., :split].reshape(batch, height, width, whole, self.channels_per_beat)
            if rest:
                lanes[:, :, :, whole, :rest] = positions[..., split:]
            return out
        padded = np.zeros((batch, height, width, self.beats_per_position * self.channels_per_beat), np.uint8)
        padded[..., :channels] = positions
        bits = np.unpackbits(padded[..., None], axis=-1, bitorder="little")[..., : self.bits]
        beats = np.packbits(
            bits.reshape(batch, self.beats_per_frame, self.channels_per_beat * self.bits), axis=-1, bitorder="little"
        )
        out[..., : beats.shape[-1]] = beats
        return out

    def unpack(self, beats: np.ndarray) -> np.ndarray:
        """Inverse of pack: (batch, beats_per_frame, tdata_bits // 8) uint8 to (batch, channels, h, w) uint8."""
        return np.ascontiguousarray(self.unpack_positions(beats).transpose(0, 3, 1, 2))

    def unpack_positions(self, beats: np.ndarray) -> np.ndarray:
        """As unpack, in the order of the stream: (batch, h, w, channels) uint8, a copy."""
        batch, (channels, height, width) = len(beats), self.shape
        if self.bits == 8 and channels <= _FEW_CHANNELS:
            lanes, positions = self._lanes(beats), np.empty((batch, height, width, channels), np.uint8)
            for channel in range(channels):
                beat, lane = divmod(channel, self.channels_per_beat)
                positions[..., channel] = lanes[:, :, :, beat, lane]
            return positions
        if self.bits == 8:
            lanes = self._lanes(beats).reshape(batch, height, width, self.beats_per_position * self.channels_per_beat)
            return lanes[..., :channels].copy()
        used = self.channels_per_beat * self.bits
        bits = np.unpackbits(np.ascontiguousarray(beats), axis=-1, bitorder="little")[..., :used]
        values = bits.reshape(batch, height, width, self.beats_per_position * self.channels_per_beat, self.bits)
        return np.packbits(values, axis=-1, bitorder="little")[..., :channels, 0].copy()

    def _lanes(self, beats: np.ndarray) -> np.ndarray:
        """Beats of 8-bit activations as (batch, h, w, beats_per_position, channels_per_beat), without the unused."""
        batch, (_, height, width) = len(beats), self.shape
        shape = (batch, height, width, self.beats_per_position, beats.shape[-1])  # also of no frames at all
        return beats.reshape(shape)[..., : self.channels_per_beat]
