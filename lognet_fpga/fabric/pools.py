"""How a pool is laid out: decided once, for its hardware, its latency and its costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from lognet_fpga.fabric.slots import pooled_shape
from lognet_fpga.ir.border import Border, borders
from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.quant import QuantLayer

_PLACE_CYCLES = 3  # from asking the memory of row results for a place until what is written back can be asked for


@dataclass(frozen=True)
class Scale:
    """A multiplication by factors of one dimension: terms of shifted sums, chosen by flags, are added.

    terms: of each, (shift, flag), of which one is added if its flag is set; flag None: always.  flags: for each, by
    position along the dimension where a window ends, whether it is set.
    """

    terms: tuple[tuple[tuple[int, int | None], ...], ...]
    flags: tuple[tuple[int, ...], ...]

    @property
    def levels(self) -> int:
        return pool_levels(len(self.terms))


@dataclass(frozen=True)
class Mean:
    """min(floor(sum / 2**shift + 1/2), 2**bits - 1) of a window's sum, multiplied by its factors where there are any.

    borders: of rows and columns; None: windows are all alike.  shift: with the bits behind the factors' points.
    """

    shift: int
    bits: int
    borders: tuple[Border, Border] | None = None

    @property
    def half(self) -> int:
        return 1 << self.shift >> 1

    @property
    def top(self) -> int:
        return 2**self.bits - 1


@dataclass(frozen=True)
class PoolShape:
    """in_rows, in_cols: of what reaches the pool, padding included; kernel, stride: (y, x).

    mean None: the largest of a window.
    """

    in_rows: int
    in_cols: int
    bits: int
    channels_per_beat: int
    beats: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    mean: Mean | None = None

    @property
    def simplest(self) -> PoolShape:
        """The same windows with the least hardware: one alone does not overlap, and such as are as wide as the frame
        follow each other like those of a single long row."""
        sizes = (self.in_rows, self.in_cols)
        strides = [
            max(step, extent) if size < extent + step else step
            for size, extent, step in zip(sizes, self.kernel, self.stride)
        ]
        shape = replace(self, stride=(strides[0], strides[1]))
        disjoint = strides[0] >= self.kernel[0] or self.in_cols == 1
        if self.in_rows == 1 or self.kernel[1] < self.in_cols or not disjoint or any(shape.scales):
            return shape
        return replace(
            shape,
            in_rows=1,
            in_cols=self.in_rows * self.in_cols,
            kernel=(1, self.kernel[0] * self.in_cols),
            stride=(1, strides[0] * self.in_cols),
        )

    @property
    def average(self) -> bool:
        return self.mean is not None

    @property
    def out_bits(self) -> int:
        return self.mean.bits if self.mean else self.bits

    @property
    def runs_along(self) -> bool:
        """Whether a window's row is gathered in a running sum or maximum, not out of all its elements at once.
        Overlapping ones would need several; of two elements it saves the register of the first one where each cycle
        may bring another position."""
        return self.stride[1] >= self.kernel[1] > (1 if self.beats == 1 else 2)

    @property
    def runs_down(self) -> bool:
        """Whether a window's rows are."""
        return self.stride[0] >= self.kernel[0] > 2 and self.in_cols * self.beats >= _PLACE_CYCLES

    @property
    def row_bits(self) -> int:
        """Bits of a lane behind the pass along the row: sums grow."""
        return self.bits + ((self.kernel[1] - 1).bit_length() if self.average else 0)

    @property
    def window_bits(self) -> int:
        """Bits of a lane behind the pass across rows."""
        return self.row_bits + ((self.kernel[0] - 1).bit_length() if self.average else 0)

    @property
    def kept_bits(self) -> int:
        """Bits that the memory of row results has for each lane."""
        return self.window_bits if self.runs_down else (self.kernel[0] - 1) * self.row_bits

    @property
    def joined(self) -> tuple[int, int]:
        """Elements that are joined at once (across rows, along the row)."""
        return 2 if self.runs_down else self.kernel[0], 2 if self.runs_along else self.kernel[1]

    @cached_property
    def scales(self) -> tuple[Scale | None, Scale | None]:
        """For rows and columns how sums are multiplied; None: not at all."""
        rows, cols = (self.mean and self.mean.borders) or (None, None)
        return (
            _scale(rows, self.in_rows, self.kernel[0], self.stride[0]),
            _scale(cols, self.in_cols, self.kernel[1], self.stride[1]),
        )

    @property
    def scaled_bits(self) -> tuple[int, int]:
        """Bits of a lane behind the multiplication for rows, and behind that for columns."""
        if self.mean is None or self.mean.borders is None:
            return self.window_bits, self.window_bits
        rows, cols = self.mean.borders
        most = rows.largest * (2**self.bits - 1)
        whole = most * self.kernel[1]
        bits = whole.bit_length() if self.scales[0] else self.window_bits
        return bits, (most * cols.largest).bit_length() if self.scales[1] else bits

    @property
    def clips(self) -> bool:
        """Whether a window's mean can lie above the largest."""
        if self.mean is None:
            return False
        largest = self.kernel[0] * self.kernel[1] * (2**self.bits - 1)
        if self.mean.borders is not None:
            rows, cols = self.mean.borders
            largest = rows.largest * cols.largest * (2**self.bits - 1)
        return largest + self.mean.half >> self.mean.shift > self.mean.top

    @property
    def latency_cycles(self) -> int:
        """From the last beat into a window to the beat out of it."""
        levels = sum(map(pool_levels, self.joined)) + sum(scale.levels for scale in self.scales if scale)
        return 1 + levels + int(self.average)

    @property
    def col_flags(self) -> tuple[int, ...]:
        return _ends(self.in_cols, self.kernel[1], self.stride[1])

    @property
    def row_flags(self) -> tuple[int, ...]:
        return _ends(self.in_rows, self.kernel[0], self.stride[0])


