"""A register slice: no signal passes through it within a cycle, in neither direction."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from lognet_fpga.hw.control import control_leaf, late_logic, stream_gate
from lognet_fpga.hw.wiring import flag, vector


@block
def register_slice(clk, rst, in_data, in_valid, in_ready, out_data, out_valid, out_ready):
    """A stream of two beats at most: the one offered, and a spare one that came as it was not taken.

    Latency: 1.  Throughput: one beat a cycle.
    """
    spare, opens = vector(len(in_data)), flag()
    empty, shows_new, moves_data = flag(), flag(), flag()
    handshake = slice_handshake(clk, rst, in_valid, in_ready, out_valid, out_ready, opens)
    handshake.name = "handshake"
    leaves = [control_leaf(clk, opens, empty), control_leaf(clk, opens, shows_new)]
    for leaf, name in zip(leaves, ("empty", "shows_new")):
        leaf.name = name
    gate = stream_gate(out_valid, out_ready, moves_data)
    gate.name = "moves_data"

    @always(clk.posedge)
    def keep():
        if empty:  # whether or not a beat comes
            spare.next = in_data
        if moves_data:
            if shows_new:
                out_data.next = in_data
            else:
                out_data.next = spare

    return handshake, leaves, gate, keep


@block
def slice_handshake(clk, rst, in_valid, in_ready, out_valid, out_ready, opens):
    """Of a register slice without its beats.  opens: in the next cycle there will be no spare beat."""
    ready, offered, moves = Signal(bool(1)), flag(), flag()  # or what is in spare would be offered before the reset
    opening = late_logic(
        [ready, in_valid, offered, out_ready, rst],
        opens,
        rule=lambda ready, comes, offered, taken, rst: (ready and not comes) or not offered or taken or rst,
    )
    opening.name = "opening"

    @always_comb
    def show():
        in_ready.next = ready
        out_valid.next = offered
        moves.next = out_ready or not offered

    @always(clk.posedge)
    def control():
        ready.next = opens
        if rst:
            offered.next = False
        elif moves:
            offered.next = in_valid or not ready

    return opening, show, control
