"""Where a layer's results part: what stands between its engine and the FIFOs of the layers that take them."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.fabric.latencies import ROOMS_TOGETHER
from lognet_fpga.hw.control import all_of, late_logic
from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.wiring import counter, flag, vector


@block
def pick(clk, rst, in_valid, in_data, out_valid, out_data, *, shape, beats, stride):
    """Of frames of shape (rows, cols), `beats` beats a position, the positions at each multiple of stride, (y, x).

    Ports: in_valid, in_data: pushes; out_valid, out_data: those that stay.
    Latency: `PICK_LATENCY`.  Throughput: one beat a cycle.  Back-pressure: none, the FIFO behind has room.
    """
    col_flags, row_flags = (
        tuple(int(place % step == 0) for place in range(size)) for size, step in zip(reversed(shape), reversed(stride))
    )
    row, col, beat = counter(len(row_flags)), counter(len(col_flags)), counter(beats)
    next_col, next_row, stays, ends_beats, ends_cols, ends_rows = (flag() for _ in range(6))
    row_flag, col_flag = vector(1), vector(1)
    position = [
        wrapping_counter(clk, rst, in_valid, beat, ends_beats, count=beats),
        table_counter(clk, rst, next_col, col, ends_cols, col_flag, table=col_flags),
        table_counter(clk, rst, next_row, row, ends_rows, row_flag, table=row_flags),
    ]
    steps = [
        late_logic([in_valid, ends_beats], next_col, rule=all_of),
        late_logic([in_valid, ends_beats, ends_cols], next_row, rule=all_of),
        late_logic([in_valid, col_flag(0), row_flag(0)], stays, rule=all_of),
    ]
    for part, name in zip((*position, *steps), ("beat", "col", "row", "next_col", "next_row", "staying")):
        part.name = name

    @always(clk.posedge)
    def pass_on():
        out_data.next = in_data
        if rst:
            out_valid.next = False
        else:
            out_valid.next = stays

    return position, steps, pass_on


@block
def admit(clk, rst, in_data, in_valid, in_ready, room, out_valid, out_data):
    """Takes beats as long as there is room for them.

    Ports: in_*: a stream, in_ready out of a register; out_valid, out_data: pushes.
    Latency: `ADMIT_LATENCY`.  Throughput: one beat a cycle.
    """
    ready, takes = flag(), flag()
    taking = late_logic([in_valid, ready], takes, rule=all_of)
    taking.name = "taking"

    @always_comb
    def show():
        in_ready.next = ready

    @always(clk.posedge)
    def pass_on():
        out_data.next = in_data
        if rst:
            ready.next = False
            out_valid.next = False
        else:
            ready.next = room
            out_valid.next = takes

    return taking, show, pass_on


@block
def all_room(clk, rooms, room):
    """room: there was room in each of the FIFOs, `rooms_latency` cycles ago."""
    wires, parts = [rooms(place) for place in range(len(rooms))], []
    while len(wires) > 1:
        groups = [wires[first : first + ROOMS_TOGETHER] for first in range(0, len(wires), ROOMS_TOGETHER)]
        wires = []
        for group in groups:
            wires.append(flag())
            part = _all_held(clk, group, wires[-1])
            part.name = f"together{len(parts)}"
            parts.append(part)
    (last,) = wires

    @always_comb
    def show():
        room.next = last

    return parts, show


@block
def _all_held(clk, signals, held):
    """held: all of them were set a cycle ago."""
    every = flag()
    logic = late_logic(signals, every, rule=all_of)
    logic.name = "every"

    @always(clk.posedge)
    def hold():
        held.next = every

    return logic, hold
