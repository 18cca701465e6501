"""The whole overlay: layers in a chain, AXI4-Stream at both ends, AXI4-Lite registers beside."""

from __future__ import annotations

from functools import partial

from lognet_fpga.hw.axi import AxiLite, AxiStream
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Leaf, same, with_reset_leaves
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.core_registers import PACKET_BITS
from lognet_fpga.overlay.edges import stream_entry, stream_exit
from lognet_fpga.overlay.formats import sink_format, source_format
from lognet_fpga.overlay.layer import layer_module
from lognet_fpga.overlay.registers import axil_registers
from lognet_fpga.plan.hardware_plan import HardwarePlan

RESET_CYCLES = 1023  # longer than any pipeline of the stream part


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
    nets += inputs(stream0_data=first_bits, stream0_valid=None, stream0_ready=None)
    monitors: tuple[Port, ...] = ()
    for i, (planned, name) in enumerate(zip(plan.layers, names)):
        beat_bits = planned.streams.channels_per_beat * planned.layer.out_bits
        instances.append(
            Instance(
                name,
                layer_module(planned, name),
                {
                    "clk": "clk",
                    "rst": "core_rst",
                    "in_data": f"stream{i}_data",
                    "in_valid": f"stream{i}_valid",
                    "in_ready": f"stream{i}_ready",
                    "out_data": f"stream{i + 1}_data",
                    "out_valid": f"stream{i + 1}_valid",
                    "out_ready": f"stream{i + 1}_ready",
                    "mon_valid": f"mon_{name}_valid",
                    "mon_data": f"mon_{name}_data",
                },
            )
        )
        nets += [
            Port(f"stream{i + 1}_data", "input", beat_bits),
            Port(f"stream{i + 1}_valid", "input"),
            Port(f"stream{i + 1}_ready", "input"),
        ]
        monitors += (Port(f"mon_{name}_valid", "output"), Port(f"mon_{name}_data", "output", beat_bits))
    last = len(names)
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
                "in_data": f"stream{last}_data",
                "in_valid": f"stream{last}_valid",
                "in_ready": f"stream{last}_ready",
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
        {
            "more_frames": "PACKET_BITS",
            "stream0_data": "SOURCE_BEAT_BITS",
            **{f"stream{number}_data": f"{name.upper()}_BEAT_BITS" for number, name in enumerate(names, 1)},
        },
    )
    return with_reset_leaves(with_reset_leaves(top, "core_rst"), "rst")
