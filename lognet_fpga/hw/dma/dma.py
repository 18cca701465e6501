"""The DMA out of its blocks: registers, memory to stream (MM2S), stream to memory (S2MM)."""

from __future__ import annotations

from functools import partial

from lognet_fpga.hw.axi import AxiLite, AxiReads, AxiStream, AxiWrites
from lognet_fpga.hw.dma.pack import dma_pack
from lognet_fpga.hw.dma.read import dma_read
from lognet_fpga.hw.dma.registers import dma_registers
from lognet_fpga.hw.dma.transfer import Reception, Transfer
from lognet_fpga.hw.dma.units import LENGTH_BITS, WORD_BITS
from lognet_fpga.hw.dma.unpack import dma_unpack
from lognet_fpga.hw.dma.write import dma_write
from lognet_fpga.hw.fifo import fifo
from lognet_fpga.hw.ports import Port, inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Leaf, same, with_reset_leaves

READ_DEPTH = 128  # words: 8 bursts on their way
WRITE_DEPTH = 64
BURSTS = 8  # closed and not yet given: all their words are in a FIFO of WRITE_DEPTH
_ON_THE_WAY = 9  # words between the entry and its FIFO, and what the FIFO's level lags behind
_PLACE_BITS, _BEATS_BITS = 29, 4
_CLOCK = inputs(clk=None, rst=None)

MEMORY_PORTS = AxiReads.master("m_axi") + AxiWrites.master("m_axi")


