from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.ir.stream_format import StreamFormat


def test_order_by_hand():
    """Two rows, one column, three channels of 4 bits, two a beat: the second beat of each position is half empty."""
    frame = np.array([[[0x1], [0x4]], [[0x2], [0x5]], [[0x3], [0x6]]], np.uint8)  # [channel][row][column]
    form = StreamFormat((3, 2, 1), 4, 2, 8)
    assert (form.beats_per_position, form.beats_per_frame) == (2, 4)
    assert form.pack(frame[None]).tolist() == [[[0x21], [0x03], [0x54], [0x06]]]


def test_columns_come_before_rows():
    frame = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    assert StreamFormat((1, 2, 3), 8, 1, 8).pack(frame[None]).ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_bits_that_cross_bytes():
    """Three channels of 5 bits in 16: 1 + (2 << 5) + (31 << 10)."""
    frame = np.array([1, 2, 31], np.uint8).reshape(3, 1, 1)
    expected = list((1 + (2 << 5) + (31 << 10)).to_bytes(2, "little"))
    assert StreamFormat((3, 1, 1), 5, 3, 16).pack(frame[None]).ravel().tolist() == expected


@pytest.mark.parametrize(
    "bits,channels,lanes,tdata",
    [
        (8, 3, 3, 32),
        (8, 1, 1, 8),
        (4, 7, 2, 8),
        (4, 5, 5, 32),
        (8, 9, 4, 32),
        (1, 10, 3, 8),
        (5, 3, 2, 16),
        (8, 17, 17, 256),
        (9, 5, 3, 32),
        (12, 10, 5, 64),
        (19, 10, 3, 64),
        (31, 7, 2, 64),
        (24, 3, 3, 128),
    ],
)
def test_round_trip(bits, channels, lanes, tdata):
    form = StreamFormat((channels, 3, 4), bits, lanes, tdata)
    frames = np.random.default_rng(channels).integers(0, 2**bits, (5, channels, 3, 4)).astype(form.dtype)
    assert frames.max() >> (bits - 1) == 1 and form.unpack(form.pack(frames)).dtype == form.dtype
    beats = form.pack(frames)
    assert beats.shape == (5, form.beats_per_frame, tdata // 8) and beats.dtype == np.uint8
    np.testing.assert_array_equal(form.unpack(beats), frames)
    # Against arithmetic on whole beats.
    values = [sum(int(byte) << 8 * i for i, byte in enumerate(beat)) for beat in beats[2]]
    expected = [
        sum(int(frames[2, c, y, x]) << bits * (c % lanes) for c in range(first, min(first + lanes, channels)))
        for y in range(3)
        for x in range(4)
        for first in range(0, channels, lanes)
    ]
    assert values == expected


def split_by_bits(form: StreamFormat, beats: np.ndarray) -> np.ndarray:
    """(batch, h, w, channels): every bit on its own, whatever the format."""
    channels, height, width = form.shape
    lanes = np.unpackbits(beats, axis=-1, bitorder="little")[..., : form.channels_per_beat * form.bits]
    lanes = lanes.reshape(len(beats), height, width, form.beats_per_position * form.channels_per_beat, form.bits)
    return (lanes[..., :channels, :] << np.arange(form.bits, dtype=np.uint8)).sum(axis=-1, dtype=np.uint8)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("seed", range(6))
def test_unpacking_equals_bits_one_by_one_in_every_format(bits, seed):
    """Beats of any content, also where no channel is; some in memory that goes by other steps."""
    print(f"seed {seed}")
    rng = np.random.default_rng((bits, seed))
    for _ in range(40):
        lanes = int(rng.integers(1, 40))
        tdata = -(-lanes * bits // 8) * 8 + 8 * int(rng.integers(0, 3) * rng.integers(0, 2))
        if rng.random() < 0.5:
            tdata = max(8, 1 << (lanes * bits - 1).bit_length())  # as overlays have it
        shape = (int(rng.integers(1, 80)), int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        form = StreamFormat(shape, bits, lanes, tdata)
        every = rng.integers(0, 256, (int(rng.integers(0, 7)), form.beats_per_frame, tdata // 8), dtype=np.uint8)
        before = every.copy()
        beats = every[::2] if rng.random() < 0.3 else every
        positions = form.unpack_positions(beats)
        np.testing.assert_array_equal(positions, split_by_bits(form, np.ascontiguousarray(beats)), str(form))
        assert positions.flags.c_contiguous and positions.dtype == np.uint8
        positions[...] = 0
        assert np.array_equal(every, before)  # a copy
