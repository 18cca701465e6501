"""From serial accumulators to a stream of activations: drop low bits, clip, ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.control import control_leaf, in_stretches, leaf_groups
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import Part, Wire, bits, counter, flag, join, vector


@dataclass(frozen=True)
class RequantizeShape:
    """channels accumulators, in legs of leg_cycles digits (`schedule`); shift bits are dropped, out_bits kept.

    legs: of an accumulator; those below first_leg hold only dropped bits and do not come here.  blanks: some results
    are padding of the pool behind, and so zero.
    """

    channels: int
    digit_bits: int
    leg_cycles: int
    legs: int
    shift: int
    out_bits: int
    channels_per_beat: int
    blanks: bool = True

    @property
    def beats(self) -> int:
        return -(-self.channels // self.channels_per_beat)

    @property
    def position_cycles(self) -> int:
        return max(self.leg_cycles, self.beats)

    @property
    def first_leg(self) -> int:
        """The leg that holds the lowest bit kept."""
        return self.shift // (self.digit_bits * self.leg_cycles)

    @property
    def wires(self) -> list[tuple[int, int]]:
        """(leg, bit of a digit) of each wire of an accumulator."""
        return [(leg, bit) for leg in range(self.first_leg, self.legs) for bit in range(self.digit_bits)]

    def kept_digits(self, leg: int, bit: int) -> range:
        """The digits of a leg in which that wire shows bits that are kept."""
        first = leg * self.leg_cycles * self.digit_bits + bit
        return range(
            min(self.leg_cycles, max(0, -(-(self.shift - first) // self.digit_bits))),
            min(self.leg_cycles, max(0, -(-(self.shift + self.out_bits - first) // self.digit_bits))),
        )

    @property
    def lowest_excess(self) -> tuple[int, int, int]:
        """(leg, digit of it, bit of that) of the lowest bit that lies above those kept."""
        digit, bit = divmod(self.shift + self.out_bits, self.digit_bits)
        return (*divmod(digit, self.leg_cycles), bit)


@block
def requantize(clk, rst, acc, acc_soon, acc_blank, out_valid, out_data, *, shape):
    """y = clip(acc >> `shift`, 0, 2**`out_bits` - 1) of every channel, sent `channels_per_beat` at a time.

    Ports: acc: from the adders, one digit of each wire of every channel; acc_soon: the first digits come in two cycles,
    and with them the slot whose result is zero if acc_blank; out_valid, out_data: beats of the result, lowest channels
    first, in consecutive cycles.
    Latency: `CAPTURE_LATENCY` from the last digits.  Throughput: one position in `position_cycles` cycles.
    Back-pressure: none.
    """
    s = shape
    last_digit, (top_leg, top_digit, top_bit) = s.leg_cycles - 1, s.lowest_excess
    digit, running, blank = counter(s.leg_cycles + 1), flag(), flag()
    phases = digit_phases(clk, rst, acc_soon, acc_blank, digit, running, blank, last_digit=last_digit)
    phases.name = "phases"

    # soon[digits]: what is on acc in the next cycle is one of these digits; a leaf of it says so in that cycle.
    keeps = {wire: kept for wire in s.wires if (kept := s.kept_digits(*wire))}
    top, above = range(top_digit, top_digit + 1), range(top_digit + 1, s.leg_cycles)
    first, last = range(1), range(last_digit, s.leg_cycles)
    soon, parts = {}, []

    def add(make, name, **wires):
        parts.append(Part(make, wires, name))

    for digits in dict.fromkeys([*keeps.values(), top, above, first, last]):
        soon[digits], make = flag(), partial(digits_soon, first=digits.start, after=digits.stop)
        name, at = f"soon{digits.start}_{digits.stop}", {"digit": digit, "running": running}
        add(make, name, clk=clk, rst=rst, acc_soon=acc_soon, **at, soon=soon[digits])

    kept, over, negative = {}, [], []  # kept: by (channel, bit of the result)
    for number, run in enumerate(leaf_groups(s.channels, s.out_bits + 3)):  # of the result, and sign and excess
        leaves = {digits: flag() for digits in soon}
        for digits, leaf in leaves.items():
            add(control_leaf, f"digits{digits.start}_{digits.stop}_{number}", clk=clk, d=soon[digits], q=leaf)

        def arriving(leg, bit, run=run):
            place = (leg - s.first_leg) * s.digit_bits + bit
            return join([Wire(acc, c * len(s.wires) + place) for c in run])

        def keep(digits, wires, held, name, leaves=leaves):
            add(kept_digits, name, clk=clk, keep=leaves[digits], wires=wires, kept=held)

        for (leg, bit), digits in keeps.items():
            held = vector(len(digits) * len(run))
            keep(digits, arriving(leg, bit), held, f"kept{leg}_{bit}_{number}")
            lowest = (leg * s.leg_cycles + digits.start) * s.digit_bits + bit - s.shift
            for place in range(len(held)):
                kept[run[place % len(run)], lowest + place // len(run) * s.digit_bits] = Wire(held, place)
        excess, sign = vector(len(run)), vector(len(run))
        keep(last, arriving(s.legs - 1, s.digit_bits - 1), sign, f"sign{number}")
        upper = [arriving(leg, bit) for leg, bit in s.wires if leg == top_leg and bit >= top_bit]
        lower = [arriving(leg, bit) for leg, bit in s.wires if leg == top_leg and bit < top_bit]
        marks = {"top": leaves[top], "above": leaves[above]}
        add(excess_digits, f"excess{number}", clk=clk, **marks, upper=upper, lower=lower, over=excess)
        if beyond := [arriving(leg, bit) for leg, bit in s.wires if leg > top_leg]:
            higher, either = vector(len(run)), vector(len(run))
            add(excess_legs, f"higher{number}", clk=clk, first=leaves[first], wires=beyond, over=higher)
            add(any_of, f"over{number}", wires=[excess, higher], result=either)
            excess = either
        over += bits(excess)
        negative += bits(sign)

    instances = []
    for part in parts:
        instance = part.make(**part.wires)
        instance.name = part.name
        instances.append(instance)

    # In the cycle behind the last digit: clipped into the beats.
    load, wipe, last_soon = flag(), flag(), soon[last]

    @always(clk.posedge)
    def finish():
        load.next = last_soon
        wipe.next = last_soon and blank

    width, results = len(out_data), vector(s.beats * len(out_data))
    lanes = [divmod(place, s.out_bits) for place in range(len(results))]
    raw = [kept.get(lane, False) for lane in lanes]
    high = [over[c] if c < s.channels else False for c, _ in lanes]
    low = [negative[c] if c < s.channels else False for c, _ in lanes]
    following = bits(results)[width:] + [False] * width
    controls, make = ([load, wipe], blanked_beats) if s.blanks else ([load], beat_register)
    registers = in_stretches(clk, controls, [raw, high, low, following], results, register=make)
    registers.name = "results"

    place, capture, valid, ends, newest = counter(s.beats), flag(), flag(), flag(), results(width, 0)
    restart = flag()

    @always_comb
    def begin():
        restart.next = rst or capture

    count = wrapping_counter(clk, restart, valid, place, ends, count=s.beats)
    count.name = "beat"

    @always(clk.posedge)
    def send():
        capture.next = load
        if rst:
            valid.next = False
        elif capture:
            valid.next = True
        elif ends:
            valid.next = False

    @always_comb
    def offer():
        out_valid.next = valid
        out_data.next = newest

    return phases, instances, finish, registers, begin, count, send, offer


@block
def digit_phases(clk, rst, acc_soon, acc_blank, digit, running, blank, *, last_digit):
    """digit: which digits are on acc in two cycles, if running and if they are not a slot's first; blank: the result of
    those on acc in the next cycle is zero."""

    @always(clk.posedge)
    def count():
        if acc_soon:
            digit.next = 1
            blank.next = acc_blank
        elif digit <= last_digit:
            digit.next = digit + 1

    starts = last_digit > 0

    @always(clk.posedge)
    def run():
        if rst:
            running.next = False
        elif acc_soon:
            running.next = starts
        elif digit == last_digit:
            running.next = False

    return count, run


@block
def digits_soon(clk, rst, acc_soon, digit, running, soon, *, first, after):
    """soon: what is on acc in the next cycle is one of the digits first..after - 1; out of a register."""
    begins = first == 0

    @always(clk.posedge)
    def decode():
        if rst:
            soon.next = False
        elif acc_soon:
            soon.next = begins
        else:
            soon.next = running and (digit >= first) and (digit < after)

    return decode


@block
def kept_digits(clk, keep, wires, kept):
    """The kept digits of one wire of several channels; keep: the wire shows one of them."""
    width, end = len(wires), len(kept)

    if width == end:

        @always(clk.posedge)
        def hold():
            if keep:
                kept.next = wires
    else:

        @always(clk.posedge)
        def hold():
            if keep:
                kept.next = concat(wires, kept[end:width])

    return hold


@block
def excess_digits(clk, top, above, upper, lower, over):
    """Whether any bit above those kept is set in the leg that holds the lowest of them.

    top: the digit shown holds the lowest such bits, on the wires `upper`; above: it holds only such bits, on `lower`
    too.
    """
    any_upper, any_lower = vector(len(over)), vector(len(over))
    look_upper = any_of(upper, any_upper)
    look_upper.name = "upper"
    look_lower = ()
    if lower:
        look_lower = any_of(lower, any_lower)
        look_lower.name = "lower"

    @always(clk.posedge)
    def watch():
        if top:
            over.next = any_upper
        elif above:
            over.next = over | any_upper | any_lower

    return look_upper, look_lower, watch


@block
def excess_legs(clk, first, wires, over):
    """Whether any bit of the legs above is set; first: the digits shown are their first."""
    anything = vector(len(over))
    look = any_of(wires, anything)
    look.name = "look"

    @always(clk.posedge)
    def watch():
        if first:
            over.next = anything
        else:
            over.next = over | anything

    return look, watch


@block
def any_of(wires, result):
    """The or of a list of vectors, without a register."""
    if len(wires) == 1:
        only = wires[0]

        @always_comb
        def either():
            result.next = only

        return either
    rest, one = vector(len(result)), wires[0]
    others = any_of(wires[1:], rest)
    others.name = "others"

    @always_comb
    def either():
        result.next = one | rest

    return others, either


@block
def beat_register(clk, load, raw, high, low, following, beats):
    """Bits of the results: loaded clipped, then fed from the next beat."""

    @always(clk.posedge)
    def shift():
        if load:
            beats.next = (raw | high) & ~low
        else:
            beats.next = following

    return shift


@block
def blanked_beats(clk, load, clear, raw, high, low, following, beats):
    """As beat_register, with results that are zero."""

    @always(clk.posedge)
    def shift():
        if clear:
            beats.next = 0
        elif load:
            beats.next = (raw | high) & ~low
        else:
            beats.next = following

    return shift
