"""How an average pool leaves the FPGA: with how many bits, and how many low bits of a window's sum are dropped.

A mean over a whole frame of sparse activations is a small part of their largest value, and a sum has more bits than
what it adds up.  So both are chosen on the calibration frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir import reference
from lognet_fpga.ir.graph import AveragePool, Pool
from lognet_fpga.ir.quant import Average, QuantLayer

MOST_BITS = 8  # of an activation anywhere
_RESERVE = 1.25  # times the largest sum of the calibration frames can leave the last layer
_GOOD_ENOUGH = 1.5  # times the least error: of fewer bits into the next layer, which pays for each


@dataclass(frozen=True)
class _Choice:
    bits: int
    shift: int
    error: float


def widest(act_bits: int, sum_bits: int) -> int:
    """The most bits that an average of activations of act_bits is given."""
    return min(MOST_BITS, act_bits + sum_bits)


def plain(pool: Pool | None, act_bits: int) -> Average | None:
    """With the activations' bits, for sums as large as can be; None for another pool or none."""
    return Average(act_bits, pool.sum_bits) if isinstance(pool, AveragePool) else None


def scale(pool: Pool | None) -> float:
    """What an LSB that leaves a pool with a plain average is worth, in LSB of the activations: it divides by a power
    of two."""
    return 2.0**pool.sum_bits / pool.count if isinstance(pool, AveragePool) else 1.0


def fitted(layer: QuantLayer, codes: np.ndarray, target: np.ndarray, following: np.ndarray | None) -> QuantLayer:
    """layer, which ends with an average pool, with the bits that leave it chosen.

    codes: its activations in front of the pool, (batch, *conv_shape); target: the float model's averages,
    (batch, *out_shape).  following: what the FPGA layers that take them pad with, (out,), to whom fewer bits are less
    work: as few as make an error against the float model's averages that is about the least; to the host, None, go all
    that there may be.
    """
    pool, act_bits = layer.pool, layer.act_bits
    if not isinstance(pool, AveragePool) or layer.average is None:
        raise ValueError(f"{layer.name} does not end with an average pool")
    sums, fraction = reference.sum_pool(codes, pool)
    lsb = layer.out_scale / 2.0**layer.average.shift  # of a sum
    wanted = target / lsb.reshape(1, -1, 1, 1) + pool.count * layer.act_zero
    bits = widest(act_bits, pool.sum_bits)
    if following is not None:
        padding = int(np.max(following / lsb, initial=0))
        choices = [
            _best(sums, fraction, wanted, few, act_bits + pool.sum_bits - few, padding)
            for few in range(act_bits, bits + 1)
        ]
        least = min(choice.error for choice in choices)
        chosen = next(choice for choice in choices if choice.error <= _GOOD_ENOUGH * least)
        bits, shift = chosen.bits, chosen.shift
    else:
        largest = min(_RESERVE * int(sums.max()) / 2**fraction, pool.count * (2**act_bits - 1))
        shift = max(0, int(np.ceil(np.log2(max(1.0, largest) / (2**bits - 1)))))
    return replace(layer, out_bits=bits, average=Average(act_bits, shift), out_scale=lsb * 2.0**shift)


def _best(sums: np.ndarray, fraction: int, wanted: np.ndarray, bits: int, most: int, padding: int) -> _Choice:
    """Of so many bits, with so many bits of the sums dropped, up to `most`, that the squared error is least.  fraction:
    bits behind the point of the sums; padding: a sum that the largest average reaches."""
    choices = []
    for shift in range(most + 1):
        if (2**bits << shift) - 1 < padding and shift < most:
            continue
        rounded = reference.average(sums, shift + fraction, bits) << shift
        choices.append(_Choice(bits, shift, float(np.mean((rounded - wanted) ** 2))))
    return min(choices, key=lambda choice: choice.error)
