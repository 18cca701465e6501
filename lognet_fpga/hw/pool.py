"""Pooling on a stream of beats: along the row, then across rows through a memory of row results.

Windows that overlap join their elements in a tree, out of delays and a memory that keep all of them.  Others gather
them one by one: a sum or maximum goes round in a delay of one position, and through the memory once a row.
"""

from __future__ import annotations

from functools import partial

from myhdl import always, always_comb, block, concat

from lognet_fpga.fabric.pools import continues, pool_levels
from lognet_fpga.hw.control import all_of, in_stretches, late_logic
from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.delay import delay_loads, registered_delay
from lognet_fpga.hw.lanes import gather_on, hold, joined_beats, passed, round_lanes, scale_lanes
from lognet_fpga.hw.memory import memory_of_words
from lognet_fpga.hw.wiring import bits, counter, flag, vector


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
    # Entries: whether a window ends; whether it goes on; what its sum is multiplied by.
    row_goes_on = [continues(s.in_rows, s.kernel[0], s.stride[0])] if s.runs_down else []
    col_goes_on = [continues(s.in_cols, s.kernel[1], s.stride[1])] if s.runs_along else []
    row_scale, col_scale = s.scales
    row_tables = [s.row_flags, *row_goes_on, *(row_scale.flags if row_scale else ())]
    col_tables = [s.col_flags, *col_goes_on, *(col_scale.flags if col_scale else ())]
    row_flag, col_flag, result_soon = vector(len(row_tables)), vector(len(col_tables)), flag()
    position = [
        wrapping_counter(clk, rst, in_valid, beat, ends_beats, count=s.beats),
        table_counter(clk, rst, next_col, col, ends_cols, col_flag, table=_packed(col_tables)),
        table_counter(clk, rst, next_row, row, ends_rows, row_flag, table=_packed(row_tables)),
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

    # Along the row: this and the kernel's width - 1 positions before, or what has been gathered of them.
    across, blocks, row_result = [newest], [], vector(row_width)
    gathered = vector(row_width)
    # The last of these cycles is a register with an enable of its own: a shift register answers late.
    shift, loads = partial(registered_delay, cycles=s.beats), delay_loads(s.beats)
    for back in range(1, s.joined[1]):
        kept = gathered if s.runs_along else across[-1]
        older = vector(len(kept))
        wait = in_stretches(clk, [in_valid, in_valid], [bits(kept)], older, register=shift, loads_each=loads)
        wait.name = f"back{back}"
        blocks.append(wait)
        across.append(older)
    if s.runs_along:
        adding = gather_on(clk, *across, col_flag(1), gathered, lanes=lanes, average=s.average)
        adding.name = "gather"
        blocks.append(adding)
        # What goes round in a single register is in it when it is complete.
        along = passed(across[1], row_result) if s.beats == 1 else hold(clk, gathered, row_result)
    else:
        along = joined_beats(clk, across, row_result, lanes=lanes, average=s.average)
    along.name = "along"

    # Strobes beside it: bit k of rows k + 1 cycles behind the beat, bit k of windows one more; rows has one to spare.
    row_cycles = pool_levels(s.joined[1])
    window_cycles = row_cycles + pool_levels(s.joined[0])
    delay_cycles = s.latency_cycles - 1
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
    down, window = [row_result], vector(window_width)
    total = vector(window_width)
    if s.kernel[0] > 1:
        above, places = vector(lanes * s.kept_bits), sum(s.col_flags) * s.beats
        written = bits(total) if s.runs_down else (bits(row_result) + bits(above))[: len(above)]
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
        if s.runs_down:
            goes_on = flag()
            waiting = later_flags(clk, [row_flag(1)], [goes_on], cycles=row_cycles)
            adding = gather_on(clk, row_result, above, goes_on, total, lanes=lanes, average=s.average)
            waiting.name, adding.name = "goes_on", "total"
            blocks += [waiting, adding]
        else:
            down += [above((back + 1) * row_width, back * row_width) for back in range(s.kernel[0] - 1)]
    across_rows = (
        hold(clk, total, window) if s.runs_down else joined_beats(clk, down, window, lanes=lanes, average=s.average)
    )
    across_rows.name = "across"
    blocks.append(across_rows)
    window_result, cycles = window, window_cycles
    sides = (("rows", row_scale, row_flag, row_tables), ("cols", col_scale, col_flag, col_tables))
    for (name, scale, entry, tables), scaled_bits in zip(sides, s.scaled_bits):
        if scale is None:
            continue
        first = len(tables) - len(scale.flags)
        soon, scaled = [flag() for _ in scale.flags], vector(lanes * scaled_bits)
        waiting = later_flags(clk, [entry(first + bit) for bit in range(len(soon))], soon, cycles=cycles)
        scaling = scale_lanes(clk, window_result, soon, scaled, lanes=lanes, scale=scale)
        waiting.name, scaling.name = f"{name}_flags", f"scale_{name}"
        blocks += [waiting, scaling]
        window_result, cycles = scaled, cycles + scale.levels
    if s.average:
        mean, whole, window_result = vector(lanes * s.out_bits), window_result, vector(lanes * s.out_bits)
        rounding = round_lanes(whole, mean, lanes=lanes, form=s.mean, clips=s.clips)
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


def _packed(tables: list[tuple[int, ...]]) -> tuple[int, ...]:
    """One table, whose entries have a bit of each, the first lowest."""
    return tuple(sum(entry << bit for bit, entry in enumerate(entries)) for entries in zip(*tables))


@block
def later_flags(clk, soon, later: list, *, cycles):
    """The flags soon, so many cycles later, at least one."""
    parts = []
    for number, signal in enumerate(soon):
        for cycle in range(cycles):
            following = later[number] if cycle == cycles - 1 else flag()
            part = hold(clk, signal, following)
            part.name = f"flag{number}_{cycle}"
            parts.append(part)
            signal = following
    return parts
