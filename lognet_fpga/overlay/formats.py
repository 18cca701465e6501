"""The formats of a design's streams, from its plan."""

from __future__ import annotations

from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.plan.hardware_plan import HardwarePlan, PlannedLayer


def source_format(plan: HardwarePlan) -> StreamFormat:
    """Of the overlay's entry."""
    first, lanes = plan.layers[0].layer, plan.layers[0].streams.in_channels_per_beat
    return StreamFormat(first.in_shape, first.in_bits, lanes, tdata_bits(lanes * first.in_bits))


def sink_format(plan: HardwarePlan) -> StreamFormat:
    """Of the overlay's exit."""
    return layer_format(plan.layers[-1])


def layer_format(planned: PlannedLayer) -> StreamFormat:
    """Of a layer's results."""
    layer = planned.layer
    return StreamFormat(layer.out_shape, layer.out_bits, planned.lanes, tdata_bits(planned.beat_bits))


def tdata_bits(width: int) -> int:
    """The least AXI4-Stream width, a power of two of at least 8 bits, that holds width bits."""
    return max(8, 1 << (width - 1).bit_length())
