"""Words of padding in the place of a position's words."""

from __future__ import annotations

from myhdl import always, always_comb, block

from lognet_fpga.hw.control import in_stretches
from lognet_fpga.hw.wiring import bits, flag, vector


@block
def pad_words(clk, pad, word, staged, written, *, shape):
    """written is staged a cycle later, or what stands for zero to the model at a position of padding.

    pad, word: of the word that staged shows a cycle later.
    """
    s = shape
    in_bits = s.folding.in_bits
    parts, wires = [], []
    for lane in range(s.folding.lanes):
        values = tuple(s.pad_word(min(index, s.words - 1), lane) for index in range(1 << len(word)))
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
