"""Counters whose end is known a cycle early, so that whoever looks at them has one level of logic and no comparison."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.wiring import vector


@block
def wrapping_counter(clk, rst, step, place, ends, *, count, start=0):
    """place runs through 0..count-1, from start on, one further with each step; ends: it is count - 1."""
    before_end, only_one, starts_at_end = count - 2, count == 1, start == count - 1

    @always(clk.posedge)
    def advance():
        if rst:
            place.next = start
            ends.next = starts_at_end
        elif step:
            if ends:
                place.next = 0
                ends.next = only_one
            else:
                place.next = place + 1
                ends.next = place == before_end

    return advance


@block
def table_counter(clk, rst, step, place, ends, entry, *, table, start=0):
    """As wrapping_counter, and entry: the table's at place, out of a register."""
    counting = wrapping_counter(clk, rst, step, place, ends, count=len(table), start=start)
    counting.name = "count"
    following = (*table[1:], table[0])
    first, coming = int(table[start]), vector(len(entry))

    @always_comb
    def look_up():
        coming.next = following[int(place)]

    @always(clk.posedge)
    def follow():
        if rst:
            entry.next = first
        elif step:
            entry.next = coming

    return counting, look_up, follow
