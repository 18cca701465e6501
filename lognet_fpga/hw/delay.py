"""A delay line with enable, in the form that synthesis maps to SRLs: no reset, read at its end only."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.wiring import vector


def delay_loads(cycles: int) -> int:
    """Cells that a delay line's enable steers, for each bit: SRLs from three cycles on.  Two cycles are one only where
    synthesis is told so (`synth.yosys`), else two flip-flops."""
    return cycles if cycles <= 2 else -(-cycles // 32)


@block
def delay_line(clk, enable, newer, older, *, cycles):
    """older is newer as it was `cycles` enabled cycles ago; cycles >= 1."""
    width = len(older)
    if cycles == 1:

        @always(clk.posedge)
        def shift():
            if enable:
                older.next = newer

        return shift

    line = vector(width * cycles)
    low, high = width * (cycles - 1), width * cycles

    @always(clk.posedge)
    def shift():
        if enable:
            line.next = concat(line[low:], newer)

    @always_comb
    def tail():
        older.next = line[high:low]

    return shift, tail


@block
def registered_delay(clk, enable, enable_last, newer, older, *, cycles):
    """As delay_line, and older comes out of a flip-flop behind an SRL of three cycles or more; enable_last: the same as
    enable, on a net of its own, without which synthesis would make the flip-flop part of the SRL."""
    if cycles <= 3:
        line = delay_line(clk, enable, newer, older, cycles=cycles)
        line.name = "line"
        return line
    early = vector(len(older))
    line = delay_line(clk, enable, newer, early, cycles=cycles - 1)
    line.name = "line"

    @always(clk.posedge)
    def last():
        if enable_last:
            older.next = early

    return line, last
