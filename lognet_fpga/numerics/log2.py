"""Log2 codes: a sign and a power of two, so that a multiplication is a shift.

A code of `bits` bits has one sign bit and a field of bits - 1 bits; field 0 is the value 0, field f > 0 is
2**(f - 1) in units of the layer's LSB.  Four bits give the 15 values 0, +-1, +-2, ... +-64.  The largest value is
the full scale range (FSR) of Lee et al., ICASSP 2017, section 2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

WEIGHT_BITS = 4
Boundaries = Literal["arithmetic", "geometric"]


def largest_code(bits: int = WEIGHT_BITS) -> int:
    """The largest value of a code, in LSB: the full scale range."""
    return 2 ** (2 ** (bits - 1) - 2)


def log2_codes(x: np.ndarray, bits: int = WEIGHT_BITS, boundaries: Boundaries = "arithmetic") -> np.ndarray:
    """The nearest codes of x, same shape, int8 up to 4 bits and int64 above; x in units of the LSB.

    Boundaries lie midway between neighbouring values (0.5, 1.5, 3, 6, ...), which makes the squared error least, or
    midway between their logarithms ("geometric": 0.71, 1.41, 2.83, ...); values beyond the largest code are clipped
    to it.
    """
    x = np.asarray(x, np.float64)
    magnitude = np.abs(x)
    least, above = (0.5, 4.0 / 3.0) if boundaries == "arithmetic" else (0.5**0.5, 2.0**0.5)
    exponent = np.floor(np.log2(np.maximum(magnitude, least) * above))
    values = np.where(magnitude < least, 0.0, 2.0 ** np.clip(exponent, 0, np.log2(largest_code(bits))))
    return (np.sign(x) * values).astype(np.int8 if bits <= WEIGHT_BITS else np.int64)
