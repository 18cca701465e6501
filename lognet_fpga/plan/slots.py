"""The order of slots in a frame: where pads are sent, and which slots complete a window.

A layer receives its frame as a raster of slots, one position each.  `pad_cols` slots of padding follow every row
and `pad_rows` rows of padding follow every frame; each serves as the right (bottom) padding of what came before
and the left (top) padding of what comes next.  After reset, one run of padding comes before the first frame.
A slot whose position is the lower right corner of a window that the convolution needs *computes* (it lasts
ii_cycles); any other only *shifts* the window on (it lasts in_digits cycles).
"""

from __future__ import annotations

from dataclasses import dataclass

from lognet_fpga.ir.quant import QuantLayer


@dataclass(frozen=True)
class SlotRaster:
    """rows, cols: of the frame.  row_flags[r], col_flags[c]: 1 where a window may end; both must be 1."""

    rows: int
    cols: int
    pad_rows: int
    pad_cols: int
    row_flags: tuple[int, ...]
    col_flags: tuple[int, ...]

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

    @property
    def slots_after_reset(self) -> int:
        """Slots of padding before the first frame."""
        return self.pad_cols + self.pad_rows * len(self.col_flags)

    def cycles(self, ii_cycles: int, in_digits: int) -> int:
        """Clock cycles of a frame when the input never waits and the output is never full."""
        return self.computing * ii_cycles + (self.slots - self.computing) * in_digits


def slot_raster(layer: QuantLayer) -> SlotRaster:
    _, rows, cols = layer.in_shape
    top, left, bottom, right = layer.pads
    _, out_rows, out_cols = layer.conv_shape
    pad_rows, pad_cols = max(top, bottom), max(left, right)

    def flags(length: int, before: int, kernel: int, stride: int, out: int) -> tuple[int, ...]:
        ends = {before * -1 + kernel - 1 + stride * i for i in range(out)}
        return tuple(int(i in ends) for i in range(length))

    return SlotRaster(rows, cols, pad_rows, pad_cols,
                      flags(rows + pad_rows, top, layer.kernel[0], layer.stride[0], out_rows),
                      flags(cols + pad_cols, left, layer.kernel[1], layer.stride[1], out_cols))
