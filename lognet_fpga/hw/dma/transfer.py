"""What the registers ask of a channel, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lognet_fpga.hw.dma.units import LENGTH_BITS
from lognet_fpga.hw.ports import Bundle, back, forth


@dataclass(frozen=True, eq=False)
class Transfer(Bundle):
    """start: a pulse; address, length: bytes; ended: the transfer is over on the stream's side; quiet: nothing is on
    its way to or from memory; slave_error, decode_error: of memory, until the reset."""

    start: Any = forth()
    address: Any = forth(32)
    length: Any = forth(LENGTH_BITS)
    ended: Any = back()
    quiet: Any = back()
    slave_error: Any = back()
    decode_error: Any = back()


@dataclass(frozen=True, eq=False)
class Reception(Transfer):
    """Into memory.  received: bytes of the packet; too_long: it had more than length."""

    received: Any = back(LENGTH_BITS + 1)
    too_long: Any = back()


@dataclass(frozen=True, eq=False)
class RegisterWrite(Bundle):
    """comes: in this cycle; word: which register; data: what for."""

    comes: Any = forth()
    word: Any = forth(5)
    data: Any = forth(32)
