"""One lane: a sequencer, the weight memory with its 8-bit port, and the PEs that a word feeds.

    start ─▶ sequencer ─ address ─▶ memory ─ word ─▶ PEs ─▶ sums
                                              x ─────▶

The sequencer is needed once for all lanes of a matrix; memory and PEs once a lane.
"""

from __future__ import annotations

from functools import partial

from myhdl import ConcatSignal, always, always_comb, block, concat

from lognet_fpga.cost.circuits.pe import PE_BLOCKS
from lognet_fpga.cost.circuits.shape import PORT_BITS, LaneShape
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.structure import Composite, Instance, Leaf
from lognet_fpga.hw.wiring import flag, vector


def lane(shape: LaneShape) -> Composite:
    """The whole lane.

    Ports: start: begin a product; not before `done` of the product before.  take: x is read in this cycle, the
    activations of columns 0, 1, ... in turn.  done: sums holds the result, PE 0 in the lowest bits, until the cycle
    after the next start. write, write_address, write_word: fill the memory.
    Latency, and cycles from one start to the next: shape.cycles.
    """
    address_bits = (shape.cols - 1).bit_length()
    ports = (
        *inputs(clk=None, rst=None, start=None, x=shape.act_bits),
        *inputs(write=None, write_address=address_bits, write_word=PORT_BITS),
        *outputs(take=None, done=None, sums=shape.pes * shape.sum_bits),
    )
    nets = inputs(clear=None, address=address_bits, word=PORT_BITS)

    def instance(name: str, leaf: Leaf) -> Instance:
        return Instance(name, leaf, {port.name: port.name for port in leaf.ports})

    return Composite(
        f"{shape.name}_lane",
        ports,
        nets,
        (
            instance("control", sequencer_leaf(shape)),
            instance("weights", memory_leaf(shape)),
            instance("array", array_leaf(shape)),
        ),
        f"One lane of a matrix-vector product: {shape.pes} PE for {shape.bits}-bit {shape.kind} weights.",
    )


def sequencer_leaf(shape: LaneShape) -> Leaf:
    """The same for all kinds but the pipeline's depth."""
    ports = (
        *inputs(clk=None, rst=None, start=None),
        *outputs(clear=None, take=None, address=(shape.cols - 1).bit_length(), done=None),
    )
    return Leaf(
        f"sequencer_{shape.cols}_{shape.stages}", ports, partial(sequencer, cols=shape.cols, stages=shape.stages)
    )


def memory_leaf(shape: LaneShape) -> Leaf:
    """The same for all kinds: the number of columns decides."""
    address_bits = (shape.cols - 1).bit_length()
    ports = (
        *inputs(clk=None, write=None, write_address=address_bits, write_word=PORT_BITS, address=address_bits),
        *outputs(word=PORT_BITS),
    )
    return Leaf(f"weights_{shape.cols}", ports, partial(memory, cols=shape.cols))


def array_leaf(shape: LaneShape) -> Leaf:
    ports = (
        *inputs(clk=None, clear=None, take=None, x=shape.act_bits, word=PORT_BITS),
        *outputs(sums=shape.pes * shape.sum_bits),
    )
    return Leaf(f"{shape.name}_array", ports, partial(array, shape=shape))


@block
def sequencer(clk, rst, start, clear, take, address, done, *, cols, stages):
    """Walks through the columns.  clear goes along with column 0, whose product comes later."""
    tail, last = vector(stages), flag()
    end = cols - 1

    @always_comb
    def strobes():
        last.next = take and address == end
        done.next = tail[stages - 1]

    @always(clk.posedge)
    def walk():
        clear.next = start
        tail.next = concat(tail[stages - 1 :], last)
        if rst:
            take.next = False
        elif start:
            take.next = True
            address.next = 0
        elif last:
            take.next = False
        elif take:
            address.next = address + 1

    return strobes, walk


@block
def memory(clk, write, write_address, write_word, address, word, *, cols):
    """One word a column, read a cycle late."""
    words = [vector(len(word)) for _ in range(cols)]

    @always(clk.posedge)
    def access():
        if write:
            words[write_address].next = write_word
        word.next = words[address]

    return access


@block
def array(clk, clear, take, x, word, sums, *, shape: LaneShape):
    """The PEs of a lane; x waits a cycle for its weights."""
    held, valid = vector(shape.act_bits), flag()
    weights = [vector(shape.bits) for _ in range(shape.pes)]
    totals = [vector(shape.sum_bits) for _ in range(shape.pes)]
    elements = []
    for i, (weight, total) in enumerate(zip(weights, totals)):
        wiring = part_of(word, weight, low=i * shape.bits)
        element = PE_BLOCKS[shape.kind](clk, clear, valid, held, weight, total, shape=shape)
        wiring.name, element.name = f"weight{i}", f"pe{i}"  # MyHDL's own names count all blocks ever made
        elements += [wiring, element]
    joined = ConcatSignal(*reversed(totals)) if shape.pes > 1 else totals[0]

    @always(clk.posedge)
    def align():
        held.next = x
        valid.next = take

    @always_comb
    def show():
        sums.next = joined

    return elements, align, show


@block
def part_of(word, weight, *, low):
    high = low + len(weight)

    @always_comb
    def slice_word():
        weight.next = word[high:low]

    return slice_word
