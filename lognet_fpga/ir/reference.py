"""NumPy reference of the operators: the definition that all other levels must equal."""

from __future__ import annotations

import numpy as np

from lognet_fpga.ir.border import border_factors, window_counts
from lognet_fpga.ir.graph import AveragePool, MaxPool, Pool


def windows(x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """View of x, (batch, channels, h, w), as (batch, channels, out_h, out_w, kernel_h, kernel_w)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (1, 1, *kernel))
    return view[:, :, :: stride[0], :: stride[1], 0, 0]


def pad(x: np.ndarray, pads: tuple[int, int, int, int], value: np.ndarray) -> np.ndarray:
    """Surround each channel of x with its own value; pads: (top, left, bottom, right), value: (channels,)."""
    top, left, bottom, right = pads
    batch, channels, height, width = x.shape
    out = np.empty((batch, channels, top + height + bottom, left + width + right), x.dtype)
    out[:] = np.asarray(value).astype(x.dtype).reshape(1, channels, 1, 1)
    out[:, :, top : top + height, left : left + width] = x
    return out


def conv(x: np.ndarray, weight: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    """Cross-correlation of the already padded x, (batch, in, h, w), with weight, (out, in / groups, kh, kw).

    Works in the common type of x and weight, through one matrix product a group, so float64 operands that hold
    integers give exact sums below 2**53.
    """
    out_channels, own, kernel_h, kernel_w = weight.shape
    groups = x.shape[1] // own
    if groups > 1:
        parts = zip(np.split(x, groups, axis=1), np.split(weight, groups))
        return np.concatenate([conv(some, kernel, stride) for some, kernel in parts], axis=1)
    view = windows(x, (kernel_h, kernel_w), stride)
    batch, _, out_h, out_w = view.shape[:4]
    columns = view.transpose(0, 2, 3, 1, 4, 5).reshape(batch * out_h * out_w, -1)
    product = columns @ weight.reshape(out_channels, -1).T
    return product.reshape(batch, out_h, out_w, out_channels).transpose(0, 3, 1, 2)


def pool_shape(shape: tuple[int, int, int], pool: Pool | None) -> tuple[int, int, int]:
    """(channels, height, width) behind the pool; pool None: as before."""
    if pool is None:
        return shape
    (channels, height, width), (top, left, bottom, right) = shape, pool.pads
    return (
        channels,
        (height + top + bottom - pool.kernel[0]) // pool.stride[0] + 1,
        (width + left + right - pool.kernel[1]) // pool.stride[1] + 1,
    )


def run_pool(x: np.ndarray, pool: Pool | None) -> np.ndarray:
    """Pool x, (batch, channels, h, w) of values >= 0; averages of floats only, for those of codes see `average`."""
    if pool is None:
        return x
    view = _pool_windows(x, pool)
    if isinstance(pool, MaxPool):
        return view.max(axis=(4, 5))
    means = view.mean(axis=(4, 5), dtype=x.dtype)
    return means * (pool.count / window_counts(pool, *x.shape[2:])).astype(x.dtype) if any(pool.outside) else means


def sum_pool(x: np.ndarray, pool: AveragePool) -> tuple[np.ndarray, int]:
    """(sums of each window of x, (batch, channels, h, w) of integers >= 0, times the window's factor: int64; bits
    behind the point), see `ir.border`."""
    factors, fraction = border_factors(pool, *x.shape[2:])
    return _pool_windows(x, pool).sum(axis=(4, 5), dtype=np.int64) * factors, fraction


def average(sums: np.ndarray, shift: int, bits: int) -> np.ndarray:
    """Averages as the FPGA has them, of the sums of windows: min(floor(sum / 2**shift + 1/2), 2**bits - 1).  shift:
    with the bits that sums have behind the point."""
    return np.minimum((sums + (1 << shift >> 1)) >> shift, 2**bits - 1)


def _pool_windows(x: np.ndarray, pool: Pool) -> np.ndarray:
    if any(pool.pads):
        x = pad(x, pool.pads, np.zeros(x.shape[1]))
    return windows(x, pool.kernel, pool.stride)
