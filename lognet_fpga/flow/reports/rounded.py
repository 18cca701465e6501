"""Fractions with as many digits as are the same everywhere.

The digits behind these depend on the order in which a version of NumPy or onnxruntime, or a processor, adds; a bundle
is to be the same bytes wherever it is made.
"""

from __future__ import annotations

import numpy as np

EXACT = 10
"""Digits of what is computed in float64 by sums over arrays."""

MEASURED = 6
"""Digits of what is measured on activations in float32."""


def rounded(data: object, digits: int = EXACT) -> object:
    """Data for JSON with its fractions rounded to so many digits.  NumPy's arrays and numbers become plain ones."""
    if isinstance(data, np.ndarray | np.generic):
        return rounded(data.tolist(), digits)
    if isinstance(data, dict):
        return {name: rounded(value, digits) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [rounded(value, digits) for value in data]
    return float(f"{data:.{digits}g}") if isinstance(data, float) else data
