"""The layout of a `bram` layer: which weights are worked on in which cycle, and what comes out when.

`pe` output channels are worked on side by side, with `simd` input channels each.  A position's activations are `words`
words.  A computing slot makes its outputs in passes of pe channels each, and reads words of the window for each pass,
one a cycle (`walk`), and beside it one word of the weights: pe * simd codes of four bits, a sign above the field
(docs/numerics.md).  Products are formed in one's complement, a negative one being one less than it should be; the
number of negative weights of a channel is therefore part of its constant.

In a grouped convolution a pass either has outputs of one group, which read words of simd of its inputs; or outputs of
several groups, and words of all their inputs, of which each element reads the simd of its own group.  In a depthwise
one, so, simd is 1 and lane i of a word meets output i.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

import numpy as np

from lognet_fpga.engines.bram.walk import Passes, Walk, shortest_walk
from lognet_fpga.fabric.latencies import POSITION_WALK_LATENCY, RING_WALK_LATENCY
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS

_FREE_PLACES = 8  # of a position, with which four positions fill the 32 places that a LUT memory has at least
LARGEST_SHIFT = 2 ** (WEIGHT_BITS - 1) - 2  # of an activation, by its weight


@dataclass(frozen=True)
class Split:
    """How a layer's channels are split.  groups: of the convolution; pe: outputs of a pass; simd: inputs that each
    meets in a cycle.  Raises ValueError where groups do not begin with a pass, or with a word."""

    in_channels: int
    out_channels: int
    groups: int
    pe: int
    simd: int

    def __post_init__(self) -> None:
        inputs, outputs = self.group_inputs, self.group_outputs
        several = self.pe % outputs == 0 and self.simd == inputs
        if self.groups > 1 and not several and (outputs % self.pe or inputs % self.simd):
            raise ValueError(f"groups of {inputs} -> {outputs} channels do not split into {self.simd} -> {self.pe}")

    @property
    def group_inputs(self) -> int:
        return self.in_channels // self.groups

    @property
    def group_outputs(self) -> int:
        return self.out_channels // self.groups

    @property
    def lanes(self) -> int:
        """Input channels of a word: those of all groups that a pass has outputs of."""
        return self.simd * max(1, self.pe // self.group_outputs)

    @property
    def words(self) -> int:
        """Words of a position."""
        return -(-self.in_channels // self.lanes)

    @property
    def pass_words(self) -> int:
        """Words of a position that are for the outputs of a pass."""
        return -(-self.group_inputs // self.simd)

    @property
    def passes(self) -> int:
        return -(-self.out_channels // self.pe)

    @property
    def first_words(self) -> tuple[int, ...]:
        """Of each pass, the first word of a position that is for it."""
        alike, words = max(1, self.group_outputs // self.pe), self.pass_words
        return (0,) * self.passes if self.groups == 1 else tuple(n // alike * words for n in range(self.passes))

    def first_lane(self, element: int) -> int:
        """Of a word, the first of the simd lanes that processing element `element` reads."""
        return element // self.group_outputs * self.simd


@dataclass(frozen=True)
class WindowShape(Split):
    """in_bits, kernel: of the layer; row_slots: slots of a row; walk: over the words of a window."""

    in_bits: int
    kernel: tuple[int, int]
    row_slots: int
    walk: Walk

    @property
    def split(self) -> Split:
        return Split(self.in_channels, self.out_channels, self.groups, self.pe, self.simd)

    @property
    def ring(self) -> bool:
        """Whether the window is a ring of words.  A kernel of one place reads a position's words where they arrived."""
        return has_ring(self.kernel)

    @property
    def shift_cycles(self) -> int:
        """Cycles of a slot that only shifts: those in which its words are written into the ring."""
        return self.words if self.ring else 1

    @property
    def walk_latency(self) -> int:
        """From letting a computing slot go to the address of its first word."""
        return RING_WALK_LATENCY if self.ring else POSITION_WALK_LATENCY

    @property
    def memory_words(self) -> int:
        """Depth of the ring, a power of two."""
        return 1 << (self.words - self.walk.oldest + self.walk.spare - 1).bit_length()


