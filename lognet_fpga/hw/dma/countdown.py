"""Which beat of a transfer is the last one."""

from __future__ import annotations

from myhdl import always, block

from lognet_fpga.hw.dma.units import LENGTH_BITS
from lognet_fpga.hw.wiring import flag, vector


@block
def beats_left(clk, start, n_bytes, step, last, *, width):
    """Counts the beats of `width` bits that n_bytes are.  last: the beat that the next step takes is the last one;
    right from three cycles after start on, before which there must be no step.

    Whether only the lowest bits of the count are left is looked at a cycle late, which is early enough: they count
    sixteen.
    """
    shift = (width // 8).bit_length() - 1
    left, few = vector(LENGTH_BITS + 1 - shift), flag()

    @always(clk.posedge)
    def count():
        if start:
            left.next = n_bytes >> shift
        elif step:
            left.next = left - 1

    @always(clk.posedge)
    def look():
        few.next = left[:4] == 0
        if step:
            last.next = few and left[4:] == 2
        else:
            last.next = few and left[4:] == 1

    return count, look
