"""Wires as lists: small functions that build MyHDL vectors out of single bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from myhdl import ConcatSignal, Signal, intbv


def vector(width: int):
    """A register or net of `width` bits, 0 at the start."""
    return Signal(intbv(0)[width:])


def flag():
    """A single control bit."""
    return Signal(bool(0))


def counter(count: int):
    """A register that holds 0..count-1."""
    return vector(max(1, (count - 1).bit_length()))


def bits(signal) -> list:
    """The bits of a vector as slices, lowest first."""
    return [signal(i) for i in range(len(signal))]


def join(wires: Sequence):
    """One vector out of single bits, lowest first; True and False stand for constants."""
    return ConcatSignal(*reversed(wires)) if len(wires) > 1 else wires[0]


@dataclass(frozen=True)
class Part:
    """A block still to be instantiated; wires: its arguments by name.

    MyHDL wants that done in the body of the enclosing block.
    """

    make: Callable
    wires: dict
    name: str
