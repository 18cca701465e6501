"""The handshakes of an AXI4-Lite slave, the same for whatever registers are behind it."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.axi import OKAY, AxiLite
from lognet_fpga.hw.control import late_logic
from lognet_fpga.hw.wiring import flag


@block
def axi_lite_slave(clk, rst, s_axil: AxiLite, writes, write_steps, reads, read_steps):
    """One write and one read at a time, beside each other; address and data of a write are taken together.

    All that it says comes out of registers: what is asked is taken a cycle later at the earliest.
    writes, reads: one is taken in this cycle.  write_steps, read_steps: bit n of them n + 1 cycles later; behind the
    last it is answered, so what is written must have acted by then, and in the cycle of the last of a read s_axil.rdata
    must be given its next value, which is not this block's.  rst: nothing is on its way any more.
    """
    write = one_access(clk, rst, [s_axil.awvalid, s_axil.wvalid], writes, write_steps, s_axil.bvalid, s_axil.bready)
    read = one_access(clk, rst, [s_axil.arvalid], reads, read_steps, s_axil.rvalid, s_axil.rready)
    write.name, read.name = "write", "read"

    @always_comb
    def ports():
        s_axil.awready.next = writes
        s_axil.wready.next = writes
        s_axil.arready.next = reads
        s_axil.bresp.next = OKAY
        s_axil.rresp.next = OKAY

    return write, read, ports


@block
def one_access(clk, rst, asked, taken, steps, answers, accepted):
    """What all of `asked` ask for is taken, a cycle later, where nothing is on its way; answers: behind the last step,
    until that is accepted."""
    last, active, active_soon, taken_soon = len(steps) - 1, flag(), flag(), flag()
    logic = [
        late_logic([active, *asked], taken_soon, rule=lambda active, *asked: all(asked) and not active),
        late_logic(
            [active, answers, accepted, *asked],
            active_soon,
            rule=lambda active, answers, accepted, *asked: (active or all(asked)) and not (answers and accepted),
        ),
    ]
    for part, name in zip(logic, ("taking", "going_on")):
        part.name = name

    @always(clk.posedge)
    def take():
        """active: from what is asked until its answer is accepted."""
        if rst:
            taken.next = False
            active.next = False
        else:
            taken.next = taken_soon
            active.next = active_soon

    @always(clk.posedge)
    def follow():
        if rst:
            steps.next = 0
        else:
            steps.next = concat(steps[last:], taken)

    @always(clk.posedge)
    def answer():
        if rst:
            answers.next = False
        elif steps[last]:
            answers.next = True
        elif accepted:
            answers.next = False

    return logic, take, follow, answer
