"""From a stream of beats to the digits of a whole window: parallel to serial, line buffer, taps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from myhdl import always, always_comb, block

from lognet_fpga.engines.clb.blocks.collector import collector
from lognet_fpga.fabric.slots import SlotRaster
from lognet_fpga.hw.control import in_stretches
from lognet_fpga.hw.counting import wrapping_counter
from lognet_fpga.hw.delay import delay_line, delay_loads
from lognet_fpga.hw.memory import memory_of_words
from lognet_fpga.hw.sequencer import sequencer
from lognet_fpga.hw.wiring import Wire, bits, counter, flag, vector


@dataclass(frozen=True)
class WindowShape:
    """What a layer's window block is made for; see `ClbFolding` and `SlotRaster` for the terms."""

    channels: int
    in_bits: int
    channels_per_beat: int
    beats: int
    digit_bits: int
    in_digits: int
    in_legs: int
    ii_cycles: int
    kernel: tuple[int, int]
    raster: SlotRaster
    pad_value: tuple[int, ...]

    @property
    def wires(self) -> int:
        """Wires of one activation: a digit of each of its legs."""
        return self.in_legs * self.digit_bits

    @property
    def lanes(self) -> int:
        """Wires of one row of taps."""
        return self.channels * self.wires

    def bits(self, digit: int) -> list[int]:
        """The bits of an activation on its wires, legs in order, when they show that digit of each leg."""
        return [
            (leg * self.in_digits + digit) * self.digit_bits + bit
            for leg in range(self.in_legs)
            for bit in range(self.digit_bits)
        ]

    @property
    def quick(self) -> bool:
        """Whether positions may be taken one a cycle."""
        return self.in_digits == 1 and self.beats == 1

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1] * self.lanes


