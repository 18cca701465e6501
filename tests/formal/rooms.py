"""Layers of which it is proved that a slot which starts finds room in the FIFO, with the planner's own figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from myhdl import block, intbv

from lognet_fpga.fabric.pools import PoolShape
from lognet_fpga.fabric.slots import pooled_shape, slot_raster
from lognet_fpga.hw.pool import pool
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.sequencer import sequencer
from lognet_fpga.hw.structure import Leaf
from tests.formal.blocks import CLOCK, PDR, fifo_leaf
from tests.formal.sby import Proof
from tests.quant_models import POOL_2X2, POOL_3X3, Spec, folded_plan, random_graph, solved

WAY = inputs(in_valid=None, in_data=1) + outputs(out_valid=None, out_data=1)


@block
def named_sequencer(clk, rst, full_soon, room, take, load, pad, start, compute, blank, shifting, **shape):
    """One of its registers is called real, which Verilog allows only with a prefix, as in the blocks that hold it."""
    sequence = sequencer(clk, rst, full_soon, room, take, load, pad, start, compute, blank, shifting, **shape)
    sequence.name = "sequence"
    return sequence


def room_proof(name: str, less: int = 0, reach: bool = False) -> Proof:
    """Of a random layer from ROOMS.  less: so much smaller a reserve than planned.  reach: fails, with the way into the
    reserve as its counterexample."""
    shape, spec, folding = ROOMS[name]
    quant = random_graph(3, shape, spec)
    engines = solved(quant, [isinstance(folding, tuple)])
    planned, layer = folded_plan([folding], engines).layers[0], quant.layers[0]
    made, fifo = planned.folding, planned.fifo
    reserve = fifo.reserve - less
    raster = slot_raster(layer)
    ports = inputs(full_soon=None, room=None)
    ports += outputs(take=None, load=None, pad=None, start=None, compute=None, blank=None, shifting=None)
    slots = partial(named_sequencer, raster=raster, ii_cycles=made.ii_cycles, in_digits=made.shift_cycles)
    modules = [Leaf("sequencer", CLOCK + ports, slots), fifo_leaf(fifo.depth, reserve, 1)]
    beats = made.beat_cycles(planned.streams.channels_per_beat)
    if layer.pool is not None:
        pooled = PoolShape(*pooled_shape(layer), 1, 1, len(beats), layer.pool.kernel, layer.pool.stride).simplest
        modules.append(Leaf("pool", CLOCK + WAY, partial(pool, shape=pooled)))
    constants = {
        "LENGTH": beats[-1],
        "BEATS": f"{beats[-1] + 1}'d{sum(1 << cycles - 1 for cycles in beats)}",
        "DEPTH": fifo.depth,
        "RESERVE": reserve,
        "II": made.ii_cycles,
        "LEFT": len(intbv(0, min=-1, max=max(2, made.ii_cycles, made.shift_cycles))),
        "EXCESS": len(intbv(0, min=reserve - fifo.depth - 1, max=reserve + 2)),
        "POOL": int(layer.pool is not None),
        "REACH": int(reach),
    }
    proof = Proof(f"room, {name}", tuple(modules), "slot_room.sv", constants, top="slot_room")
    if reach or less:
        return replace(proof, mode="bmc", depth=200, engine="abc bmc3")
    # A pool's results are counted by its rows and columns, which induction does not see.
    return proof if layer.pool is None else replace(proof, engine=PDR)


NO_PADS = (0, 0, 0, 0)
# Input shape, kind of the layer, and digit bits or, with the weights in memories, (pe, simd).
ROOMS = {
    "slots of one cycle": ((1, 3, 4), Spec(2, (2, 2), pads=NO_PADS, pool=None), 20),
    "slots of five cycles": ((1, 3, 4), Spec(4, (2, 2), pads=NO_PADS, pool=None), 4),
    "bit by bit": ((1, 3, 4), Spec(4, (2, 2), pads=NO_PADS, pool=None), 1),
    "weights in memories": ((2, 3, 4), Spec(5, (2, 2), pads=NO_PADS, pool=None), (2, 1)),
    "a pool, slots of one cycle": ((1, 5, 5), Spec(2, (2, 2), pads=NO_PADS, pool=POOL_2X2), 20),
    "an overlapping pool": ((1, 6, 6), Spec(2, (2, 2), pads=NO_PADS, pool=POOL_3X3), 4),
}
