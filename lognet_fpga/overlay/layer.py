"""A layer as one module: what joins its input, its engine, its activation function, its pool, and a FIFO for each taker
of its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from lognet_fpga.fabric.pools import pool_shape
from lognet_fpga.hw.join import join_slice
from lognet_fpga.hw.pool import pool
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.rank import RankShape, rank
from lognet_fpga.hw.structure import Composite, Constant, Instance, Joined, Leaf, Slice, Source, same, with_reset_leaves
from lognet_fpga.overlay.fork import CLOCK, Made, fork, stream_names
from lognet_fpga.overlay.table import table_module
from lognet_fpga.plan.hardware_plan import PlannedLayer


def layer_module(planned: PlannedLayer, name: str) -> Composite:
    """The ports of a stream are called by `stream_names`; those that go out are in the order of planned.fifos."""
    layer, folding, streams = planned.layer, planned.folding, planned.streams
    instances, nets = folding.modules(streams, name)
    beat_bits, conv_bits = planned.beat_bits, streams.channels_per_beat * layer.act_bits
    if layer.table is not None:
        coded = {"conv_valid": "code_valid", "conv_data": "code_data"}
        module = table_module(layer.table, layer.act_bits, streams.channels_per_beat, len(layer.codes), f"{name}_curve")
        wires = {"in_valid": "code_valid", "in_data": "code_data", "out_valid": "conv_valid", "out_data": "conv_data"}
        instances = (*_rewired(instances, coded), Instance("curve", module, same("clk", "rst") | wires))
        nets += inputs(code_valid=None, code_data=streams.channels_per_beat * layer.code_bits)
    conv = {"conv_valid": "mon_valid", "conv_data": "mon_data"}
    if layer.ranking is not None:
        shape = RankShape(layer.code_bits, streams.channels_per_beat, _beats(planned), layer.out_bits)
        code_bits = streams.channels_per_beat * layer.code_bits
        ranking = Leaf(
            f"{name}_rank",
            CLOCK + inputs(in_valid=None, in_data=code_bits) + outputs(out_valid=None, out_data=beat_bits),
            partial(rank, shape=shape),
        )
        coded = {"in_valid": "conv_valid", "in_data": "conv_data", "out_valid": "mon_valid", "out_data": "mon_data"}
        instances += (Instance("rank", ranking, same("clk", "rst") | coded),)
        nets += inputs(conv_valid=None, conv_data=code_bits)
    elif layer.pool is None:
        instances = _rewired(instances, conv)
    else:
        pooling = Leaf(
            f"{name}_pool",
            CLOCK + inputs(in_valid=None, in_data=conv_bits) + outputs(out_valid=None, out_data=beat_bits),
            partial(pool, shape=pool_shape(layer, streams.channels_per_beat)),
        )
        pooled = {"in_valid": "conv_valid", "in_data": "conv_data", "out_valid": "mon_valid", "out_data": "mon_data"}
        instances += (Instance("pool", pooling, same("clk", "rst") | pooled),)
        nets += inputs(conv_valid=None, conv_data=conv_bits)
    if planned.parts:
        joins, joined = _joins(planned, name)
        last = f"join{len(planned.parts) - 1}"
        into = {f"in_{end}": f"{last}_{end}" for end in ("data", "valid", "ready")}
        instances, nets = joins + _rewired(instances, into), joined + nets
    queues, queued = fork(name, planned.fifos, beat_bits, layer.out_shape[1:], planned.beats, "mon")
    instances, nets = instances + queues, nets + queued
    ports = CLOCK
    in_bits = [part.bits for part in planned.parts] or [layer.in_bits]
    for side, bits in zip(stream_names("in", len(in_bits)), in_bits):
        ports += inputs(**{f"{side}_data": streams.in_channels_per_beat * bits, f"{side}_valid": None})
        ports += outputs(**{f"{side}_ready": None})
    for side in stream_names("out", len(planned.fifos)):
        ports += outputs(**{f"{side}_valid": None, f"{side}_data": beat_bits})
        ports += inputs(**{f"{side}_ready": None})
    ports += outputs(mon_valid=None, mon_data=beat_bits)
    text = (
        f"Layer {layer.name}: {layer.in_shape} to {layer.out_shape}, {folding.text}, "
        f"{folding.ii_cycles} cycles a position."
    )
    # Named after the net; nets that differ in their number only are as wide as each other.
    sizes = {net.name: f"{net.name.rstrip('0123456789').upper()}_BITS" for net in nets if net.width is not None}
    return with_reset_leaves(Composite(name, ports, nets, instances, text, sizes), "rst")


def _beats(planned: PlannedLayer) -> int:
    """Of a position of what leaves the engine."""
    return -(-len(planned.layer.codes) // planned.streams.channels_per_beat)


def _rewired(instances: tuple[Instance, ...], nets: Mapping[str, str]) -> tuple[Instance, ...]:
    """With other nets in the place of some."""
    return tuple(
        replace(
            instance,
            wires={port: nets.get(net, net) if isinstance(net, str) else net for port, net in instance.wires.items()},
        )
        for instance in instances
    )


def _joins(planned: PlannedLayer, name: str) -> Made:
    """The parts of the input one behind the other: join1 of the first two, join2 of that and the third, and so on."""
    streams, bits = planned.streams, planned.layer.in_bits
    width = streams.in_channels_per_beat * bits
    instances: tuple[Instance, ...] = ()
    nets: tuple[Port, ...] = ()
    before, beats = "in0", planned.parts[0].beats
    for number, part in enumerate(planned.parts[1:], 1):
        module = Leaf(
            f"{name}_join{number}",
            CLOCK
            + inputs(first_data=width, first_valid=None)
            + outputs(first_ready=None)
            + inputs(second_data=width, second_valid=None)
            + outputs(second_ready=None)
            + outputs(out_data=width, out_valid=None)
            + inputs(out_ready=None),
            partial(join_slice, first_beats=beats, second_beats=part.beats),
        )
        wires: dict[str, Source] = {**same("clk", "rst")}
        for side, net in (("first", before), ("second", f"in{number}"), ("out", f"join{number}")):
            wires |= {f"{side}_{end}": f"{net}_{end}" for end in ("data", "valid", "ready")}
        for side, source in (("first", number - 1), ("second", number)):
            if wires[f"{side}_data"] == f"in{source}_data":
                wires[f"{side}_data"] = _widened(f"in{source}_data", planned.parts[source].bits, bits, width // bits)
        instances += (Instance(f"join{number}", module, wires),)
        nets += inputs(**{f"join{number}_data": width, f"join{number}_valid": None, f"join{number}_ready": None})
        before, beats = f"join{number}", beats + part.beats
    return instances, nets


def _widened(net: str, narrow: int, wide: int, lanes: int) -> Source:
    """The lanes of a net with zeros on top of each."""
    if narrow == wide:
        return net
    zeros = Constant(0, wide - narrow)
    return Joined(tuple(piece for lane in range(lanes) for piece in (Slice(net, lane * narrow, narrow), zeros)))
