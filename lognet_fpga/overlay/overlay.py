"""The whole overlay: layers, AXI4-Stream at both ends, AXI4-Lite registers beside."""

from __future__ import annotations

from functools import partial

from lognet_fpga.hw.axi import AxiLite, AxiStream
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Leaf, same, with_reset_leaves
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.core_registers import PACKET_BITS
from lognet_fpga.ir.sources import takers
from lognet_fpga.overlay.edges import stream_entry, stream_exit
from lognet_fpga.overlay.fork import entry_module, stream_names
from lognet_fpga.overlay.formats import sink_format, source_format
from lognet_fpga.overlay.layer import layer_module
from lognet_fpga.overlay.registers import axil_registers
from lognet_fpga.plan.hardware_plan import HardwarePlan

RESET_CYCLES = 1023  # longer than any pipeline of the stream part
ENTRY = "entry"  # instance and module where several layers take the frames
_ENDS = ("data", "valid", "ready")


def overlay(plan: HardwarePlan, model_sha256: str) -> Composite:
    """Top module lognet_overlay; its ports are stated in docs/stream.md and verify's contract."""
    source, sink = source_format(plan), sink_format(plan)
    names = [f"layer{i + 1}" for i in range(len(plan.layers))]
    instances: list[Instance] = []
    nets: list[Port] = []
    first_bits = source.channels_per_beat * source.bits
    packet_ports = inputs(more_frames=PACKET_BITS, several=None, restart=None)
    entry_events = ("packet_begin", "frame_begin", "frame_short", "frame_long", "source_idle")
    instances.append(
        Instance(
            "source",
            Leaf(
                "stream_entry",
                inputs(clk=None, rst=None)
                + AxiStream.slave("s_axis", tdata=source.tdata_bits)
                + packet_ports
                + outputs(out_data=first_bits, out_valid=None)
                + inputs(out_ready=None)
                + outputs(**dict.fromkeys(entry_events)),
                partial(stream_entry, beats_per_frame=source.beats_per_frame),
            ),
            same("clk", *(port.name for port in AxiStream.slave("s_axis")), "more_frames", "several", *entry_events)
            | {
                "restart": "packet_restart",
                "rst": "core_rst",
                "out_data": "stream0_data",
                "out_valid": "stream0_valid",
                "out_ready": "stream0_ready",
            },
        )
    )
    beat_sizes = {"more_frames": "PACKET_BITS", "stream0_data": "SOURCE_BEAT_BITS"}
    nets += inputs(stream0_data=first_bits, stream0_valid=None, stream0_ready=None)
    monitors: tuple[Port, ...] = ()
    leaving = streams(plan)
    if plan.entry_fifos:
        wires = {"clk": "clk", "rst": "core_rst"} | {f"in_{end}": f"stream0_{end}" for end in _ENDS}
        for port, stream in zip(stream_names("out", len(plan.entry_fifos)), leaving[0].values()):
            wires |= {f"{port}_{end}": f"{stream}_{end}" for end in _ENDS}
            nets += inputs(**{f"{stream}_data": first_bits, f"{stream}_valid": None, f"{stream}_ready": None})
            beat_sizes[f"{stream}_data"] = "SOURCE_BEAT_BITS"
        instances.append(Instance(ENTRY, entry_module(source, plan.entry_fifos, ENTRY), wires))
    entering = {taker: stream for its in leaving for taker, stream in its.items()}
    for i, (planned, name) in enumerate(zip(plan.layers, names)):
        beat_bits = planned.beat_bits
        into, out = [entering[i, place] for place in range(len(plan.sources[i]))], list(leaving[i + 1].values())
        wires = {"clk": "clk", "rst": "core_rst", "mon_valid": f"mon_{name}_valid", "mon_data": f"mon_{name}_data"}
        for side, its in (("in", into), ("out", out)):
            for port, stream in zip(stream_names(side, len(its)), its):
                wires |= {f"{port}_{end}": f"{stream}_{end}" for end in _ENDS}
        instances.append(Instance(name, layer_module(planned, name), wires))
        for stream in out:
            nets += inputs(**{f"{stream}_data": beat_bits, f"{stream}_valid": None, f"{stream}_ready": None})
            beat_sizes[f"{stream}_data"] = f"{name.upper()}_BEAT_BITS"
        monitors += (Port(f"mon_{name}_valid", "output"), Port(f"mon_{name}_data", "output", beat_bits))
    last = leaving[-1][None]
    instances.append(
        Instance(
            "sink",
            Leaf(
                "stream_exit",
                inputs(clk=None, rst=None, in_data=beat_bits, in_valid=None)
                + outputs(in_ready=None)
                + packet_ports
                + AxiStream.master("m_axis", tdata=sink.tdata_bits)
                + outputs(frame_end=None, sink_stalled=None),
                partial(stream_exit, beats_per_frame=sink.beats_per_frame),
            ),
            same("clk", *(port.name for port in AxiStream.master("m_axis")), "more_frames", "several")
            | same("frame_end", "sink_stalled")
            | {
                "restart": "packet_restart",
                "rst": "core_rst",
                "in_data": f"{last}_data",
                "in_valid": f"{last}_valid",
                "in_ready": f"{last}_ready",
            },
        )
    )
    words = tuple(
        int(
            model_sha256[8 * i + 6 : 8 * i + 8]
            + model_sha256[8 * i + 4 : 8 * i + 6]
            + model_sha256[8 * i + 2 : 8 * i + 4]
            + model_sha256[8 * i : 8 * i + 2],
            16,
        )
        for i in range(8)
    )
    register_ports = (
        inputs(clk=None, rst=None)
        + AxiLite.slave("s_axil")
        + outputs(core_rst=None, more_frames=PACKET_BITS, several=None, packet_restart=None)
        + inputs(packet_begin=None, frame_begin=None, frame_end=None, frame_short=None, frame_long=None)
        + inputs(sink_stalled=None, source_idle=None)
    )
    instances.append(
        Instance(
            "registers",
            Leaf(
                "axil_registers", register_ports, partial(axil_registers, model_words=words, reset_cycles=RESET_CYCLES)
            ),
            same(*(port.name for port in register_ports)),
        )
    )
    nets += inputs(core_rst=None, more_frames=PACKET_BITS, several=None, packet_restart=None)
    nets += inputs(**dict.fromkeys((*entry_events, "frame_end", "sink_stalled")))
    ports = (
        inputs(clk=None, rst=None)
        + AxiStream.slave("s_axis", tdata=source.tdata_bits)
        + AxiStream.master("m_axis", tdata=sink.tdata_bits)
        + AxiLite.slave("s_axil")
        + monitors
    )
    top = Composite(
        "lognet_overlay",
        ports,
        tuple(nets),
        tuple(instances),
        f"Overlay of {len(names)} layers: {mhz_text(plan.target.clk_mhz)} MHz, {plan.cycles_per_frame} cycles a frame.",
        beat_sizes,
    )
    return with_reset_leaves(with_reset_leaves(top, "core_rst"), "rst")


def layer_modules(top: Composite) -> dict[str, Composite]:
    """Those of an overlay's layers, in order, by the names of their instances."""
    modules = ((instance.name, instance.module) for instance in top.instances if instance.name != ENTRY)
    return {name: module for name, module in modules if isinstance(module, Composite)}


def streams(plan: HardwarePlan) -> list[dict[tuple[int, int] | None, str]]:
    """Of the frames, and of each layer: the names of the streams that leave it, by who takes them, (number of the
    layer, place among its sources), None for the exit."""
    return [
        {
            taker: f"stream{number}" if len(its) <= 1 else f"stream{number}_{place}"
            for place, taker in enumerate(its or (None,))
        }
        for number, its in enumerate(takers(plan.sources).values())
    ]
