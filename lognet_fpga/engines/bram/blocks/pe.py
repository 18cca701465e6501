"""A processing element of the `bram` store: simd shifts by weights, their sum, and an accumulator."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import ConcatSignal, Signal, always, always_comb, block, intbv

from lognet_fpga.hw.control import control_leaf
from lognet_fpga.hw.wiring import bits, flag, join, vector
from lognet_fpga.numerics.log2 import WEIGHT_BITS


@dataclass(frozen=True)
class PeShape:
    """simd lanes of in_bits bits; sum_bits: of the accumulator, two's complement, exact."""

    simd: int
    in_bits: int
    sum_bits: int


@block
def shift_accumulate(clk, x, codes, first, capture, shift_in, result, *, shape):
    """The sum of activations times log2 weights over as many cycles as a pass has words.

    Ports: x, codes: a word of activations and of weights, lane 0 in the lowest bits; first, capture: a cycle before the
    sum of a pass' first word is added, and before the cycle behind its last; result: the sum captured, until the
    next one, in other cycles shift_in: the results of several elements leave as a shift register.
    Latency: from x to the cycle behind first: that of the tree of adders; capture to result: 2.  Throughput: one word a
    cycle.
    Back-pressure: none.
    """
    s = shape
    parts, level = [], []
    for index in range(s.simd):
        product = signed(s.in_bits + 7)
        lane = log2_product(
            clk,
            x((index + 1) * s.in_bits, index * s.in_bits),
            codes((index + 1) * WEIGHT_BITS, index * WEIGHT_BITS),
            product,
            in_bits=s.in_bits,
        )
        lane.name = f"lane{index}"
        parts.append(lane)
        level.append(product)

    depth = 0
    while len(level) > 1:
        sums = []
        for index in range(0, len(level), 2):
            total = signed(len(level[0]) + 1)
            pair = level[index : index + 2]
            node = add_pair(clk, *pair, total) if len(pair) == 2 else hold(clk, pair[0], total)
            node.name = f"level{depth}_{index // 2}"
            parts.append(node)
            sums.append(total)
        level, depth = sums, depth + 1
    total, restart_now, capture_now = level[0], flag(), flag()
    for name, soon, now in (("first", first, restart_now), ("capture", capture, capture_now)):
        leaf = control_leaf(clk, soon, now)
        leaf.name = name
        parts.append(leaf)
    accumulator, kept = signed(s.sum_bits), signed(s.sum_bits)

    @always_comb
    def restart():
        if restart_now:
            kept.next = 0
        else:
            kept.next = accumulator

    @always(clk.posedge)
    def accumulate():
        accumulator.next = total + kept

    sum_bits = s.sum_bits

    @always(clk.posedge)
    def leave():
        if capture_now:
            result.next = accumulator[sum_bits:]
        else:
            result.next = shift_in

    return parts, restart, accumulate, leave


def signed(width: int):
    return Signal(intbv(0, min=-(2 ** (width - 1)), max=2 ** (width - 1)))


@block
def log2_product(clk, x, code, product, *, in_bits):
    """product is x shifted by the code's field, in one's complement where the code is negative, a cycle later.

    The shift by four, the zero and the sign of a bit depend on six wires, the shift by 0..3 of these on six more: two
    LUTs a bit, one behind the other.  A register between them would be as wide, and leave the shift to the adder.
    """
    narrow, wide = vector(in_bits + 4), vector(in_bits + 4)
    high = ConcatSignal(x, intbv(0)[4:])
    field, low_field = code(3, 0), code(2, 0)

    @always_comb
    def magnitude():
        """Field 0 is zero, fields 5..7 shift by 4 and more."""
        if field == 0:
            narrow.next = 0
        elif field > 4:
            narrow.next = high
        else:
            narrow.next = x

    signs = join([code(3)] * (in_bits + 4))

    @always_comb
    def sign():
        wide.next = narrow ^ signs

    # Fields 1 and 5 shift no further, 2 and 6 by one, 3 and 7 by two, 4 by three; the sign fills both ends.
    digits = bits(wide)
    by0, by1, by2, by3 = (join([code(3)] * by + digits + [code(3)] * (3 - by)) for by in range(4))

    @always(clk.posedge)
    def shift():
        if low_field == 1:
            product.next = by0.signed()
        elif low_field == 2:
            product.next = by1.signed()
        elif low_field == 3:
            product.next = by2.signed()
        else:
            product.next = by3.signed()

    return magnitude, sign, shift


@block
def add_pair(clk, one, other, total):
    @always(clk.posedge)
    def add():
        total.next = one + other

    return add


@block
def hold(clk, one, total):
    @always(clk.posedge)
    def register():
        total.next = one

    return register
