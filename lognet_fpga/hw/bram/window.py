"""From a stream of beats to the words of a whole window, one a cycle: staging, window memory, addresses."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block, concat

from lognet_fpga.hw.bram.staging import StagingShape, staging
from lognet_fpga.hw.sequencer import sequencer
from lognet_fpga.hw.wiring import bits, counter, flag, join, vector
from lognet_fpga.plan.bram import BramShape
from lognet_fpga.plan.slots import SlotRaster
from lognet_fpga.plan.timing import WORD_LATENCY, sum_latency


@dataclass(frozen=True)
class WordWindowShape:
    """beat_channels, beats: of the input stream; one of beat_channels and folding.simd divides the other."""

    folding: BramShape
    beat_channels: int
    beats: int
    raster: SlotRaster
    pad_value: tuple[int, ...]

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
    Throughput: one computing slot in ii_cycles, one shift-only slot in as many cycles as a position has words.
    Back-pressure: a slot starts only with its input at hand and, if it computes, with room; then it runs through.
    """
    s, folding = shape, shape.folding
    full, more, take, load, pad_soon, start, compute, blank, shifting = (flag() for _ in range(9))
    staged = vector(s.word_bits)
    word = counter(folding.words)
    stage = staging(clk, rst, in_data, in_valid, in_ready, take, word, staged, full, more, shape=s.staging)
    stage.name = "stage"
    sequence = sequencer(
        clk,
        rst,
        full,
        more,
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

    # The words of a slot's position go into the window memory, two cycles behind its start.
    last_word = folding.words - 1
    pad, pad_late, write, go, walk_blank = (flag() for _ in range(5))
    word_late, write_address = counter(folding.words), counter(folding.memory_words)
    top_address = folding.memory_words - 1

    @always(clk.posedge)
    def place():
        if rst:
            write.next = False
            go.next = False
            write_address.next = 0
        else:
            write.next = shifting
            go.next = start and compute
            if write:
                if write_address == top_address:
                    write_address.next = 0
                else:
                    write_address.next = write_address + 1

    @always(clk.posedge)
    def follow():
        if load:
            word.next = 0
            pad.next = pad_soon
        elif word != last_word:
            word.next = word + 1
        word_late.next = word
        pad_late.next = pad
        walk_blank.next = blank

    written = vector(s.word_bits)
    padding = pad_words(pad_late, word_late, staged, written, shape=s)
    padding.name = "padding"

    read_address = counter(folding.memory_words)
    memory = window_memory(clk, write, write_address, written, read_address, x, words=folding.memory_words)
    memory.name = "memory"
    group_begin, group_end, read_blank = flag(), flag(), flag()
    walk = walker(
        clk,
        rst,
        go,
        walk_blank,
        write_address,
        read_address,
        address,
        group_begin,
        group_end,
        read_blank,
        folding=folding,
    )
    walk.name = "walk"

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

    return stage, sequence, place, follow, padding, memory, walk, travel, strobes


@block
def pad_words(pad, word, staged, written, *, shape):
    """written is staged, or what stands for zero to the model at a position of padding."""
    s = shape
    in_bits = s.folding.in_bits
    parts, padding = [], []
    for lane in range(s.folding.simd):
        values = tuple(s.pad_word(index, lane) for index in range(s.folding.words))
        if len(set(values)) == 1:
            padding += [bool(values[0] >> bit & 1) for bit in range(in_bits)]
        else:
            value = vector(in_bits)
            table = pad_table(word, value, values=values)
            table.name = f"lane{lane}"
            parts.append(table)
            padding += bits(value)
    gated = (
        join([wire if wire is not True else pad for wire in padding]) if any(w is not False for w in padding) else None
    )

    if gated is None:

        @always_comb
        def choose():
            if pad:
                written.next = 0
            else:
                written.next = staged
    else:

        @always_comb
        def choose():
            if pad:
                written.next = gated
            else:
                written.next = staged

    return parts, choose


@block
def pad_table(word, value, *, values):
    @always_comb
    def read():
        value.next = values[int(word)]

    return read


@block
def window_memory(clk, write, write_address, written, read_address, x, *, words):
    """A ring of words; x is the word at read_address, two cycles later."""
    memory = [vector(len(x)) for _ in range(words)]
    read = vector(len(x))

    @always(clk.posedge)
    def access():
        if write:
            memory[write_address].next = written
        read.next = memory[read_address]
        x.next = read

    return access


@block
def walker(clk, rst, go, walk_blank, newest, read_address, address, group_begin, group_end, read_blank, *, folding):
    """Addresses of a computing slot: of the window memory tap by tap and word by word, of the weights one by one.

    Ports: go, walk_blank: in the next cycle the slot's first word is addressed; newest: where word 0 of its own
    position lies; group_begin: with the address of a group's first word, and between slots, so that nothing is summed
    that belongs to none; group_end: with that of its last word; read_blank: with the addresses, the slot's results are
    zero.
    """
    steps, taps, words = folding.steps, len(folding.taps), folding.words
    last_tap, last_word, last_address = taps - 1, words - 1, folding.ii_cycles - 1
    modulus_bits = (folding.memory_words - 1).bit_length()
    back = (-folding.back_words[0]) % folding.memory_words
    tap, word, active = counter(taps), counter(words), flag()
    step, following = counter(folding.memory_words), vector(modulus_bits + 1)

    @always_comb
    def jump():
        step.next = steps[int(tap)]

    @always_comb
    def add():
        """Where the next word lies, and one bit that is dropped."""
        if go:
            following.next = newest + back
        elif word == last_word:
            following.next = read_address + step
        else:
            following.next = read_address + 1

    @always_comb
    def mark():
        group_begin.next = (not active) or ((tap == 0) and (word == 0))
        group_end.next = active and (tap == last_tap) and (word == last_word)

    @always(clk.posedge)
    def count():
        read_address.next = following[modulus_bits:]
        if go:
            tap.next = 0
            word.next = 0
            address.next = 0
            read_blank.next = walk_blank
        else:
            if address != last_address:
                address.next = address + 1
            if word != last_word:
                word.next = word + 1
            else:
                word.next = 0
                if tap != last_tap:
                    tap.next = tap + 1
                else:
                    tap.next = 0

    @always(clk.posedge)
    def activity():
        if rst:
            active.next = False
        elif go:
            active.next = True
        elif address == last_address:
            active.next = False

    return jump, add, mark, count, activity
