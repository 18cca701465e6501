"""The number of the channel with the largest value of a position, the first of equals, on a stream of beats."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block

from lognet_fpga.fabric.latencies import rank_latency
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import counter, flag, vector


@dataclass(frozen=True)
class RankShape:
    """bits: of a value; lanes: channels a beat; beats: of a position; out_bits: of the number of a channel."""

    bits: int
    lanes: int
    beats: int
    out_bits: int


@block
def rank(clk, rst, in_valid, in_data, out_valid, out_data, *, shape):
    """Within a beat values are compared two by two in a tree, then with the largest of the beats before.

    Ports: in_valid, in_data: beats, lowest channels first, values >= 0, zero in lanes without a channel; out_valid,
    out_data: one beat a position.
    Latency: `rank_latency` from the last beat.  Throughput: one beat a cycle.  Back-pressure: none.
    """
    s = shape
    newest, first_channel, beat, ends = vector(len(in_data)), vector(s.out_bits), counter(s.beats), flag()
    counting = wrapping_counter(clk, rst, in_valid, beat, ends, count=s.beats)
    counting.name = "beat"
    firsts = tuple(number * s.lanes for number in range(s.beats))
    levels = rank_latency(s.lanes) - 2
    # Beside the beat: bit 0 a cycle late, bit k by k more.
    valid, begins, finishes, last = vector(levels + 1), vector(levels + 1), vector(levels + 1), levels
    stays = (1 << levels) - 1

    @always(clk.posedge)
    def arrive():
        newest.next = in_data
        first_channel.next = firsts[int(beat)]
        begins.next = ((begins & stays) << 1) | (beat == 0)
        finishes.next = ((finishes & stays) << 1) | ends
        if rst:
            valid.next = 0
        else:
            valid.next = ((valid & stays) << 1) | in_valid

    values, channels, parts = [], [], []
    for lane in range(s.lanes):
        values.append(newest((lane + 1) * s.bits, lane * s.bits))
        channels.append(vector(s.out_bits))
        part = numbered(first_channel, channels[-1], lane=lane)
        part.name = f"lane{lane}"
        parts.append(part)
    while len(values) > 1:
        above, numbers = [], []
        for place in range(0, len(values), 2):
            above.append(vector(s.bits))
            numbers.append(vector(s.out_bits))
            both = place + 1 < len(values)
            other = place + 1 if both else place
            part = larger(clk, values[place], channels[place], values[other], channels[other], above[-1], numbers[-1])
            part.name = f"pair{len(parts)}"
            parts.append(part)
        values, channels = above, numbers
    value, channel, best, number, shown = values[0], channels[0], vector(s.bits), vector(s.out_bits), flag()

    @always(clk.posedge)
    def compare():
        if valid[last]:
            if begins[last] or value > best:
                best.next = value
                number.next = channel
        if rst:
            shown.next = False
        else:
            shown.next = valid[last] and finishes[last]

    @always_comb
    def show():
        out_valid.next = shown
        out_data.next = number

    return counting, arrive, parts, compare, show


@block
def numbered(first, channel, *, lane):
    """channel: the one in that lane of a beat that begins with the first."""
    wraps = 1 << len(channel)

    @always_comb
    def count():
        channel.next = (first + lane) % wraps

    return count


@block
def larger(clk, left, left_channel, right, right_channel, value, channel):
    """The larger of two values and its channel, the left one where they are equal."""

    @always(clk.posedge)
    def choose():
        if right > left:
            value.next = right
            channel.next = right_channel
        else:
            value.next = left
            channel.next = left_channel

    return choose
