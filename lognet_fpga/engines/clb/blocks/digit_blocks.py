"""The small blocks of the digit-serial engine: vectors of independent one-bit adders, delays, masks, digit counters."""

from __future__ import annotations

from functools import partial

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.control import CLEAR_MODULE, HOLD_MODULE, MASK_MODULE, control_leaf, hold, mask
from lognet_fpga.hw.ports import inputs, outputs
from lognet_fpga.hw.structure import Lanes, Leaf
from lognet_fpga.hw.wiring import counter, flag, join, vector

RECENT_BITS = 5  # of a strobe, which a LUT looks at beside what was recent before


# Registers lie behind the ports, for MyHDL gives a port no value to start with.


@block
def full_adders(clk, a, b, carry_in, total, carry_out):
    """A vector of independent full adders; total is registered, carry_out is not."""
    held = vector(len(total))

    @always_comb
    def carry():
        carry_out.next = (a & b) | (a & carry_in) | (b & carry_in)
        total.next = held

    @always(clk.posedge)
    def add():
        held.next = a ^ b ^ carry_in

    return carry, add


@block
def full_subtractors(clk, a, b, carry_in, total, carry_out):
    """A vector of independent full subtractors, a - b; the carry is a borrow."""
    held = vector(len(total))

    @always_comb
    def borrow():
        carry_out.next = (~a & b) | (~a & carry_in) | (b & carry_in)
        total.next = held

    @always(clk.posedge)
    def subtract():
        held.next = a ^ b ^ carry_in

    return borrow, subtract


@block
def ternary_adders(clk, a, b, c, first_in, second_in, total, first_out, second_out):
    """A vector of independent adders of three operands with two carries each; total is registered, the carries are
    not.  In LUTs: total and second_out are of the same five inputs, first_out is of three."""
    held = vector(len(total))

    @always_comb
    def first():
        first_out.next = (a & b) | (a & c) | (b & c)

    @always_comb
    def second():
        second_out.next = ((a ^ b ^ c) & first_in) | ((a ^ b ^ c) & second_in) | (first_in & second_in)
        total.next = held

    @always(clk.posedge)
    def add():
        held.next = a ^ b ^ c ^ first_in ^ second_in

    return first, second, add


@block
def ternary_subtractors(clk, a, b, c, first_in, second_in, total, first_out, second_out):
    """As ternary_adders for a + b - c: the first carry is that of a + b, the second one a borrow."""
    held = vector(len(total))

    @always_comb
    def first():
        first_out.next = (a & b) | (a & first_in) | (b & first_in)

    @always_comb
    def second():
        second_out.next = (~(a ^ b ^ first_in) & c) | (~(a ^ b ^ first_in) & second_in) | (c & second_in)
        total.next = held

    @always(clk.posedge)
    def subtract():
        held.next = a ^ b ^ c ^ first_in ^ second_in

    return first, second, subtract


@block
def carry_register(clk, preset, carry, held):
    """The carry from one digit to the next; cleared in the cycle before digit 0.

    By a reset, for carries of three operands, or of digits of several bits, are of five inputs, and a LUT that shares
    its place with another has no more; that of two operands and one bit takes CLEAR in.
    """
    register = vector(len(held))

    @always(clk.posedge)
    def hold():
        if preset:
            register.next = 0
        else:
            register.next = carry

    @always_comb
    def show():
        held.next = register

    return hold, show


@block
def relayed_carry(first, earlier, own, carry_in):
    """The carry into a digit: for the first one of a leg that of the leg before."""

    @always_comb
    def relay():
        if first:
            carry_in.next = earlier
        else:
            carry_in.next = own

    return relay


@block
def delay_stage(clk, wires, late):
    """A delay of one cycle."""
    register = vector(len(late))

    @always(clk.posedge)
    def delay():
        register.next = wires

    @always_comb
    def show():
        late.next = register

    return delay, show


