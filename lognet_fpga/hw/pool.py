"""Pooling on a stream of beats: along the row, then across rows through a memory of row results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from myhdl import always, always_comb, block, concat

from lognet_fpga.fabric.latencies import pool_latency, pool_levels
from lognet_fpga.hw.control import all_of, in_stretches, late_logic
from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.delay import delay_loads, registered_delay
from lognet_fpga.hw.memory import memory_of_words
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector


@dataclass(frozen=True)
class Mean:
    """min(floor(sum / 2**shift + 1/2), 2**bits - 1) of a window's sum."""

    shift: int
    bits: int

    @property
    def half(self) -> int:
        return 1 << self.shift >> 1

    @property
    def top(self) -> int:
        return 2**self.bits - 1


@dataclass(frozen=True)
class PoolShape:
    """in_rows, in_cols: of what reaches the pool, padding included; kernel, stride: (y, x).

    mean None: the largest of a window.
    """

    in_rows: int
    in_cols: int
    bits: int
    channels_per_beat: int
    beats: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    mean: Mean | None = None

    @property
    def average(self) -> bool:
        return self.mean is not None

    @property
    def out_bits(self) -> int:
        return self.mean.bits if self.mean else self.bits

    @property
    def clips(self) -> bool:
        """Whether a window's sum can lie above the largest mean."""
        if self.mean is None:
            return False
        largest = self.kernel[0] * self.kernel[1] * (2**self.bits - 1)
        return largest + self.mean.half >> self.mean.shift > self.mean.top

    @property
    def row_bits(self) -> int:
        """Bits of a lane behind the pass along the row: sums grow."""
        return self.bits + ((self.kernel[1] - 1).bit_length() if self.average else 0)

    @property
    def window_bits(self) -> int:
        """Bits of a lane behind the pass across rows."""
        return self.row_bits + ((self.kernel[0] - 1).bit_length() if self.average else 0)

    @property
    def latency_cycles(self) -> int:
        return pool_latency(self.kernel, self.average)

    @property
    def col_flags(self) -> tuple[int, ...]:
        return _ends(self.in_cols, self.kernel[1], self.stride[1])

    @property
    def row_flags(self) -> tuple[int, ...]:
        return _ends(self.in_rows, self.kernel[0], self.stride[0])


def _ends(length: int, kernel: int, stride: int) -> tuple[int, ...]:
    """1 at the positions where a window ends."""
    return tuple(int(i >= kernel - 1 and (i - kernel + 1) % stride == 0) for i in range(length))


@block
def pool(clk, rst, in_valid, in_data, out_valid, out_data, *, shape):
    """The largest activation, or the mean, of each window and channel.

    Ports: in_valid, in_data and out_valid, out_data: beats, in raster order, lowest channels first.
    Latency: `latency_cycles`.  Throughput: one beat a cycle.  Back-pressure: none, the FIFO behind has room.
    """
    s = shape
    lanes = s.channels_per_beat
    width, row_width, window_width = len(in_data), lanes * s.row_bits, lanes * s.window_bits
    # Where the beat comes from, and whether a window ends in its row or column.
    row, col, beat = counter(s.in_rows), counter(s.in_cols), counter(s.beats)
    next_col, next_row, ends_beats, ends_cols, ends_rows = (flag() for _ in range(5))
    row_flag, col_flag, result_soon = vector(1), vector(1), flag()
    position = [
        wrapping_counter(clk, rst, in_valid, beat, ends_beats, count=s.beats),
        table_counter(clk, rst, next_col, col, ends_cols, col_flag, table=s.col_flags),
        table_counter(clk, rst, next_row, row, ends_rows, row_flag, table=s.row_flags),
    ]
    for part, name in zip(position, ("beat", "col", "row")):
        part.name = name

    ends_soon = flag()
    steps = [
        late_logic([in_valid, ends_beats], next_col, rule=all_of),
        late_logic([in_valid, ends_beats, ends_cols], next_row, rule=all_of),
        late_logic([in_valid, col_flag(0)], result_soon, rule=all_of),
        late_logic([in_valid, col_flag(0), row_flag(0)], ends_soon, rule=all_of),
    ]
    for part, name in zip(steps, ("next_col", "next_row", "result", "ending")):
        part.name = name

    # One cycle late: the beat, and whether it ends a row of a window, or a whole window.
    newest, ends_window = vector(width), flag()

    @always(clk.posedge)
    def arrive():
        newest.next = in_data
        if rst:
            ends_window.next = False
        else:
            ends_window.next = ends_soon

    # Along the row: this and the kernel's width - 1 positions before.
    across, blocks = [newest], []
    for back in range(1, s.kernel[1]):
        older = vector(width)
        # The last of these cycles is a register with an enable of its own: a shift register answers late.
        shift, loads = partial(registered_delay, cycles=s.beats), delay_loads(s.beats)
        wait = in_stretches(clk, [in_valid, in_valid], [bits(across[-1])], older, register=shift, loads_each=loads)
        wait.name = f"back{back}"
        blocks.append(wait)
        across.append(older)
    row_result = vector(row_width)
    along = joined_beats(clk, across, row_result, lanes=lanes, average=s.average)
    along.name = "along"

    # Strobes beside it: bit k of rows k + 1 cycles behind the beat, bit k of windows one more; rows has one to spare.
    row_cycles = pool_levels(s.kernel[1])
    delay_cycles = row_cycles + pool_levels(s.kernel[0]) + int(s.average)
    rows_late, windows_late = vector(row_cycles + 1), vector(delay_cycles)
    rows_end, windows_end = row_cycles, delay_cycles - 1

    @always(clk.posedge)
    def travel():
        if rst:
            rows_late.next = 0
            windows_late.next = 0
        else:
            rows_late.next = concat(rows_late[rows_end:], result_soon)
            windows_late.next = concat(windows_late[windows_end:], ends_window)

    # Across rows: with the results of the rows above out of the memory.
    down = [row_result]
    if s.kernel[0] > 1:
        above, places = vector((s.kernel[0] - 1) * row_width), sum(s.col_flags) * s.beats
        written = (bits(row_result) + bits(above))[: len(above)]
        # Row results by place: asked for two cycles before the new one is there to replace the oldest.
        place, place_late, ends_places, ask = counter(places), counter(places), flag(), flag()
        walk = wrapping_counter(clk, rst, ask, place, ends_places, count=places)
        walk.name = "place"
        asked = rows_late(row_cycles - 2) if row_cycles > 1 else result_soon
        write_soon = rows_late(row_cycles - 1)

        @always_comb
        def asking():
            ask.next = asked

        @always(clk.posedge)
        def follow():
            place_late.next = place

        store = memory_of_words(clk, write_soon, place_late, written, place, above, depth=max(2, places))
        store.name = "rows"
        blocks += [walk, asking, follow, store]
        down += [above((back + 1) * row_width, back * row_width) for back in range(s.kernel[0] - 1)]
    window = vector(window_width)
    across_rows = joined_beats(clk, down, window, lanes=lanes, average=s.average)
    across_rows.name = "across"
    blocks.append(across_rows)
    window_result = window
    if s.average:
        mean, window_result = vector(lanes * s.out_bits), vector(lanes * s.out_bits)
        rounding = round_lanes(window, mean, lanes=lanes, form=s.mean, clips=s.clips)
        rounding.name = "mean"

        @always(clk.posedge)
        def rounded():
            window_result.next = mean

        blocks += [rounding, rounded]

    @always_comb
    def offer():
        out_valid.next = windows_late[windows_end]
        out_data.next = window_result

    return position, steps, arrive, along, travel, blocks, offer


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
