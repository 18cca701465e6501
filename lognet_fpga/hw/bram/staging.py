"""Positions in LUT memory: they arrive in beats and leave in words of another width."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector
from lognet_fpga.plan.bram import staged_positions


@dataclass(frozen=True)
class StagingShape:
    """beat_channels, beats: of the input stream; simd, words: of a position's words.

    One of beat_channels and simd divides the other.  The lanes behind a position's last channel hold anything.
    """

    in_bits: int
    beat_channels: int
    beats: int
    simd: int
    words: int

    @property
    def banks(self) -> int:
        """Beats of a word; each has a memory of its own."""
        return max(1, self.simd // self.beat_channels)

    @property
    def parts(self) -> int:
        """Words of a beat."""
        return max(1, self.beat_channels // self.simd)

    @property
    def positions(self) -> int:
        return staged_positions(self.beat_channels, self.beats, self.simd)

    @property
    def position_bits(self) -> int:
        return (self.positions - 1).bit_length()

    @property
    def places(self) -> int:
        """Of a position in each memory."""
        return -(-self.beats // self.banks)


@block
def staging(clk, rst, in_data, in_valid, in_ready, take, word, staged, full, more, *, shape):
    """Ports: in_data, in_valid, in_ready: a stream of beats; full, more: there is a position to take, and another;
    take: the oldest one; word: number of a word of the position taken last, which staged shows a cycle later.

    All positions but one wait; beats of one more are accepted from the cycle behind a take on.  in_ready, full and more
    come out of registers.
    """
    s = shape
    count, place, bank = counter(s.beats), counter(s.places), counter(s.banks)
    accept, ready, ends, full_bank, next_place, places_end = (flag() for _ in range(6))
    most = s.positions - 1
    most_but_one, waiting, done = most - 1, counter(most + 1), flag()

    @always_comb
    def handshake():
        in_ready.next = ready
        accept.next = in_valid and ready
        done.next = in_valid and ready and ends
        next_place.next = in_valid and ready and (full_bank or ends)

    @always(clk.posedge)
    def occupancy():
        if rst:
            waiting.next = 0
            full.next = False
            more.next = False
            ready.next = False
        elif done and not take:
            waiting.next = waiting + 1
            full.next = True
            more.next = waiting != 0
            ready.next = waiting != most_but_one
        elif take and not done:
            waiting.next = waiting - 1
            full.next = waiting != 1
            more.next = waiting > 2
            ready.next = True
        else:
            ready.next = waiting != most

    # The count of beats, and beside it their bank and their place, which begin anew with a position.
    restart, position, reading = flag(), vector(s.position_bits), vector(s.position_bits)
    positions, newest = s.positions, s.positions - 1

    @always_comb
    def begin():
        restart.next = rst or done

    counting = [
        wrapping_counter(clk, rst, accept, count, ends, count=s.beats),
        wrapping_counter(clk, restart, accept, bank, full_bank, count=s.banks),
        wrapping_counter(clk, restart, next_place, place, places_end, count=s.places),
    ]
    for part, name in zip(counting, ("beat", "bank", "place")):
        part.name = name

    @always(clk.posedge)
    def rotate():
        if rst:
            position.next = 0
            reading.next = newest
        else:
            if done:
                position.next = (position + 1) % positions
            if take:
                reading.next = (reading + 1) % positions

    read_place, part, part_late = counter(s.places), counter(s.parts), counter(s.parts)
    places = tuple(index // s.parts for index in range(s.words))
    parts = tuple(index % s.parts for index in range(s.words))

    @always_comb
    def where():
        read_place.next = places[int(word)]

    @always_comb
    def which():
        part.next = parts[int(word)]

    @always(clk.posedge)
    def follow():
        part_late.next = part

    memories, shown = [], []
    for index in range(s.banks):
        beat = vector(len(in_data))
        memory = staging_memory(
            clk, accept, bank, place, position, in_data, read_place, reading, beat, index=index, shape=s
        )
        memory.name = f"bank{index}"
        memories.append(memory)
        shown += bits(beat)

    width = s.simd * s.in_bits
    chosen, picks = join(shown[:width]), []
    for index in range(1, s.parts):
        following = vector(width)
        pick = pick_part(part_late, join(shown[index * width : (index + 1) * width]), chosen, following, index=index)
        pick.name = f"part{index}"
        picks.append(pick)
        chosen = following

    @always_comb
    def show():
        staged.next = chosen

    return handshake, occupancy, begin, counting, rotate, where, which, follow, memories, picks, show


@block
def staging_memory(clk, accept, bank, place, position, in_data, read_place, reading, beat, *, index, shape):
    """The beats number `index` of the words of all positions."""
    memory = [vector(len(in_data)) for _ in range(shape.positions << (shape.places - 1).bit_length())]

    if shape.places == 1:

        @always(clk.posedge)
        def access():
            if accept and (bank == index):
                memory[position].next = in_data
            beat.next = memory[reading]
    else:

        @always(clk.posedge)
        def access():
            if accept and (bank == index):
                memory[concat(position, place)].next = in_data
            beat.next = memory[concat(reading, read_place)]

    return access


@block
def pick_part(which, mine, other, chosen, *, index):
    @always_comb
    def pick():
        if which == index:
            chosen.next = mine
        else:
            chosen.next = other

    return pick