@block
def cut_stage(clk, first, wires, late):
    """A delay that shows zero behind the first digits of a leg."""
    register = vector(len(late))

    @always(clk.posedge)
    def delay():
        if first:
            register.next = wires
        else:
            register.next = 0

    @always_comb
    def show():
        late.next = register

    return delay, show


@block
def splice_stage(clk, first, wires, others, late):
    """A delay of `wires` for the first digits of a leg, of `others` behind them."""
    register = vector(len(late))

    @always(clk.posedge)
    def delay():
        if first:
            register.next = wires
        else:
            register.next = others

    @always_comb
    def show():
        late.next = register

    return delay, show


@block
def first_digits(clk, recent, soon):
    """Bit s of soon: in two cycles, wires of a leg that begins in cycle s show one of its first digits.

    recent: bit 0 of soon, the register of `recently` for so many digits.
    """
    later = vector(len(soon) - 1)
    later_end = len(later) - 1

    if len(later) == 1:

        @always(clk.posedge)
        def chain():
            later.next = recent
    else:

        @always(clk.posedge)
        def chain():
            later.next = concat(later[later_end:], recent)

    @always_comb
    def gather():
        soon.next = concat(later, recent)

    return chain, gather


@block
def recently(clk, strobes, recent):
    """A register of whether one of the strobes is on: of several cycles, and of fewer digits' `recent`, so that each is
    one LUT behind the one before.  Of the strobes alone synthesis would make one chain of LUTs for all of them."""
    register = flag()

    @always(clk.posedge)
    def remember():
        register.next = strobes != 0

    @always_comb
    def show():
        recent.next = register

    return remember, show


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


def _lanes(make, *ports) -> Lanes:
    return Lanes(f"lognet_{make.__name__}", make, sum(ports, ()))


_SUM, _CARRIES = inputs(clk=None, a=1, b=1), inputs(carry_in=1) + outputs(total=1, carry_out=1)
_SUM_OF_THREE = _SUM + inputs(c=1, first_in=1, second_in=1) + outputs(total=1, first_out=1, second_out=1)
_FIRST, _LATE = inputs(clk=None, first=None, wires=1), outputs(late=1)
FULL_ADDERS = _lanes(full_adders, _SUM, _CARRIES)
FULL_SUBTRACTORS = _lanes(full_subtractors, _SUM, _CARRIES)
TERNARY_ADDERS = _lanes(ternary_adders, _SUM_OF_THREE)
TERNARY_SUBTRACTORS = _lanes(ternary_subtractors, _SUM_OF_THREE)
CARRY_REGISTER = _lanes(carry_register, inputs(clk=None, preset=None, carry=1), outputs(held=1))
RELAYED_CARRY = _lanes(relayed_carry, inputs(first=None, earlier=1, own=1), outputs(carry_in=1))
DELAY_STAGE = _lanes(delay_stage, inputs(clk=None, wires=1), _LATE)
CUT_STAGE = _lanes(cut_stage, _FIRST, _LATE)
SPLICE_STAGE = _lanes(splice_stage, _FIRST, inputs(others=1), _LATE)
MASK = Lanes(MASK_MODULE, mask, inputs(first=None, wires=1) + outputs(passed=1))
CLEAR = Lanes(CLEAR_MODULE, mask, inputs(first=None, wires=1) + outputs(passed=1))
HOLD = Lanes(HOLD_MODULE, hold, inputs(first=None, wires=1, held=1) + outputs(passed=1))
RECENTLY = _lanes(recently, inputs(clk=None, strobes=1), outputs(recent=None))


def first_digits_leaf(legs: int) -> Leaf:
    ports = inputs(clk=None, recent=None) + outputs(soon=legs)
    return Leaf(f"lognet_first_digits_{legs}", ports, first_digits)


def digit_counter_leaf(digits: int) -> Leaf:
    ports = inputs(clk=None, preset=None) + outputs(count=len(counter(digits)))
    return Leaf(f"lognet_digit_counter_{digits}", ports, partial(digit_counter, digits=digits))
