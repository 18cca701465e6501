"""The order of slots in a frame: where pads are sent, and which slots complete a window.

A layer receives its frame as a raster of slots, one position each.  `pad_cols` slots of padding follow every row
and `pad_rows` rows of padding follow every frame; each serves as the right (bottom) padding of what came before
and the left (top) padding of what comes next.  After reset, one run of padding comes before the first frame.
A slot whose position is the lower right corner of a window that the convolution needs *computes* (it lasts
ii_cycles); any other only *shifts* the window on (it lasts shift_cycles cycles).
"""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.ir.quant import QuantLayer


@dataclass(frozen=True)
class SlotRaster:
    """rows, cols: of the frame.  row_flags[r], col_flags[c]: 1 where a window may end; both must be 1.

    real_rows[r], real_cols[c]: 0 where the window's result is padding of the pool behind, and so zero.
    """

    rows: int
    cols: int
    pad_rows: int
    pad_cols: int
    row_flags: tuple[int, ...]
    col_flags: tuple[int, ...]
    real_rows: tuple[int, ...]
    real_cols: tuple[int, ...]

    @property
    def slots(self) -> int:
        """All slots of a frame."""
        return len(self.row_flags) * len(self.col_flags)

    @property
    def computing(self) -> int:
        return sum(self.row_flags) * sum(self.col_flags)

    @property
    def first(self) -> tuple[int, int]:
        """(row, col) of the first slot after reset: where the padding before the first frame begins.

        That is behind the last row of a frame that never was: the left padding of the top rows comes from there.
        """
        if self.pad_cols:
            return self.rows - 1, self.cols
        return (self.rows, 0) if self.pad_rows else (0, 0)

    def following(self, row: int, col: int) -> tuple[int, int]:
        """(row, col) of the slot after that one."""
        if col + 1 < len(self.col_flags):
            return row, col + 1
        return (row + 1) % len(self.row_flags), 0

    @property
    def slots_after_reset(self) -> int:
        """Slots of padding before the first frame."""
        return self.pad_cols + self.pad_rows * len(self.col_flags)

    def cycles(self, ii_cycles: int, shift_cycles: int) -> int:
        """Clock cycles of a frame when the input never waits and the output is never full."""
        return self.computing * ii_cycles + (self.slots - self.computing) * shift_cycles

    @property
    def blanks(self) -> bool:
        """Whether any result is padding of the pool."""
        return not (all(self.real_rows) and all(self.real_cols))


def pooled_shape(layer: QuantLayer) -> tuple[int, int]:
    """(rows, cols) of results that reach the pool, its padding included; those of the convolution without a pool."""
    _, rows, cols = layer.conv_shape
    top, left, bottom, right = layer.pool.pads if layer.pool else (0, 0, 0, 0)
    return rows + top + bottom, cols + left + right


def slot_raster(layer: QuantLayer) -> SlotRaster:
    _, rows, cols = layer.in_shape
    pool_top, pool_left = layer.pool.pads[:2] if layer.pool else (0, 0)
    (out_rows, out_cols), (_, conv_rows, conv_cols) = pooled_shape(layer), layer.conv_shape
    row_flags, real_rows = _flags(rows, layer.pads[0], layer.kernel[0], layer.stride[0], conv_rows, pool_top, out_rows)
    col_flags, real_cols = _flags(cols, layer.pads[1], layer.kernel[1], layer.stride[1], conv_cols, pool_left, out_cols)
    return SlotRaster(
        rows, cols, len(row_flags) - rows, len(col_flags) - cols, row_flags, col_flags, real_rows, real_cols
    )


def _flags(
    length: int, before: int, kernel: int, stride: int, real: int, blank_before: int, out: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(window may end, result is real) along one dimension, as long as the frame with the padding it needs.

    before: the convolution's padding in front; out results, of which blank_before come before the `real` ones.
    """
    first = kernel - 1 - before - stride * blank_before
    ends = [first + stride * i for i in range(out)]
    padding = max(before + stride * blank_before, ends[-1] - length + 1, 0)
    flags, reals = [0] * (length + padding), [1] * (length + padding)
    for i, end in enumerate(ends):
        flags[end] = 1
        reals[end] = int(blank_before <= i < blank_before + real)
    return tuple(flags), tuple(reals)
