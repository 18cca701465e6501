"""From a stream of beats to the words of a whole window, one a cycle: staging, window memory, addresses."""

from __future__ import annotations

from dataclasses import dataclass

from myhdl import always, always_comb, block, concat

from lognet_fpga.engines.bram.blocks.padding import pad_words
from lognet_fpga.engines.bram.blocks.staging import StagingShape, staging
from lognet_fpga.engines.bram.blocks.walker import round_walker, walker
from lognet_fpga.engines.bram.layout import WindowShape
from lognet_fpga.fabric.latencies import WORD_LATENCY, sum_latency
from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.memory import memory_of_words
from lognet_fpga.hw.sequencer import sequencer
from lognet_fpga.hw.slice import register_slice
from lognet_fpga.hw.wiring import bits, constant, counter, flag, vector


@dataclass(frozen=True)
class WordWindowShape:
    """beat_channels, beats: of the input stream; one of beat_channels and folding.lanes divides the other."""

    folding: WindowShape
    beat_channels: int
    beats: int
    raster: SlotRaster
    pad_value: tuple[int, ...]

    @property
    def words(self) -> int:
        """Of a position."""
        return self.folding.words

    @property
    def word_bits(self) -> int:
        return self.folding.lanes * self.folding.in_bits

    @property
    def staging(self) -> StagingShape:
        folding = self.folding
        return StagingShape(folding.in_bits, self.beat_channels, self.beats, folding.lanes, folding.words)

    def pad_word(self, word: int, lane: int) -> int:
        """What a lane of a word holds at a position of padding."""
        channel = word * self.folding.lanes + lane
        return self.pad_value[channel] if channel < len(self.pad_value) else 0


@block
def word_window(
    clk,
    rst,
    in_data,
    in_valid,
    in_ready,
    room,
    x,
    address,
    first,
    ending,
    ending_blank,
    opens=None,
    bank=None,
    *,
    shape,
):
    """Collects positions, and reads slot by slot the words of the window that ends there, pass by pass.

    Ports: in_data, in_valid, in_ready: a stream of beats; room: there is space for the results of one more computing
    slot; address: of the weights, whose word meets x two cycles later; x: a word of activations; first, ending: for
    the processing elements, before a pass' first sum is added and behind its last; ending_blank: the slot's results are
    zero; opens, bank: for elements that look products up, whose `first` comes a cycle earlier (`blocks.tables`).
    Throughput: one slot at a time, as long as its walk.
    Back-pressure: a slot starts only with its input at hand and, if it computes, with room; then it runs through.
    """
    s, folding = shape, shape.folding
    full_soon, take, load, pad, start, compute, blank, shifting = (flag() for _ in range(8))
    beat, beat_valid, beat_ready = vector(len(in_data)), flag(), flag()
    arrive = register_slice(clk, rst, in_data, in_valid, in_ready, beat, beat_valid, beat_ready)
    arrive.name = "arrive"
    sequence = sequencer(
        clk,
        rst,
        full_soon,
        room,
        take,
        load,
        pad,
        start,
        compute,
        blank,
        shifting,
        raster=s.raster,
        ii_cycles=folding.ii_cycles,
        in_digits=folding.shift_cycles,
    )
    sequence.name = "sequence"
    pass_begin, pass_end, read_blank = flag(), flag(), flag()
    stream, slot, read = (beat, beat_valid, beat_ready, full_soon), (take, load, pad, compute, blank), (address, x)
    passes = [pass_begin, pass_end, read_blank]
    walk = walker if opens is None else round_walker
    passes += [] if opens is None else [opens, bank]
    if folding.ring:
        window = ring(clk, rst, *stream, *slot, shifting, *read, passes, walk, shape=s)
    else:
        window = position(clk, rst, *stream, *slot, *read, passes, walk, shape=s)
    window.name = "window"

    # These travel beside the words until their sums are accumulated.
    latency = WORD_LATENCY + sum_latency(folding.tree_levels)
    begins, ends, blanks = vector(latency - 1), vector(latency), vector(latency)
    last, before_last = latency - 1, latency - 2
    soon = before_last if opens is None else before_last - 1

    @always(clk.posedge)
    def travel():
        begins.next = concat(begins[before_last:], pass_begin)
        blanks.next = concat(blanks[last:], read_blank)
        if rst:
            ends.next = 0
        else:
            ends.next = concat(ends[last:], pass_end)

    @always_comb
    def strobes():
        first.next = begins[soon]
        ending.next = ends[last]
        ending_blank.next = blanks[last]

    return arrive, sequence, window, travel, strobes


@block
def ring(
    clk, rst, beat, beat_valid, beat_ready, full_soon, take, load, pad_soon, compute, blank, shifting, address, x,
    passes, walk_words, *, shape,
):  # fmt: skip
    """Every slot writes its position's words into a ring of words; a computing one reads those of its window there.

    Ports: as of staging, sequencer and walk_words, one of the walkers, of which passes are the last ones.
    """
    s, folding = shape, shape.folding
    places = folding.memory_words
    staged, word = vector(s.word_bits), counter(folding.words)
    stage = staging(clk, rst, beat, beat_valid, beat_ready, take, take, word, staged, full_soon, shape=s.staging)
    stage.name = "stage"

    # The words of a slot's position go into the ring, three cycles behind its start.
    last_word = folding.words - 1
    pad, write_soon, go, walk_blank = (flag() for _ in range(4))
    blanks_late, place, places_end = vector(2), counter(places), flag()
    walk_places = wrapping_counter(clk, rst, write_soon, place, places_end, count=places)
    walk_places.name = "place"
    computing = flag()

    @always(clk.posedge)
    def follow():
        if load:
            word.next = 0
            pad.next = pad_soon
        elif word != last_word:
            word.next = word + 1
        computing.next = compute
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

    origin, read_address = counter(places), counter(places)
    memory = memory_of_words(clk, write_soon, place, bits(written), read_address, x, depth=places)
    memory.name = "memory"
    walk = walk_words(clk, rst, go, walk_blank, origin, read_address, address, *passes, shape=folding)
    walk.name = "walk"
    first = folding.walk.first % places

    @always(clk.posedge)
    def aim():
        origin.next = (place + first) % places

    @always_comb
    def late():
        walk_blank.next = blanks_late[1]

    return stage, walk_places, follow, padding, memory, walk, aim, late


@block
def position(
    clk, rst, beat, beat_valid, beat_ready, full_soon, take, load, pad_soon, compute, blank, address, x, passes,
    walk_words, *, shape,
):  # fmt: skip
    """A window of one position, whose words are read where they arrived.

    Ports: as of `ring`.
    """
    s, folding = shape, shape.folding
    staged, word = vector(s.word_bits), counter(folding.words)
    origin = constant(folding.walk.first, len(word))
    turn, pad, pad_late = flag(), flag(), flag()
    stage = staging(clk, rst, beat, beat_valid, beat_ready, take, turn, word, staged, full_soon, shape=s.staging)
    stage.name = "stage"
    walk = walk_words(clk, rst, compute, blank, origin, word, address, *passes, shape=folding)
    walk.name = "walk"
    padding = pad_words(clk, pad_late, word, staged, x, shape=s)
    padding.name = "padding"

    @always(clk.posedge)
    def follow():
        """The first word is read two cycles behind the take, the last one when the next position may be taken."""
        if rst:
            turn.next = False
        else:
            turn.next = take
        if load:
            pad.next = pad_soon
        pad_late.next = pad

    return stage, walk, follow, padding
