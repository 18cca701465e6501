"""The addresses of a computing slot: of the window's words, run by run, and of the weights beside them, one by one."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

from myhdl import always, always_comb, block

from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.wiring import Wire, constant, counter, flag, join, vector


@block
def walker(clk, rst, go, walk_blank, origin, read_address, address, pass_begin, pass_end, read_blank, *, shape):
    """Ports: go, walk_blank: in the next cycle the slot's first word is addressed; origin: where that lies; pass_begin:
    with the address of a pass' first word, and between slots, so that nothing is summed that belongs to none; pass_end:
    with that of its last word; read_blank: with the addresses, the slot's results are zero.
    """
    width = len(read_address)
    run_ends, pass_ends, ends, active, next_run, restart, at_begin = (flag() for _ in range(7))
    step = vector(width)
    table = run_table(clk, restart, active, next_run, run_ends, pass_ends, step, runs=shape.walk.runs)
    table.name = "runs"
    weights = wrapping_counter(clk, restart, active, address, ends, count=shape.weight_words)
    weights.name = "address"

    @always_comb
    def follow():
        restart.next = rst or go
        next_run.next = active and run_ends
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

    @always(clk.posedge)
    def walk():
        read_address.next = following[width:]

    return table, weights, follow, begin, add, sum_up, walk


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