@dataclass(frozen=True)
class BramShape(WindowShape):
    """A word of the window meets its weights in the cycle in which it is read."""

    @property
    def text(self) -> str:
        return f"{self.pe} x {self.simd} weights a cycle"

    def to_json(self) -> dict[str, int]:
        return {"pe": self.pe, "simd": self.simd, "in_words": self.words, "weight_words": self.weight_words}

    @property
    def pass_cycles(self) -> tuple[int, ...]:
        return self.walk.pass_cycles

    @property
    def element_lanes(self) -> int:
        """Weights that an element takes in a cycle."""
        return self.simd

    @property
    def weight_words(self) -> int:
        """Words of the weights, one for each word of the window that is read."""
        return self.walk.cycles

    @property
    def ii_cycles(self) -> int:
        """Cycles of a computing slot."""
        return max(self.walk.cycles, self.shift_cycles)

    @property
    def tree_levels(self) -> int:
        """Adders between a product and the accumulator."""
        return (self.simd - 1).bit_length()

    @property
    def sum_cycles(self) -> tuple[int, ...]:
        """Of each pass, from the address of the slot's first word to the one behind the last that its sums need."""
        return tuple(accumulate(self.pass_cycles))

    def sends(self, channels_per_beat: int) -> bool:
        """Beats of a pass leave while the next one is summed."""
        per_beat = self.pe // channels_per_beat
        return self.pe % channels_per_beat == 0 and per_beat <= min(self.pass_cycles)


def has_ring(kernel: tuple[int, int]) -> bool:
    return kernel != (1, 1)


