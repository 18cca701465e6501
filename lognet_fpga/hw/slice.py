"""A register slice: no signal passes through it within a cycle, in neither direction."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from lognet_fpga.hw.control import control_leaf, late_logic, leaf_groups, stream_gate
from lognet_fpga.hw.wiring import bits, flag, join, vector


@block
def register_slice(clk, rst, in_data, in_valid, in_ready, out_data, out_valid, out_ready):
    """A stream of two beats at most: the one offered, and a spare one that came as it was not taken.

    Latency: 1.  Throughput: one beat a cycle.
    """
    opens = flag()
    handshake = slice_handshake(clk, rst, in_valid, in_ready, out_valid, out_ready, opens)
    handshake.name = "handshake"
    beats = slice_beats(clk, opens, opens, out_valid, out_ready, in_data, out_data)
    beats.name = "beats"
    return handshake, beats


@block
def slice_beats(clk, empty_soon, new_soon, out_valid, out_ready, in_data, out_data):
    """The beats of a slice of two, the one offered and a spare one, in stretches that have what steers them to
    themselves.

    empty_soon, new_soon: a cycle early: the spare beat may be lost; what is offered next is what comes, not the spare.
    """
    parts, wires = [], []
    come = vector(len(in_data))  # for MyHDL cannot convert a slice of wires that are joined
    for number, run in enumerate(leaf_groups(len(in_data))):
        empty, shows_new, moves = flag(), flag(), flag()
        shown = vector(len(run))
        steering = [
            control_leaf(clk, empty_soon, empty),
            control_leaf(clk, new_soon, shows_new),
            stream_gate(out_valid, out_ready, moves),
            slice_stretch(clk, empty, shows_new, moves, join(bits(come)[run.start : run.stop]), shown),
        ]
        for part, name in zip(steering, ("empty", "shows_new", "moves", "stretch")):
            part.name = f"{name}{number}"
        parts += steering
        wires += bits(shown)
    gathered = join(wires)

    @always_comb
    def gather():
        come.next = in_data
        out_data.next = gathered

    return parts, gather


@block
def slice_stretch(clk, empty, shows_new, moves, coming, shown):
    spare = vector(len(coming))

    @always(clk.posedge)
    def keep():
        if empty:  # whether or not a beat comes
            spare.next = coming
        if moves:
            if shows_new:
                shown.next = coming
            else:
                shown.next = spare

    return keep


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
