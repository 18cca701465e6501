"""From a stream of beats to the words of a whole window, one a cycle: staging, window memory, addresses."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block, concat

from lognet_fpga.engines.bram.blocks.staging import StagingShape, staging
from lognet_fpga.engines.bram.layout import BramShape
from lognet_fpga.fabric.latencies import WORD_LATENCY, sum_latency
from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.hw.control import in_stretches
from lognet_fpga.hw.counting import table_counter, wrapping_counter
from lognet_fpga.hw.memory import memory_of_words
from lognet_fpga.hw.sequencer import sequencer
from lognet_fpga.hw.slice import register_slice
from lognet_fpga.hw.wiring import bits, counter, flag, vector


@dataclass(frozen=True)
class WordWindowShape:
    """beat_channels, beats: of the input stream; one of beat_channels and folding.simd divides the other."""

    folding: BramShape
    beat_channels: int
    beats: int
    raster: SlotRaster
    pad_value: tuple[int, ...]

    @property
    def ii_cycles(self) -> int:
        return self.folding.ii_cycles

    @property
    def words(self) -> int:
        """Of a position."""
        return self.folding.words

    @property
    def word_bits(self) -> int:
        return self.folding.simd * self.folding.in_bits

    @property
    def staging(self) -> StagingShape:
        folding = self.folding
        return StagingShape(folding.in_bits, self.beat_channels, self.beats, folding.simd, folding.words)

    def pad_word(self, word: int, lane: int) -> int:
        """What a lane of a word holds at a position of padding."""
        channel = word * self.folding.simd + lane
        return self.pad_value[channel] if channel < len(self.pad_value) else 0


@block
def word_window(clk, rst, in_data, in_valid, in_ready, room, x, address, first, ending, ending_blank, *, shape):
    """Collects positions, and reads slot by slot the words of the window that ends there, once for every group.

    Ports: in_data, in_valid, in_ready: a stream of beats; room: there is space for the results of one more computing
    slot; address: of the weights, whose word meets x two cycles later; x: a word of activations; first, ending: for
    the processing elements, a group's first sum and its last; ending_blank: the slot's results are zero.
    Throughput: one computing slot in `ii_cycles` cycles, one shift-only slot in `words`, those of a position.
    Back-pressure: a slot starts only with its input at hand and, if it computes, with room; then it runs through.
    """
    s, folding = shape, shape.folding
    full_soon, take, load, pad_soon, start, compute, blank, shifting = (flag() for _ in range(8))
    staged = vector(s.word_bits)
    word = counter(folding.words)
    beat, beat_valid, beat_ready = vector(len(in_data)), flag(), flag()
    arrive = register_slice(clk, rst, in_data, in_valid, in_ready, beat, beat_valid, beat_ready)
    arrive.name = "arrive"
    stage = staging(clk, rst, beat, beat_valid, beat_ready, take, word, staged, full_soon, shape=s.staging)
    stage.name = "stage"
    sequence = sequencer(
        clk,
        rst,
        full_soon,
        room,
        take,
        load,
        pad_soon,
        start,
        compute,
        blank,
        shifting,
        raster=s.raster,
        ii_cycles=folding.ii_cycles,
        in_digits=folding.words,
    )
    sequence.name = "sequence"

    # The words of a slot's position go into the window memory, three cycles behind its start.
    last_word = folding.words - 1
    pad, write_soon, computing, go, walk_blank = (flag() for _ in range(5))
    blanks_late, place, places_end = vector(2), counter(folding.memory_words), flag()
    walk_places = wrapping_counter(clk, rst, write_soon, place, places_end, count=folding.memory_words)
    walk_places.name = "place"

    @always(clk.posedge)
    def follow():
        if load:
            word.next = 0
            pad.next = pad_soon
        elif word != last_word:
            word.next = word + 1
        computing.next = start and compute
        blanks_late.next = concat(blanks_late[0], blank)
        if rst:
            write_soon.next = False
            go.next = False
        else:
            write_soon.next = shifting
            go.next = computing

    written = vector(s.word_bits)
    padding = pad_words(clk, pad, word, staged, written, shape=s)
    padding.name = "padding"

    read_address = counter(folding.memory_words)
    memory = memory_of_words(clk, write_soon, place, bits(written), read_address, x, depth=folding.memory_words)
    memory.name = "memory"
    group_begin, group_end, read_blank = flag(), flag(), flag()
    walk = walker(
        clk, rst, go, walk_blank, place, read_address, address, group_begin, group_end, read_blank, folding=folding
    )
    walk.name = "walk"

    @always_comb
    def late():
        walk_blank.next = blanks_late[1]

    # These travel beside the words until their sums are accumulated.
    latency = WORD_LATENCY + sum_latency(folding.tree_levels)
    begins, ends, blanks = vector(latency - 1), vector(latency), vector(latency)
    last, before_last = latency - 1, latency - 2

    @always(clk.posedge)
    def travel():
        begins.next = concat(begins[before_last:], group_begin)
        blanks.next = concat(blanks[last:], read_blank)
        if rst:
            ends.next = 0
        else:
            ends.next = concat(ends[last:], group_end)

    @always_comb
    def strobes():
        first.next = begins[before_last]
        ending.next = ends[last]
        ending_blank.next = blanks[last]

    return arrive, stage, sequence, walk_places, follow, padding, memory, walk, late, travel, strobes


@block
def pad_words(clk, pad, word, staged, written, *, shape):
    """written is staged a cycle later, or what stands for zero to the model at a position of padding.

    pad, word: of the word that staged shows a cycle later.
    """
    s = shape
    in_bits = s.folding.in_bits
    parts, wires = [], []
    for lane in range(s.folding.simd):
        values = tuple(s.pad_word(index, lane) for index in range(s.folding.words))
        if len(set(values)) == 1:
            wires += [bool(values[0] >> bit & 1) for bit in range(in_bits)]
        else:
            value = vector(in_bits)
            table = pad_table(clk, word, value, values=values)
            table.name = f"lane{lane}"
            parts.append(table)
            wires += bits(value)
    if any(wire is not False for wire in wires):
        low, high = flag(), flag()

        @always_comb
        def constants():
            low.next = pad and not pad
            high.next = pad or not pad

        padding = [low if wire is False else high if wire is True else wire for wire in wires]
        choose = in_stretches(clk, [pad], [bits(staged), padding], written, register=padded_register)
        parts.append(constants)
    else:
        choose = in_stretches(clk, [pad], [bits(staged)], written, register=cleared_register)
    choose.name = "choose"
    return parts, choose


@block
def padded_register(clk, pad, staged, padding, written):
    @always(clk.posedge)
    def choose():
        if pad:
            written.next = padding
        else:
            written.next = staged

    return choose


@block
def cleared_register(clk, pad, staged, written):
    @always(clk.posedge)
    def choose():
        if pad:
            written.next = 0
        else:
            written.next = staged

    return choose


@block
def pad_table(clk, word, value, *, values):
    coming = vector(len(value))

    @always_comb
    def look_up():
        coming.next = values[int(word)]

    @always(clk.posedge)
    def register():
        value.next = coming

    return look_up, register


@block
def walker(clk, rst, go, walk_blank, newest, read_address, address, group_begin, group_end, read_blank, *, folding):
    """Addresses of a computing slot: of the window memory tap by tap and word by word, of the weights one by one.

    Ports: go, walk_blank: in the next cycle the slot's first word is addressed; newest: where word 0 of its own
    position lies, a cycle before go; group_begin: with the address of a group's first word, and between slots, so that
    nothing is summed that belongs to none; group_end: with that of its last word; read_blank: with the addresses, the
    slot's results are zero.
    """
    places = folding.memory_words
    modulus_bits = (places - 1).bit_length()
    back = -folding.back_words[0] % places
    word, tap, step, origin = counter(folding.words), counter(len(folding.taps)), vector(modulus_bits), counter(places)
    words_end, taps_end, ends, active, next_tap, restart, at_begin = (flag() for _ in range(7))
    counters = [
        wrapping_counter(clk, restart, active, word, words_end, count=folding.words),
        table_counter(clk, restart, next_tap, tap, taps_end, step, table=folding.steps),
        wrapping_counter(clk, restart, active, address, ends, count=folding.ii_cycles),
    ]
    for part, name in zip(counters, ("word", "tap", "address")):
        part.name = name

    @always_comb
    def follow():
        restart.next = rst or go
        next_tap.next = active and words_end
        group_begin.next = at_begin or not active
        group_end.next = active and words_end and taps_end

    @always(clk.posedge)
    def begin():
        origin.next = (newest + back) % places
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
            at_begin.next = words_end and taps_end

    # Where the next word lies, and one bit that is dropped.
    base, further, following = counter(places), counter(places), vector(modulus_bits + 1)

    @always_comb
    def add():
        if go:
            base.next = origin
            further.next = 0
        else:
            base.next = read_address
            if words_end:
                further.next = step
            else:
                further.next = 1

    @always_comb
    def sum_up():
        following.next = base + further

    @always(clk.posedge)
    def walk():
        read_address.next = following[modulus_bits:]

    return counters, follow, begin, add, sum_up, walk
