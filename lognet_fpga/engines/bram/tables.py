"""The layout of a `bram` layer whose elements look products up.

A multiplication by a log2 weight has eight results, whatever the sign: zero, and the activation shifted by 0 to 6.  So
`held` words of the window, of simd channels each, are read into tables of products (`blocks.tables`), one for each of
their channels and each of the `pe` elements, and stay there for a **round**: all passes of pe output channels, one a
cycle, each with a word of weights of its own.  A slot has as many rounds as its window needs.  While one round is
worked on, the tables of the next are filled, beside it in the same memories; a word takes TABLE_CYCLES for that, and
words begin a cycle apart, so a slot needs `fill_cycles` passes at least.

A shift and a zero take two LUTs a bit where they are logic (`blocks.pe`); a table takes two for three bits.

Signs are applied where products are added: the second of two summands is added if its first weight has the sign of the
other's, and else subtracted; a whole sum is added to the accumulator if its first weight is positive, and else
subtracted.  So memories hold, in place of the sign of each weight, whether it agrees with that of the weight which its
own is added to.  What is subtracted is the summand, or to add it, its one's complement, which leaves one too much: the
operand that passes a LUT on its way to the adder is so always the second one of a subtraction, and synthesis cannot
exchange it with the one that goes to the carry chain directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lognet_fpga.engines.bram.layout import (
    OutputConstants,
    Split,
    WindowShape,
    layer_row_slots,
    shifted_constants,
    weight_nibbles,
    word_reads,
)
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS

FIELDS = 1 << WEIGHT_BITS - 1  # of a weight: the products in a table
COLUMN_BITS = WEIGHT_BITS + 1  # what steers the tables of a word: write, field, half
TABLE_LOADS = 3  # memories of a table at most, which the leaves of its addresses steer
TABLE_CYCLES = FIELDS  # in which the products of a word are written, one of every lane a cycle
_SIGN = np.uint8(FIELDS)


@dataclass(frozen=True)
class TableShape(WindowShape):
    """held: words whose products are in tables at a time; block_rom: whether the weights are in block RAM, also where
    they are few.  walk: over the words of a window, once for all passes."""

    held: int
    block_rom: bool

    @property
    def text(self) -> str:
        return f"{self.pe} x {self.element_lanes} weights a cycle, looked up"

    def to_json(self) -> dict[str, int]:
        words = {"in_words": self.words, "weight_words": self.weight_words, "table_words": self.held}
        return {"pe": self.pe, "simd": self.simd, **words}

    @property
    def element_lanes(self) -> int:
        """Weights that an element takes in a cycle."""
        return self.held * self.simd

    @property
    def rounds(self) -> int:
        return -(-self.walk.cycles // self.held)

    @property
    def weight_words(self) -> int:
        """Words of the weights, of each round one for each pass."""
        return self.rounds * self.passes

    @property
    def ii_cycles(self) -> int:
        """Cycles of a computing slot."""
        return max(self.weight_words, self.shift_cycles)

    @property
    def fill_cycles(self) -> int:
        """From the address of a round's first word to that of its first weights: at most the passes of a round."""
        return fill_cycles(self.held)

    @property
    def tree_levels(self) -> int:
        """Adders between a product and the accumulator."""
        return (self.element_lanes - 1).bit_length()

    @property
    def sum_cycles(self) -> tuple[int, ...]:
        """Of each pass, from the address of the slot's first word to the one behind the last that its sums need."""
        last_round = self.fill_cycles + (self.rounds - 1) * self.passes
        return tuple(range(last_round + 1, last_round + 1 + self.passes))

    def sends(self, channels_per_beat: int) -> bool:
        """The sums of a pass leave at once, for there are others in the next cycle."""
        return channels_per_beat == self.pe


def fill_cycles(held: int) -> int:
    return held + TABLE_CYCLES - 1


