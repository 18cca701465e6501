"""A layer as one module: its engine, its pool, its FIFO."""

from __future__ import annotations

from functools import partial

from lognet_fpga.fabric.slots import pooled_shape
from lognet_fpga.hw.fifo import fifo
from lognet_fpga.hw.pool import Mean, PoolShape, pool
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Leaf, same, with_reset_leaves
from lognet_fpga.plan.hardware_plan import PlannedLayer


def layer_module(planned: PlannedLayer, name: str) -> Composite:
    layer, folding, streams = planned.layer, planned.folding, planned.streams
    instances, nets = folding.modules(streams, name)
    beat_bits, conv_bits = streams.channels_per_beat * layer.out_bits, streams.channels_per_beat * layer.act_bits
    clock, conv = inputs(clk=None, rst=None), {"conv_valid": "mon_valid", "conv_data": "mon_data"}
    if layer.pool is None:
        instances = tuple(
            Instance(
                i.name,
                i.module,
                {port: conv.get(net, net) if isinstance(net, str) else net for port, net in i.wires.items()},
            )
            for i in instances
        )
    else:
        rows, cols = pooled_shape(layer)
        pool_shape = PoolShape(
            rows,
            cols,
            layer.act_bits,
            streams.channels_per_beat,
            -(-layer.codes.shape[0] // streams.channels_per_beat),
            layer.pool.kernel,
            layer.pool.stride,
            None if layer.average is None else Mean(layer.average.shift, layer.out_bits),
        )
        pooling = Leaf(
            f"{name}_pool",
            clock + inputs(in_valid=None, in_data=conv_bits) + outputs(out_valid=None, out_data=beat_bits),
            partial(pool, shape=pool_shape),
        )
        pooled = {"in_valid": "conv_valid", "in_data": "conv_data", "out_valid": "mon_valid", "out_data": "mon_data"}
        instances += (Instance("pool", pooling, same("clk", "rst") | pooled),)
        nets += inputs(conv_valid=None, conv_data=conv_bits)
    queue = Leaf(
        f"{name}_fifo",
        clock
        + inputs(in_valid=None, in_data=beat_bits)
        + outputs(out_valid=None, out_data=beat_bits)
        + inputs(out_ready=None)
        + outputs(room=None),
        partial(fifo, depth=planned.fifo.depth, reserve=planned.fifo.reserve),
    )
    instances += (
        Instance(
            "fifo",
            queue,
            same("clk", "rst", "out_valid", "out_data", "out_ready", "room")
            | {"in_valid": "mon_valid", "in_data": "mon_data"},
        ),
    )
    ports = (
        clock
        + inputs(in_data=streams.in_channels_per_beat * layer.in_bits, in_valid=None)
        + outputs(in_ready=None)
        + outputs(out_valid=None, out_data=beat_bits)
        + inputs(out_ready=None)
        + outputs(mon_valid=None, mon_data=beat_bits)
    )
    text = (
        f"Layer {layer.name}: {layer.in_shape} to {layer.out_shape}, {folding.text}, "
        f"{folding.ii_cycles} cycles a position."
    )
    # Named after the net; nets that differ in their number only are as wide as each other.
    sizes = {net.name: f"{net.name.rstrip('0123456789').upper()}_BITS" for net in nets if net.width is not None}
    return with_reset_leaves(Composite(name, ports, nets + inputs(room=None), instances, text, sizes), "rst")
