"""The formats of a design's streams, from the quantized graph and its plan."""

from __future__ import annotations

from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.plan.model import HardwarePlan, LayerPlan


def source_format(quant: QuantGraph, plan: HardwarePlan) -> StreamFormat:
    """Of the overlay's entry."""
    first, lanes = quant.layers[0], plan.layers[0].in_channels_per_beat
    return StreamFormat(quant.input_shape, first.in_bits, lanes, tdata_bits(lanes * first.in_bits))


def sink_format(quant: QuantGraph, plan: HardwarePlan) -> StreamFormat:
    """Of the overlay's exit."""
    return layer_format(quant.layers[-1], plan.layers[-1])


def layer_format(layer: QuantLayer, plan: LayerPlan) -> StreamFormat:
    """Of a layer's results."""
    return StreamFormat(
        layer.out_shape, layer.out_bits, plan.channels_per_beat, tdata_bits(plan.channels_per_beat * layer.out_bits)
    )


def tdata_bits(width: int) -> int:
    """The least AXI4-Stream width, a power of two of at least 8 bits, that holds width bits."""
    return max(8, 1 << (width - 1).bit_length())
