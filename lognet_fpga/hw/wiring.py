"""Wires as lists: small functions that build MyHDL vectors out of single bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from myhdl import ConcatSignal, Signal, intbv


def vector(width: int):
    """A register or net of `width` bits, 0 at the start."""
    return Signal(intbv(0)[width:])


def constant(value: int, width: int):
    """A net that never changes."""
    return Signal(intbv(value)[width:])


def flag():
    """A single control bit."""
    return Signal(bool(0))


def counter(count: int):
    """A register that holds 0..count-1."""
    return vector(max(1, (count - 1).bit_length()))


class Wire(NamedTuple):
    """One bit of a vector: `place` of a MyHDL signal."""

    signal: Any
    place: int


def bits(signal) -> list[Wire]:
    """The bits of a vector, lowest first, for `join`."""
    return [Wire(signal, index) for index in range(len(signal))]


def join(wires: Sequence):
    """One vector out of wires and single bits, lowest first; True and False stand for constants.  Neighbours of one
    vector are taken together."""
    runs: list[list] = []
    for wire in wires:
        if runs and _follows(wire, runs[-1][-1]):
            runs[-1].append(wire)
        else:
            runs.append([wire])
    pieces = [_piece(run) for run in runs]
    return ConcatSignal(*reversed(pieces)) if len(pieces) > 1 else pieces[0]


def _follows(wire, last) -> bool:
    if not (isinstance(wire, Wire) and isinstance(last, Wire)):
        return False
    return wire.signal is last.signal and wire.place == last.place + 1  # signals that are equal have the same value


def _piece(run: list):
    if not isinstance(run[0], Wire):
        return run[0]
    signal, low = run[0]
    if len(run) == len(signal):
        return signal
    return signal(low) if len(run) == 1 else signal(low + len(run), low)


@dataclass(frozen=True)
class Part:
    """A block still to be instantiated; wires: its arguments by name.

    MyHDL wants that done in the body of the enclosing block.
    """

    make: Callable
    wires: dict
    name: str
