"""From serial accumulators to a stream of activations: drop low bits, clip, ReLU."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.control import control_leaf, in_stretches, leaf_groups
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import bits, counter, flag, vector


@dataclass(frozen=True)
class RequantizeShape:
    """channels accumulators of n_digits digits; shift bits are dropped, out_bits kept.  blanks: some results are
    padding of the pool behind, and so zero."""

    channels: int
    digit_bits: int
    n_digits: int
    shift: int
    out_bits: int
    channels_per_beat: int
    blanks: bool = True

    @property
    def beats(self) -> int:
        return -(-self.channels // self.channels_per_beat)

    @property
    def first_digit(self) -> int:
        """The digit that holds the lowest bit kept."""
        return self.shift // self.digit_bits

    @property
    def offset(self) -> int:
        """The place of the lowest bit kept in its digit."""
        return self.shift % self.digit_bits

    @property
    def kept_digits(self) -> int:
        return -(-(self.offset + self.out_bits) // self.digit_bits)

    @property
    def top_bits(self) -> int:
        """Bits of the last kept digit that are kept."""
        return self.offset + self.out_bits - (self.kept_digits - 1) * self.digit_bits


@block
def requantize(clk, rst, acc, acc_soon, acc_blank, out_valid, out_data, *, shape):
    """y = clip(acc >> shift, 0, 2**out_bits - 1) of every channel, sent channels_per_beat at a time.

    Ports: acc: from the adders, one digit of every channel; acc_soon: digit 0 comes in the next cycle, and with it
    the slot whose result is zero if acc_blank; out_valid, out_data: beats of the result, lowest channels first, in
    consecutive cycles.
    Latency: CAPTURE_LATENCY from the last digit.  Throughput: one position in max(n_digits, beats) cycles.
    Back-pressure: none.
    """
    s = shape
    channels, digit_bits = s.channels, s.digit_bits
    keep_soon, top_soon, above_soon, last_soon, wipe_soon = (flag() for _ in range(5))
    phases = digit_phases(clk, rst, acc_soon, acc_blank, keep_soon, top_soon, above_soon, last_soon, wipe_soon, shape=s)
    phases.name = "phases"

    kept, over, negative, parts = [], [], [], []
    for number, run in enumerate(leaf_groups(channels, s.kept_digits * digit_bits)):
        leaves = []
        for name, soon in (("keep", keep_soon), ("top", top_soon), ("above", above_soon), ("last", last_soon)):
            leaves.append(flag())
            part = control_leaf(clk, soon, leaves[-1])
            part.name = f"{name}{number}"
            parts.append(part)
        for c in run:
            kept.append(vector(s.kept_digits * digit_bits))
            over.append(flag())
            negative.append(flag())
            digit = acc((c + 1) * digit_bits, c * digit_bits)
            part = channel(clk, digit, *leaves, kept[c], over[c], negative[c], shape=s)
            part.name = f"channel{c}"
            parts.append(part)

    # Two cycles behind the last digit: clipped into the beats.
    last, wipe = flag(), flag()

    @always(clk.posedge)
    def finish():
        last.next = last_soon
        wipe.next = wipe_soon

    width, results = len(out_data), vector(s.beats * len(out_data))
    lanes = [divmod(place, s.out_bits) for place in range(len(results))]
    raw = [kept[c](s.offset + bit) if c < channels else False for c, bit in lanes]
    high = [over[c] if c < channels else False for c, _ in lanes]
    low = [negative[c] if c < channels else False for c, _ in lanes]
    following = bits(results)[width:] + [False] * width
    controls, make = ([last, wipe], blanked_beats) if s.blanks else ([last], beat_register)
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
        capture.next = last
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

    return phases, parts, finish, registers, begin, count, send, offer


@block
def digit_phases(clk, rst, acc_soon, acc_blank, keep_soon, top_soon, above_soon, last_soon, wipe_soon, *, shape):
    """What is to be done with the digit that is on acc, a cycle later; out of registers.

    keep_soon: it holds bits that are kept; top_soon: it is the last such; above_soon: it lies above them; last_soon:
    it is the last of its number; wipe_soon: and the result is zero.
    """
    first, top, last_digit = shape.first_digit, shape.first_digit + shape.kept_digits - 1, shape.n_digits - 1
    keeps_first, tops_first, lasts_first = first == 0, top == 0, last_digit == 0
    # digit: of the next cycle, if running.
    digit, running, blank = counter(shape.n_digits + 1), flag(), flag()

    @always(clk.posedge)
    def count():
        if acc_soon:
            digit.next = 1
            blank.next = acc_blank
        elif digit <= last_digit:
            digit.next = digit + 1

    @always(clk.posedge)
    def decode():
        if rst:
            running.next = False
            keep_soon.next = False
            top_soon.next = False
            above_soon.next = False
            last_soon.next = False
            wipe_soon.next = False
        elif acc_soon:
            running.next = not lasts_first
            keep_soon.next = keeps_first
            top_soon.next = tops_first
            above_soon.next = False
            last_soon.next = lasts_first
            wipe_soon.next = lasts_first and acc_blank
        else:
            running.next = running and (digit != last_digit)
            keep_soon.next = running and (digit >= first) and (digit <= top)
            top_soon.next = running and (digit == top)
            above_soon.next = running and (digit > top)
            last_soon.next = running and (digit == last_digit)
            wipe_soon.next = running and (digit == last_digit) and blank

    return count, decode


@block
def channel(clk, acc, keep, top, above, last, kept, over, negative, *, shape):
    """One accumulator: the digits kept, whether a higher bit is set, the sign.

    keep, top, above, last: as in digit_phases, with the digit's own register.
    """
    digit_bits, top_bits, sign_bit = shape.digit_bits, shape.top_bits, shape.digit_bits - 1
    digit, any_upper, any_lower = vector(digit_bits), flag(), flag()

    @always(clk.posedge)
    def arrive():
        digit.next = acc

    if top_bits == digit_bits:

        @always(clk.posedge)
        def excess():
            any_lower.next = acc != 0
            any_upper.next = False
    else:

        @always(clk.posedge)
        def excess():
            any_lower.next = acc[top_bits:] != 0
            any_upper.next = acc[digit_bits:top_bits] != 0

    @always(clk.posedge)
    def watch():
        if top:
            over.next = any_upper
        elif above:
            over.next = over or any_upper or any_lower
        if last:
            negative.next = digit[sign_bit]

    if shape.kept_digits == 1:

        @always(clk.posedge)
        def hold():
            if keep:
                kept.next = digit
    else:
        end = shape.kept_digits * digit_bits

        @always(clk.posedge)
        def hold():
            if keep:
                kept.next = concat(digit, kept[end:digit_bits])

    return arrive, excess, watch, hold


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
