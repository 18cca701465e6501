"""The quantized graph: the integer semantics of the FPGA part, defined once.

For each layer, with x the unsigned activations of in_bits bits and pad_value standing for zero outside the
frame:

    acc[o] = sum over i, ky, kx of codes[o, i, ky, kx] * 2**channel_shift[o] * x[i, y*sy + ky, x*sx + kx] + bias[o]
    y[o]   = clip(floor(acc[o] / 2**shift), 0, 2**act_bits - 1)
    y[o]   = table[o][clip(floor(acc[o] / 2**shift), 0, 2**table.bits - 1)] where there is an activation function
    out    = max-pool of y, or min(floor(sum of y * factor / 2**k + 1/2), 2**out_bits - 1) over an average pool's window

i runs over the inputs of o's group (`ir.groups`).  codes are log2 codes: 0 or a sign times a power of two up to 64.
bias carries the rounding half LSB, and the code that a sum of zero becomes.  factor is 1 but where a mean divides by
fewer elements at the border: there it is the product of the row's and the column's of `ir.border`, and k includes the
bits behind its point.
`docs/numerics.md` gives the derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lognet_fpga.ir import reference
from lognet_fpga.ir.codes import code_type
from lognet_fpga.ir.graph import AveragePool, Pool
from lognet_fpga.ir.sources import FRAMES, Source, Sources, chain, check_sources, cuts, gather


@dataclass(frozen=True)
class Average:
    """How an average pool rounds.  act_bits: of the activations that it adds up; shift: bits dropped of their sum, of
    its whole part."""

    act_bits: int
    shift: int


@dataclass(frozen=True)
class CodeTable:
    """An activation function on codes.  bits: of the codes of sums; zero: the one that a sum of zero becomes; entries:
    the activation for each, one list for all channels or one for each."""

    bits: int
    zero: int
    entries: tuple[tuple[int, ...], ...]

    @property
    def is_shared(self) -> bool:
        return len(self.entries) == 1

    @cached_property
    def array(self) -> np.ndarray:
        """(1 or channels, 2**bits) uint8."""
        return np.array(self.entries, np.uint8)

    def activations(self, codes: np.ndarray) -> np.ndarray:
        """For (batch, channels, h, w) of codes."""
        if self.is_shared:
            return self.array[0][codes]
        return self.array[np.arange(len(self.entries)).reshape(-1, 1, 1), codes]


@dataclass(frozen=True)
class Ranking:
    """The number of the channel with the largest sum in the place of the sums.  bits: of the codes of sums; zero: the
    one that a sum of zero becomes."""

    bits: int
    zero: int


@dataclass(frozen=True, eq=False)
class QuantLayer:
    """One convolution layer of the FPGA part: conv, requantize with ReLU or a table, and an optional pool.

    codes: (out, in / groups, kh, kw) int8, log2 codes.  channel_shift: (out,) int64 >= 0, the power-of-two scale of
    each output channel.  bias: (out,) int64.  shift: bits dropped by requantize.  pad_value: (in,) int64, the
    activation that means zero.  alpha: (out,) float64, the real weight of one code LSB.  out_scale: (out,) float64, the
    real value of one output LSB, behind the pool.  nmse: the weights' normalized mean squared error.
    out_bits: of what leaves the layer.  average: of an average pool, None where there is none.  act_zero: the
    activation in front of the pool that stands for zero: 0 behind a ReLU; without one half of all codes, so that they
    are numbers in two's complement with their sign turned.  table: of an activation function other than ReLU, None for
    none.  ranking: of a last layer that puts out a class, None for one that does not.
    """

    name: str
    in_shape: tuple[int, int, int]
    in_bits: int
    out_bits: int
    codes: np.ndarray
    channel_shift: np.ndarray
    bias: np.ndarray
    shift: int
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    pad_value: np.ndarray
    pool: Pool | None
    alpha: np.ndarray
    out_scale: np.ndarray
    nmse: float
    average: Average | None = None
    act_zero: int = 0
    table: CodeTable | None = None
    ranking: Ranking | None = None

    def __post_init__(self) -> None:
        if isinstance(self.pool, AveragePool) != (self.average is not None):
            raise ValueError(f"{self.name}: an average pool and how it rounds belong together")
        if isinstance(self.pool, AveragePool) and self.act_zero and any(self.pool.pads):
            raise ValueError(f"{self.name}: averages that count zeros are of activations from 0 on")

    @property
    def out_zero(self) -> float:
        """What stands for zero behind the pool: no whole number behind some averages."""
        if isinstance(self.pool, AveragePool) and self.average is not None:
            return self.act_zero * self.pool.count / 2**self.average.shift
        return self.act_zero

    @property
    def out_offset(self) -> np.ndarray:
        """(out,) float64: what activation 0 stands for; one of x stands for x * out_scale + out_offset."""
        return -self.out_zero * self.out_scale + 0.0

    @property
    def groups(self) -> int:
        return self.in_shape[0] // self.codes.shape[1]

    @property
    def act_bits(self) -> int:
        """Bits of the activations in front of the pool."""
        return self.average.act_bits if self.average else self.out_bits

    @property
    def code_bits(self) -> int:
        """Bits of the codes that sums are made, in front of a table or what ranks them."""
        made = self.table or self.ranking
        return made.bits if made else self.act_bits

    @property
    def code_zero(self) -> int:
        """The code that a sum of zero is made."""
        made = self.table or self.ranking
        return made.zero if made else self.act_zero

    @property
    def kernel(self) -> tuple[int, int]:
        return self.codes.shape[2], self.codes.shape[3]

    @property
    def weights(self) -> np.ndarray:
        """(out, in / groups, kh, kw) int64: the codes with each channel's power of two multiplied in."""
        return self.codes.astype(np.int64) << self.channel_shift.reshape(-1, 1, 1, 1)

    @property
    def conv_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) before the pool."""
        _, height, width = self.in_shape
        top, left, bottom, right = self.pads
        out_h = (height + top + bottom - self.kernel[0]) // self.stride[0] + 1
        out_w = (width + left + right - self.kernel[1]) // self.stride[1] + 1
        return self.codes.shape[0], out_h, out_w

    @property
    def out_shape(self) -> tuple[int, int, int]:
        channels, *size = reference.pool_shape(self.conv_shape, self.pool)
        return 1 if self.ranking else channels, size[0], size[1]

    @property
    def sparsity(self) -> float:
        """Share of zero codes, 0..1."""
        return float(np.mean(self.codes == 0))

    def accumulator_range(self) -> tuple[int, int]:
        """Exact bounds (least, greatest) of acc over all inputs and channels."""
        weights = self.weights.reshape(len(self.codes), -1)
        top = 2**self.in_bits - 1
        low = np.minimum(weights, 0).sum(axis=1) * top + self.bias
        high = np.maximum(weights, 0).sum(axis=1) * top + self.bias
        return int(low.min()), int(high.max())

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """acc, (batch, out, h, w) int64, for x, (batch, in, h, w) of integers 0..2**in_bits - 1."""
        padded = reference.pad(x.astype(np.float64), self.pads, self.pad_value)
        sums = reference.conv(padded, self.weights.astype(np.float64), self.stride)
        return np.rint(sums).astype(np.int64) + self.bias.reshape(1, -1, 1, 1)

    def run(self, x: np.ndarray, sums: Sums | None = None) -> np.ndarray:
        """Output activations, (batch, *out_shape) of `code_type`.  sums: taken in the place of `accumulate`."""
        return self.pooled(self.activations(x, sums))

    def activations(self, x: np.ndarray, sums: Sums | None = None) -> np.ndarray:
        """As run, in front of the pool: (batch, *conv_shape)."""
        acc = self.accumulate(x) if sums is None else sums(self, x)
        codes = np.clip(acc >> self.shift, 0, 2**self.code_bits - 1).astype(code_type(self.code_bits))
        if self.ranking is not None:
            return codes.argmax(axis=1)[:, None].astype(code_type(self.out_bits))
        return codes if self.table is None else self.table.activations(codes)

    def pooled(self, y: np.ndarray) -> np.ndarray:
        """What leaves the layer, (batch, *out_shape), for its activations y."""
        if self.average is None or not isinstance(self.pool, AveragePool):  # they belong together
            return reference.run_pool(y, self.pool)
        sums, fraction = reference.sum_pool(y, self.pool)
        averages = reference.average(sums, self.average.shift + fraction, self.out_bits)
        return averages.astype(code_type(self.out_bits))


Sums = Callable[[QuantLayer, np.ndarray], np.ndarray]
"""(layer, x) -> acc, as QuantLayer.accumulate: another way to add, such as `ir.log_sums`."""


@dataclass(frozen=True)
class QuantGraph:
    """The whole FPGA part.  input_shape: (channels, height, width) of the uint8 frames.  sources: of each layer's
    input, which may have more bits than some of them; () for a chain, whose sources it then gets."""

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[QuantLayer, ...]
    sources: Sources = ()

    def __post_init__(self) -> None:
        if not self.sources:
            object.__setattr__(self, "sources", chain(len(self.layers)))
        check_sources(
            self.sources, self.input_shape, [(layer.name, layer.in_shape, layer.out_shape) for layer in self.layers]
        )
        for layer, its in zip(self.layers, self.sources):
            if (bits := max(map(self.source_bits, its))) > layer.in_bits:
                raise ValueError(f"{layer.name}: takes {layer.in_bits} bits and is given {bits}")

    def source_bits(self, source: Source) -> int:
        """Bits of the activations that come from there; frames have those that the first layer takes."""
        return self.layers[0].in_bits if source.layer == FRAMES else self.layers[source.layer].out_bits

    @property
    def is_chain(self) -> bool:
        return self.sources == chain(len(self.layers))

    @property
    def cuts(self) -> tuple[int, ...]:
        """The numbers of first layers behind which the graph can be cut in two, ascending, all of them last: nothing
        but what the last of them puts out goes further."""
        return cuts(self.sources)

    def first(self, count: int) -> QuantGraph:
        """The first count layers; count: one of `cuts`."""
        return QuantGraph(self.name, self.input_shape, self.layers[:count], self.sources[:count])

    @property
    def out_shape(self) -> tuple[int, int, int]:
        return self.layers[-1].out_shape

    def run_layers(self, frames: np.ndarray, sums: Sequence[Sums | None] | None = None) -> list[np.ndarray]:
        """Activations of every layer for frames, (batch, channels, h, w) uint8; each as of `QuantLayer.run`.

        sums: one a layer, how it adds; None: exactly.
        """
        out: list[np.ndarray] = []
        for layer, its, its_sums in zip(self.layers, self.sources, sums or [None] * len(self.layers)):
            out.append(layer.run(gather(its, frames, out), its_sums))
        return out

    def run(self, frames: np.ndarray) -> np.ndarray:
        """Activations of the last layer, (batch, *out_shape)."""
        return self.run_layers(frames)[-1]
