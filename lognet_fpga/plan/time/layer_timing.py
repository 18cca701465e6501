"""What decides about a layer's time, and the rows of slots that it works in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lognet_fpga.fabric.slots import SlotRaster

ROWS_AHEAD = 12  # that must be alike for two rows to be of one phase: strides of layers and pools come round in them


@dataclass(frozen=True)
class LayerTiming:
    """What decides about a layer's time.  shift_cycles: of a slot that only shifts; early_beats: that may come before
    the position before theirs is taken; place_cycles: from a take until the beat behind these may come; beat_cycles:
    from letting a computing slot go to each beat of its result entering the FIFO; pool: (kernel, stride) or None;
    fifo_depth None: never full."""

    raster: SlotRaster
    ii_cycles: int
    shift_cycles: int
    early_beats: int
    place_cycles: int
    in_beats: int
    beat_cycles: tuple[int, ...]
    pool: tuple[tuple[int, int], tuple[int, int]] | None
    fifo_depth: int | None
    fifo_reserve: int

    @property
    def row_beats(self) -> int:
        """Beats of a row of results."""
        return sum(self.emits[1]) * len(self.beat_cycles)

    @property
    def emits(self) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
        """For every row (column) of slots, whether a result may leave the pool with it; both must be true."""
        (kernel_h, kernel_w), (stride_y, stride_x) = self.pool or ((1, 1), (1, 1))
        return _emits(self.raster.row_flags, kernel_h, stride_y), _emits(self.raster.col_flags, kernel_w, stride_x)


def _emits(flags: Sequence[int], kernel: int, stride: int) -> tuple[bool, ...]:
    windows, out = -kernel, []
    for flag in flags:
        windows += flag
        out.append(bool(flag) and windows >= 0 and windows % stride == 0)
    return tuple(out)


@dataclass(frozen=True)
class Row:
    """The slots of a row, by column: whether it computes, and emits.  The first `positions` carry data.  last: of the
    frame's last result."""

    positions: int
    each: tuple[tuple[bool, bool], ...]
    last: bool


def rows_of_slots(layer: LayerTiming) -> list[Row]:
    """Of a frame; like rows are one object."""
    raster, (emit_rows, emit_cols) = layer.raster, layer.emits
    last = max(row for row, emits in enumerate(emit_rows) if emits)
    known: dict[Row, Row] = {}
    rows = []
    for index, (flag, emits) in enumerate(zip(raster.row_flags, emit_rows)):
        row = Row(
            positions=raster.cols if index < raster.rows else 0,
            each=tuple(
                (bool(flag and col_flag), emits and col_emits)
                for col_flag, col_emits in zip(raster.col_flags, emit_cols)
            ),
            last=index == last,
        )
        rows.append(known.setdefault(row, row))
    return rows


def phases(rows: list[Row]) -> list[int]:
    """For every row a number; rows of one number are followed by like rows."""
    ahead = rows * (1 + -(-ROWS_AHEAD // len(rows)))
    known: dict[tuple[int, ...], int] = {}
    return [known.setdefault(tuple(map(id, ahead[row : row + ROWS_AHEAD])), row) for row in range(len(rows))]
