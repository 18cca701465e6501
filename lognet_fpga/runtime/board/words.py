"""32-bit registers as a sequence of whole numbers, on whatever PYNQ gives for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

SPINS = 200  # polls without a pause: short transfers end within them
PAUSE_S = 50e-6


class Words(Protocol):
    """Word i lies at byte address 4 * i.  Every access is one access to the bus."""

    def __getitem__(self, index: int) -> int: ...

    def __setitem__(self, index: int, value: int) -> None: ...


def words_of(mmio) -> Words:
    """The registers of a pynq.MMIO, without its checks and conversions, which take most of an access's time."""
    array = mmio.array
    return array.data if isinstance(array, np.ndarray) else array


def poll(done: Callable[[], bool], timeout_s: float) -> bool:
    """Call done until it is true or timeout_s have passed; whether it became true."""
    deadline = time.monotonic() + timeout_s
    spins = 0
    while not done():
        if time.monotonic() > deadline:
            return done()  # this thread may have slept far beyond the deadline
        spins += 1
        if spins > SPINS:
            time.sleep(PAUSE_S)
    return True
