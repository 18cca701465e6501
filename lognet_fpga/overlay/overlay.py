"""The whole overlay: layers in a chain, AXI4-Stream at both ends, AXI4-Lite registers beside."""

from __future__ import annotations

from functools import partial

from lognet_fpga.hw.axi import AxiLite, AxiStream
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Leaf, same, with_reset_leaves
from lognet_fpga.ir.clocks import mhz_text
from lognet_fpga.ir.core_registers import PACKET_BITS
from lognet_fpga.overlay.axi_stream import axis_sink, axis_source
from lognet_fpga.overlay.formats import sink_format, source_format
from lognet_fpga.overlay.layer import layer_module
from lognet_fpga.overlay.packets import packet_entry, packet_exit
from lognet_fpga.overlay.registers import axil_registers, stream_watch
from lognet_fpga.plan.hardware_plan import HardwarePlan

RESET_CYCLES = 1023  # longer than any pipeline of the stream part


def overlay(plan: HardwarePlan, model_sha256: str) -> Composite:
    """Top module lognet_overlay; its ports are stated in docs/stream.md and verify's contract."""
    source, sink = source_format(plan), sink_format(plan)
    names = [f"layer{i + 1}" for i in range(len(plan.layers))]
    instances: list[Instance] = []
    nets: list[Port] = []
    first_bits = source.channels_per_beat * source.bits
    instances.append(
        Instance(
            "source",
            Leaf(
                "axis_source",
                inputs(clk=None, rst=None, s_axis_tdata=source.tdata_bits, s_axis_tvalid=None)
                + outputs(s_axis_tready=None)
                + inputs(s_axis_tlast=None)
                + outputs(out_data=first_bits, out_valid=None)
                + inputs(out_ready=None)
                + outputs(frame_begin=None, frame_short=None, frame_long=None),
                partial(axis_source, beats_per_frame=source.beats_per_frame),
            ),
            same("clk", "s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "frame_begin", "frame_short", "frame_long")
            | {
                "s_axis_tlast": "entry_tlast",
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
                "axis_sink",
                inputs(clk=None, rst=None, in_data=beat_bits, in_valid=None)
                + outputs(in_ready=None)
                + outputs(m_axis_tdata=sink.tdata_bits, m_axis_tvalid=None)
                + inputs(m_axis_tready=None)
                + outputs(m_axis_tlast=None, frame_end=None),
                partial(axis_sink, beats_per_frame=sink.beats_per_frame),
            ),
            same("clk", "m_axis_tdata", "m_axis_tvalid", "m_axis_tready", "frame_end")
            | {
                "m_axis_tlast": "exit_tlast",
                "rst": "core_rst",
                "in_data": f"stream{last}_data",
                "in_valid": f"stream{last}_valid",
                "in_ready": f"stream{last}_ready",
            },
        )
    )
    packet_ports = inputs(more_frames=PACKET_BITS, several=None)
    instances += [
        Instance(
            "packet_entry",
            Leaf(
                "packet_entry",
                inputs(clk=None, rst=None, s_axis_tvalid=None, s_axis_tready=None, s_axis_tlast=None)
                + packet_ports
                + inputs(restart=None)
                + outputs(frame_tlast=None, packet_begin=None),
                partial(packet_entry, beats_per_frame=source.beats_per_frame),
            ),
            same("clk", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast", "more_frames", "several", "packet_begin")
            | {"rst": "core_rst", "restart": "packet_restart", "frame_tlast": "entry_tlast"},
        ),
        Instance(
            "packet_exit",
            Leaf(
                "packet_exit",
                inputs(clk=None, rst=None, frame_tlast=None, m_axis_tvalid=None, m_axis_tready=None)
                + packet_ports
                + inputs(restart=None)
                + outputs(m_axis_tlast=None),
                partial(packet_exit, width=PACKET_BITS),
            ),
            same("clk", "m_axis_tvalid", "m_axis_tready", "more_frames", "several", "m_axis_tlast")
            | {"rst": "core_rst", "restart": "packet_restart", "frame_tlast": "exit_tlast"},
        ),
    ]
    nets += packet_ports + inputs(packet_restart=None, packet_begin=None, entry_tlast=None, exit_tlast=None)
    instances.append(
        Instance(
            "watch",
            Leaf(
                "stream_watch",
                inputs(s_axis_tvalid=None, s_axis_tready=None, m_axis_tvalid=None, m_axis_tready=None)
                + outputs(source_idle=None, sink_stalled=None),
                stream_watch,
            ),
            same("s_axis_tvalid", "s_axis_tready", "m_axis_tvalid", "m_axis_tready", "source_idle", "sink_stalled"),
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
    nets += inputs(
        core_rst=None,
        frame_begin=None,
        frame_end=None,
        frame_short=None,
        frame_long=None,
        sink_stalled=None,
        source_idle=None,
    )
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
    return with_reset_leaves(top, "core_rst")
