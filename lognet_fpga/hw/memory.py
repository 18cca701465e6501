"""Memories that answer in two cycles: the second is for the output register of a block RAM, or, before a memory in
LUTs, for leaves of its addresses, which steer every bit."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH
from lognet_fpga.hw.control import control_leaf, leaf_groups
from lognet_fpga.hw.wiring import bits, flag, join, vector


@block
def memory_of_words(clk, write_soon, write_soon_at, written, read_at, read, *, depth, registered=True):
    """Ports: write_soon, write_soon_at: the next cycle's word goes to this place; written: that word, a wire a bit;
    read: what was at read_at two cycles ago; unless `registered`, a memory in LUTs shows it without a register in
    between, for one that stands behind and is in reach.

    Between asking for a place and writing it, or the other way round, lie two cycles or more.
    """
    if depth >= BLOCK_RAM_DEPTH:
        part = block_memory(clk, write_soon, write_soon_at, join(written), read_at, read, depth=depth)
        part.name = "ram"
        return part
    parts, stretches = [], []
    for number, run in enumerate(leaf_groups(len(read))):
        stretch = vector(len(run))
        word, make = join([written[bit] for bit in run]), lut_memory if registered else open_lut_memory
        part = make(clk, write_soon, write_soon_at, word, read_at, stretch, depth=depth)
        part.name = f"part{number}"
        parts.append(part)
        stretches += bits(stretch)
    gathered = join(stretches)

    @always_comb
    def gather():
        read.next = gathered

    return parts, gather


@block
def block_memory(clk, write_soon, write_soon_at, written, read_at, read, *, depth):
    memory = [vector(len(read)) for _ in range(depth)]
    write, write_at, early = flag(), vector(len(write_soon_at)), vector(len(read))

    @always(clk.posedge)
    def access():
        write.next = write_soon
        write_at.next = write_soon_at
        if write:
            memory[write_at].next = written
        early.next = memory[read_at]
        read.next = early

    return access


@block
def lut_memory(clk, write_soon, write_soon_at, written, read_at, read, *, depth):
    """read is a register behind the memory."""
    memory, write = [vector(len(read)) for _ in range(depth)], flag()
    write_at, read_late = vector(len(write_soon_at)), vector(len(read_at))
    steering = memory_leaves(clk, write_soon, write_soon_at, read_at, write, write_at, read_late)
    steering.name = "steering"

    @always(clk.posedge)
    def access():
        if write:
            memory[int(write_at)].next = written
        read.next = memory[int(read_late)]

    return steering, access


@block
def open_lut_memory(clk, write_soon, write_soon_at, written, read_at, read, *, depth):
    """read is the memory itself; its address comes a cycle later."""
    memory, write = [vector(len(read)) for _ in range(depth)], flag()
    write_at, read_soon, read_late = vector(len(write_soon_at)), vector(len(read_at)), vector(len(read_at))
    steering = memory_leaves(clk, write_soon, write_soon_at, read_soon, write, write_at, read_late)
    steering.name = "steering"

    @always(clk.posedge)
    def access():
        if write:
            memory[int(write_at)].next = written
        read_soon.next = read_at

    @always_comb
    def show():
        read.next = memory[int(read_late)]

    return steering, access, show


@block
def memory_leaves(clk, write_soon, write_soon_at, read_soon_at, write, write_at, read_at):
    """Leaves of what steers a memory in LUTs, each a cycle late."""
    leaf, leaves = control_leaf(clk, write_soon, write), []
    leaf.name = "write"
    leaves.append(leaf)
    gathered = []
    for name, soon in (("write_at", write_soon_at), ("read_at", read_soon_at)):
        wires = []
        for bit in range(len(soon)):
            wires.append(flag())
            leaf = control_leaf(clk, soon(bit), wires[-1])
            leaf.name = f"{name}{bit}"
            leaves.append(leaf)
        gathered.append(join(wires))
    write_late, read_late = gathered

    @always_comb
    def gather():
        write_at.next = write_late
        read_at.next = read_late

    return leaves, gather