def pool_levels(elements: int) -> int:
    """Cycles in which so many elements are joined, two by two."""
    return max(1, (elements - 1).bit_length())


def pool_shape(layer: QuantLayer, channels_per_beat: int) -> PoolShape:
    """Of the pool behind a layer's engine, which has one."""
    pool = layer.pool
    assert pool is not None
    mean = None
    if isinstance(pool, AveragePool) and layer.average is not None:
        mean = Mean(layer.average.shift, layer.out_bits)
        if any(pool.outside):
            its = borders(pool, *layer.conv_shape[1:])
            mean = Mean(layer.average.shift + sum(border.fraction for border in its), layer.out_bits, its)
    beats = -(-layer.codes.shape[0] // channels_per_beat)
    shape = PoolShape(*pooled_shape(layer), layer.act_bits, channels_per_beat, beats, pool.kernel, pool.stride, mean)
    return shape.simplest


def continues(length: int, kernel: int, stride: int) -> tuple[int, ...]:
    """1 at the positions of a window but its first."""
    return tuple(int(0 < i % stride < kernel) for i in range(length))


def _ends(length: int, kernel: int, stride: int) -> tuple[int, ...]:
    """1 at the positions where a window ends."""
    return tuple(int(i >= kernel - 1 and (i - kernel + 1) % stride == 0) for i in range(length))


def _scale(border: Border | None, length: int, kernel: int, stride: int) -> Scale | None:
    if border is None or border.even:
        return None
    # Of every factor its digits, the highest first.
    digits = [[bit for bit in reversed(range(factor.bit_length())) if factor >> bit & 1] for factor in border.factors]
    terms, flags = [], []
    for place in range(max(map(len, digits))):
        of_windows = [its[place] if place < len(its) else None for its in digits]
        shifts = sorted({shift for shift in of_windows if shift is not None})
        always = len(set(of_windows)) == 1
        term: list[tuple[int, int | None]] = []
        for shift in shifts:
            positions = [0] * length
            for window, its in enumerate(of_windows):
                positions[kernel - 1 + window * stride] = int(its == shift)
            if not always and tuple(positions) not in flags:
                flags.append(tuple(positions))
            term.append((shift, None if always else flags.index(tuple(positions))))
        terms.append(tuple(term))
    return Scale(tuple(terms), tuple(flags))
