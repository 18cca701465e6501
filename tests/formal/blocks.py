"""The blocks that are proved, by themselves, and the properties of each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lognet_fpga.engines.clb.blocks.collector import collector
from lognet_fpga.fabric.latencies import FIFO_LATENCY
from lognet_fpga.hw.axi import AxiLite, AxiStream
from lognet_fpga.hw.dma.dma import axi_dma
from lognet_fpga.hw.dma.read import dma_read
from lognet_fpga.hw.dma.units import BURST_WORDS
from lognet_fpga.hw.fifo import fifo
from lognet_fpga.hw.join import join_slice
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.slice import register_slice
from lognet_fpga.hw.structure import Leaf
from lognet_fpga.overlay.axi_stream import axis_source
from lognet_fpga.overlay.edges import stream_exit
from lognet_fpga.overlay.registers import axil_registers
from tests.formal.sby import Proof

CLOCK = inputs(clk=None, rst=None)
PDR = "abc pdr"


def fifo_leaf(depth: int, reserve: int, width: int) -> Leaf:
    ports = inputs(in_valid=None, in_data=width) + outputs(out_valid=None, out_data=width)
    ports += inputs(out_ready=None) + outputs(room=None)
    return Leaf("fifo", CLOCK + ports, partial(fifo, depth=depth, reserve=reserve))


def fifo_proof(depth: int, reserve: int, width: int) -> Proof:
    # To fill a deep one would take as many steps of the solver.
    constants = {"DEPTH": depth, "RESERVE": reserve, "WIDTH": width, "FULL": min(depth, 8), "LATENCY": FIFO_LATENCY}
    leaf = fifo_leaf(depth, reserve, width)
    return Proof(f"fifo of {depth} x {width} bits", (leaf,), "fifo.sv", constants, cover_depth=12)


def source_proof(beats: int) -> Proof:
    width = 2
    ports = inputs(s_axis_tdata=width + 1, s_axis_tvalid=None) + outputs(s_axis_tready=None)
    ports += (
        inputs(s_axis_tlast=None, frame_ends=None) + outputs(out_data=width, out_valid=None) + inputs(out_ready=None)
    )
    ports += outputs(frame_begin=None, frame_short=None, frame_long=None)
    leaf = Leaf("axis_source", CLOCK + ports, partial(axis_source, beats_per_frame=beats))
    constants = {"BEATS": beats, "WIDTH": width}
    return Proof(f"source, frames of {beats}", (leaf,), "axis_source.sv", constants, engine=PDR)


def sink_proof(beats: int) -> Proof:
    ports = inputs(in_data=12, in_valid=None) + outputs(in_ready=None)
    ports += inputs(more_frames=16, several=None, restart=None) + AxiStream.master("m_axis", tdata=16)
    ports += outputs(frame_end=None, sink_stalled=None)
    leaf = Leaf("stream_exit", CLOCK + ports, partial(stream_exit, beats_per_frame=beats))
    return Proof(f"sink, frames of {beats}", (leaf,), "axis_sink.sv", {"BEATS": beats})


def collector_proof(beats: int, quick: bool = False) -> Proof:
    width = 2
    ports = inputs(in_data=width, in_valid=None) + outputs(in_ready=None) + inputs(take=None)
    ports += outputs(word=beats * width, full_soon=None)
    leaf = Leaf("collector", CLOCK + ports, partial(collector, beats=beats, quick=quick))
    constants = {"BEATS": beats, "WIDTH": width, "QUICK": int(quick)}
    name = f"{'quick ' * quick}collector of {beats} beats"
    return Proof(name, (leaf,), "collector.sv", constants, depth=20, engine=PDR)


def registers_proof(reset_cycles: int) -> Proof:
    words = tuple(0x01234567 * (index + 3) & 0xFFFFFFFF for index in range(8))
    ports = AxiLite.slave("s_axil") + outputs(core_rst=None, more_frames=16, several=None, packet_restart=None)
    ports += inputs(packet_begin=None, frame_begin=None, frame_end=None, frame_short=None, frame_long=None)
    ports += inputs(sink_stalled=None, source_idle=None)
    leaf = Leaf("axil_registers", CLOCK + ports, partial(axil_registers, model_words=words, reset_cycles=reset_cycles))
    model = "256'h" + "".join(f"{word:08x}" for word in reversed(words))
    constants = {"RESET_CYCLES": reset_cycles, "MODEL": model}
    return Proof("registers", (leaf,), "axil_registers.sv", constants)


def dma_part(name: str) -> Leaf:
    return next(instance.module for instance in axi_dma(64, 64).instances if instance.name == name)


def read_proof() -> Proof:
    # Two cycles are enough for the induction, and the third takes z3 three times as long; so does a deeper FIFO.
    depth = 2 * BURST_WORDS
    leaf = replace(dma_part("read"), build=partial(dma_read, depth=depth))
    return Proof("DMA, bursts of reads", (leaf,), "dma_read.sv", {"DEPTH": depth}, depth=2, cover_depth=30)


def pack_proof() -> Proof:
    return Proof("DMA, words and bursts of a packet", (dma_part("pack"),), "dma_pack.sv", {}, cover_depth=27)


def slice_proof(width: int) -> Proof:
    ports = inputs(in_data=width, in_valid=None) + outputs(in_ready=None)
    ports += outputs(out_data=width, out_valid=None) + inputs(out_ready=None)
    return Proof(
        "register slice",
        (Leaf("register_slice", CLOCK + ports, register_slice),),
        "register_slice.sv",
        {"WIDTH": width},
    )


def join_leaf(first: int, second: int, width: int) -> Leaf:
    ports = inputs(first_data=width, first_valid=None) + outputs(first_ready=None)
    ports += inputs(second_data=width, second_valid=None) + outputs(second_ready=None)
    ports += outputs(out_data=width, out_valid=None) + inputs(out_ready=None)
    return Leaf("join_slice", CLOCK + ports, partial(join_slice, first_beats=first, second_beats=second))


def join_proof(first: int, second: int) -> Proof:
    constants = {"FIRST": first, "SECOND": second, "WIDTH": 2}
    leaf = join_leaf(first, second, 2)
    return Proof(f"join of {first} and {second} beats", (leaf,), "join_slice.sv", constants, engine=PDR)


BLOCKS = (
    read_proof(),
    pack_proof(),
    slice_proof(4),
    join_proof(2, 1),
    fifo_proof(8, 3, 4),
    fifo_proof(128, 30, 2),
    source_proof(5),
    sink_proof(4),
    collector_proof(3),
    collector_proof(1, quick=True),
    registers_proof(4),
)
MORE = (
    join_proof(1, 1),
    join_proof(3, 4),
    fifo_proof(2, 1, 8),
    fifo_proof(1024, 100, 64),
    source_proof(1),
    source_proof(2),
    sink_proof(1),
    *(collector_proof(beats) for beats in (1, 2, 4)),
)
