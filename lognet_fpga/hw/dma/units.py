"""Sizes that the DMA's blocks share."""

from __future__ import annotations

WORD_BITS = 64  # of memory
WORD_BYTES = WORD_BITS // 8
BURST_WORDS = 16  # AXI3 has no more
ROW_BITS = 25  # of the number of 16 words that a burst lies in
LENGTH_BITS = 26  # of a transfer, in bytes
