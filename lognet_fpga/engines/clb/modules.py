"""The digit-serial engine of a `clb` layer as modules: window, adders, requantize."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lognet_fpga.engines.clb.blocks.adders import AdderShape, serial_adders
from lognet_fpga.engines.clb.blocks.requantize import RequantizeShape, requantize
from lognet_fpga.engines.clb.blocks.window import WindowShape, window
from lognet_fpga.engines.folding import Streams
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Instance, Leaf, same

if TYPE_CHECKING:  # foldings import this module when they make theirs
    from lognet_fpga.engines.clb.foldings import ClbFolding


def serial_engine(folding: ClbFolding, streams: Streams, name: str) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
    """Instances between the layer's input and the nets conv_valid, conv_data, and the nets between them."""
    layer, raster = folding.layer, folding.raster
    channels, out_channels = layer.in_shape[0], layer.codes.shape[0]
    window_shape = WindowShape(
        channels,
        layer.in_bits,
        streams.in_channels_per_beat,
        streams.in_beats,
        folding.digit_bits,
        folding.in_digits,
        folding.in_legs,
        folding.ii_cycles,
        layer.kernel,
        raster,
        tuple(int(v) for v in layer.pad_value),
    )
    requantize_shape = RequantizeShape(
        out_channels,
        folding.digit_bits,
        folding.leg_cycles,
        folding.legs,
        layer.shift,
        layer.code_bits,
        streams.channels_per_beat,
        raster.blanks,
    )
    adder_shape = AdderShape(*folding.solved(), tuple(int(b) for b in layer.bias), requantize_shape.first_leg)
    clock = inputs(clk=None, rst=None)
    taps, acc = window_shape.taps, out_channels * adder_shape.out_bits
    instances = (
        Instance(
            "window",
            Leaf(
                f"{name}_window",
                clock
                + inputs(in_data=streams.in_channels_per_beat * layer.in_bits, in_valid=None)
                + outputs(in_ready=None)
                + inputs(room=None)
                + outputs(taps=taps, start=None, compute=None, blank=None),
                partial(window, shape=window_shape),
            ),
            same("clk", "rst", "in_data", "in_valid", "in_ready", "room", "taps", "start", "compute", "blank"),
        ),
        Instance(
            "adders",
            serial_adders(adder_shape, taps, f"{name}_adders"),
            same("clk", "start", "compute", "blank", "taps", "acc", "acc_soon", "acc_blank"),
        ),
        Instance(
            "requantize",
            Leaf(
                f"{name}_requantize",
                clock
                + inputs(acc=acc, acc_soon=None, acc_blank=None)
                + outputs(out_valid=None, out_data=streams.channels_per_beat * layer.code_bits),
                partial(requantize, shape=requantize_shape),
            ),
            same("clk", "rst", "acc", "acc_soon", "acc_blank") | {"out_valid": "conv_valid", "out_data": "conv_data"},
        ),
    )
    nets = inputs(taps=taps, start=None, compute=None, blank=None, acc=acc, acc_soon=None, acc_blank=None)
    return instances, nets
