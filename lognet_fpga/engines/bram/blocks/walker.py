"""The addresses of a computing slot: of the window's words, run by run, and of the weights beside them, one by one."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.wiring import Wire, constant, counter, flag, join, vector


@block
def walker(clk, rst, go, walk_blank, origin, read_address, address, pass_begin, pass_end, read_blank, *, shape):
    """Ports: go, walk_blank: in the next cycle the slot's first word is addressed; origin: where that lies; pass_begin:
    with the address of a pass' first word, and between slots, so that nothing is summed that belongs to none; pass_end:
    with that of its last word; read_blank: with the addresses, the slot's results are zero.
    """
    run_ends, pass_ends, ends, active, restart, at_begin = (flag() for _ in range(6))
    places = word_places(clk, rst, go, active, origin, read_address, run_ends, pass_ends, runs=shape.walk.runs)
    places.name = "places"
    weights = wrapping_counter(clk, restart, active, address, ends, count=shape.weight_words)
    weights.name = "address"

    @always_comb
    def follow():
        restart.next = rst or go
        pass_begin.next = at_begin or not active
        pass_end.next = active and run_ends and pass_ends

    @always(clk.posedge)
    def begin():
        if go:
            read_blank.next = walk_blank
        if rst:
            active.next = False
        elif go:
            active.next = True
        elif ends:
            active.next = False
        if restart:
            at_begin.next = True
        elif active:
            at_begin.next = run_ends and pass_ends

    return places, weights, follow, begin


@block
def round_walker(
    clk, rst, go, walk_blank, origin, read_address, address, pass_begin, pass_end, read_blank, opens, bank, *, shape
):
    """The same of a slot that looks its products up: the words of a round are addressed one after the other, and their
    weights from `fill_cycles` later on, pass by pass.

    Ports: as of walker, but pass_begin: the address is of the first round; pass_end: it is of the last one; opens: with
    the address of a round's first word; bank: a cycle behind the address, the half of the tables that is looked up.
    """
    s = shape
    # Reading, from go on.
    active, moves, turn_steps, turn_ends, round_steps, round_ends, restart = (flag() for _ in range(7))
    run_ends, pass_ends = flag(), flag()
    turn, number, last_held = counter(s.passes), counter(s.rounds), s.held - 1
    places = word_places(clk, rst, go, moves, origin, read_address, run_ends, pass_ends, runs=s.walk.runs, pauses=True)
    turns = wrapping_counter(clk, restart, active, turn, turn_ends, count=s.passes)
    rounds = wrapping_counter(clk, restart, round_steps, number, round_ends, count=s.rounds)
    again, over = flag(), flag()

    @always_comb
    def follow():
        restart.next = rst or go
        round_steps.next = active and turn_ends
        again.next = active and turn_ends and not round_ends
        over.next = active and turn_ends and round_ends

    @always(clk.posedge)
    def read():
        if rst:
            active.next = False
            opens.next = False
        else:
            active.next = go or (active and not over)
            opens.next = go or again
        if go or again:
            moves.next = True
        elif turn == last_held:
            moves.next = False

    # Looking up, fill_cycles later.
    begins, last = vector(s.fill_cycles), s.fill_cycles - 1
    begin, looks, first_round, pass_over, pass_steps, bank_now = (flag() for _ in range(6))
    restart_looking, address_ends, later_ends, blank_kept = flag(), flag(), flag(), flag()
    index, later = counter(s.passes), counter(s.rounds)
    addresses = wrapping_counter(clk, restart_looking, looks, address, address_ends, count=s.weight_words)
    passes = wrapping_counter(clk, restart_looking, looks, index, pass_over, count=s.passes)
    laters = wrapping_counter(clk, restart_looking, pass_steps, later, later_ends, count=s.rounds)
    for part, name in (
        (places, "places"), (turns, "turn"), (rounds, "round"), (addresses, "address"), (passes, "pass"),
        (laters, "later"),
    ):  # fmt: skip
        part.name = name

    @always_comb
    def look():
        begin.next = begins[last]
        restart_looking.next = rst or begins[last]
        pass_steps.next = looks and pass_over
        pass_begin.next = first_round
        pass_end.next = looks and later_ends

    @always(clk.posedge)
    def keep():
        if go:
            blank_kept.next = walk_blank
        if begin:
            read_blank.next = blank_kept
        if rst:
            begins.next = 0
            looks.next = False
            bank_now.next = False
        else:
            begins.next = concat(begins[last:], go)
            looks.next = begin or (looks and not address_ends)
            if looks and pass_over:
                bank_now.next = not bank_now
        if restart_looking:
            first_round.next = True
        elif pass_over:
            first_round.next = False
        bank.next = bank_now

    return places, turns, rounds, follow, read, addresses, passes, laters, look, keep


@block
def word_places(clk, rst, go, moves, origin, read_address, run_ends, pass_ends, *, runs, pauses=False):
    """Where the words of a window lie, run by run.  go: in the next cycle read_address is origin; moves: it goes on,
    unless `pauses` in every cycle; run_ends, pass_ends: it is the last one of a run, of one that is the last of its
    pass."""
    width = len(read_address)
    next_run, restart, step = flag(), flag(), vector(width)
    table = run_table(clk, restart, moves, next_run, run_ends, pass_ends, step, runs=runs)
    table.name = "runs"

    @always_comb
    def follow():
        restart.next = rst or go
        next_run.next = moves and run_ends

    # Where the next word lies, and one bit that is dropped.
    base, further, following = vector(width), vector(width), vector(width + 1)

    @always_comb
    def add():
        if go:
            base.next = origin
            further.next = 0
        else:
            base.next = read_address
            if run_ends:
                further.next = step
            else:
                further.next = 1

    @always_comb
    def sum_up():
        following.next = base + further

    if pauses:

        @always(clk.posedge)
        def walk():
            if go or moves:
                read_address.next = following[width:]
    else:

        @always(clk.posedge)
        def walk():
            read_address.next = following[width:]

    return table, follow, add, sum_up, walk


@block
def run_table(clk, restart, active, next_run, run_ends, pass_ends, step, *, runs):
    """Which run is read, out of registers.  run_ends: this is its last word; pass_ends: it is the last run of its pass;
    step: from its last word to the next run's first.  next_run: this is a run's last word.
    """
    left = counter(max(run.words for run in runs))  # words behind this one
    left_bits, step_bits = len(left), len(step)
    entries = [
        RunEntry(run.step, following.words - 1, following.words == 1, run.ends_pass)
        for run, following in zip(runs, (*runs[1:], runs[0]))
    ]
    fields = [entry.digits(step_bits, left_bits) for entry in entries]
    # A bit that all runs have in common is a wire.
    varying = [place for place, digits in enumerate(zip(*fields)) if len(set(digits)) > 1]
    table = tuple(sum(digits[place] << bit for bit, place in enumerate(varying)) for digits in fields)
    run, table_ends, entry = counter(len(runs)), flag(), vector(max(1, len(varying)))
    counting = table_counter(clk, restart, next_run, run, table_ends, entry, table=table)
    counting.name = "table"
    wires = [bool(digit) for digit in fields[0]]
    for bit, place in enumerate(varying):
        wires[place] = Wire(entry, bit)
    step_wire, left_wire, single, ends_pass = (
        _net(wires[first:end]) for first, end in pairwise(accumulate((0, step_bits, left_bits, 1, 1)))
    )
    first_left, first_single = runs[0].words - 1, runs[0].words == 1

    @always_comb
    def show():
        step.next = step_wire
        pass_ends.next = ends_pass

    @always(clk.posedge)
    def count():
        if restart:
            left.next = first_left
            run_ends.next = first_single
        elif active:
            if run_ends:
                left.next = left_wire
                run_ends.next = single
            else:
                left.next = left - 1
                run_ends.next = left == 1

    return counting, show, count


class RunEntry(NamedTuple):
    """What the table says of a run.  left, single: of the one behind it, the words behind its first, and whether there
    are none."""

    step: int
    left: int
    single: bool
    ends_pass: bool

    def digits(self, step_bits: int, left_bits: int) -> list[int]:
        """All bits, those of each field lowest first; steps modulo the places that there are addresses for."""
        step = [self.step >> bit & 1 for bit in range(step_bits)]
        return [*step, *(self.left >> bit & 1 for bit in range(left_bits)), int(self.single), int(self.ends_pass)]


def _net(wires: list):
    """A vector of wires and constant bits, or a net that never changes."""
    if any(isinstance(wire, Wire) for wire in wires):
        return join(wires)
    value = sum(bit << place for place, bit in enumerate(wires))
    return constant(value, len(wires))
