"""Gathering the beats of one position of the input into a word, and a beat of the next position in front of it."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import control_leaf, in_stretches
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import bits, counter, flag, vector


@block
def collector(clk, rst, in_data, in_valid, in_ready, take, word, full_soon, *, beats):
    """For words of which two are never taken in cycles that follow each other.

    Ports: full_soon: in the next cycle there is a word to take, which is read two cycles behind that.
    in_ready: out of a register; a waiting beat makes place in the cycle behind take.
    """
    place, ends, beat = counter(beats), flag(), vector(len(in_data))
    full, ready, ready_soon, accept, commit, waiting = (flag() for _ in range(6))
    count = wrapping_counter(clk, rst, commit, place, ends, count=beats)
    count.name = "count"

    @always_comb
    def decide():
        accept.next = in_valid and ready
        commit.next = (in_valid and ready and ((not full) or take)) or (waiting and take)
        # Not ready: the beat that comes now will wait, or one does already and goes on doing so.
        ready_soon.next = take or not (full and (waiting or in_valid))
        in_ready.next = ready
        full_soon.next = (full or (in_valid and ready and ends)) and not take

    @always(clk.posedge)
    def control():
        if rst:
            full.next = False
            waiting.next = False
        else:
            if take:
                waiting.next = False
            elif full and accept:
                waiting.next = True
            if commit:
                full.next = ends
            elif take:
                full.next = False

    leaf = control_leaf(clk, ready_soon, ready)
    leaf.name = "ready"
    arrive = in_stretches(clk, [ready_soon], [bits(in_data)], beat, register=word_register)
    arrive.name = "arrive"
    shifted = (bits(word) + bits(beat))[len(beat) :]
    fill = in_stretches(clk, [commit], [shifted], word, register=word_register)
    fill.name = "fill"
    return count, decide, control, leaf, arrive, fill


@block
def quick_collector(clk, rst, in_data, in_valid, in_ready, take, word, full_soon):
    """For words of one beat that may be taken one a cycle.

    Ports: as collector's.
    in_ready is one level of logic behind registers: a beat comes in the cycle in which another makes place.
    """
    arrived, held = vector(len(in_data)), vector(len(in_data))
    full, opens, commit, from_held, hold, waiting = (flag() for _ in range(6))

    @always_comb
    def decide():
        opens.next = take or not full
        in_ready.next = take or not (full and waiting)
        commit.next = (take or not full) and (waiting or in_valid)
        from_held.next = (take or not full) and waiting
        hold.next = (in_valid and take and waiting) or (in_valid and full and not take and not waiting)
        full_soon.next = in_valid or (waiting and take) or (full and not take)

    @always(clk.posedge)
    def control():
        if rst:
            full.next = False
            waiting.next = False
        else:
            full.next = commit or not opens
            waiting.next = hold or (waiting and not opens)

    # What is decided now is done a cycle later, by way of leaves.
    @always(clk.posedge)
    def arrive():
        arrived.next = in_data

    keep = in_stretches(clk, [hold], [bits(arrived)], held, register=word_register)
    keep.name = "keep"
    fill = in_stretches(clk, [commit, from_held], [bits(arrived), bits(held)], word, register=chosen_register)
    fill.name = "fill"
    return decide, control, arrive, keep, fill


@block
def word_register(clk, accept, shifted, word):
    @always(clk.posedge)
    def shift():
        if accept:
            word.next = shifted

    return shift


@block
def chosen_register(clk, accept, second, one, other, word):
    @always(clk.posedge)
    def choose():
        if accept:
            if second:
                word.next = other
            else:
                word.next = one

    return choose
