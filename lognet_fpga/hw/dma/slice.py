"""A register slice: no signal passes through it within a cycle, in neither direction."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from lognet_fpga.hw.control import control_leaf, stream_gate
from lognet_fpga.hw.wiring import flag, vector


@block
def register_slice(clk, rst, in_data, in_valid, in_ready, out_data, out_valid, out_ready):
    """A stream of two beats at most: the one offered, and a spare one that came as it was not taken.

    Latency: 1.  Throughput: one beat a cycle.
    """
    spare, fills, offered = vector(len(in_data)), flag(), flag()
    ready = Signal(bool(1))  # from power on, or what is in spare would be offered before the reset
    holds, shows_spare, moves, moves_data = flag(), flag(), flag(), flag()
    leaves = [control_leaf(clk, fills, holds), control_leaf(clk, fills, shows_spare)]
    for leaf, name in zip(leaves, ("holds", "shows_spare")):
        leaf.name = name
    gate = stream_gate(offered, out_ready, moves_data)
    gate.name = "moves_data"

    @always_comb
    def handshake():
        """fills: there will be a spare beat."""
        in_ready.next = ready
        out_valid.next = offered
        moves.next = out_ready or not offered
        fills.next = (in_valid or not ready) and offered and not out_ready and not rst

    @always(clk.posedge)
    def control():
        ready.next = not fills
        if rst:
            offered.next = False
        elif moves:
            offered.next = in_valid or not ready

    @always(clk.posedge)
    def keep():
        if not holds:  # whether or not a beat comes
            spare.next = in_data
        if moves_data:
            if shows_spare:
                out_data.next = spare
            else:
                out_data.next = in_data

    return leaves, gate, handshake, control, keep
