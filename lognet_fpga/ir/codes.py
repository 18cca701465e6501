"""The arrays that hold activations: by their bits alone, wherever one is made."""

from __future__ import annotations

import numpy as np

_BYTE_BITS = 8


def code_type(bits: int) -> type[np.uint8] | type[np.int32]:
    """The type of codes of so many bits, none of them below 0: uint8, or int32 for the wide sums of a last layer."""
    return np.uint8 if bits <= _BYTE_BITS else np.int32
