"""Gathering the beats of one position of the input into a word, and beats of the next positions in front of it.

Only handshakes are registers here.  The beats lie in memories in LUTs, each for one beat of every position, whose
outputs side by side are the word: as registers, one behind the other, they would each ask for a position of their own.
"""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import control_leaf, late_logic, leaf_groups
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.slice import slice_handshake
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector

# Bits of a place in the memories, which runs through a Johnson counter's 2 * _PLACE_BITS values: the next one of each
# bit is one LUT.  There are at most four positions, one that is being read, and one that is being written.
_PLACE_BITS = 3


@block
def collector(clk, rst, in_data, in_valid, in_ready, take, word, full_soon, *, beats, quick):
    """Behind a register slice's handshake (`hw.slice`) that of a word, and of a beat in front of it.

    Ports: in_data, in_valid, in_ready: a stream of beats; full_soon: in the next cycle there is a word to take, which
    is read two cycles behind that.  beats: of a word; quick: words of one beat may be taken one a cycle; else no two in
    cycles that follow each other.
    """
    offered, ready, opens = flag(), flag(), flag()
    arriving = slice_handshake(clk, rst, in_valid, in_ready, offered, ready, opens)
    arriving.name = "arrive"
    if quick:
        gather = quick_gathering(clk, rst, offered, ready, take, full_soon)
    else:
        gather = gathering(clk, rst, offered, ready, take, full_soon, beats=beats)
    gather.name = "gather"
    store = beat_memories(clk, rst, in_data, in_valid, in_ready, take, word, beats=beats)
    store.name = "store"
    return arriving, gather, store


@block
def gathering(clk, rst, offered, ready_for_it, take, full_soon, *, beats):
    """Of a beat that is offered, whether it finds a place.  Out of a register; a waiting beat makes place in the cycle
    behind take."""
    place, ends = counter(beats), flag()
    full, ready, ready_soon, accept, commit, waiting = (flag() for _ in range(6))
    count = wrapping_counter(clk, rst, commit, place, ends, count=beats)
    count.name = "count"

    @always_comb
    def decide():
        accept.next = offered and ready
        commit.next = (offered and ready and ((not full) or take)) or (waiting and take)
        # Not ready: the beat that comes now will wait, or one does already and goes on doing so.
        ready_soon.next = take or not (full and (waiting or offered))
        ready_for_it.next = ready
        full_soon.next = (full or (offered and ready and ends)) and not take

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
    return count, decide, control, leaf


@block
def quick_gathering(clk, rst, offered, ready_for_it, take, full_soon):
    """As gathering, for words of one beat that may be taken one a cycle: a beat finds a place in the cycle in which
    another one leaves it."""
    full, waiting = flag(), flag()

    @always_comb
    def decide():
        ready_for_it.next = take or not (full and waiting)
        full_soon.next = offered or (waiting and take) or (full and not take)

    @always(clk.posedge)
    def control():
        if rst:
            full.next = False
            waiting.next = False
        else:
            full.next = waiting or offered or (full and not take)
            waiting.next = (offered and take and waiting) or (full and not take and (offered or waiting))

    return decide, control


@block
def beat_memories(clk, rst, in_data, in_valid, in_ready, take, word, *, beats):
    """The beats of positions by their order, each written as it comes; word: the first position, in the cycle behind
    take and before."""
    read_soon, read_at = vector(_PLACE_BITS), vector(_PLACE_BITS)
    reading = ring(clk, rst, [take], read_soon, read_at)
    reading.name = "read"
    moves, mine_soon = [in_valid, in_ready], [flag() for _ in range(beats)]
    selecting = []
    if beats > 1:  # mine: the beat that comes is this one of its position
        mine = [flag() for _ in range(beats)]
        for number, soon in enumerate(mine_soon):
            one, before = mine[number], mine[number - 1]
            choice = late_logic(
                [rst, *moves, one, before],
                soon,
                rule=lambda rst, valid, ready, one, before, first=number == 0: (
                    first if rst else before if valid and ready else one
                ),
            )
            choice.name = f"select{number}"
            selecting += [choice, follow(clk, soon, one)]
        moves.append(mine[-1])
    write_soon, write_at = vector(_PLACE_BITS), vector(_PLACE_BITS)
    writing = ring(clk, rst, moves, write_soon, write_at)
    writing.name = "write"

    memories, parts = [], []
    for number, soon in enumerate(mine_soon):
        for run in leaf_groups(len(in_data)):
            steered = []
            for name, wires in (("write_at", write_soon), ("read_at", read_at), ("write", soon)):
                leaves = []
                for bit in bits(wires) if name != "write" else [soon] if beats > 1 else []:
                    leaves.append(flag())
                    source = bit if name == "write" else wires(bit.place)
                    leaf = control_leaf(clk, source, leaves[-1])
                    leaf.name = f"{name}{len(leaves) - 1}_of_{number}_{run.start}"
                    memories.append(leaf)
                steered.append(leaves)
            write_late, read_late, write = steered
            part, came = vector(len(run)), in_data(run.stop, run.start)
            if write:
                memory = beat_memory(clk, write[0], join(write_late), came, join(read_late), part)
            else:
                memory = open_memory(clk, join(write_late), came, join(read_late), part)
            memory.name = f"beat{number}_{run.start}"
            memories.append(memory)
            parts += bits(part)
    gathered = join(parts)

    @always_comb
    def gather():
        word.next = gathered

    return reading, selecting, writing, memories, gather


@block
def ring(clk, rst, moves, soon, place):
    """place goes on by one where all of at most three signals are on; soon: that of the next cycle."""
    next_bits, logic = [flag() for _ in range(len(place))], []
    for number, bit in enumerate(next_bits):
        turns = number == 0
        part = late_logic(
            [rst, place(number), place(number - 1 if number else len(place) - 1), *moves],
            bit,
            rule=lambda rst, own, before, *moves, turns=turns: (
                not rst and bool((not before if turns else before) if all(moves) else own)
            ),
        )
        part.name = f"bit{number}"
        logic.append(part)
    following = join(next_bits)

    @always_comb
    def look_ahead():
        soon.next = following

    @always(clk.posedge)
    def move():
        place.next = following

    return logic, look_ahead, move


@block
def follow(clk, soon, now):
    @always(clk.posedge)
    def register():
        now.next = soon

    return register


@block
def beat_memory(clk, write, write_at, came, read_at, shown):
    memory = [vector(len(came)) for _ in range(1 << _PLACE_BITS)]

    @always(clk.posedge)
    def access():
        if write:
            memory[int(write_at)].next = came

    @always_comb
    def show():
        shown.next = memory[int(read_at)]

    return access, show


@block
def open_memory(clk, write_at, came, read_at, shown):
    """As beat_memory, written in every cycle: what is no beat is written over by the next one."""
    memory = [vector(len(came)) for _ in range(1 << _PLACE_BITS)]

    @always(clk.posedge)
    def access():
        memory[int(write_at)].next = came

    @always_comb
    def show():
        shown.next = memory[int(read_at)]

    return access, show
