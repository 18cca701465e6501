"""What a fuzz case is, and what its mutators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Every exit code that docs/commands.md has, but 1 (a defect) and 130 (interrupted).
DOCUMENTED = frozenset({0, *range(2, 15)})


@dataclass(frozen=True)
class Case:
    """main: of a command; arguments: its command line.  codes: exit codes that are right.  accepted: called where the
    command ends with 0; says what is wrong with that, "" for nothing."""

    main: Callable[[Sequence[str]], int]
    arguments: tuple[str, ...]
    codes: frozenset[int] = DOCUMENTED
    accepted: Callable[[], str] = lambda: ""


Make = Callable[[np.random.Generator, Path], Case]
"""(random numbers, an empty folder to work in) -> a case; the same for the same seed."""


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """data with bytes changed, cut, inserted, doubled or zeroed, in one to three places; never the same."""
    out = data
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(0, max(1, len(out))))
        length = int(rng.choice([1, 1, 2, 4, 16, 256]))
        kind = rng.integers(0, 7)
        if kind == 0:
            out = out[:place] + bytes([(out[place] if out else 0) ^ (1 << int(rng.integers(8)))]) + out[place + 1 :]
        elif kind == 1:
            out = out[:place] + rng.bytes(length) + out[place + length :]
        elif kind == 2:
            out = out[:place]
        elif kind == 3:
            out = out[:place] + rng.bytes(length) + out[place:]
        elif kind == 4:
            out = out[:place] + out[place : place + length] + out[place:]
        elif kind == 5:
            out = out[:place] + out[place + length :]
        else:
            out = out[:place] + bytes([int(rng.choice([0, 255]))]) * length + out[place + length :]
    return out if out != data else data + b"\0"


def one_of(rng: np.random.Generator, choices: Sequence):
    """One of the choices, as it is."""
    return choices[int(rng.integers(len(choices)))]
