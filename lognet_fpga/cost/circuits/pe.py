"""The processing elements: one weight times one activation, added to a sum.

All have the same ports.  clear: the sum is 0 from the next cycle on.  valid: `x` and `w` are one term of the sum.
Latency: 1 cycle for binary, 2 for all others, whose product is a register.  Throughput: one term a cycle.
"""

from __future__ import annotations

from myhdl import ConcatSignal, Signal, always, always_comb, block, concat, intbv

from lognet_fpga.cost.circuits.shape import LaneShape
from lognet_fpga.hw.wiring import flag, vector


@block
def signed_sum(clk, clear, valid, magnitude, negative, total):
    """total += -magnitude if negative else magnitude.  The inversion and the adder share their LUTs, one a bit."""
    width = len(total)
    term, after = vector(width), vector(width + 2)
    signs = ConcatSignal(*[negative for _ in range(width)])

    @always_comb
    def invert():
        term.next = signs ^ magnitude

    @always_comb
    def add():
        after.next = total + term + negative

    @always(clk.posedge)
    def accumulate():
        if clear:
            total.next = 0
        elif valid:
            total.next = after[width:]

    return invert, add, accumulate


@block
def binary_pe(clk, clear, valid, x, w, total, *, shape: LaneShape):
    """Add or subtract."""
    adder = signed_sum(clk, clear, valid, x, w(0), total)
    adder.name = "adder"
    return adder


@block
def linear_pe(clk, clear, valid, x, w, total, *, shape: LaneShape):
    """Multiply and add; the multiplier is made of LUTs."""
    span = 2 ** (shape.bits - 1 + len(x))
    product = Signal(intbv(0, min=-span, max=span))
    reach = 2 ** (len(total) - 1)
    held = Signal(intbv(0, min=-reach, max=reach))
    product_valid = flag()

    @always(clk.posedge)
    def multiply():
        product.next = x * w.signed()
        product_valid.next = valid

    @always(clk.posedge)
    def accumulate():
        if clear:
            held.next = 0
        elif product_valid:
            held.next = held + product

    @always_comb
    def show():
        total.next = held[len(total) :]

    return multiply, accumulate, show


@block
def log2_pe(clk, clear, valid, x, w, total, *, shape: LaneShape):
    """Shift by the weight's exponent, then add or subtract.  Shifting by the field and dropping one bit saves a
    subtraction."""
    sign = shape.bits - 1
    shifted = vector(len(x) + shape.max_shift + 1)
    factor, magnitude = vector(len(shifted)), vector(len(shifted) - 1)
    negative, product_valid = flag(), flag()

    @always_comb
    def mask():
        if w[sign:] == 0:
            factor.next = 0
        else:
            factor.next = x

    @always_comb
    def shift():
        shifted.next = factor << w[sign:]

    @always(clk.posedge)
    def multiply():
        magnitude.next = shifted[:1]
        negative.next = w[sign]
        product_valid.next = valid

    adder = signed_sum(clk, clear, product_valid, magnitude, negative, total)
    adder.name = "adder"
    return mask, shift, multiply, adder


@block
def log_domain_pe(clk, clear, valid, x, w, total, *, shape: LaneShape):
    """Add exponents, then add in the log domain to the sum of the term's sign: `numerics.log_add` in hardware."""
    sign, fraction, width = shape.bits - 1, shape.fraction_bits, shape.log_bits
    unit = 1 << fraction
    whole_bits = width - fraction
    term, whole, distance = vector(whole_bits), vector(whole_bits), vector(whole_bits)
    negative, product_valid = flag(), flag()
    positive_sum, negative_sum = vector(width), vector(width)
    old, base, step, new = vector(width), vector(width), vector(fraction + 1), vector(width)
    both = ConcatSignal(negative_sum, positive_sum)

    @always(clk.posedge)
    def multiply():
        if x == 0 or w[sign:] == 0:
            term.next = 0
        else:
            term.next = x + w[sign:] - 1
        negative.next = w[sign]
        product_valid.next = valid

    @always_comb
    def select():
        if negative:
            old.next = negative_sum
        else:
            old.next = positive_sum

    @always_comb
    def split():
        whole.next = old[:fraction]

    @always_comb
    def compare():
        if term > whole:
            base.next = concat(term, intbv(0)[fraction:])
            distance.next = term - whole
        else:
            base.next = old
            distance.next = whole - term

    @always_comb
    def one_shifted():
        if old == 0:
            step.next = 0
        else:
            step.next = unit >> distance

    @always_comb
    def add():
        new.next = base + step

    @always(clk.posedge)
    def accumulate():
        if clear:
            positive_sum.next = 0
            negative_sum.next = 0
        elif product_valid and term != 0:
            if negative:
                negative_sum.next = new
            else:
                positive_sum.next = new

    @always_comb
    def show():
        total.next = both

    return multiply, select, split, compare, one_shifted, add, accumulate, show


PE_BLOCKS = {"binary": binary_pe, "linear": linear_pe, "log2": log2_pe, "log-domain": log_domain_pe}
