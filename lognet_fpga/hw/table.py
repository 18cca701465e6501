"""What steers the tables of an activation function, which are memories, one for each lane (`hw.structure.Rom`)."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.fabric.latencies import TABLE_LATENCY
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import counter, flag, vector


@block
def table_valid(clk, rst, in_valid, out_valid):
    """out_valid: there is a beat behind the tables.

    Ports: in_valid: in front of them.  Latency: `TABLE_LATENCY`.  Back-pressure: none, the FIFO behind has room.
    """
    on_its_way, last = vector(TABLE_LATENCY), TABLE_LATENCY - 1
    stays = (1 << last) - 1

    @always(clk.posedge)
    def travel():
        if rst:
            on_its_way.next = 0
        else:
            on_its_way.next = ((on_its_way & stays) << 1) | in_valid

    @always_comb
    def show():
        out_valid.next = on_its_way[last]

    return travel, show


@block
def table_beat(clk, rst, in_valid, beat, *, beats):
    """beat: which one of a position, 0..beats-1, is offered with in_valid."""
    place, ends = counter(beats), flag()
    walk = wrapping_counter(clk, rst, in_valid, place, ends, count=beats)
    walk.name = "walk"

    @always_comb
    def show():
        beat.next = place

    return walk, show
