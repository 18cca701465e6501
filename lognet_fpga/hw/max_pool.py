"""Max-pool on a stream of beats: along the row, then across rows through a memory of row maxima."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block

from lognet_fpga.hw.delay import delay_line
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector


@dataclass(frozen=True)
class PoolShape:
    """in_rows, in_cols: of the frame before the pool; kernel, stride: (y, x), no padding."""

    in_rows: int
    in_cols: int
    bits: int
    channels_per_beat: int
    beats: int
    kernel: tuple[int, int]
    stride: tuple[int, int]

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
def max_pool(clk, rst, in_valid, in_data, out_valid, out_data, *, shape):
    """The largest activation of each window and channel.

    Ports: in_valid, in_data and out_valid, out_data: beats, in raster order, lowest channels first.
    Latency: POOL_LATENCY.  Throughput: one beat a cycle.  Back-pressure: none, the FIFO behind has room.
    """
    s = shape
    width = len(in_data)
    row_flags, col_flags = s.row_flags, s.col_flags
    last_row, last_col, last_beat = s.in_rows - 1, s.in_cols - 1, s.beats - 1
    row, col, beat = counter(s.in_rows), counter(s.in_cols), counter(s.beats)
    row_ends, col_ends = flag(), flag()

    @always_comb
    def row_table():
        row_ends.next = row_flags[int(row)]

    @always_comb
    def col_table():
        col_ends.next = col_flags[int(col)]

    @always(clk.posedge)
    def position():
        if rst:
            row.next = 0
            col.next = 0
            beat.next = 0
        elif in_valid:
            if beat != last_beat:
                beat.next = beat + 1
            else:
                beat.next = 0
                if col != last_col:
                    col.next = col + 1
                else:
                    col.next = 0
                    if row != last_row:
                        row.next = row + 1
                    else:
                        row.next = 0

    # Along the row: the largest of this and the kernel's width - 1 positions before.
    earlier, blocks = in_data, []
    across = in_data
    for back in range(1, s.kernel[1]):
        older, larger = vector(width), vector(width)
        wait = delay_line(clk, in_valid, earlier, older, cycles=s.beats)
        wait.name = f"back{back}"
        choose = larger_of(across, older, larger, lane_bits=s.bits)
        choose.name = f"across{back}"
        blocks += [wait, choose]
        earlier, across = older, larger

    # One cycle later: the row maximum, with the maxima of the rows above out of the memory.
    row_max, row_valid, row_complete = vector(width), flag(), flag()
    column_count = sum(col_flags)
    length = max(2, column_count * s.beats)
    address, address_late = counter(length), counter(length)
    wraps_at = column_count * s.beats - 1

    @always(clk.posedge)
    def register():
        row_max.next = across
        address_late.next = address
        if rst:
            row_valid.next = False
            row_complete.next = False
            address.next = 0
        else:
            row_valid.next = in_valid and col_ends
            row_complete.next = in_valid and col_ends and row_ends
            if in_valid and col_ends:
                if address == wraps_at:
                    address.next = 0
                else:
                    address.next = address + 1

    if s.kernel[0] == 1:
        down = row_max
    else:
        above = vector((s.kernel[0] - 1) * width)
        written = join((bits(row_max) + bits(above))[:len(above)])
        store = row_store(clk, address, row_valid, address_late, written, above, length=length)
        store.name = "rows"
        blocks.append(store)
        down = row_max
        for back in range(1, s.kernel[0]):
            larger = vector(width)
            choose = larger_of(down, above, larger, lane_bits=s.bits, other_low=(back - 1) * width)
            choose.name = f"down{back}"
            blocks.append(choose)
            down = larger

    maximum, valid = vector(width), flag()

    @always(clk.posedge)
    def result():
        maximum.next = down
        if rst:
            valid.next = False
        else:
            valid.next = row_complete

    @always(clk.posedge)
    def offer():
        out_data.next = maximum
        if rst:
            out_valid.next = False
        else:
            out_valid.next = valid

    return row_table, col_table, position, blocks, register, result, offer


@block
def row_store(clk, address, write, address_late, written, above, *, length):
    """Row maxima by column: read a cycle before they are needed, replaced in the cycle they are."""
    memory = [vector(len(above)) for _ in range(length)]

    @always(clk.posedge)
    def access():
        if write:
            memory[address_late].next = written
        above.next = memory[address]

    return access


@block
def larger_of(one, other, larger, *, lane_bits, other_low=0):
    """Lane by lane the larger of two beats; the second lies in `other` from bit other_low on."""
    lanes = len(larger) // lane_bits
    results = [vector(lane_bits) for _ in range(lanes)]
    parts = []
    for lane, result in enumerate(results):
        low = lane * lane_bits
        part = larger_lane(one(low + lane_bits, low), other(other_low + low + lane_bits, other_low + low), result)
        part.name = f"lane{lane}"
        parts.append(part)
    joined = join([bit for result in results for bit in bits(result)])

    @always_comb
    def gather():
        larger.next = joined

    return parts, gather


@block
def larger_lane(one, other, larger):
    @always_comb
    def compare():
        if one > other:
            larger.next = one
        else:
            larger.next = other

    return compare
