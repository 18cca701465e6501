"""The order and the kinds of a layer's slots, for either engine."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, intbv

from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.hw.control import late_logic
from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.wiring import counter, flag, vector

_COMPUTES, _PADS, _REAL = 1, 2, 4  # what a row's or a column's entry says of its slots


@block
def sequencer(
    clk, rst, full_soon, room, take, load, pad, start, compute, blank, shifting, *, raster, ii_cycles, in_digits
):
    """Starts slots in raster order; see `fabric.slots` for the order and the two kinds of slots.

    A slot is let go a cycle behind the decision, which needs full_soon, that in the next cycle there is a position to
    take even if one is taken in this one, and room for a computing slot's result.  take: a slot with data is let go in
    this cycle; load: any; pad: one of padding.  All these come out of registers; start, compute, blank, shifting follow
    a cycle later.
    """
    rows, cols = row_entries(raster), col_entries(raster)
    first_row, first_col = raster.first
    next_row, next_col = raster.following(first_row, first_col)
    # The first slot after reset, and whether the second belongs to a frame already.
    first_pads = first_row >= raster.rows or first_col >= raster.cols
    first_primed = raster.first == (0, 0)
    first_computes = bool(first_primed and raster.row_flags[first_row] and raster.col_flags[first_col])
    next_primed = first_primed or (next_row, next_col) == (0, 0)

    # row, col: the slot after the one whose turn it is; what is to be known about that one is in registers.
    row, col, row_entry, col_entry = counter(len(rows)), counter(len(cols)), vector(3), vector(3)
    next_line, row_ends, col_ends, primed, computes, pads, real = (flag() for _ in range(7))
    places = [
        table_counter(clk, rst, next_line, row, row_ends, row_entry, table=rows, start=next_row),
        table_counter(clk, rst, load, col, col_ends, col_entry, table=cols, start=next_col),
    ]
    for part, name in zip(places, ("row", "col")):
        part.name = name
    computes_after, pads_after, empty = (flag() for _ in range(3))
    # Whether a slot is let go if there is room, and if there is none, which only one that does not compute is.
    go, go_without = flag(), flag()
    takes, takes_without, take_soon, pads_now, pads_without, pad_soon, loads, loads_without, load_soon = (
        flag() for _ in range(9)
    )

    @always_comb
    def kinds():
        next_line.next = load and col_ends
        computes_after.next = row_entry[0] and col_entry[0] and primed
        pads_after.next = row_entry[1] or col_entry[1]

    @always(clk.posedge)
    def advance():
        if rst:
            primed.next = next_primed
            computes.next = first_computes
            pads.next = first_pads
            real.next = True
        elif load:
            computes.next = computes_after
            pads.next = pads_after
            real.next = row_entry[2] and col_entry[2]
            if col_ends and row_ends:
                primed.next = True

    free = flag()
    until_free = slot_timer(clk, rst, load, computes, free, ii_cycles=ii_cycles, in_digits=in_digits)
    until_free.name = "timer"
    quick, quick_computing = in_digits == 1, ii_cycles == 1

    if quick:

        @always_comb
        def decide():
            """A slot of one cycle may be followed at once, by the one after it."""
            if load:
                go.next = quick_computing or not computes
                go_without.next = (quick_computing or not computes) and not computes_after
                empty.next = pads_after
            else:
                go.next = free
                go_without.next = free and not computes
                empty.next = pads
    else:

        @always_comb
        def decide():
            go.next = free and not load
            go_without.next = free and not load and not computes
            empty.next = pads

    @always_comb
    def prepare():
        takes.next = go and full_soon and not empty
        takes_without.next = go_without and full_soon and not empty
        pads_now.next = go and empty
        pads_without.next = go_without and empty
        loads.next = go and (full_soon or empty)
        loads_without.next = go_without and (full_soon or empty)

    choices = []
    for name, *signals, result in (
        ("takes", room, takes, takes_without, take_soon),
        ("pads", room, pads_now, pads_without, pad_soon),
        ("loads", room, loads, loads_without, load_soon),
    ):
        part = late_logic(signals, result, rule=lambda room, with_room, without: with_room if room else without)
        part.name = name
        choices.append(part)

    @always(clk.posedge)
    def let_go():
        if rst:
            take.next = False
            pad.next = False
            load.next = False
        else:
            take.next = take_soon
            pad.next = pad_soon
            load.next = load_soon

    # A slot's digits, and its strobes a cycle later.
    moves, digit, last_digit = flag(), counter(in_digits), flag()
    counting = wrapping_counter(clk, rst, moves, digit, last_digit, count=in_digits)
    counting.name = "digit"

    @always_comb
    def move():
        moves.next = load or (digit != 0)

    @always(clk.posedge)
    def strobes():
        if rst:
            start.next = False
            compute.next = False
            shifting.next = False
        else:
            start.next = load
            compute.next = load and computes
            shifting.next = moves
        blank.next = not real

    return places, kinds, advance, until_free, decide, prepare, choices, let_go, counting, move, strobes


def row_entries(raster: SlotRaster) -> tuple[int, ...]:
    return _entries(raster.row_flags, raster.rows, raster.real_rows)


def col_entries(raster: SlotRaster) -> tuple[int, ...]:
    return _entries(raster.col_flags, raster.cols, raster.real_cols)


def _entries(flags: tuple[int, ...], data: int, real: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        _COMPUTES * bool(flag) + _PADS * (place >= data) + _REAL * bool(shown)
        for place, (flag, shown) in enumerate(zip(flags, real))
    )


@block
def slot_timer(clk, rst, load, computes, free, *, ii_cycles, in_digits):
    """free: in the next cycle a slot of more than one cycle is over, of either kind."""
    longest = max(ii_cycles, in_digits)
    left = Signal(intbv(-1, min=-1, max=max(2, longest)))
    computing, shifting = max(-1, ii_cycles - 3), max(-1, in_digits - 3)

    @always(clk.posedge)
    def fall():
        if rst:
            left.next = -1
        elif load:
            if computes:
                left.next = computing
            else:
                left.next = shifting
        elif left >= 0:
            left.next = left - 1

    @always_comb
    def judge():
        free.next = left < 0

    return fall, judge
