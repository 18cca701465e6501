"""A walk followed in Python, as the hardware goes: one word after another, and a step behind each run."""

from __future__ import annotations

from typing import NamedTuple

from lognet_fpga.engines.bram.layout import WindowShape


class Read(NamedTuple):
    """A word that is read in pass `number`: word `word` of the position under tap (ky, kx)."""

    number: int
    ky: int
    kx: int
    word: int


def walked(shape: WindowShape) -> list[Read]:
    """All words of a slot, in the order of reading."""
    runs, reads = shape.walk.runs, []
    kernel_h, kernel_w = shape.kernel
    under = {
        (kernel_h - 1 - ky) * shape.row_slots + kernel_w - 1 - kx: (ky, kx)
        for ky in range(kernel_h)
        for kx in range(kernel_w)
    }
    place, run, left, number = shape.walk.first, 0, runs[0].words, 0
    while len(reads) < shape.walk.cycles:
        positions, word = divmod(place, shape.words)
        reads.append(Read(number, *under[-positions], word))
        left -= 1
        place += runs[run].step if not left else 1
        if not left:
            number += runs[run].ends_pass
            run = (run + 1) % len(runs)
            left = runs[run].words
    return reads
