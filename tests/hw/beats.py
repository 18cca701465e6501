"""Frames as the integers that MyHDL vectors take, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lognet_fpga.ir.stream_format import StreamFormat


def to_beats(form: StreamFormat, frames: np.ndarray) -> list[int]:
    """frames: (n, *form.shape) uint8."""
    return [int.from_bytes(beat.tobytes(), "little") for frame in form.pack(frames) for beat in frame]


def from_beats(form: StreamFormat, beats: Sequence[int]) -> np.ndarray:
    """(n, *form.shape) uint8; len(beats) must be whole frames."""
    data = b"".join(beat.to_bytes(form.tdata_bits // 8, "little") for beat in beats)
    return form.unpack(np.frombuffer(data, np.uint8).reshape(-1, form.beats_per_frame, form.tdata_bits // 8))


def digits(value: int, digit_bits: int, count: int) -> list[int]:
    """The lowest `count` digits of an integer in two's complement, lowest first."""
    return [value >> digit_bits * place & 2**digit_bits - 1 for place in range(count)]


def merge(lanes: Sequence[int], width: int) -> int:
    """One vector of lanes of `width` bits, the first in the lowest bits."""
    return sum(lane << width * place for place, lane in enumerate(lanes))