def staged_positions(beat_channels: int, beats: int, lanes: int) -> int:
    """Positions in the memory where beats become words, the one being read among them: four where that is free."""
    places = -(-beats // max(1, lanes // beat_channels))
    return 4 if places <= _FREE_PLACES else 2


def bram_shape(layer: QuantLayer, pe: int, simd: int) -> BramShape:
    """Raises ValueError as Split."""
    split = Split(layer.in_shape[0], len(layer.codes), layer.groups, pe, simd)
    _, walk = word_reads(layer, split)
    return BramShape(
        **vars(split), in_bits=layer.in_bits, kernel=layer.kernel, row_slots=layer_row_slots(layer), walk=walk
    )


@lru_cache(maxsize=64)
def layer_row_slots(layer: QuantLayer) -> int:
    return len(slot_raster(layer).col_flags)


@lru_cache(maxsize=2)  # a shape is made, and then priced
def word_reads(layer: QuantLayer, split: Split) -> tuple[np.ndarray, Walk]:
    """As shortest_walk."""
    kernel_h, kernel_w = layer.kernel
    row_slots = layer_row_slots(layer)
    back = tuple(
        ((kernel_h - 1 - ky) * row_slots + kernel_w - 1 - kx) * split.words
        for ky in range(kernel_h)
        for kx in range(kernel_w)
    )
    words = _words_with_weights(layer, split.simd, split.pass_words)
    weights: np.ndarray = np.any(_by_pass(words, split.passes, split.pe), axis=1)
    return shortest_walk(weights, Passes(split.first_words, back, has_ring(layer.kernel)))


@lru_cache(maxsize=4)
def _words_with_weights(layer: QuantLayer, simd: int, words: int) -> np.ndarray:
    """(out, taps, words) bool: where an output has a weight."""
    used = (layer.codes != 0).reshape(*layer.codes.shape[:2], -1).transpose(0, 2, 1)
    lanes = np.zeros((*used.shape[:2], words * simd), bool)
    lanes[..., : used.shape[2]] = used
    found: np.ndarray = np.any(lanes.reshape(*used.shape[:2], words, simd), axis=-1)
    return found


def _by_pass(of_outputs: np.ndarray, passes: int, pe: int) -> np.ndarray:
    """(passes, pe, ...): what is there for every output, and nothing behind the last one."""
    whole = np.zeros((passes * pe, *of_outputs.shape[1:]), of_outputs.dtype)
    whole[: len(of_outputs)] = of_outputs
    return whole.reshape(passes, pe, *of_outputs.shape[1:])


def weight_codes(layer: QuantLayer, shape: BramShape) -> np.ndarray:
    """Content of the weight memory, (weight_words, pe * simd) uint8: codes of WEIGHT_BITS, the sign above the field.

    Words in the order of reading: pass, tap, word; PE p's lane s is code p * simd + s.
    """
    reads, _ = word_reads(layer, shape.split)
    codes = weight_nibbles(layer)
    lanes = np.zeros((*codes.shape[:2], shape.pass_words * shape.simd), np.uint8)
    lanes[..., : codes.shape[2]] = codes
    split = lanes.reshape(*codes.shape[:2], shape.pass_words, shape.simd)
    folded = _by_pass(split, shape.passes, shape.pe).transpose(0, 2, 3, 1, 4)
    read = folded if reads.all() else folded[np.broadcast_to(reads, folded.shape[:3])]
    return read.reshape(shape.weight_words, shape.pe * shape.simd)


@lru_cache(maxsize=256)
def weight_nibbles(layer: QuantLayer) -> np.ndarray:
    """The layer's codes as they lie in memory, (out, taps, in / groups) uint8: the same for every folding."""
    codes = layer.codes.reshape(*layer.codes.shape[:2], -1).transpose(0, 2, 1).astype(np.int64)
    field = np.where(codes == 0, 0, np.log2(np.maximum(np.abs(codes), 1)).astype(np.int64) + 1)
    return (field | (codes < 0) << (WEIGHT_BITS - 1)).astype(np.uint8)


def weight_words(layer: QuantLayer, shape: BramShape) -> tuple[int, ...]:
    """The words of the weight memory, the first code lowest."""
    return packed_words(weight_codes(layer, shape))


def packed_words(codes: np.ndarray) -> tuple[int, ...]:
    """codes: (words, lanes) uint8 of WEIGHT_BITS each."""
    bits = np.unpackbits(codes[..., None], axis=-1, bitorder="little")[..., :WEIGHT_BITS]
    packed = np.packbits(bits.reshape(len(codes), -1), axis=-1, bitorder="little")
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

    def beside(self, excess: np.ndarray) -> OutputConstants:
        """With offsets that take off what the elements' sums are too great by, (out,)."""
        return replace(self, offset=self.offset - (excess << self.lift))


def output_constants(layer: QuantLayer) -> OutputConstants:
    """Of elements that form products in one's complement: a sum is less by its negative weights, all or some."""
    negative = (layer.codes < 0).sum(axis=(1, 2, 3))
    constants = shifted_constants(layer, -negative, np.zeros_like(negative))
    return constants.beside(-negative)


def shifted_constants(layer: QuantLayer, least: np.ndarray, most: np.ndarray) -> OutputConstants:
    """A channel's power of two is taken off bias and shift, which changes no bit of the result.

    floor((sum * 2**s + bias) / 2**shift) is floor((sum * 2**l + floor(bias * 2**(l - s))) / 2**(shift - s + l)) for
    whole sums, as long as nothing is divided by less than 1.

    least, most: (out,) <= 0 and >= 0, by how much the elements' partial sums may be off; `OutputConstants.beside`
    takes off what whole ones are.
    """
    codes, top = layer.codes.astype(np.int64).reshape(len(layer.codes), -1), 2**layer.in_bits - 1
    low = np.minimum(codes, 0).sum(axis=1) * top + least
    high = np.maximum(codes, 0).sum(axis=1) * top + most
    lift = max(0, int((layer.channel_shift - layer.shift).max()))
    offset = layer.bias << lift >> layer.channel_shift
    lowest, highest = offset - (most << lift), offset - (least << lift)
    return OutputConstants(
        lift,
        offset,
        layer.shift - layer.channel_shift + lift,
        _signed_bits(int(low.min()), int(high.max())),
        _signed_bits(int((low.min() << lift) + lowest.min()), int((high.max() << lift) + highest.max())),
    )


def _signed_bits(low: int, high: int) -> int:
    """At least two, for a single bit is no vector in Verilog."""
    return max(max(high, 1).bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
