"""Codes of weights as memories hold them."""

from __future__ import annotations

import numpy as np

CODES = np.array([0, *(sign * 2**power for power in range(7) for sign in (1, -1))])


def field(code: int) -> int:
    """Four bits: a sign above 0 or one more than the exponent (docs/numerics.md)."""
    return 0 if code == 0 else (code < 0) * 8 + abs(code).bit_length()


def signed(value: int, width: int) -> int:
    return value - (value >> (width - 1) << width)
