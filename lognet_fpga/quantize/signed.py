"""What leaves a layer without a ReLU: signed activations, or the sums of the last layer as they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lognet_fpga.ir.quant import QuantLayer, Ranking
from lognet_fpga.partition import FloatLayer


def goes_out_whole(layer: FloatLayer) -> bool:
    """Whether a last layer's sums leave the FPGA without a bit dropped: the scores of a frame, which nobody rounds but
    who ranks them."""
    return layer.linear and layer.function is None and layer.pool is None and math.prod(layer.conv_shape[1:]) == 1


def with_sign(layer: QuantLayer) -> QuantLayer:
    """layer with the upper half of its codes for what is above zero."""
    zero = 2 ** (layer.act_bits - 1)
    return replace(layer, bias=layer.bias + (zero << layer.shift), act_zero=zero)


def with_whole_sums(layer: QuantLayer) -> QuantLayer:
    """layer, of shift 0, with sign and as many bits as its sums have."""
    return with_sign(replace(layer, out_bits=_sum_bits(layer)))


def with_ranking(layer: QuantLayer) -> QuantLayer:
    """layer, of shift 0 and with sums of one unit, that gives the number of the channel with the largest."""
    bits, channels = _sum_bits(layer), len(layer.codes)
    zero = 2 ** (bits - 1)
    return replace(
        layer,
        bias=layer.bias + zero,
        out_bits=max(1, (channels - 1).bit_length()),
        out_scale=np.ones(1),
        ranking=Ranking(bits, zero),
    )


def _sum_bits(layer: QuantLayer) -> int:
    """Of a layer's sums as numbers in two's complement."""
    low, high = layer.accumulator_range()
    return 1 + max(high.bit_length() if high > 0 else 0, (-low - 1).bit_length() if low < 0 else 0)
