"""The walk of a computing slot over the words of its window: which are read, in which order, as a table of runs.

A slot makes its outputs in passes, `pe` of them in each.  A pass reads words of the inputs that its outputs have, under
the taps of the kernel in raster order; a word without a weight for any of them need not be read.  Words that follow
one another in memory, from a tap to the next as well, are a run.  The runs repeat with the passes: a table holds those
of the shortest stretch of passes that all others are like, moved on by as many words each.

A place is counted in words from word 0 of the newest position, whose places are 0 and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_RUNS = 128  # of a table that leaves words out: deeper tables take more than two LUTs a bit
WORTH = 0.05  # least share of the cycles that leaving words out, with more runs, must save
TAIL = 3  # words at the end of a slot that may be read while the next slot's position is written
CLEAR = 2  # cycles between reading a place and writing it, or the other way round (hw.memory)


@dataclass(frozen=True)
class Run:
    """words: that follow one another; step: from the place of the last one to that of the next run's first; ends_pass:
    whether that one belongs to the next pass."""

    words: int
    step: int
    ends_pass: bool


@dataclass(frozen=True)
class Walk:
    """runs: gone through again and again until the slot ends; pass_cycles: words read in each pass; first, oldest:
    the first place read, and the one furthest back; spare: words by which a ring must be longer than the window, or the
    next position's words would be written too early."""

    runs: tuple[Run, ...]
    pass_cycles: tuple[int, ...]
    first: int
    oldest: int
    spare: int

    @property
    def cycles(self) -> int:
        return sum(self.pass_cycles)


@dataclass(frozen=True)
class Passes:
    """Where the passes of a slot look.  firsts: of each pass, the first word of a position that is for it, 0 at first;
    back: of each tap, how many words its position lies before the newest one; ring: whether the window is a ring of
    words, into which those of the newest position are written while the slot begins."""

    firsts: tuple[int, ...]
    back: tuple[int, ...]
    ring: bool


def shortest_walk(weights: np.ndarray, passes: Passes) -> tuple[np.ndarray, Walk]:
    """The words that are read and the walk over them: the fewest cycles, unless a smaller table has hardly more.

    weights: (passes, taps, words of a position that are for a pass) bool, where there are any.  Returned is where it
    reads, of the same dimensions, with one pass for all if they are alike.
    """
    common: np.ndarray = np.any(weights, axis=0, keepdims=True)
    taps: np.ndarray = np.any(common, axis=2, keepdims=True)
    if not taps.any():  # a sum of nothing is one of zeros
        taps[0, -1] = True
    plain = np.broadcast_to(taps, common.shape)
    reads, walk = plain, _repeated(plain[0], passes)
    for fewer in () if weights.all() else (common, weights):
        fewer = _never_nothing(fewer, taps)
        cycles = int(fewer.sum()) * (len(passes.firsts) // len(fewer))
        if cycles <= (1 - WORTH) * walk.cycles and _is_written(fewer, passes):
            shorter = _repeated(fewer[0], passes) if len(fewer) == 1 else _listed(fewer, passes)
            if shorter is not None:
                reads, walk = fewer, shorter
    return reads, walk


def _never_nothing(reads: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """A word for a pass that has no weight at all: word 0 under the first tap that others have."""
    idle = ~reads.any(axis=(1, 2))
    if idle.any():
        reads = reads.copy()
        reads[idle, int(taps[0, :, 0].argmax()), 0] = True
    return reads


def _places(reads: np.ndarray, passes: Passes) -> np.ndarray:
    """Of (taps, words) read, in the order of reading, for pass 0."""
    tap, word = reads.nonzero()
    return word - np.asarray(passes.back)[tap]


def _is_written(reads: np.ndarray, passes: Passes) -> bool:
    """Whether every word is in the ring when it is read: word n of the newest position is in cycle n of the slot."""
    if not passes.ring:
        return True
    newest, firsts = reads[:, -1], np.asarray(passes.firsts)
    cycles = np.broadcast_to(reads.sum(axis=(1, 2)), firsts.shape)
    before = np.cumsum(cycles) - cycles + reads[:, :-1].sum(axis=(1, 2))
    cycle = before[:, None] + np.cumsum(newest, axis=1) - 1
    return bool(((cycle >= firsts[:, None] + np.arange(newest.shape[1])) | ~newest).all())


def _repeated(reads: np.ndarray, passes: Passes) -> Walk:
    """The same (taps, words) read in every pass."""
    firsts, places = passes.firsts, _places(reads, passes)
    moves = [after - before for before, after in zip(firsts, (*firsts[1:], firsts[-1]))]
    # As many passes as look at the same words, and the step behind them; or any one, if all do.
    period = next((number for number, move in enumerate(moves, 1) if move), 1)
    runs = [run for move in moves[:period] for run in _runs([places], int(places[0]) + move)]
    tail = np.concatenate([places + first for first in firsts[-TAIL:]])
    return _walk(runs, [len(places)] * len(firsts), int(places[0]), int(places.min()), tail)


def _listed(reads: np.ndarray, passes: Passes) -> Walk | None:
    """(taps, words) of its own for every pass; None where the table would be too large."""
    if len(_runs([_places(reads[0], passes)], 0)) > MOST_RUNS:
        return None
    each = [_places(some, passes) + first for some, first in zip(reads, passes.firsts)]
    places = np.concatenate(each)
    runs = _runs(each, int(places[0]))
    period = _period(runs)
    if period is None:
        return None
    return _walk(runs[:period], list(map(len, each)), int(places[0]), int(places.min()), places)


def _period(runs: Sequence[Run]) -> int | None:
    """How many runs, of whole passes, come again and again; None for too many.  Nothing depends on the last step."""
    last = runs[-1]
    for period in (number for number, run in enumerate(runs[:MOST_RUNS], 1) if run.ends_pass):
        again = runs[(len(runs) - 1) % period]
        if runs[period:-1] == runs[: -1 - period] and (last.words, last.ends_pass) == (again.words, again.ends_pass):
            return period
    return None


def _runs(each: Sequence[np.ndarray], after: int) -> list[Run]:
    """The runs of passes with these places, behind which comes place `after`."""
    places, ends = np.concatenate(each), np.cumsum([len(some) for some in each]) - 1
    steps, ends_pass = np.diff(places, append=after), np.zeros(len(places), bool)
    ends_pass[ends] = True
    last = ((steps != 1) | ends_pass).nonzero()[0]
    words = np.diff(last, prepend=-1)
    return [Run(*some) for some in zip(words.tolist(), steps[last].tolist(), ends_pass[last].tolist())]


def _walk(runs: Sequence[Run], cycles: Sequence[int], first: int, oldest: int, places: np.ndarray) -> Walk:
    """places: those read last, at least TAIL of them if there are as many."""
    # Counted from the slot's last read, place p is read in cycle -i, and written in cycle p - oldest - 1.
    clear = min(int(place) - oldest - 1 + i for i, place in enumerate(places[: -TAIL - 1 : -1]))
    return Walk(tuple(runs), tuple(cycles), first, oldest, max(0, CLEAR - clear))
