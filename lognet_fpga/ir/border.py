"""Averages that divide by what of a window lies inside the frame: by what the sums of border windows are multiplied.

A window of which c of k rows are inside has a sum that counts k / c times as much as a whole one's; columns likewise.
Each of the two is a factor / 2**fraction, with the least fraction that leaves every factor of the dimension within
2**-_EXACT_BITS of its ratio.  Halves and quarters, as of windows of 2, 3 and 4, are exact; of the others the two
together change an average of 8 bits by less than 0.26 LSB before it is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lognet_fpga.ir.graph import AveragePool

_EXACT_BITS = 11  # behind the point, relative to the ratio


@dataclass(frozen=True)
class Border:
    """One dimension of a pool's windows.  counts: for each window, first to last, how many of its rows (columns) it
    divides by; factors: by what its sum is multiplied, in 2**-fraction."""

    counts: tuple[int, ...]
    factors: tuple[int, ...]
    fraction: int

    @property
    def even(self) -> bool:
        """Whether no window's sum changes."""
        return all(factor == 1 << self.fraction for factor in self.factors)

    @property
    def largest(self) -> int:
        """The greatest sum of a window of ones."""
        return max(count * factor for count, factor in zip(self.counts, self.factors))


def borders(pool: AveragePool, height: int, width: int) -> tuple[Border, Border]:
    """(rows, columns) of a pool over frames of height x width, their padding not included."""
    top, left, bottom, right = pool.pads
    outer_top, outer_left, outer_bottom, outer_right = pool.outside
    rows = _border(top + height + bottom, pool.kernel[0], pool.stride[0], outer_top, outer_bottom)
    return rows, _border(left + width + right, pool.kernel[1], pool.stride[1], outer_left, outer_right)


def border_factors(pool: AveragePool, height: int, width: int) -> tuple[np.ndarray, int]:
    """((rows, columns) int64 of each window, bits behind the point)."""
    rows, cols = borders(pool, height, width)
    return np.outer(np.array(rows.factors), np.array(cols.factors)), rows.fraction + cols.fraction


def window_counts(pool: AveragePool, height: int, width: int) -> np.ndarray:
    """(rows, columns) int64: by how many elements each window divides."""
    rows, cols = borders(pool, height, width)
    return np.outer(np.array(rows.counts), np.array(cols.counts))


@lru_cache(maxsize=1024)
def _border(length: int, kernel: int, stride: int, before: int, after: int) -> Border:
    """length: with padding, of which `before` and `after` do not count."""
    starts = range(0, length - kernel + 1, stride)
    counts = tuple(min(start + kernel, length - after) - max(start, before) for start in starts)
    fraction = 0
    while any(
        abs((count * _rounded(kernel, count, fraction)) - (kernel << fraction)) << _EXACT_BITS > kernel << fraction
        for count in counts
    ):
        fraction += 1
    return Border(counts, tuple(_rounded(kernel, count, fraction) for count in counts), fraction)


def _rounded(kernel: int, count: int, fraction: int) -> int:
    """kernel / count in 2**-fraction."""
    return ((kernel << fraction + 1) + count) // (2 * count)
