"""The uint8 codes that the FPGA takes, of frames in other number types: signed ones, and floats rounded to 8 bits."""

from __future__ import annotations

import numpy as np

DTYPES = ("uint8", "int8", "float32")
FLOAT = "float32"
_SHIFT = {"int8": 128}  # of codes against the numbers that they stand for
TOP_CODE = 255
_FINEST = 2.0**-24  # of the greatest number: float32 has no finer step


def code_shift(dtype: str | None) -> int:
    """What is added to a whole number of this dtype to get its code."""
    return _SHIFT.get(dtype or "", 0)


def dtype_of(values: np.ndarray) -> str:
    """Which of DTYPES frames are: int8 by their type; uint8 where all are whole numbers 0..255; else float32."""
    if values.dtype == np.int8:
        return "int8"
    if values.dtype.kind in "uib" or not values.size:
        return "uint8"
    with np.errstate(invalid="ignore"):
        pixels = values.min() >= 0 and values.max() <= TOP_CODE and bool((np.mod(values, 1) == 0).all())
    return "uint8" if pixels else FLOAT


def code_parameters(values: np.ndarray, padding: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(scale, zero_point), (channels,) float64 and int64, with which codes 0 to 255 reach from a channel's least number
    to its greatest: number = (code - zero_point) * scale.

    values: (n, channels, height, width), finite.  padding: (channels,), numbers that must be among them.  A channel of
    one number has 0 among them, too.
    """
    numbers = values.astype(np.float64)
    low, high = numbers.min(axis=(0, 2, 3)), numbers.max(axis=(0, 2, 3))
    if padding is not None:
        low, high = np.minimum(low, padding), np.maximum(high, padding)
    flat = low == high
    low, high = np.where(flat, np.minimum(low, 0), low), np.where(flat, np.maximum(high, 0), high)
    scale = np.where(high > low, high - low, 1.0) / TOP_CODE
    scale = np.maximum(
        scale, np.maximum(np.abs(low), np.abs(high)) * _FINEST
    )  # the zero point stays a number of 32 bits
    return scale, np.rint(-low / scale).astype(np.int64)


def codes_of(values: np.ndarray, zero_point: int | np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """clip(round(values / scale) + zero_point, 0, 255), contiguous uint8, for values (n, channels, height, width).

    zero_point, scale: (channels,), or one number; scale None: of whole numbers, which are not divided.
    """
    if scale is None:
        if values.dtype == np.uint8 and not np.any(zero_point):
            return np.ascontiguousarray(values)
        whole = values.astype(np.int64) + zero_point
    else:
        by_channel = (1, -1, 1, 1)
        quotients = values.astype(np.float64) / scale.reshape(by_channel)
        whole = np.rint(quotients) + np.asarray(zero_point).reshape(by_channel)
    return np.ascontiguousarray(np.clip(whole, 0, TOP_CODE), np.uint8)
