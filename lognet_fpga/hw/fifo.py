"""The FIFO between layers."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, intbv, modbv

from lognet_fpga.fabric.memory import BLOCK_RAM_DEPTH
from lognet_fpga.hw.control import control_leaf, late_logic, leaf_groups, stream_gate
from lognet_fpga.hw.wiring import Wire, bits, flag, join, vector

_BEHIND = 2  # beats behind the memory
_BLOCK_RAM_BITS = 72  # wide as a block RAM gets; wider beats lie in several


@block
def fifo(clk, rst, in_valid, in_data, out_valid, out_data, out_ready, room, *, depth, reserve):
    """First-in first-out memory of `depth` beats (a power of two), without back-pressure at its entry.

    Behind the memory wait two more beats: in the front, the memory's own register, and on out_data.

    Ports: in_valid, in_data: pushes, never refused; out_*: a stream, out of registers; room: at least `reserve` places
    are free (of what the FIFO held a cycle ago).  Whoever pushes must look at room early enough: these cover all
    that can still be on its way.
    Latency: `FIFO_LATENCY`.  Throughput: one beat a cycle.
    """
    read = vector((depth - 1).bit_length())
    read_soon, write_soon = vector(len(read)), vector(len(read))
    front, both, last = flag(), flag(), flag()
    filled = flag()
    pointers = fifo_pointers(clk, rst, in_valid, both, out_ready, write_soon, read, read_soon, filled, depth=depth)
    pointers.name = "pointers"

    both_soon = flag()
    filling = late_logic(
        [filled, both, out_ready, front, last],
        both_soon,
        rule=lambda f, b, r, front, last: (f or (b and not r)) and (front or (last and not r)),
    )
    filling.name = "filling"

    @always(clk.posedge)
    def stages():
        """front, last: a beat is there; both: in both."""
        if rst:
            front.next = False
            last.next = False
            both.next = False
        else:
            if out_ready or not both:
                front.next = filled
            if out_ready or not last:
                last.next = front
            both.next = both_soon

    @always_comb
    def offer():
        out_valid.next = last

    level = fifo_level(clk, rst, in_valid, last, out_ready, room, limit=depth - reserve, depth=depth)
    level.name = "level"

    lanes, shown = [], []
    for number, run in enumerate(_runs(len(in_data), depth)):
        lane_out = vector(len(run))
        lane = fifo_lane(
            clk,
            in_valid,
            write_soon,
            join([Wire(in_data, bit) for bit in run]),
            read_soon,
            both,
            last,
            out_ready,
            lane_out,
            depth=depth,
        )
        lane.name = f"lane{number}"
        lanes.append(lane)
        shown += bits(lane_out)
    joined = join(shown)

    @always_comb
    def show():
        out_data.next = joined

    return pointers, filling, stages, offer, level, lanes, show


def _runs(width: int, depth: int) -> list[range]:
    """The bits of a beat in memories of their own."""
    if depth < BLOCK_RAM_DEPTH:
        return leaf_groups(width)
    return [range(first, min(first + _BLOCK_RAM_BITS, width)) for first in range(0, width, _BLOCK_RAM_BITS)]


@block
def fifo_pointers(clk, rst, push, both, out_ready, write_soon, read, read_soon, filled, *, depth):
    """read: place of the next beat out of the memory; read_soon, write_soon: those of the next cycle, out of it and
    into it; filled: there is something to read.  A beat is fetched if there is one and out_ready comes, or not both of
    the beats behind the memory are there.

    push and out_ready pass one level of logic; whether the memory holds two beats is known from what it held a cycle
    ago.
    """
    after, before = vector(len(read)), Signal(modbv(0)[len(read) :])
    write, after_write = vector(len(read)), vector(len(read))
    fetch, moved, pushed, moved_soon, filled_soon = (flag() for _ in range(5))
    change = Signal(intbv(0, min=-1, max=2))
    one, one_soon, two, was_one, was_two, was_three = (flag() for _ in range(6))
    read_bits, write_bits = ([flag() for _ in range(len(read))] for _ in range(2))
    told = [filled, both, out_ready]

    def fetches(filled, both, ready):
        return filled and (ready or not both)

    late = [
        (fetch, told, fetches),
        (filled_soon, [*told, push, one], lambda f, b, r, p, one: p or (f and not (fetches(f, b, r) and one))),
        (moved_soon, [*told, push], lambda f, b, r, p: bool(p) != bool(fetches(f, b, r))),
        (
            one_soon,
            [*told, push, one, two],
            lambda f, b, r, p, one, two: (one if p else two) if fetches(f, b, r) else not f if p else one,
        ),
    ]
    late += [
        (bit, [*told, after(place), read(place)], lambda f, b, r, after, read: after if fetches(f, b, r) else read)
        for place, bit in enumerate(read_bits)
    ]
    late += [
        (
            bit,
            [rst, push, after_write(place), write(place)],
            lambda rst, push, after, write: not rst and (after if push else write),
        )
        for place, bit in enumerate(write_bits)
    ]
    logic = []
    for number, (result, signals, rule) in enumerate(late):
        part = late_logic(signals, result, rule=rule)
        part.name = f"late{number}"
        logic.append(part)
    read_next, write_next = join(read_bits), join(write_bits)

    @always_comb
    def look_ahead():
        two.next = (was_one if pushed else was_three) if moved else was_two
        change.next = 1 if pushed else -1
        read_soon.next = read_next
        write_soon.next = write_next

    @always(clk.posedge)
    def move():
        write.next = write_soon
        if rst:
            after_write.next = 1 % depth
            read.next = 0
            after.next = 1 % depth
        else:
            read.next = read_soon
            if fetch:
                after.next = (after + 1) % depth
            if push:
                after_write.next = (after_write + 1) % depth

    @always(clk.posedge)
    def hold():
        """one: there is one beat in the memory; moved: there is one more than a cycle ago, with pushed, or one less."""
        pushed.next = push
        if rst:
            filled.next = False
            one.next = False
            moved.next = False
        else:
            filled.next = filled_soon
            one.next = one_soon
            moved.next = moved_soon

    @always(clk.posedge)
    def count():
        """before: what the memory held a cycle ago; was_one: that it was one."""
        if rst:
            before.next = 0
        elif moved:
            before.next = before + change
        if rst:
            was_one.next = False
            was_two.next = False
            was_three.next = False
        else:
            if moved and pushed:
                was_one.next = before == 0
                was_two.next = before == 1
                was_three.next = before == 2
            elif moved:
                was_one.next = before == 2
                was_two.next = before == 3
                was_three.next = before == 4
            else:
                was_one.next = before == 1
                was_two.next = before == 2
                was_three.next = before == 3

    return logic, look_ahead, move, hold, count


@block
def fifo_level(clk, rst, push, out_valid, out_ready, room, *, limit, depth):
    """room: a cycle ago there were no more than `limit` beats; a level above that is not negative."""
    excess = Signal(intbv(-limit - 1, min=-limit - 1, max=depth + _BEHIND - limit))
    moved, pushed, moved_soon, change = flag(), flag(), flag(), Signal(intbv(0, min=-1, max=2))
    empty = -limit - 1
    logic = late_logic(
        [push, out_valid, out_ready], moved_soon, rule=lambda push, valid, ready: bool(push) != bool(valid and ready)
    )
    logic.name = "moving"

    @always(clk.posedge)
    def watch():
        pushed.next = push
        if rst:
            moved.next = False
        else:
            moved.next = moved_soon

    @always_comb
    def turn():
        change.next = 1 if pushed else -1

    @always(clk.posedge)
    def count():
        if rst:
            excess.next = empty
        elif moved:
            excess.next = excess + change

    @always_comb
    def judge():
        room.next = excess < 0

    return logic, watch, turn, count, judge


@block
def fifo_lane(clk, push, write_soon, in_data, read_soon, both, last, out_ready, out_data, *, depth):
    """Some bits of the beats: memory, front and output."""
    memory, front = [vector(len(in_data)) for _ in range(depth)], vector(len(in_data))
    opens_front, opens_last = flag(), flag()
    gates = [stream_gate(both, out_ready, opens_front), stream_gate(last, out_ready, opens_last)]
    for gate, name in zip(gates, ("front", "last")):
        gate.name = name
    leaves, places = [], []
    for name, soon in (("read", read_soon), ("write", write_soon)):
        wires = []
        for bit in range(len(soon)):
            wires.append(flag())
            leaf = control_leaf(clk, soon(bit), wires[-1])
            leaf.name = f"{name}{bit}"
            leaves.append(leaf)
        places.append(join(wires))
    read, write = places

    @always(clk.posedge)
    def access():
        if push:
            memory[int(write)].next = in_data
        if opens_front:
            front.next = memory[int(read)]

    @always(clk.posedge)
    def forward():
        if opens_last:
            out_data.next = front

    return gates, leaves, access, forward