@block
def window(clk, rst, in_data, in_valid, in_ready, room, taps, start, compute, blank, *, shape):
    """Collects positions, and sends slot by slot the digits of the window that ends there.

    Ports: in_data, in_valid, in_ready: a stream of beats; room: there is space for the results of one more
    computing slot; taps: one digit of each leg of the window's inputs, ordered (channel, row, column, leg), digits 0
    `TAP_LATENCY` cycles after start, and zero but for the digits of computing slots; start: first cycle of a slot;
    compute: with start, the slot's window is needed; blank: its result is zero, being padding of the pool.
    Throughput: one computing slot in `ii_cycles` cycles, one shift-only slot in `in_digits`.
    Back-pressure: a slot starts only with its input at hand and, if it computes, with room; then it runs through.
    """
    s = shape
    word, full_soon, take = vector(s.beats * s.channels_per_beat * s.in_bits), flag(), flag()
    load, pad, pad_late, shifting, low = (flag() for _ in range(5))

    @always_comb
    def constant():
        low.next = rst and not rst

    collect = collector(clk, rst, in_data, in_valid, in_ready, take, word, full_soon, beats=s.beats, quick=s.quick)
    collect.name = "collect"
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
        ii_cycles=s.ii_cycles,
        in_digits=s.in_digits,
    )
    sequence.name = "sequence"

    # Parallel to serial: one register a digit, each loaded from the word or fed from the next higher digit.
    digits = [vector(s.lanes) for _ in range(s.in_digits)]
    serialize = []
    for index, digit in enumerate(digits):
        places = [(channel, bit) for channel in range(s.channels) for bit in s.bits(index)]
        loaded = [Wire(word, channel * s.in_bits + bit) if bit < s.in_bits else False for channel, bit in places]
        padding = [pad_late if s.pad_value[channel] >> bit & 1 else low for channel, bit in places]
        following = bits(digits[index + 1]) if index + 1 < s.in_digits else [low] * s.lanes
        wires = [loaded, padding, following] if any(s.pad_value) else [loaded, following]
        make = padded_digit if any(s.pad_value) else digit_register
        register = in_stretches(clk, [load, pad], wires, digit, register=make)
        register.name = f"digit{index}"
        serialize.append(register)

    # The newest row waits for the memory's two cycles; the leaves of its load are one of them.
    enable_early, newest = flag(), digits[0]
    row0 = vector(s.lanes)
    computing, computes, show_early = flag(), flag(), flag()

    @always_comb
    def know():
        """Whether the slot of these digits computes: with its start, and behind that."""
        if start:
            computing.next = compute
        else:
            computing.next = computes

    @always(clk.posedge)
    def align():
        pad_late.next = pad
        row0.next = newest
        enable_early.next = shifting
        computes.next = computing
        show_early.next = shifting and computing

    rows, memory = [bits(row0)], []
    if s.kernel[0] > 1:
        older = vector((s.kernel[0] - 1) * s.lanes)
        length = len(s.raster.col_flags) * s.in_digits
        written = (bits(row0) + bits(older))[: len(older)]
        lines = line_memory(clk, rst, shifting, enable_early, written, older, length=length)
        lines.name = "lines"
        memory.append(lines)
        rows += [bits(older)[i * s.lanes : (i + 1) * s.lanes] for i in range(s.kernel[0] - 1)]

    # columns[r][c]: the digit of row r (0 the newest), c positions back.
    columns, delays = [], []
    for r, row in enumerate(rows):
        columns.append([row])
        for c in range(1, s.kernel[1]):
            earlier = vector(s.lanes)
            # The same digit of the position before: as many enabled cycles late as a position has digits.  Where these
            # are two, shift registers from the row on take the place of two flip-flops each.
            cycles, source = (2 * c, row) if s.in_digits == 2 else (s.in_digits, columns[r][c - 1])
            shift = partial(delay_line, cycles=cycles)
            delay = in_stretches(clk, [enable_early], [source], earlier, register=shift, loads_each=delay_loads(cycles))
            delay.name = f"row{r}_back{c}"
            delays.append(delay)
            columns[r].append(bits(earlier))

    kernel_h, kernel_w = s.kernel
    wires = [
        columns[kernel_h - 1 - ky][kernel_w - 1 - kx][channel * s.wires + wire]
        for channel in range(s.channels)
        for ky in range(kernel_h)
        for kx in range(kernel_w)
        for wire in range(s.wires)
    ]
    registers = in_stretches(clk, [show_early], [wires], taps, register=tap_register)
    registers.name = "taps"
    return collect, sequence, constant, serialize, know, align, memory, delays, registers


@block
def tap_register(clk, enable, wires, taps):
    """Zero behind the last digit of an activation: the sign extension of an unsigned number; and in slots that do not
    compute, so that there is nothing to be masked in front of the next one's."""

    @always(clk.posedge)
    def register():
        if enable:
            taps.next = wires
        else:
            taps.next = 0

    return register


@block
def digit_register(clk, load, pad, loaded, following, digit):
    """One digit of every channel on its way from parallel to serial; pads are zero."""

    @always(clk.posedge)
    def register():
        if pad:
            digit.next = 0
        elif load:
            digit.next = loaded
        else:
            digit.next = following

    return register


@block
def padded_digit(clk, load, pad, loaded, padding, following, digit):
    """As digit_register, with pads of another value."""

    @always(clk.posedge)
    def register():
        if pad:
            digit.next = padding
        elif load:
            digit.next = loaded
        else:
            digit.next = following

    return register


@block
def line_memory(clk, rst, shifting, write_soon, written, older, *, length):
    """One row of digits, all lines side by side: asks for what is one row old, writes two cycles later.

    older follows shifting by two cycles; written comes a cycle behind write_soon, which is shifting one cycle late.
    """
    place, place_late, ends = counter(length), counter(length), flag()
    walk = wrapping_counter(clk, rst, shifting, place, ends, count=length)
    walk.name = "place"
    memory = memory_of_words(clk, write_soon, place_late, written, place, older, depth=length, registered=False)
    memory.name = "lines"

    @always(clk.posedge)
    def follow():
        place_late.next = place

    return walk, memory, follow
