"""The simulated board's memory: what the DMA sees, which is not what the processor's cache holds."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

PAGE = 4096
LOW_ADDRESS, HIGH_ADDRESS = 0x1000_0000, 0x8_7000_0000  # where buffers begin, with addresses of 32 bits and of more


class NoMemoryError(Exception):
    """An access to an address without memory: a decode error on the bus."""


class Memory:
    """Blocks of bytes at physical addresses, each on pages of its own with an unused one behind it."""

    def __init__(self, address_bits: int) -> None:
        self._next = HIGH_ADDRESS if address_bits > 32 else LOW_ADDRESS
        self._blocks: dict[int, np.ndarray] = {}

    def allocate(self, n_bytes: int) -> int:
        """The address of a new block of noise, as memory holds after use."""
        address = self._next
        self._next += (n_bytes // PAGE + 2) * PAGE
        self._blocks[address] = np.full(n_bytes, 0xA5, np.uint8)
        return address

    def free(self, address: int) -> None:
        self._blocks.pop(address, None)

    def view(self, address: int, n_bytes: int) -> np.ndarray:
        """The bytes there, to read and to write; raises NoMemoryError where some of them are not memory."""
        starts = sorted(self._blocks)
        place = bisect_right(starts, address) - 1
        if place >= 0:
            first = address - starts[place]
            block = self._blocks[starts[place]]
            if first + n_bytes <= len(block):
                return block[first : first + n_bytes]
        raise NoMemoryError(f"0x{address:X}")
