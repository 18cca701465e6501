"""Layers whose weights are log2 codes already, as lognet-retrain writes them: they are taken over, not rounded anew.

The codes need no other mark than the numbers.  Activations are in units of an LSB: a Clip from 0 to 2**bits - 1
behind each convolution says how many bits they have, and with that what an LSB is.  A channel's weights, in LSB of its
result an LSB of its input, are powers of two with exponents that span no more than a code can.  What numbers cannot
tell is in the file's metadata (`quantize.trained`); without it, `bias_shift` guesses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lognet_fpga.ir.graph import Graph, Relu
from lognet_fpga.numerics.log2 import largest_code
from lognet_fpga.quantize import trained
from lognet_fpga.quantize.averages import MOST_BITS

_MORE_BITS = 6  # more than codes can lack: those of the largest code
_ON_STEP = 0.1  # of a step: what float32 leaves of whole ones
_TOLERANCE = 1e-4  # of an exponent: what scales in float32 leave of it


@dataclass(frozen=True, eq=False)
class GivenCodes:
    """codes: (out, inputs) int8.  drop: (out,) int64; a result's LSB is 2**drop weights of 1.  empty: (out,) bool,
    channels without weights, whose drop is free."""

    codes: np.ndarray
    drop: np.ndarray
    empty: np.ndarray


def given_codes(rows: np.ndarray, lsb: np.ndarray) -> GivenCodes | None:
    """The codes that the weights are, or None where they are not.

    rows: (out, inputs), real weights an LSB of the input; lsb: (out,), the real value of an LSB of the result, inf
    where nothing bounds it.
    """
    if not np.all(np.isfinite(lsb)):
        return None
    steps = rows / lsb[:, None]
    used = steps != 0
    logarithm = np.log2(np.abs(steps), out=np.zeros_like(steps), where=used)
    exponent = np.rint(logarithm).astype(np.int64)
    if np.any(np.abs(logarithm - exponent)[used] > _TOLERANCE):
        return None
    empty = ~used.any(axis=1)
    least = np.where(empty, 0, np.min(exponent, axis=1, initial=np.iinfo(np.int16).max, where=used))
    field = np.where(used, exponent - least[:, None], 0)
    if field.max(initial=0) > np.log2(largest_code()):
        return None
    codes = np.where(used, np.sign(steps) * 2.0**field, 0).astype(np.int8)
    return GivenCodes(codes, -least, empty)


def bias_shift(bias: np.ndarray, shift: int) -> int:
    """The bits behind the point that a layer's sums need for its weights, `shift`, and for its bias, where a few more
    make that exact too.  bias: (out,) in LSB of the result."""
    for more in range(_MORE_BITS + 1):
        steps = bias * 2.0 ** (shift + more)
        if np.all(np.abs(steps - np.rint(steps)) < _ON_STEP):
            return shift + more
    return shift


def pinned_bits(graph: Graph) -> tuple[int, ...]:
    """Bits of the activations of each layer, from the first one on, where a model with log2 codes says what it has: by
    its metadata, or because its first ReLU ends at 15; () for another model."""
    if layers := trained.read(graph):
        return tuple(layer.act_bits or MOST_BITS for layer in layers)
    bounds = [node.op.bound for node in graph.nodes if isinstance(node.op, Relu)]
    return (4,) * len(bounds) if bounds and bounds[0] == 2.0**4 - 1 else ()
