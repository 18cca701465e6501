"""From serial accumulators to a stream of activations: drop low bits, clip, ReLU."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block

from lognet_fpga.hw.wiring import counter, flag, join, vector


@dataclass(frozen=True)
class RequantizeShape:
    """channels accumulators of n_digits digits; shift bits are dropped, out_bits kept."""

    channels: int
    digit_bits: int
    n_digits: int
    shift: int
    out_bits: int
    channels_per_beat: int

    @property
    def beats(self) -> int:
        return -(-self.channels // self.channels_per_beat)

    @property
    def first_digit(self) -> int:
        """The digit that holds the lowest bit kept."""
        return self.shift // self.digit_bits

    @property
    def kept_digits(self) -> int:
        return -(-(self.shift % self.digit_bits + self.out_bits) // self.digit_bits)


@block
def requantize(clk, rst, acc, acc_begin, acc_blank, out_valid, out_data, *, shape):
    """y = clip(acc >> shift, 0, 2**out_bits - 1) of every channel, sent channels_per_beat at a time.

    Ports: acc, acc_begin, acc_blank: from the adders, one digit of every channel; out_valid, out_data: beats of the
    result, lowest channels first, in consecutive cycles.
    Latency: CAPTURE_LATENCY from the last digit.  Throughput: one position in max(n_digits, beats) cycles.
    Back-pressure: none.
    """
    s = shape
    channels, digit_bits, n_digits = s.channels, s.digit_bits, s.n_digits
    first, after = s.first_digit, s.first_digit + s.kept_digits
    digit, count = counter(n_digits), counter(n_digits)
    keep, overflow_digit, last, capture = flag(), flag(), flag(), flag()
    tops = join([acc(c * digit_bits + digit_bits - 1) for c in range(channels)])
    over, negative = vector(channels), vector(channels)

    @always_comb
    def which_digit():
        """acc_begin marks digit 0; the register counts the others."""
        if acc_begin:
            digit.next = 0
        else:
            digit.next = count

    last_digit = n_digits - 1

    @always(clk.posedge)
    def step():
        if digit != last_digit:
            count.next = digit + 1

    if n_digits == 1:

        @always_comb
        def phases():
            keep.next = acc_begin
            overflow_digit.next = False
            last.next = acc_begin
    else:
        running = flag()

        @always(clk.posedge)
        def run():
            if rst:
                running.next = False
            elif acc_begin:
                running.next = True
            elif count == last_digit:
                running.next = False

        @always_comb
        def active():
            last.next = running and (not acc_begin) and (count == last_digit)
            keep.next = (acc_begin or running) and (digit >= first) and (digit < after)
            overflow_digit.next = (acc_begin or running) and (digit >= after)

        phases = (run, active)

    # any(bits of the digit), channel by channel, as a chain over the bits of a digit
    ors, any_bits = [], None
    for bit in range(digit_bits):
        plane = join([acc(c * digit_bits + bit) for c in range(channels)])
        total = vector(channels)
        gate = either(any_bits, plane, total)
        gate.name = f"any_bit{bit}"
        ors.append(gate)
        any_bits = total
    watch = overflow_register(clk, keep, overflow_digit, any_bits, over)
    watch.name = "overflow"

    blank_held, blank_now, blank_result = flag(), flag(), flag()

    @always_comb
    def which_blank():
        if acc_begin:
            blank_now.next = acc_blank
        else:
            blank_now.next = blank_held

    @always(clk.posedge)
    def sign():
        blank_held.next = blank_now
        if last:
            negative.next = tops
            blank_result.next = blank_now

    @always(clk.posedge)
    def captured():
        if rst:
            capture.next = False
        else:
            capture.next = last

    # kept[i]: digit first + i of every channel, shifted down from the top as digits arrive.
    kept = [vector(channels * digit_bits) for _ in range(s.kept_digits)]
    shifts = []
    for index, register in enumerate(kept):
        source = kept[index + 1] if index + 1 < s.kept_digits else acc
        shift = keep_register(clk, keep, source, register)
        shift.name = f"kept{index}"
        shifts.append(shift)
    offset = s.shift % digit_bits

    def kept_bit(channel, place):
        """Bit `place` of the kept digits of a channel."""
        return kept[place // digit_bits](channel * digit_bits + place % digit_bits)

    excess = [
        [kept_bit(c, place) for c in range(channels)]
        for place in range(offset + s.out_bits, s.kept_digits * digit_bits)
    ]
    saturate, chain = over, []
    for index, wires in enumerate(excess):
        total = vector(channels)
        gate = either(saturate, join(wires), total)
        gate.name = f"excess{index}"
        chain.append(gate)
        saturate = total

    beats = [vector(s.channels_per_beat * s.out_bits) for _ in range(s.beats)]
    registers = []
    for index, beat in enumerate(beats):
        lanes = range(index * s.channels_per_beat, (index + 1) * s.channels_per_beat)
        spread = [(c, b) for c in lanes for b in range(s.out_bits)]
        raw = join([kept_bit(c, offset + b) if c < channels else False for c, b in spread])
        high = join([saturate(c) if c < channels else False for c, _ in spread])
        low = join([negative(c) if c < channels else False for c, _ in spread])
        following = beats[index + 1] if index + 1 < s.beats else None
        register = beat_register(clk, capture, blank_result, raw, high, low, following, beat)
        register.name = f"beat{index}"
        registers.append(register)

    remaining = counter(s.beats + 1)
    count_beats, newest = s.beats, beats[0]

    @always(clk.posedge)
    def send():
        if rst:
            remaining.next = 0
        elif capture:
            remaining.next = count_beats
        elif remaining != 0:
            remaining.next = remaining - 1

    @always_comb
    def offer():
        out_valid.next = remaining != 0
        out_data.next = newest

    return which_digit, step, phases, ors, watch, which_blank, sign, captured, shifts, chain, registers, send, offer


@block
def either(one, other, total):
    """total = one | other; one None: just other."""
    if one is None:

        @always_comb
        def gate():
            total.next = other
    else:

        @always_comb
        def gate():
            total.next = one | other

    return gate


@block
def overflow_register(clk, keep, overflow_digit, any_bits, over):
    """Bit c is set when a digit above those kept was not zero; cleared while digits are kept."""

    @always(clk.posedge)
    def watch():
        if keep:
            over.next = 0
        elif overflow_digit:
            over.next = over | any_bits

    return watch


@block
def keep_register(clk, keep, source, register):
    @always(clk.posedge)
    def shift():
        if keep:
            register.next = source

    return shift


@block
def beat_register(clk, capture, blank, raw, high, low, following, beat):
    """One beat of the result: loaded clipped, then fed from the next beat."""
    if following is None:

        @always(clk.posedge)
        def load():
            if capture and blank:
                beat.next = 0
            elif capture:
                beat.next = (raw | high) & ~low
    else:

        @always(clk.posedge)
        def load():
            if capture and blank:
                beat.next = 0
            elif capture:
                beat.next = (raw | high) & ~low
            else:
                beat.next = following

    return load
