"""The digit-serial engine of a `clb` layer as modules: window, adders, requantize."""

from __future__ import annotations

from functools import partial

from lognet_fpga.hw.adders import AdderShape, serial_adders
from lognet_fpga.hw.requantize import RequantizeShape, requantize
from lognet_fpga.hw.structure import Instance, Leaf, Port, inputs, outputs, same
from lognet_fpga.hw.window import WindowShape, window
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.adder_graph import AdderGraph
from lognet_fpga.plan.model import ClbPlan
from lognet_fpga.plan.serial import schedule
from lognet_fpga.plan.slots import slot_raster
from lognet_fpga.plan.ternary import ternary


def serial_engine(
    layer: QuantLayer, plan: ClbPlan, graph: AdderGraph, name: str
) -> tuple[tuple[Instance, ...], tuple[Port, ...]]:
    """Instances between the layer's input and the nets conv_valid, conv_data, and the nets between them."""
    channels, out_channels = layer.in_shape[0], layer.codes.shape[0]
    window_shape = WindowShape(
        channels,
        layer.in_bits,
        plan.in_channels_per_beat,
        plan.in_beats,
        plan.digit_bits,
        plan.in_digits,
        plan.in_legs,
        plan.ii_cycles,
        layer.kernel,
        slot_raster(layer),
        tuple(int(v) for v in layer.pad_value),
    )
    requantize_shape = RequantizeShape(
        out_channels,
        plan.digit_bits,
        plan.leg_cycles,
        plan.legs,
        layer.shift,
        layer.act_bits,
        plan.channels_per_beat,
        window_shape.raster.blanks,
    )
    graph = ternary(graph, layer.in_bits, plan.digit_bits, plan.leg_cycles)
    timed = schedule(graph, layer.in_bits, plan.acc_bits, plan.digit_bits, plan.leg_cycles)
    adder_shape = AdderShape(graph, timed, tuple(int(b) for b in layer.bias), requantize_shape.first_leg)
    clock = inputs(clk=None, rst=None)
    taps, acc = window_shape.taps, out_channels * adder_shape.out_bits
    instances = (
        Instance(
            "window",
            Leaf(
                f"{name}_window",
                clock
                + inputs(in_data=plan.in_channels_per_beat * layer.in_bits, in_valid=None)
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
                + outputs(out_valid=None, out_data=plan.channels_per_beat * layer.act_bits),
                partial(requantize, shape=requantize_shape),
            ),
            same("clk", "rst", "acc", "acc_soon", "acc_blank") | {"out_valid": "conv_valid", "out_data": "conv_data"},
        ),
    )
    nets = inputs(taps=taps, start=None, compute=None, blank=None, acc=acc, acc_soon=None, acc_blank=None)
    return instances, nets
