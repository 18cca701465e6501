"""How a frame's activations lie on a stream: the one place that orders positions, channels and bits.

A frame is sent position by position, row by row.  One position takes `beats_per_position` beats; beat b carries
channels b*channels_per_beat and up, each in `bits` bits, the lowest channel in the lowest bits.  Unused bits of
tdata are zero.  `docs/stream.md` states the whole contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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

    def pack(self, activations: np.ndarray) -> np.ndarray:
        """(batch, channels, h, w) uint8 to beats, (batch, beats_per_frame, tdata_bits // 8) uint8, little-endian."""
        batch, (channels, height, width) = len(activations), self.shape
        lanes = self.beats_per_position * self.channels_per_beat
        padded = np.zeros((batch, height, width, lanes), np.uint8)
        padded[..., :channels] = activations.transpose(0, 2, 3, 1)
        bits = np.unpackbits(padded[..., None], axis=-1, bitorder="little")[..., : self.bits]
        beats = bits.reshape(batch, self.beats_per_frame, self.channels_per_beat * self.bits)
        full = np.zeros((batch, self.beats_per_frame, self.tdata_bits), np.uint8)
        full[..., : beats.shape[-1]] = beats
        return np.packbits(full, axis=-1, bitorder="little")

    def unpack(self, beats: np.ndarray) -> np.ndarray:
        """Inverse of pack: (batch, beats_per_frame, tdata_bits // 8) uint8 to (batch, channels, h, w) uint8."""
        batch, (channels, height, width) = len(beats), self.shape
        used = self.channels_per_beat * self.bits
        bits = np.unpackbits(np.ascontiguousarray(beats), axis=-1, bitorder="little")[..., :used]
        lanes = bits.reshape(batch, height, width, self.beats_per_position * self.channels_per_beat, self.bits)
        lanes = np.packbits(lanes, axis=-1, bitorder="little")
        return np.ascontiguousarray(lanes[..., :channels, 0].transpose(0, 3, 1, 2))
