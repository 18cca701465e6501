"""What pools do with beats lane by lane: the largest or the sum of two, of all so far, of several; factors, means."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.fabric.pools import Scale
from lognet_fpga.hw.control import control_leaf, leaf_groups
from lognet_fpga.hw.wiring import bits, flag, join, vector


@block
def leaves_of_lanes(clk, soon, loads: list, *, lanes, bits_each):
    """loads: for every lane a leaf, a cycle later than soon, that may steer bits_each of each."""
    parts = []
    for number, run in enumerate(leaf_groups(lanes, bits_each)):
        leaf = flag()
        part = control_leaf(clk, soon, leaf)
        part.name = f"leaf{number}"
        parts.append(part)
        loads += [leaf] * len(run)
    return parts


@block
def gather_on(clk, newest, before, goes_on_soon, gathered, *, lanes, average):
    """Lane by lane the larger of newest and what was gathered before, or their sum; newest alone where no window goes
    on.  goes_on_soon: a cycle early.  Without a register."""
    leaves, parts, wires = [], [], []
    width, kept_width, newest_width = len(gathered) // lanes, len(before) // lanes, len(newest) // lanes
    steering = leaves_of_lanes(clk, goes_on_soon, leaves, lanes=lanes, bits_each=width)
    steering.name = "goes_on"
    for lane, goes_on in enumerate(leaves):
        one = newest((lane + 1) * newest_width, lane * newest_width)
        kept, result = before((lane + 1) * kept_width, lane * kept_width), vector(width + 1 if average else width)
        # The highest bit of a sum is set only while no window asks for it.
        part = (sum_so_far if average else largest_so_far)(one, kept, goes_on, result)
        part.name = f"lane{lane}"
        parts.append(part)
        wires += bits(result)[:width]
    joined = join(wires)

    @always_comb
    def gather():
        gathered.next = joined

    return steering, parts, gather


@block
def largest_so_far(one, kept, goes_on, largest):
    """The choice is of bits, not of numbers: of those synthesis would make an enable of the register that keeps them,
    one for each lane."""
    width = len(largest)
    chosen, every = vector(width), 2**width - 1

    @always_comb
    def compare():
        if goes_on and kept > one:
            chosen.next = every
        else:
            chosen.next = 0

    @always_comb
    def choose():
        largest.next = (kept & chosen) | (one & ~chosen)

    return compare, choose


@block
def sum_so_far(one, kept, goes_on, total):
    masking = vector(len(kept))

    @always_comb
    def mask():
        if goes_on:
            masking.next = kept
        else:
            masking.next = 0

    @always_comb
    def add():
        total.next = one + masking

    return mask, add


@block
def scale_lanes(clk, total, flags_soon, scaled, *, lanes, scale: Scale):
    """Lane by lane total times the factor that the flags, a cycle early, choose; scale.levels cycles later."""
    width, out_width = len(total) // lanes, len(scaled) // lanes
    parts, leaves = [], []
    for number, soon in enumerate(flags_soon):
        its: list = []
        steering = leaves_of_lanes(clk, soon, its, lanes=lanes, bits_each=out_width)
        steering.name = f"flag{number}"
        parts.append(steering)
        leaves.append(its)
    terms = []
    for number, term in enumerate(scale.terms):
        wires = []
        for lane in range(lanes):
            of_lane = bits(total)[lane * width : (lane + 1) * width]
            chosen = None
            for option, (shift, chooser) in enumerate(term):
                # Bits above are set only where another factor is chosen, or none.
                shifted = join(([False] * shift + of_lane + [False] * out_width)[:out_width])
                one = vector(out_width)
                part = passed(shifted, one) if chooser is None else masked(shifted, leaves[chooser][lane], one)
                part.name = f"term{number}_lane{lane}_{option}"
                parts.append(part)
                if chosen is not None:
                    either, other = vector(out_width), chosen
                    part = one_of(one, other, either)
                    part.name = f"term{number}_lane{lane}_{option}_or"
                    parts.append(part)
                    one = either
                chosen = one
            wires += bits(chosen)
        beat = vector(lanes * out_width)
        part = passed(join(wires), beat)
        part.name = f"term{number}"
        parts.append(part)
        terms.append(beat)
    # Sums grow at each level, but no window's grows above out_width.
    grown = out_width + (scale.levels if len(terms) > 1 else 0)
    sums = vector(lanes * grown)
    tree = joined_beats(clk, terms, sums, lanes=lanes, average=True)
    tree.name = "sum"
    wires = join([bit for lane in range(lanes) for bit in bits(sums)[lane * grown : lane * grown + out_width]])

    @always_comb
    def cut():
        scaled.next = wires

    return parts, tree, cut


@block
def passed(one, result):
    @always_comb
    def connect():
        result.next = one

    return connect


@block
def masked(one, passes, result):
    @always_comb
    def mask():
        if passes:
            result.next = one
        else:
            result.next = 0

    return mask


@block
def one_of(one, other, result):
    @always_comb
    def choose():
        result.next = one | other

    return choose


@block
def joined_beats(clk, beats, result, *, lanes, average):
    """Lane by lane the largest of several beats, or their sum: a tree, a register behind each of pool_levels levels."""
    level, parts, depth = list(beats), [], 0
    while len(level) > 1 or depth == 0:
        following = []
        for index in range(0, len(level), 2):
            pair = level[index : index + 2]
            grown = len(level[index]) + (lanes if average and len(pair) == 2 else 0)
            total = result if len(level) <= 2 else vector(grown)
            node = (
                combine(clk, *pair, total, lanes=lanes, average=average) if len(pair) == 2 else hold(clk, *pair, total)
            )
            node.name = f"level{depth}_{index // 2}"
            parts.append(node)
            following.append(total)
        level, depth = following, depth + 1
    return parts


@block
def hold(clk, one, late):
    @always(clk.posedge)
    def register():
        late.next = one

    return register


@block
def combine(clk, one, other, joined, *, lanes, average):
    """Lane by lane the larger of two beats, or their sum, a cycle later."""
    results, parts = [vector(len(joined) // lanes) for _ in range(lanes)], []
    for lane, result in enumerate(results):
        operands = [beat((lane + 1) * len(beat) // lanes, lane * len(beat) // lanes) for beat in (one, other)]
        part = lane_sum(*operands, result) if average else larger_lane(*operands, result)
        part.name = f"lane{lane}"
        parts.append(part)
    wires = join([bit for result in results for bit in bits(result)])

    @always(clk.posedge)
    def register():
        joined.next = wires

    return parts, register


@block
def larger_lane(one, other, larger):
    @always_comb
    def compare():
        if one > other:
            larger.next = one
        else:
            larger.next = other

    return compare


@block
def lane_sum(one, other, total):
    @always_comb
    def add():
        total.next = one + other

    return add


@block
def round_lanes(total, mean, *, lanes, form, clips):
    """Lane by lane the Mean `form` of total; clips: whether one can lie above the largest."""
    total_bits, (low, high) = len(total) // lanes, (form.shift, form.shift + form.bits)
    results = [vector(max(total_bits + 1, high)) for _ in range(lanes)]
    parts = []
    for lane, result in enumerate(results):
        one = total((lane + 1) * total_bits, lane * total_bits)
        part = lane_clipped(one, result, form=form) if clips else lane_half(one, result, half=form.half)
        part.name = f"lane{lane}"
        parts.append(part)
    wires = join([bit for result in results for bit in bits(result)[low:high]])

    @always_comb
    def gather():
        mean.next = wires

    return parts, gather


@block
def lane_half(one, total, *, half):
    @always_comb
    def add():
        total.next = one + half

    return add


@block
def lane_clipped(one, total, *, form):
    """As lane_half, but the largest mean where the sum lies above it: found beside the addition, not behind it."""
    half, top = form.half, form.top << form.shift
    beyond = top + (1 << form.shift) - half - 1  # the largest sum that is rounded to it

    @always_comb
    def add():
        if one > beyond:
            total.next = top
        else:
            total.next = one + half

    return add
