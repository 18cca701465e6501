"""The small blocks of the digit-serial engine: vectors of independent one-bit adders, delays, masks, digit counters."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.control import control_leaf
from lognet_fpga.hw.wiring import flag, join, vector

RECENT_BITS = 5  # of a strobe, which a LUT looks at beside what was recent before


@block
def full_adders(clk, a, b, carry_in, total, carry_out):
    """A vector of independent full adders; total is registered, carry_out is not."""

    @always_comb
    def carry():
        carry_out.next = (a & b) | (a & carry_in) | (b & carry_in)

    @always(clk.posedge)
    def add():
        total.next = a ^ b ^ carry_in

    return carry, add


@block
def full_subtractors(clk, a, b, carry_in, total, carry_out):
    """A vector of independent full subtractors, a - b; the carry is a borrow."""

    @always_comb
    def borrow():
        carry_out.next = (~a & b) | (~a & carry_in) | (b & carry_in)

    @always(clk.posedge)
    def subtract():
        total.next = a ^ b ^ carry_in

    return borrow, subtract


@block
def ternary_adders(clk, a, b, c, first_in, second_in, total, first_out, second_out):
    """A vector of independent adders of three operands with two carries each; total is registered, the carries are
    not.  In LUTs: total and second_out are of the same five inputs, first_out is of three."""

    @always_comb
    def first():
        first_out.next = (a & b) | (a & c) | (b & c)

    @always_comb
    def second():
        second_out.next = ((a ^ b ^ c) & first_in) | ((a ^ b ^ c) & second_in) | (first_in & second_in)

    @always(clk.posedge)
    def add():
        total.next = a ^ b ^ c ^ first_in ^ second_in

    return first, second, add


@block
def ternary_subtractors(clk, a, b, c, first_in, second_in, total, first_out, second_out):
    """As ternary_adders for a + b - c: the first carry is that of a + b, the second one a borrow."""

    @always_comb
    def first():
        first_out.next = (a & b) | (a & first_in) | (b & first_in)

    @always_comb
    def second():
        second_out.next = (~(a ^ b ^ first_in) & c) | (~(a ^ b ^ first_in) & second_in) | (c & second_in)

    @always(clk.posedge)
    def subtract():
        total.next = a ^ b ^ c ^ first_in ^ second_in

    return first, second, subtract


@block
def carry_register(clk, preset, carry, held):
    """The carry from one digit to the next; cleared in the cycle before digit 0."""

    @always(clk.posedge)
    def hold():
        if preset:
            held.next = 0
        else:
            held.next = carry

    return hold


@block
def delay_stage(clk, wires, late):
    @always(clk.posedge)
    def delay():
        late.next = wires

    return delay


@block
def masked_stage(clk, first, wires, late):
    """A delay that shows zero instead of the first digits of a leg."""

    @always(clk.posedge)
    def delay():
        if first:
            late.next = 0
        else:
            late.next = wires

    return delay


@block
def cut_stage(clk, first, wires, late):
    """A delay that shows zero behind the first digits of a leg."""

    @always(clk.posedge)
    def delay():
        if first:
            late.next = wires
        else:
            late.next = 0

    return delay


@block
def splice_stage(clk, first, wires, others, late):
    """A delay of `wires` for the first digits of a leg, of `others` behind them."""

    @always(clk.posedge)
    def delay():
        if first:
            late.next = wires
        else:
            late.next = others

    return delay


@block
def keep_stage(clk, first, wires, late):
    """A delay for the first digits of a leg; the last of them stays."""

    @always(clk.posedge)
    def delay():
        if first:
            late.next = wires

    return delay


@block
def relayed_carry(first, before, own, carry_in):
    """The carry into a digit: for the first one of a leg that of the leg before."""

    @always_comb
    def relay():
        if first:
            carry_in.next = before
        else:
            carry_in.next = own

    return relay


@block
def tie_low(wires, like):
    """All zero; `like` only keeps the block sensitive to something in simulation."""

    @always_comb
    def tie():
        wires.next = like & 0

    return tie


@block
def tie_high(wires, like):
    """All one, as tie_low."""

    @always_comb
    def tie():
        wires.next = like | ~like

    return tie


@block
def first_digits(clk, recent, soon):
    """Bit s of soon: in two cycles, wires of a leg that begins in cycle s show one of its first digits.

    recent: bit 0 of soon, the register of `recently` for so many digits.
    """
    now, later = flag(), vector(len(soon) - 1)
    later_end = len(later) - 1

    @always_comb
    def begin():
        now.next = recent[0]

    if len(later) == 1:

        @always(clk.posedge)
        def chain():
            later.next = now
    else:

        @always(clk.posedge)
        def chain():
            later.next = concat(later[later_end:], now)

    @always_comb
    def gather():
        soon.next = concat(later, now)

    return begin, chain, gather


@block
def recently(clk, strobes, recent):
    """A register of whether one of the strobes is on: of several cycles, and of fewer digits' `recent`, so that each is
    one LUT behind the one before.  Of the strobes alone synthesis would make one chain of LUTs for all of them."""

    @always(clk.posedge)
    def remember():
        recent.next = strobes != 0

    return remember


@block
def digit_counter(clk, preset, count, *, digits):
    """Counts to the last of so many digits, and stays there.

    Each bit is a LUT of the count and preset in front of a leaf: of a register that it looks into, synthesis makes
    enables and resets, which take levels.
    """
    following = tuple(min(digit + 1, digits - 1) for digit in range(digits))
    coming, wires, leaves = vector(len(count)), [], []
    for bit in range(len(count)):
        wires.append(flag())
        leaf = control_leaf(clk, coming(bit), wires[-1])
        leaf.name = f"bit{bit}"
        leaves.append(leaf)
    counted = join(wires)

    @always_comb
    def look():
        if preset:
            coming.next = 0
        else:
            coming.next = following[int(count)]

    @always_comb
    def show():
        count.next = counted

    return leaves, look, show
