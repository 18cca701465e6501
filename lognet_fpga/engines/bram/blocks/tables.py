"""Products that are looked up: what fills the tables, and the processing elements that they are in."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import ConcatSignal, always, always_comb, block, concat

from lognet_fpga.engines.bram.blocks.pe import hold, signed
from lognet_fpga.engines.bram.layout import LARGEST_SHIFT
from lognet_fpga.engines.bram.tables import COLUMN_BITS, FIELDS, TABLE_LOADS
from lognet_fpga.hw.control import control_leaf, in_stretches, leaf_groups
from lognet_fpga.hw.wiring import bits, flag, join, vector
from lognet_fpga.numerics.log2 import WEIGHT_BITS

FIELD_BITS = WEIGHT_BITS - 1


@dataclass(frozen=True)
class TablePeShape:
    """held words of simd lanes of in_bits bits; sum_bits: of the accumulator, two's complement, exact; rounds, passes:
    of a slot."""

    held: int
    simd: int
    in_bits: int
    sum_bits: int
    rounds: int
    passes: int

    @property
    def lanes(self) -> int:
        return self.held * self.simd

    @property
    def product_bits(self) -> int:
        """Of a product without its sign."""
        return self.in_bits + LARGEST_SHIFT


@block
def products(clk, rst, x, opens, values, columns, *, shape):
    """The products of the words of a round, one of every lane a cycle: zero, the activation, twice that, and so on.

    Ports: opens: two cycles before the round's first word is at x, then come the others, a word a cycle; values: of all
    lanes, those of the first word lowest; columns: COLUMN_BITS of each word, a cycle early, from the lowest: whether
    its values are to be written, to which field, to which half of the tables.
    Throughput: a round in held + TABLE_CYCLES - 1 cycles.  Back-pressure: none.
    """
    s = shape
    write, bank, begins, ends, field = flag(), flag(), flag(), flag(), vector(FIELD_BITS)
    last_field = FIELDS - 1

    @always(clk.posedge)
    def count():
        begins.next = opens
        ends.next = rst or (write and field == last_field - 1)
        if rst:
            write.next = False
            bank.next = True
        elif opens:
            write.next = True
            bank.next = not bank
        elif field == last_field:
            write.next = False
        if opens:
            field.next = 0
        else:
            field.next = (field + 1) % FIELDS

    # The word behind follows a cycle later in everything: in what its column is, and its first and last field.
    first, later, column, parts, wires, each = vector(COLUMN_BITS + 2), [], None, [], [], []

    @always_comb
    def begin():
        first.next = concat(ends, begins, bank, field, write)

    for number in range(s.held):
        column, before = vector(COLUMN_BITS + 2) if number else first, column
        if number:
            part = hold(clk, before, column)
            part.name = f"column{number}"
            later.append(part)
        shifted = vector(s.simd * s.product_bits)
        part = shifts(clk, x, column(COLUMN_BITS), column(COLUMN_BITS + 1), shifted, shape=s)
        part.name = f"word{number}"
        parts.append(part)
        each += bits(column)[:COLUMN_BITS]
        wires += bits(shifted)
    every = join(each)

    @always_comb
    def show():
        columns.next = every

    joined = join(wires)

    @always_comb
    def gather():
        values.next = joined

    return count, begin, later, show, parts, gather


@block
def shifts(clk, x, load, clear, values, *, shape):
    """Of one word, which is at x a cycle behind load; clear: a cycle before the last of them."""
    s = shape
    loaded, moved = [], []
    for lane in range(s.simd):
        mine = bits(values)[lane * s.product_bits : (lane + 1) * s.product_bits]
        loaded += bits(x)[lane * s.in_bits : (lane + 1) * s.in_bits] + [False] * LARGEST_SHIFT
        moved += [False, *mine[:-1]]
    register = in_stretches(clk, [load, clear], [loaded, moved], values, register=shift_register)
    register.name = "register"
    return register


@block
def shift_register(clk, load, clear, loaded, moved, values):
    @always(clk.posedge)
    def shift():
        if clear:
            values.next = 0
        elif load:
            values.next = loaded
        else:
            values.next = moved

    return shift


@block
def look_up_accumulate(clk, values, columns, bank, codes, first, result, *, shape):
    """The sum of activations times log2 weights, of a pass in every cycle, round by round.

    Ports: values, columns: as of products; bank: a cycle before the codes, the half of the tables to look in; codes: a
    word of weights, lane 0 in the lowest bits, their signs as in `tables`; first: two cycles before the sum of a pass
    is added, which is the first of its slot; result: the sum of each pass so far.
    Latency: from codes to the cycle behind first: that of the tree of adders; from there to result: 2.  Throughput: one
    pass a cycle.
    Back-pressure: none.
    """
    s = shape
    parts, level, agrees = [], [], []
    for number in range(s.held):
        column = columns(COLUMN_BITS * (number + 1), COLUMN_BITS * number)
        for stretch, run in enumerate(leaf_groups(s.simd, TABLE_LOADS)):
            leaves = vector(COLUMN_BITS), flag()
            part = table_leaves(clk, column, bank, *leaves)
            part.name = f"word{number}_leaves{stretch}"
            parts.append(part)
            for lane in run:
                index = number * s.simd + lane
                product, agree = vector(s.product_bits), flag()
                part = product_table(
                    clk,
                    *leaves,
                    values((index + 1) * s.product_bits, index * s.product_bits),
                    codes((index + 1) * WEIGHT_BITS, index * WEIGHT_BITS),
                    product,
                    agree,
                )
                part.name = f"lane{index}"
                parts.append(part)
                level.append(product)
                agrees.append(agree)

    # Whether the second of two agrees in sign waits for its level.
    depth, width = 0, s.product_bits + 1
    while len(level) > 1:
        sums, width = [], width + 1
        for index in range(0, len(level), 2):
            total, pair = signed(width), level[index : index + 2]
            if len(pair) == 2:
                node = add_or_subtract(clk, *pair, agrees[index + 1], total, unsigned=not depth)
            else:
                node = widen(clk, pair[0], total, unsigned=not depth)
            node.name = f"level{depth}_{index // 2}"
            parts.append(node)
            sums.append(total)
        late = []
        for index in range(0, len(level), 2):
            late.append(flag())
            node = hold(clk, agrees[index], late[-1])
            node.name = f"agrees{depth}_{index // 2}"
            parts.append(node)
        level, agrees, depth = sums, late, depth + 1
    sum_bits, restart_soon = s.sum_bits, flag()
    total, accumulator, kept, moved = vector(width), vector(sum_bits), vector(sum_bits), signed(sum_bits + 1)
    flip = complement_if(level[0], agrees[0], total, unsigned=not depth)
    flip.name = "sign"
    parts.append(flip)
    # Partial sums are exact; what is summed between slots overflows, and is not kept.
    wires = bits(total)
    taken = join([*wires, *[wires[-1]] * sum_bits][:sum_bits])

    if s.rounds == 1:

        @always_comb
        def sum_up():
            moved.next = 0 - taken.signed()

        @always(clk.posedge)
        def accumulate():
            accumulator.next = moved[sum_bits:]
            result.next = accumulator

        return parts, sum_up, accumulate

    leaf = control_leaf(clk, first, restart_soon)
    leaf.name = "first"
    earlier = vector(sum_bits)
    line = free_delay(clk, accumulator, earlier, cycles=s.passes - 2)
    line.name = "line"

    @always_comb
    def sum_up():
        moved.next = kept.signed() - taken.signed()

    @always(clk.posedge)
    def accumulate():
        if restart_soon:
            kept.next = 0
        else:
            kept.next = earlier
        accumulator.next = moved[sum_bits:]
        result.next = accumulator

    return parts, leaf, line, sum_up, accumulate


@block
def table_leaves(clk, column, bank, column_now, bank_now):
    """Leaves of what steers tables, each a cycle late."""
    parts, wires = [], []
    for bit in range(len(column)):
        wires.append(flag())
        leaf = control_leaf(clk, column(bit), wires[-1])
        leaf.name = f"bit{bit}"
        parts.append(leaf)
    leaf = control_leaf(clk, bank, bank_now)
    leaf.name = "bank"
    gathered = join(wires)

    @always_comb
    def gather():
        column_now.next = gathered

    return parts, leaf, gather


@block
def product_table(clk, column, bank, value, code, product, agree):
    """The products of one activation, and of the one before it in the other half; product, agree: a cycle behind the
    code."""
    memory = [vector(len(product)) for _ in range(2 * FIELDS)]
    write, place = column(0), column(COLUMN_BITS, 1)
    field, sign = code(FIELD_BITS, 0), code(FIELD_BITS)

    @always(clk.posedge)
    def access():
        if write:
            memory[place].next = value
        product.next = memory[concat(bank, field)]
        agree.next = sign

    return access


@block
def complement_if(one, told, wide, *, unsigned):
    """wide, a vector, is one with a sign, its own or a positive one, or where told so its one's complement."""
    top = len(one) - 1
    low, sign = one if unsigned else one(top, 0), False if unsigned else one(top)
    wires = ConcatSignal(*[sign] * (len(wide) - len(low)), low)  # also of as many bits, for xor knows no signs
    flips = join([told] * len(wide))

    @always_comb
    def choose():
        wide.next = wires ^ flips

    return choose


@block
def add_or_subtract(clk, one, other, agree, total, *, unsigned):
    """total is one and other and 1, or where the two do not agree one less other."""
    second = vector(len(one) + unsigned)
    flip = complement_if(other, agree, second, unsigned=unsigned)
    flip.name = "flip"
    first = ConcatSignal(False, one) if unsigned else one

    @always(clk.posedge)
    def add():
        total.next = first.signed() - second.signed()

    return flip, add


@block
def widen(clk, one, total, *, unsigned):
    wires = ConcatSignal(False, one) if unsigned else one

    @always(clk.posedge)
    def register():
        total.next = wires.signed()

    return register


@block
def free_delay(clk, newer, older, *, cycles):
    """older is newer as it was `cycles` cycles ago, in the form that synthesis maps to shift registers; cycles >= 2."""
    width = len(older)
    line, wires = vector(width * cycles), join(bits(newer))
    low, high = width * (cycles - 1), width * cycles

    @always(clk.posedge)
    def shift():
        line.next = concat(line[low:], wires)

    @always_comb
    def tail():
        older.next = line[high:low]

    return shift, tail
