"""Files of TensorFlow's formats, written here from what their schemas say: with Google's own FlatBuffers builder, and
byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import flatbuffers
import numpy as np

FLOAT, INT8 = 0, 9


class TfliteWriter:
    """A .tflite of one graph.  Tensors are numbered in the order of `tensor`."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)
        self.buffers = [self._table({})]
        self.tensors: list[int] = []
        self.codes: list[int] = []
        self.operators: list[int] = []

    def tensor(
        self,
        shape: Sequence[int],
        value: np.ndarray | None = None,
        kind: int = FLOAT,
        scales: np.ndarray | None = None,
        axis: int = 0,
    ) -> int:
        b, number = self.builder, 0
        if value is not None:
            data = b.CreateByteVector(np.ascontiguousarray(value).tobytes())
            number = len(self.buffers)
            self.buffers.append(self._table({0: ("offset", data)}))
        name = b.CreateString(f"tensor {len(self.tensors)}")
        fields = {1: ("int8", kind), 2: ("uint32", number), 3: ("offset", name)}
        if scales is not None:
            vector = b.CreateNumpyVector(scales.astype(np.float32))
            zeros = b.CreateNumpyVector(np.zeros(len(scales), np.int64))
            quantization = {2: ("offset", vector), 3: ("offset", zeros), 6: ("int32", axis)}
            fields[4] = ("offset", self._table(quantization))
        fields[0] = ("offset", b.CreateNumpyVector(np.array(shape, np.int32)))
        self.tensors.append(self._table(fields))
        return len(self.tensors) - 1

    def operator(self, code: int, inputs: Sequence[int], output: int, options: dict | None = None) -> None:
        if code not in self.codes:
            self.codes.append(code)
        b = self.builder
        vectors = [b.CreateNumpyVector(np.array(each, np.int32)) for each in (inputs, [output])]
        fields = {0: ("uint32", self.codes.index(code)), 1: ("offset", vectors[0]), 2: ("offset", vectors[1])}
        if options is not None:
            fields[4] = ("offset", self._table(options))
        self.operators.append(self._table(fields))

    def bytes(self, source: int, result: int) -> bytes:
        b = self.builder
        codes = [self._table({0: ("int8", code), 3: ("int32", code)}) for code in self.codes]
        ends = [b.CreateNumpyVector(np.array([number], np.int32)) for number in (source, result)]
        graph = self._table(
            {
                0: ("offset", self._vector(self.tensors)),
                1: ("offset", ends[0]),
                2: ("offset", ends[1]),
                3: ("offset", self._vector(self.operators)),
            }
        )
        fields = {
            0: ("uint32", 3),
            1: ("offset", self._vector(codes)),
            2: ("offset", self._vector([graph])),
            4: ("offset", self._vector(self.buffers)),
        }
        b.Finish(self._table(fields), file_identifier=b"TFL3")
        return bytes(b.Output())

    def _vector(self, tables: Sequence[int]) -> int:
        self.builder.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            self.builder.PrependUOffsetTRelative(table)
        return self.builder.EndVector()

    def _table(self, fields: dict[int, tuple[str, int]]) -> int:
        b = self.builder
        b.StartObject(max(fields, default=-1) + 1)
        put = {
            "int8": b.PrependInt8Slot,
            "uint32": b.PrependUint32Slot,
            "int32": b.PrependInt32Slot,
            "offset": b.PrependUOffsetTRelativeSlot,
        }
        for number, (kind, value) in fields.items():
            put[kind](number, value, 0)
        return b.EndObject()


def checkpoint(variables: dict[str, np.ndarray]) -> tuple[bytes, bytes]:
    """(variables.index, variables.data-00000-of-00001)."""
    data, entries = b"", []
    for name in sorted(variables):
        value = np.ascontiguousarray(variables[name], "<f4")
        dims = b"".join(_message(2, _number(1, size)) for size in value.shape)
        entry = _number(1, 1) + _message(2, dims) + _number(4, len(data)) + _number(5, value.nbytes) + b"\x35abcd"
        entries.append((f"{name}/.ATTRIBUTES/VARIABLE_VALUE".encode(), entry))
        data += value.tobytes()
    block = _block([(b"", b"\x08\x01"), *entries])
    index = _block([(b"z", _varint(0) + _varint(len(block)))])
    meta_at = len(block) + 5
    meta = _block([])
    index_at = meta_at + len(meta) + 5
    footer = b"".join(map(_varint, (meta_at, len(meta), index_at, len(index)))).ljust(40, b"\0")
    trailer = b"\0crc!"
    whole = block + trailer + meta + trailer + index + trailer + footer + bytes.fromhex("57fb808b247547db")
    return whole, data


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    out, last = b"", b""
    for key, value in entries:
        shared = next((i for i, (a, b) in enumerate(zip(key, last)) if a != b), min(len(key), len(last)))
        out += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack("<II", 0, 1)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])