def table_shape(layer: QuantLayer, pe: int, simd: int, held: int, block_rom: bool = True) -> TableShape:
    """Raises ValueError for groups, and where there are fewer passes than it takes to fill tables."""
    split = Split(layer.in_shape[0], len(layer.codes), layer.groups, pe, simd)
    if split.groups > 1 or split.passes < fill_cycles(held):
        raise ValueError(f"{split.passes} passes of {split.groups} groups do not look up {held} words")
    reads, walk = word_reads(layer, Split(split.in_channels, split.out_channels, 1, split.out_channels, simd))
    shape = TableShape(
        **vars(split),
        in_bits=layer.in_bits,
        kernel=layer.kernel,
        row_slots=layer_row_slots(layer),
        walk=walk,
        held=held,
        block_rom=block_rom,
    )
    return shape


def table_constants(layer: QuantLayer) -> OutputConstants:
    """For every shape, with room for what sums may be off; `excess` is what they are, which takes a while to say."""
    lanes = 2 * layer.codes[0].size  # trees of a whole number of words
    most = np.full(len(layer.codes), lanes, np.int64)
    return shifted_constants(layer, -most, most)


def table_codes(layer: QuantLayer, shape: TableShape) -> np.ndarray:
    """Content of the weight memory, (weight_words, pe * element_lanes) uint8: codes of WEIGHT_BITS, above the field
    whether the sign agrees, as above.

    Words in the order of reading: round, pass; PE p's lane s is code p * element_lanes + s, lane s being channel
    s % simd of word s // simd of the round.
    """
    fields, agrees = _by_turn(layer, shape)
    return (fields | agrees * _SIGN).reshape(shape.weight_words, -1)


def excess(layer: QuantLayer, shape: TableShape) -> np.ndarray:
    """By how much the elements' sums are too great, (out,) int64: what they are for activations of zero."""
    _, agrees = _by_turn(layer, shape)
    sums: np.ndarray = np.zeros(agrees.shape, np.int64)
    step = 1
    while step < shape.element_lanes:
        pairs = sums[..., : sums.shape[-1] // 2 * 2].reshape(*sums.shape[:-1], -1, 2)
        added = agrees[..., step :: 2 * step][..., : pairs.shape[-2]].astype(bool)
        added = pairs[..., 0] + np.where(added, pairs[..., 1] + 1, -pairs[..., 1])
        sums, step = np.concatenate([added, sums[..., pairs.shape[-2] * 2 :]], axis=-1), 2 * step
    whole = np.where(agrees[..., 0].astype(bool), sums[..., 0] + 1, -sums[..., 0])
    by_output: np.ndarray = whole.sum(axis=0).reshape(-1)[: shape.out_channels]
    return by_output


@lru_cache(maxsize=2)
def _by_turn(layer: QuantLayer, shape: TableShape) -> tuple[np.ndarray, np.ndarray]:
    """(rounds, passes, pe, element_lanes) uint8 each: the field of every weight, and 1 where its sign agrees."""
    reads, _ = word_reads(layer, Split(shape.in_channels, shape.out_channels, 1, shape.out_channels, shape.simd))
    codes = weight_nibbles(layer)  # (out, taps, in)
    out, taps, inputs = codes.shape
    words = np.zeros((out, taps, shape.words * shape.simd), np.uint8)
    words[..., :inputs] = codes
    read = words.reshape(out, taps, shape.words, shape.simd)[:, np.broadcast_to(reads[0], (taps, shape.words))]
    whole = np.zeros((shape.passes * shape.pe, shape.rounds * shape.held, shape.simd), np.uint8)
    whole[:out, : read.shape[1]] = read
    turns = whole.reshape(shape.passes, shape.pe, shape.rounds, shape.element_lanes).transpose(2, 0, 1, 3)
    negative, lanes = turns // _SIGN, np.arange(shape.element_lanes)
    before = lanes - (
        lanes & -lanes
    )  # the weight that lane's is added to, lanes & -lanes being the step of their level
    differs = negative ^ negative[..., before]
    differs[..., 0] = negative[..., 0]
    return turns % _SIGN, 1 - differs
