"""Offers of which there is one in several cycles at most: a register for each, and no spare one."""

from __future__ import annotations

from myhdl import always, block

from lognet_fpga.hw.control import all_of, late_logic
from lognet_fpga.hw.wiring import flag


@block
def handshake(clk, rst, opens, waits, answers, moved, *, come=all_of):
    """waits: from the cycle behind opens until answers come beside it; moved: they came in the cycle before.

    come: whether they do, of their values; all of them, where nothing else is said.
    """
    waits_soon, moves = flag(), flag()
    logic = [
        late_logic(
            [opens, waits, *answers],
            waits_soon,
            rule=lambda opens, waits, *values: opens or (waits and not come(*values)),
        ),
        late_logic([waits, *answers], moves, rule=lambda waits, *values: waits and come(*values)),
    ]
    for part, name in zip(logic, ("waiting", "moving")):
        part.name = name

    @always(clk.posedge)
    def follow():
        if rst:
            waits.next = False
            moved.next = False
        else:
            waits.next = waits_soon
            moved.next = moves

    return logic, follow
