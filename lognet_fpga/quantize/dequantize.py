"""Between float layers and quantized ones: the real weights in units of codes, and the codes as real weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lognet_fpga.ir.groups import of_own_inputs
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Source
from lognet_fpga.partition import FloatLayer, Partition


def with_quantized_weights(partition: Partition, quant: QuantGraph, preprocessing: Preprocessing) -> Partition:
    """partition with the log2 weights and corrected biases of quant; its activations neither round nor clip at the top.

    Between this and the float model lies what the weights cost, between this and quant what the activations cost.
    """
    factor, shift = preprocessing.affine(quant.input_shape[0])
    layers = []
    for layer, quantized, sources in zip(partition.layers, quant.layers, quant.sources):
        scale = _side_by_side(sources, factor, [other.out_scale for other in quant.layers])
        offset = _side_by_side(sources, shift, [other.out_offset for other in quant.layers])
        layers.append(_dequantized(layer, quantized, scale, offset))
    return dataclasses.replace(partition, layers=tuple(layers))


def real_rows(partition: Partition, quant: QuantGraph, preprocessing: Preprocessing) -> list[np.ndarray]:
    """What each layer's codes were rounded from: its float weights, (out, in / groups, kh, kw) float64, in units of
    codes."""
    factor, _ = preprocessing.affine(quant.input_shape[0])
    rows = []
    for layer, quantized, sources in zip(partition.layers, quant.layers, quant.sources):
        scale = _side_by_side(sources, factor, [other.out_scale for other in quant.layers])
        scale = of_own_inputs(scale, layer.groups, len(layer.weight))
        rows.append(layer.weight * scale / quantized.alpha.reshape(-1, 1, 1, 1))
    return rows


def _side_by_side(sources: Sequence[Source], frames: np.ndarray, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """(in,) of a layer's input, of what is (channels,) of the frames and of each layer's results."""
    return np.concatenate([frames if source.layer == FRAMES else outputs[source.layer] for source in sources])


def _dequantized(layer: FloatLayer, quantized: QuantLayer, in_scale: np.ndarray, in_offset: np.ndarray) -> FloatLayer:
    """in_scale, in_offset: an input integer x stands for x * in_scale + in_offset, channel by channel."""
    scale, offset = (of_own_inputs(part, layer.groups, len(layer.weight)) for part in (in_scale, in_offset))
    weight = quantized.codes * quantized.alpha.reshape(-1, 1, 1, 1) / scale
    half = 1 << quantized.shift >> 1
    unit = quantized.alpha / 2.0**quantized.channel_shift  # real value of one LSB of the accumulator
    bias = (quantized.bias - half - (quantized.code_zero << quantized.shift)) * unit - (weight * offset).sum(
        axis=(1, 2, 3)
    )
    return dataclasses.replace(layer, weight=weight, bias=bias)
