"""Where one stream goes several ways: a FIFO for each, and what lets beats into them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lognet_fpga.hw.branch import admit, all_room, pick
from lognet_fpga.hw.fifo import fifo
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Joined, Leaf, Source, same, with_reset_leaves
from lognet_fpga.ir.stream_format import StreamFormat
from lognet_fpga.plan.hardware_plan import Fifo

CLOCK = inputs(clk=None, rst=None)
Made = tuple[tuple[Instance, ...], tuple[Port, ...]]
"""Instances, and the nets between them."""


def stream_names(side: str, count: int) -> tuple[str, ...]:
    """What ports begin with that are of the streams on one side of a module, "in" or "out", of which it has count."""
    return (side,) if count == 1 else tuple(f"{side}{number}" for number in range(count))


def fork(name: str, fifos: Sequence[Fifo], beat_bits: int, shape: tuple[int, int], beats: int, pushed: str) -> Made:
    """FIFOs, and in front of each that is to get some positions only what leaves out the others, from the nets
    {pushed}_valid and {pushed}_data to streams called by `stream_names` and the net room.

    name: of the module that they are in; shape: (rows, cols) of a frame; beats: of a position.
    """
    instances: tuple[Instance, ...] = ()
    nets: tuple[Port, ...] = ()
    rooms = ("room",) if len(fifos) == 1 else tuple(f"room{number}" for number in range(len(fifos)))
    for number, (its, side, room) in enumerate(zip(fifos, stream_names("out", len(fifos)), rooms)):
        suffix, into = str(number or ""), pushed
        if its.stride != (1, 1):
            into = f"pick{suffix}"
            picking = Leaf(
                f"{name}_{into}",
                CLOCK + inputs(in_valid=None, in_data=beat_bits) + outputs(out_valid=None, out_data=beat_bits),
                partial(pick, shape=shape, beats=beats, stride=its.stride),
            )
            picked = {"in_valid": f"{pushed}_valid", "in_data": f"{pushed}_data"}
            picked |= {"out_valid": f"{into}_valid", "out_data": f"{into}_data"}
            instances += (Instance(into, picking, same("clk", "rst") | picked),)
            nets += inputs(**{f"{into}_valid": None, f"{into}_data": beat_bits})
        queue = Leaf(
            f"{name}_fifo{suffix}",
            CLOCK
            + inputs(in_valid=None, in_data=beat_bits)
            + outputs(out_valid=None, out_data=beat_bits)
            + inputs(out_ready=None)
            + outputs(room=None),
            partial(fifo, depth=its.depth, reserve=its.reserve),
        )
        wires = {"in_valid": f"{into}_valid", "in_data": f"{into}_data", "room": room}
        wires |= {f"out_{end}": f"{side}_{end}" for end in ("valid", "data", "ready")}
        instances += (Instance(f"fifo{suffix}", queue, same("clk", "rst") | wires),)
    if len(fifos) > 1:
        gather = Leaf(f"{name}_rooms", inputs(clk=None, rooms=len(fifos)) + outputs(room=None), all_room)
        gathered: dict[str, Source] = {"rooms": Joined(rooms)}
        instances += (Instance("rooms", gather, same("clk", "room") | gathered),)
        nets += inputs(**dict.fromkeys(rooms))
    return instances, nets + inputs(room=None)


def entry_module(form: StreamFormat, fifos: Sequence[Fifo], name: str) -> Composite:
    """From the overlay's entry to all layers that take the frames.  form: of the frames."""
    beat_bits, beats = form.channels_per_beat * form.bits, -(-form.shape[0] // form.channels_per_beat)
    admitting = Leaf(
        f"{name}_admit",
        CLOCK
        + inputs(in_data=beat_bits, in_valid=None)
        + outputs(in_ready=None)
        + inputs(room=None)
        + outputs(out_valid=None, out_data=beat_bits),
        admit,
    )
    wires = {"out_valid": "push_valid", "out_data": "push_data"}
    instances = (Instance("admit", admitting, same("clk", "rst", "in_data", "in_valid", "in_ready", "room") | wires),)
    queues, nets = fork(name, fifos, beat_bits, form.shape[1:], beats, "push")
    nets += inputs(push_valid=None, push_data=beat_bits)
    ports = CLOCK + inputs(in_data=beat_bits, in_valid=None) + outputs(in_ready=None)
    for side in stream_names("out", len(fifos)):
        ports += outputs(**{f"{side}_valid": None, f"{side}_data": beat_bits})
        ports += inputs(**{f"{side}_ready": None})
    text = f"The frames to {len(fifos)} layers."
    return with_reset_leaves(Composite(name, ports, nets, instances + queues, text), "rst")
