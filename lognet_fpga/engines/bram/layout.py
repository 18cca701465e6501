"""The layout of a `bram` layer: which weights are worked on in which cycle, and what comes out when.

`pe` output channels and `simd` input channels are worked on side by side.  A position's activations are `words` words
of simd channels; a computing slot reads, for each of `groups` groups of pe output channels, every word under every
tap of the kernel, one a cycle, and beside it one word of the weights: pe * simd codes of four bits, a sign above the
field (docs/numerics.md).  Products are formed in one's complement, a negative one being one less than it should be;
the number of negative weights of a channel is therefore part of its constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.ir.groups import dense_kernel
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS

_FREE_PLACES = 8  # of a position, with which four positions fill the 32 places that a LUT memory has at least
LARGEST_SHIFT = 2 ** (WEIGHT_BITS - 1) - 2  # of an activation, by its weight


@dataclass(frozen=True)
class BramShape:
    """in_channels, in_bits, out_channels, kernel: of the layer; pe, simd: folding; row_slots: slots of a row;
    taps: (ky, kx) of all kernel places with a weight other than 0, in raster order, at least one."""

    in_channels: int
    in_bits: int
    out_channels: int
    kernel: tuple[int, int]
    pe: int
    simd: int
    row_slots: int
    taps: tuple[tuple[int, int], ...]

    @property
    def words(self) -> int:
        """Words of a position."""
        return -(-self.in_channels // self.simd)

    @property
    def groups(self) -> int:
        return -(-self.out_channels // self.pe)

    @property
    def group_cycles(self) -> int:
        return len(self.taps) * self.words

    @property
    def ii_cycles(self) -> int:
        """Cycles of a computing slot, and words of the weights."""
        return self.groups * self.group_cycles

    @property
    def tree_levels(self) -> int:
        """Adders between a product and the accumulator."""
        return (self.simd - 1).bit_length()

    @property
    def product_bits(self) -> int:
        """Of an activation times a weight, with sign."""
        return self.in_bits + LARGEST_SHIFT + 1

    @cached_property
    def back_words(self) -> tuple[int, ...]:
        """How far before word 0 of the newest position word 0 under each tap lies in the window memory."""
        kernel_h, kernel_w = self.kernel
        return tuple(((kernel_h - 1 - ky) * self.row_slots + kernel_w - 1 - kx) * self.words for ky, kx in self.taps)

    @property
    def memory_words(self) -> int:
        """Depth of the window memory: the window's words and one being written, as a power of two."""
        return 1 << (self.back_words[0] + self.words).bit_length()

    @property
    def steps(self) -> tuple[int, ...]:
        """What to add to the address behind the last word of each tap, modulo memory_words."""
        following = self.back_words[1:] + self.back_words[:1]
        return tuple(
            (back - after - (self.words - 1)) % self.memory_words for back, after in zip(self.back_words, following)
        )


def staged_positions(beat_channels: int, beats: int, simd: int) -> int:
    """Positions in the memory where beats become words, the one being read among them: four where that is free."""
    places = -(-beats // max(1, simd // beat_channels))
    return 4 if places <= _FREE_PLACES else 2


def bram_shape(layer: QuantLayer, pe: int, simd: int) -> BramShape:
    out_channels, in_channels = len(layer.codes), layer.in_shape[0]
    used = [(int(ky), int(kx)) for ky, kx in np.argwhere(layer.codes.any(axis=(0, 1)))]
    taps = tuple(used) or ((layer.kernel[0] - 1, layer.kernel[1] - 1),)
    row_slots = len(slot_raster(layer).col_flags)
    return BramShape(in_channels, layer.in_bits, out_channels, layer.kernel, pe, simd, row_slots, taps)


def weight_codes(layer: QuantLayer, shape: BramShape) -> np.ndarray:
    """Content of the weight memory, (ii_cycles, pe * simd) uint8: codes of WEIGHT_BITS, the sign above the field.

    Words in the order of reading: group, tap, word; PE p's lane s is code p * simd + s.
    """
    nibbles = np.zeros((shape.groups * shape.pe, shape.words * shape.simd, len(shape.taps)), np.uint8)
    nibbles[: shape.out_channels, : shape.in_channels] = _nibbles(layer, shape.taps)
    folded = nibbles.reshape(shape.groups, shape.pe, shape.words, shape.simd, len(shape.taps))
    return folded.transpose(0, 4, 2, 1, 3).reshape(shape.ii_cycles, shape.pe * shape.simd)


@lru_cache(maxsize=256)
def _nibbles(layer: QuantLayer, taps: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The layer's codes as they lie in memory, (out, in, taps) uint8: the same for every folding."""
    rows, cols = zip(*taps)
    codes = dense_kernel(layer.codes, layer.groups)[:, :, rows, cols].astype(np.int64)
    field = np.where(codes == 0, 0, np.log2(np.maximum(np.abs(codes), 1)).astype(np.int64) + 1)
    return (field | (codes < 0) << (WEIGHT_BITS - 1)).astype(np.uint8)


def weight_words(layer: QuantLayer, shape: BramShape) -> tuple[int, ...]:
    """The words of the weight memory, the first code lowest."""
    codes = weight_codes(layer, shape)
    bits = np.unpackbits(codes[..., None], axis=-1, bitorder="little")[..., :WEIGHT_BITS]
    packed = np.packbits(bits.reshape(shape.ii_cycles, -1), axis=-1, bitorder="little")
    return tuple(int.from_bytes(word.tobytes(), "little") for word in packed)


@dataclass(frozen=True, eq=False)
class OutputConstants:
    """What turns a channel's sum into its activation: clip(((sum << lift) + offset) >> drop).

    lift: of all channels, 0 but for sums that hardly fill the activations.  offset, drop: (out,) int64, drop >= 0.
    sum_bits, total_bits: two's complement bits of every partial sum and of every (sum << lift) + offset, be they of
    different channels as between beats.
    """

    lift: int
    offset: np.ndarray
    drop: np.ndarray
    sum_bits: int
    total_bits: int


def output_constants(layer: QuantLayer) -> OutputConstants:
    """A channel's power of two is taken off bias and shift, which changes no bit of the result.

    floor((sum * 2**s + bias) / 2**shift) is floor((sum * 2**l + floor(bias * 2**(l - s))) / 2**(shift - s + l)) for
    whole sums, as long as nothing is divided by less than 1.
    """
    codes, top = layer.codes.astype(np.int64).reshape(len(layer.codes), -1), 2**layer.in_bits - 1
    negative = (codes < 0).sum(axis=1)
    low = np.minimum(codes, 0).sum(axis=1) * top - negative
    high = np.maximum(codes, 0).sum(axis=1) * top
    lift = max(0, int((layer.channel_shift - layer.shift).max()))
    offset = (layer.bias << lift >> layer.channel_shift) + (negative << lift)
    return OutputConstants(
        lift,
        offset,
        layer.shift - layer.channel_shift + lift,
        _signed_bits(int(low.min()), int(high.max())),
        _signed_bits(int((low.min() << lift) + offset.min()), int((high.max() << lift) + offset.max())),
    )


def _signed_bits(low: int, high: int) -> int:
    return max(max(high, 0).bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