def axi_dma(source_bits: int, sink_bits: int) -> Composite:
    """Module axi_dma.  source_bits, sink_bits: of the overlay's streams, powers of two from 8 to 1024.

    Ports: s_axil_*: registers; m_axi_*: a 64-bit AXI4 master whose bursts have 16 beats at most, which AXI3 takes too;
    m_axis_*: to the overlay, s_axis_*: from it.  Registers and reset: lognet_fpga.hw.dma.registers.
    Throughput: a word of memory a cycle each way.
    """
    lanes = max(1, WORD_BITS // sink_bits)
    word_bits = WORD_BITS + 1 + lanes - 1
    burst_bits = _PLACE_BITS + _BEATS_BITS
    reserve = _ON_THE_WAY + 2 * max(1, sink_bits // WORD_BITS)
    transfer = inputs(start=None, address=32, n_bytes=LENGTH_BITS)
    errors = outputs(quiet=None, slave_error=None, decode_error=None)
    fifo_ports = inputs(in_valid=None) + outputs(out_valid=None) + inputs(out_ready=None) + outputs(room=None)

    registers = Leaf(
        "dma_registers",
        _CLOCK
        + AxiLite.slave("s_axil")
        + outputs(core_rst=None, stop=None)
        + Transfer.master("mm2s")
        + Reception.master("s2mm"),
        partial(dma_registers, mm2s_step=source_bits // 8, s2mm_step=sink_bits // 8),
    )
    read = Leaf(
        "dma_read",
        _CLOCK
        + transfer
        + inputs(stop=None, pop=None)
        + outputs(push=None, push_data=WORD_BITS)
        + errors
        + AxiReads.master("m_axi"),
        partial(dma_read, depth=READ_DEPTH),
    )
    unpack = Leaf(
        "dma_unpack",
        _CLOCK
        + inputs(start=None, n_bytes=LENGTH_BITS, word=WORD_BITS, word_valid=None)
        + outputs(word_ready=None)
        + AxiStream.master("m_axis", tdata=source_bits)
        + outputs(ended=None, pop=None),
        dma_unpack,
    )
    pack = Leaf(
        "dma_pack",
        _CLOCK
        + transfer
        + inputs(stop=None, slave_error=None, decode_error=None, room=None)
        + AxiStream.slave("s_axis", tdata=sink_bits)
        + outputs(word_push=None, word=word_bits, burst_push=None, burst=burst_bits)
        + outputs(n_received=LENGTH_BITS + 1, ended=None, too_long=None),
        dma_pack,
    )
    write = Leaf(
        "dma_write",
        _CLOCK
        + inputs(burst_pushed=None, burst_valid=None, burst=burst_bits)
        + outputs(burst_ready=None)
        + inputs(word_valid=None, word=word_bits)
        + outputs(word_ready=None)
        + errors
        + AxiWrites.master("m_axi"),
        partial(dma_write, lanes=lanes),
    )

    def memory(name: str, width: int, depth: int, kept: int) -> Leaf:
        ports = _CLOCK + inputs(in_data=width) + outputs(out_data=width) + fifo_ports
        return Leaf(name, ports, partial(fifo, depth=depth, reserve=kept))

    def wires(*leaves: Leaf, **others: str) -> dict[str, str]:
        """Ports to nets of their names, but for others; core_rst resets."""
        named = same(*(port.name for leaf in leaves for port in leaf.ports))
        return named | {"rst": "core_rst"} | others

    def channel(prefix: str, *names: str) -> dict[str, str]:
        return {name: f"{prefix}_{name}" for name in names}

    def fifo_wires(prefix: str, push: str, data: str) -> dict[str, str]:
        return {"in_valid": push, "in_data": data} | {
            port: f"{prefix}_{net}"
            for port, net in (
                ("out_valid", "fifo_valid"),
                ("out_data", "fifo_data"),
                ("out_ready", "fifo_ready"),
                ("room", "room"),
            )
        }

    started = ("start", "address")
    told = ("quiet", "slave_error", "decode_error")
    words_in, words_out, bursts_out = (
        memory("dma_read_fifo", WORD_BITS, READ_DEPTH, 1),
        memory("dma_write_fifo", word_bits, WRITE_DEPTH, reserve),
        memory("dma_burst_fifo", burst_bits, BURSTS, 1),
    )
    instances = (
        Instance("registers", registers, wires(registers, rst="rst")),
        Instance(
            "read",
            read,
            wires(read, n_bytes="mm2s_length", pop="read_pop", push="read_push", push_data="read_push_data")
            | channel("mm2s", *started, *told),
        ),
        Instance("read_fifo", words_in, wires(words_in) | fifo_wires("read", "read_push", "read_push_data")),
        Instance(
            "unpack",
            unpack,
            wires(
                unpack,
                n_bytes="mm2s_length",
                word="read_fifo_data",
                word_valid="read_fifo_valid",
                word_ready="read_fifo_ready",
            )
            | {"pop": "read_pop"}
            | channel("mm2s", "start", "ended"),
        ),
        Instance(
            "pack",
            pack,
            wires(pack, n_bytes="s2mm_length", n_received="s2mm_received", room="write_room", stop="stop")
            | channel("s2mm", *started, "ended", "too_long", "slave_error", "decode_error")
            | {"word_push": "write_push", "word": "write_push_data"}
            | {"burst_push": "burst_push", "burst": "burst_push_data"},
        ),
        Instance("write_fifo", words_out, wires(words_out) | fifo_wires("write", "write_push", "write_push_data")),
        Instance("burst_fifo", bursts_out, wires(bursts_out) | fifo_wires("burst", "burst_push", "burst_push_data")),
        Instance(
            "write",
            write,
            wires(write, burst_pushed="burst_push", burst="burst_fifo_data", word="write_fifo_data")
            | {"word_valid": "write_fifo_valid", "word_ready": "write_fifo_ready"}
            | {"burst_valid": "burst_fifo_valid", "burst_ready": "burst_fifo_ready"}
            | channel("s2mm", *told),
        ),
    )
    ports = (
        _CLOCK
        + AxiLite.slave("s_axil")
        + MEMORY_PORTS
        + AxiStream.master("m_axis", tdata=source_bits)
        + AxiStream.slave("s_axis", tdata=sink_bits)
    )
    whole = Composite("axi_dma", ports, _nets(ports, instances), instances, "AXI DMA in direct register mode.")
    return with_reset_leaves(whole, "core_rst")


def _nets(ports: tuple[Port, ...], instances: tuple[Instance, ...]) -> tuple[Port, ...]:
    """The nets between the instances, each with the width of the output that drives it."""
    outside = {port.name for port in ports}
    driven: dict[str, int | None] = {}
    for instance in instances:
        for port in instance.module.ports:
            net = instance.wires.get(port.name)
            if port.direction == "output" and isinstance(net, str) and net not in outside:  # an output's is whole
                driven[net] = port.width
    return tuple(Port(net, "input", width) for net, width in driven.items())
