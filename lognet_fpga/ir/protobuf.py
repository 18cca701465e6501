"""Protobuf's wire format, as much of it as ONNX files need: fields of a message, and where their contents lie.

Known without the onnx package, which a board does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Value = int | float | memoryview


@dataclass(frozen=True, eq=False)
class Field:
    """number: of the field.  value: a number, or the bytes of what has a length.  place: where value begins in the
    message."""

    number: int
    value: Value
    place: int

    @property
    def content(self) -> memoryview:
        """value as bytes.  Raises ValueError where it is a number."""
        if not isinstance(self.value, memoryview):
            raise ValueError(f"field {self.number} is a number")
        return self.value


def fields_of(message: memoryview) -> Iterator[Field]:
    """The fields of a message in its order; raises ValueError, IndexError or struct.error where it is none."""
    place = 0
    value: Value
    while place < len(message):
        key, place = read_varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            begin = place
            value, place = read_varint(message, place)
        elif kind == _BYTES:
            length, begin = read_varint(message, place)
            place = begin + length
            if place > len(message):
                raise ValueError("it is cut off")
            value = message[begin:place]
        elif kind in (_FIXED32, _FIXED64):
            size, code = (4, "<f") if kind == _FIXED32 else (8, "<d")
            (value,) = struct.unpack_from(code, message, place)
            begin, place = place, place + size
        else:
            raise ValueError(f"it has a field of kind {kind}")
        yield Field(key >> 3, value, begin)


def read_varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number at place, and the place behind it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("it has a number that is too long")
