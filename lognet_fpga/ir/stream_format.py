"""How a frame's activations lie on a stream: the one place that orders positions, channels and bits.

A frame is sent position by position, row by row.  One position takes `beats_per_position` beats; beat b carries
channels b*channels_per_beat and up, each in `bits` bits, the lowest channel in the lowest bits.  Unused bits of
tdata are zero.  `docs/stream.md` states the whole contract.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lognet_fpga.ir.codes import code_type

_FEW_CHANNELS = 4  # are moved plane by plane: as NumPy's innermost loop they would take seven times as long


@dataclass(frozen=True)
class StreamFormat:
    """shape: (channels, height, width) of a frame; bits: of one activation, 1..31; tdata_bits: a multiple of 8.
    Where channels_per_beat does not divide the channels, the last beat of a position is part empty."""

    shape: tuple[int, int, int]
    bits: int
    channels_per_beat: int
    tdata_bits: int

    @property
    def dtype(self) -> type[np.uint8] | type[np.int32]:
        """Of activations in arrays."""
        return code_type(self.bits)

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
        """(batch, channels, h, w) of `dtype` to beats, (batch, beats_per_frame, tdata_bits // 8) uint8, little-endian.

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
        little_endian = np.dtype(self.dtype).newbyteorder("<")
        padded = np.zeros((batch, height, width, self.beats_per_position * self.channels_per_beat, 1), little_endian)
        padded[..., :channels, 0] = positions
        bits = np.unpackbits(padded.view(np.uint8), axis=-1, bitorder="little")[..., : self.bits]
        beats = np.packbits(
            bits.reshape(batch, self.beats_per_frame, self.channels_per_beat * self.bits), axis=-1, bitorder="little"
        )
        out[..., : beats.shape[-1]] = beats
        return out

    def unpack(self, beats: np.ndarray) -> np.ndarray:
        """Inverse of pack: (batch, beats_per_frame, tdata_bits // 8) uint8 to (batch, channels, h, w) of `dtype`."""
        return np.ascontiguousarray(self.unpack_positions(beats).transpose(0, 3, 1, 2))

    def unpack_positions(self, beats: np.ndarray) -> np.ndarray:
        """As unpack, in the order of the stream: (batch, h, w, channels), a copy."""
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
        split = _split_within_bytes if 8 % self.bits == 0 else _split_across_bytes
        values = split(np.ascontiguousarray(beats), self.bits)[..., : self.channels_per_beat]
        lanes = values.reshape(batch, height, width, self.beats_per_position * self.channels_per_beat)
        return np.ascontiguousarray(lanes[..., :channels])

    def _lanes(self, beats: np.ndarray) -> np.ndarray:
        """Beats of 8-bit activations as (batch, h, w, beats_per_position, channels_per_beat), without the unused."""
        batch, (_, height, width) = len(beats), self.shape
        shape = (batch, height, width, self.beats_per_position, beats.shape[-1])  # also of no frames at all
        return beats.reshape(shape)[..., : self.channels_per_beat]


def _split_within_bytes(beats: np.ndarray, bits: int) -> np.ndarray:
    """Lanes of 4, 2 or 1 bits of contiguous beats (batch, beats, bytes) uint8: (batch, beats, bytes * 8 // bits) uint8.

    Each byte, in a word of as many bytes as it has lanes, is spread by halves: 4 bits by one shift for all of them.
    """
    slot, width = 64 // bits, 8
    words = beats.astype(f"<u{8 // bits}")
    while width > bits:
        slot, width = slot // 2, width // 2
        words |= words << (slot - width)
        words &= sum(((1 << width) - 1) << place for place in range(0, 64 // bits, slot))
    return words.view(np.uint8)


def _split_across_bytes(beats: np.ndarray, bits: int) -> np.ndarray:
    """The same for any number of bits, of `code_type`, as many lanes as are whole.

    Lanes repeat their places in bytes: with 3 bits every eight in three bytes.  Each place is one operation a byte.
    """
    group = math.lcm(bits, 8)
    lanes, size = group // bits, group // 8
    values = np.empty((*beats.shape[:2], beats.shape[2] * 8 // bits), code_type(bits))
    for lane in range(min(lanes, values.shape[2])):
        byte, shift = divmod(lane * bits, 8)
        out = values[..., lane::lanes]
        np.right_shift(beats[..., byte::size][..., : out.shape[2]], shift, out=out, casting="unsafe")
        for further in range(1, -(-(shift + bits) // 8)):  # the rest is in the next bytes
            rest = beats[..., byte + further :: size][..., : out.shape[2]].astype(values.dtype, copy=False)
            out |= rest << (8 * further - shift)
    values &= (1 << bits) - 1
    return values
