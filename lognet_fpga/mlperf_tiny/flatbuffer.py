"""FlatBuffers, as far as TensorFlow Lite's files use them: tables of fields, vectors, strings."""

from __future__ import annotations

import struct
from typing import TypeVar

import numpy as np

_Scalar = TypeVar("_Scalar", int, float)


class Table:
    """A table at a place of data; fields by their number in the schema.  Raises struct.error, IndexError or ValueError
    where the bytes are none."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        self._fields = place - _unpack("<i", data, place)
        self._n_fields = (_unpack("<H", data, self._fields) - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, _unpack("<I", data, 0))

    def scalar(self, field: int, kind: str, default: _Scalar) -> _Scalar:
        """kind: as of struct, such as "i"."""
        place = self._of(field)
        return default if place is None else _unpack(f"<{kind}", self._data, place)

    def table(self, field: int) -> Table | None:
        place = self._of(field)
        return None if place is None else Table(self._data, _follow(self._data, place))

    def tables(self, field: int) -> list[Table]:
        start, length = self._vector(field)
        return [Table(self._data, _follow(self._data, start + 4 * index)) for index in range(length)]

    def array(self, field: int, dtype: str) -> np.ndarray:
        """A vector of numbers; empty where there is none."""
        start, length = self._vector(field)
        kind = np.dtype(dtype)
        if start + length * kind.itemsize > len(self._data):
            raise ValueError("a vector reaches past the end")
        return np.frombuffer(self._data, kind, length, start) if length else np.empty(0, kind)

    def text(self, field: int) -> str:
        return self.array(field, "u1").tobytes().decode()

    def _of(self, field: int) -> int | None:
        offset = _unpack("<H", self._data, self._fields + 4 + 2 * field) if field < self._n_fields else 0
        return self._place + offset if offset else None

    def _vector(self, field: int) -> tuple[int, int]:
        """(where its elements begin, how many there are)."""
        place = self._of(field)
        if place is None:
            return 0, 0
        start = _follow(self._data, place)
        return start + 4, _unpack("<I", self._data, start)


def _follow(data: bytes, place: int) -> int:
    return place + _unpack("<I", data, place)


def _unpack(kind: str, data: bytes, place: int):
    return struct.unpack_from(kind, data, place)[0]
