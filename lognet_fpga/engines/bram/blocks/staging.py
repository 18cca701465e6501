"""Positions in LUT memory: they arrive in beats and leave in words of another width."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import Signal, always, always_comb, block, concat, intbv

from lognet_fpga.engines.bram.layout import staged_positions
from lognet_fpga.hw.control import control_leaf, leaf_groups
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector


@dataclass(frozen=True)
class StagingShape:
    """beat_channels, beats: of the input stream; lanes, words: of a position's words.

    One of beat_channels and lanes divides the other.  The lanes behind a position's last channel hold anything.
    """

    in_bits: int
    beat_channels: int
    beats: int
    lanes: int
    words: int

    @property
    def banks(self) -> int:
        """Beats of a word; each has a memory of its own."""
        return max(1, self.lanes // self.beat_channels)

    @property
    def parts(self) -> int:
        """Words of a beat."""
        return max(1, self.beat_channels // self.lanes)

    @property
    def positions(self) -> int:
        return staged_positions(self.beat_channels, self.beats, self.lanes)

    @property
    def position_bits(self) -> int:
        return (self.positions - 1).bit_length()

    @property
    def places(self) -> int:
        """Of a position in each memory."""
        return -(-self.beats // self.banks)


@block
def staging(clk, rst, in_data, in_valid, in_ready, take, turn, word, staged, full_soon, *, shape):
    """Ports: in_data, in_valid, in_ready: a stream of beats; full_soon: in the next cycle there is a position to take,
    even if one is taken in this one; take: the oldest one; turn: with take or a cycle later, from the next cycle on its
    words are shown; word: number of one, which staged shows a cycle later (behind the last one, anything).

    All positions but one wait; beats of one more are accepted from the cycle behind a take on, and overwrite the one
    taken before two cycles after that.  in_ready comes out of a register.
    """
    s = shape
    count, ends, accept, ready = counter(s.beats), flag(), flag(), flag()
    most = s.positions - 1  # that wait
    last_held = most - 1
    # Bit i: more than i positions wait; the last bit, never set, is there for a single position that waits.
    held, upcoming, done = vector(most + 1), vector(most + 1), flag()

    @always_comb
    def handshake():
        in_ready.next = ready
        accept.next = in_valid and ready
        done.next = in_valid and ready and ends
        full_soon.next = (in_valid and ready and ends) or (held[1] and take) or (held[0] and not take)

    @always_comb
    def level():
        if done and not take:
            upcoming.next = (held << 1) | 1
        elif take and not done:
            upcoming.next = held >> 1
        else:
            upcoming.next = held

    @always(clk.posedge)
    def occupancy():
        if rst:
            held.next = 0
            ready.next = False
        else:
            held.next = upcoming
            ready.next = not upcoming[last_held]

    beats = wrapping_counter(clk, rst, accept, count, ends, count=s.beats)
    beats.name = "beat"

    # A beat is written a cycle late, out of registers, so that nothing wide waits for the stream's handshake; its
    # position is read two cycles later at the earliest.  Bank and place begin anew with a position.
    arrived, ended, next_place, places_end, restart = (flag() for _ in range(5))
    late_beat, place = vector(len(in_data)), counter(s.places)
    bank = Signal(intbv(1)[s.banks :])  # a bit each, one of them set
    next_bank, last_bank = join([bank(s.banks - 1), *bits(bank)[:-1]]), s.banks - 1
    position, reading = vector(s.position_bits), vector(s.position_bits)
    positions, newest = s.positions, s.positions - 1

    @always(clk.posedge)
    def arrive():
        late_beat.next = in_data
        if rst:
            arrived.next = False
            ended.next = False
        else:
            arrived.next = accept
            ended.next = done

    @always_comb
    def begin():
        restart.next = rst or ended
        next_place.next = arrived and bank[last_bank]

    walk = wrapping_counter(clk, restart, next_place, place, places_end, count=s.places)
    walk.name = "place"

    @always(clk.posedge)
    def rotate():
        if restart:
            bank.next = 1
        elif arrived:
            bank.next = next_bank
        if rst:
            position.next = 0
            reading.next = newest
        else:
            if ended:
                position.next = (position + 1) % positions
            if turn:
                reading.next = (reading + 1) % positions

    read_place, part, part_late = counter(s.places), counter(s.parts), counter(s.parts)
    every = [min(index, s.words - 1) for index in range(1 << len(word))]
    places, parts = tuple(index // s.parts for index in every), tuple(index % s.parts for index in every)

    @always_comb
    def where():
        read_place.next = places[int(word)]

    @always_comb
    def which():
        part.next = parts[int(word)]

    @always(clk.posedge)
    def follow():
        part_late.next = part

    memories, beat_wires = [], [[] for _ in range(s.banks)]
    for number, run in enumerate(leaf_groups(len(in_data))):
        write = flag()
        leaf = control_leaf(clk, accept, write)
        leaf.name = f"write{number}"
        memories.append(leaf)
        written = late_beat(run.stop, run.start)
        for index in range(s.banks):
            beat = vector(len(run))
            memory = staging_memory(
                clk, write, bank, place, position, written, read_place, reading, beat, index=index, shape=s
            )
            memory.name = f"bank{index}_part{number}"
            memories.append(memory)
            beat_wires[index] += bits(beat)
    shown = [wire for wires in beat_wires for wire in wires]

    width = s.lanes * s.in_bits
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

    return handshake, level, occupancy, beats, arrive, begin, walk, rotate, where, which, follow, memories, picks, show


@block
def staging_memory(clk, write, bank, place, position, written, read_place, reading, beat, *, index, shape):
    """The beats number `index` of the words of all positions, or a stretch of their bits."""
    memory = [vector(len(written)) for _ in range(shape.positions << (shape.places - 1).bit_length())]

    if shape.places == 1:

        @always(clk.posedge)
        def access():
            if write and bank[index]:
                memory[position].next = written
            beat.next = memory[reading]
    else:

        @always(clk.posedge)
        def access():
            if write and bank[index]:
                memory[concat(position, place)].next = written
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
