"""A small graph that never stands still, with room for as much as the planner would see to: all runs of some length."""

from __future__ import annotations

from dataclasses import replace

from lognet_fpga.fabric.latencies import ROOM_LATENCY, rooms_latency
from lognet_fpga.hw.branch import admit, all_room
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.structure import Leaf
from tests.formal.blocks import CLOCK, fifo_leaf, join_leaf
from tests.formal.sby import Proof

CYCLES = 40  # from power on, with all pauses that there may be; with a beat of room too little it stands still in 26
DEPTH = 8
RESERVE = ROOM_LATENCY + 1 + rooms_latency(2)  # as of the FIFOs behind the entry (plan/time/graph_fifos.py)


def standstill_proof(hold: int) -> Proof:
    """For the first CYCLES.  hold: beats that the layer beside the shortcut needs for its first result."""
    ports = inputs(in_data=1, in_valid=None) + outputs(in_ready=None) + inputs(room=None)
    letting = Leaf("admit", CLOCK + ports + outputs(out_valid=None, out_data=1), admit)
    gather = Leaf("all_room", inputs(clk=None, rooms=2) + outputs(room=None), all_room)
    far = replace(fifo_leaf(4, 2, 1), name="far_fifo")
    modules = (letting, gather, fifo_leaf(DEPTH, RESERVE, 1), far, join_leaf(1, 1, 1))
    return Proof(
        f"a layer of {hold} beats beside a shortcut",
        modules,
        "standstill.sv",
        {"HOLD": hold, "QUIET": 12},
        top="standstill",
        mode="bmc",
        depth=CYCLES,
        engine="abc bmc3",
    )
