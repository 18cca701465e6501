"""From the sums of a pass to a stream of activations: offset, drop low bits, clip, ReLU."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block, concat

from lognet_fpga.engines.bram.blocks.pe import signed
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector


@dataclass(frozen=True)
class OutputShape:
    """beats of a position carry channels_per_beat channels each, beats_per_pass of them from one pass' sums.

    sum_bits, total_bits: of a sum and of (sum << lift) + offset.  drops: the different numbers of bits dropped,
    ascending; a channel has the index of its own among them.
    """

    passes: int
    beats: int
    beats_per_pass: int
    channels_per_beat: int
    lift: int
    sum_bits: int
    total_bits: int
    out_bits: int
    drops: tuple[int, ...]

    @property
    def drop_bits(self) -> int:
        """Of the index of a drop; none where all channels have the same."""
        return (len(self.drops) - 1).bit_length()

    @property
    def constant_bits(self) -> int:
        """Of a channel's constants: offset, two's complement, below the index of its drop."""
        return self.total_bits + self.drop_bits


@block
def activations(clk, rst, sums, ending, blank, index, constants, out_valid, out_data, *, shape):
    """clip(((sum << `lift`) + offset) >> drop, 0, 2**`out_bits` - 1) of every channel, `channels_per_beat` at a time.

    Ports: ending, blank: two cycles before the first sums of a pass, and whether its results are zero; sums: of
    `channels_per_beat` channels, lowest first, beat after beat; index: of a beat's constants, which come two cycles
    later with its sums; out_valid, out_data: beats of the result.
    Latency: `OUTPUT_LATENCY` from the sums.  Throughput: one beat a cycle.  Back-pressure: none.
    """
    s = shape
    coming, busy, blank_now, blank_held, needed, is_real = (flag() for _ in range(6))
    last_real, all_real = s.beats - 1, s.beats == s.passes * s.beats_per_pass
    later_beats, restart = s.beats_per_pass - 1, flag()
    place, places_end, indexes_end = counter(max(1, later_beats)), flag(), flag()
    counters = [
        wrapping_counter(clk, restart, busy, place, places_end, count=max(1, later_beats)),
        wrapping_counter(clk, rst, coming, index, indexes_end, count=s.passes * s.beats_per_pass),
    ]
    for part, name in zip(counters, ("later", "index")):
        part.name = name
    several = later_beats > 0

    @always_comb
    def which():
        """The last pass may have beats that no channel needs."""
        coming.next = ending or busy
        restart.next = rst or ending
        needed.next = (ending or busy) and is_real
        if ending:
            blank_now.next = blank
        else:
            blank_now.next = blank_held

    @always(clk.posedge)
    def count():
        blank_held.next = blank_now
        if rst:
            busy.next = False
            is_real.next = True
        else:
            if ending:
                busy.next = several
            elif places_end:
                busy.next = False
            if coming:
                is_real.next = all_real or indexes_end or (is_real and index != last_real)

    # From a beat's index to out_valid: two cycles to its sums, OUTPUT_LATENCY to its activations.
    valid, blanks = vector(5), vector(5)

    @always(clk.posedge)
    def travel():
        blanks.next = concat(blanks[4:], blank_now)
        if rst:
            valid.next = 0
            out_valid.next = False
        else:
            valid.next = concat(valid[4:], needed)
            out_valid.next = valid[4]

    zero, lanes, wires = blanks(4), [], []
    for number in range(s.channels_per_beat):
        activation = vector(s.out_bits)
        lane = clip_lane(
            clk,
            sums((number + 1) * s.sum_bits, number * s.sum_bits),
            constants((number + 1) * s.constant_bits, number * s.constant_bits),
            zero,
            activation,
            shape=s,
        )
        lane.name = f"lane{number}"
        lanes.append(lane)
        wires += bits(activation)
    joined = join(wires)

    @always_comb
    def show():
        out_data.next = joined

    return counters, which, count, travel, lanes, show


@block
def clip_lane(clk, total, constant, zero, activation, *, shape):
    """One channel's activation, four cycles behind its sum; zero comes with the last of them."""
    s = shape
    moved, choice = signed(s.total_bits), vector(max(1, s.drop_bits))
    total_bits, constant_bits = s.total_bits, s.constant_bits
    offset, lifted = constant(total_bits, 0), join([False] * s.lift + bits(total))
    which = constant(constant_bits, total_bits) if s.drop_bits else constant(0)

    @always(clk.posedge)
    def add():
        moved.next = lifted.signed() + offset.signed()

    if s.drop_bits:

        @always(clk.posedge)
        def follow():
            choice.next = which
    else:

        @always_comb
        def follow():
            choice.next = which and not which

    # For each drop the bits kept, and whether one above them is set.  Of four drops each the channel's own bits are
    # chosen, and then its own among these.  The sign behind them only keeps the vectors from being empty.
    *digits, last = bits(moved)
    kept, over, parts = [], [], []
    for index, drop in enumerate(s.drops):
        low, over_mine = digits[drop:], flag()
        kept.append(join((low + [False] * s.out_bits)[: s.out_bits] + [last]))
        detect = any_set(clk, join([*low[s.out_bits :], last]), over_mine)
        detect.name = f"over{index}"
        parts.append(detect)
        over.append(over_mine)
    fours, low_choice = [], choice(min(2, len(choice)), 0)
    for first in range(0, len(kept), 4):
        four = vector(s.out_bits + 1)
        pick = pick_one(clk, low_choice, kept[first : first + 4], four)
        pick.name = f"drops{first}"
        parts.append(pick)
        fours.append(four)
    choice_late, chosen, high = vector(len(choice)), vector(s.out_bits + 1), flag()
    high_choice = choice_late(len(choice), 2) if len(choice) > 2 else choice_late
    own = pick_one(clk, high_choice, fours, chosen)
    own.name = "own"
    own_over = pick_flag(clk, choice_late, over, high)
    own_over.name = "over"
    parts += [own, own_over]
    negative, negative_late = flag(), flag()
    out_bits, top, sign = s.out_bits, 2**s.out_bits - 1, total_bits - 1

    @always(clk.posedge)
    def travel():
        choice_late.next = choice
        negative.next = moved[sign]
        negative_late.next = negative

    @always(clk.posedge)
    def clip():
        if negative_late or zero:
            activation.next = 0
        elif high:
            activation.next = top
        else:
            activation.next = chosen[out_bits:]

    return add, follow, parts, travel, clip


@block
def any_set(clk, above, found):
    @always(clk.posedge)
    def gate():
        found.next = above != 0

    return gate


@block
def pick_one(clk, which, candidates, picked):
    """One of up to four vectors, a cycle later."""
    if len(candidates) == 1:
        only = candidates[0]

        @always(clk.posedge)
        def pick():
            picked.next = only

        return pick
    one, two, three, four = (candidates + candidates[-1:] * 2)[:4]

    @always(clk.posedge)
    def pick():
        if which == 0:
            picked.next = one
        elif which == 1:
            picked.next = two
        elif which == 2:
            picked.next = three
        else:
            picked.next = four

    return pick


@block
def pick_flag(clk, which, flags, picked):
    """One of several flags, a cycle later."""
    every = join([*flags, flags[0]])  # a vector also of one

    @always(clk.posedge)
    def pick():
        picked.next = every[which]

    return pick
