"""ONNX files without the onnx package, which a board does not have: just enough of protobuf's wire format to get at
nodes, attributes and constants.

The numbers are the fields' in onnx.proto3; fields that are not named here are skipped, as protobuf asks of readers.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import BundleError

DTYPES: Mapping[int, np.dtype] = {
    number: np.dtype(name)
    for number, name in {
        1: "float32",
        2: "uint8",
        3: "int8",
        4: "uint16",
        5: "int16",
        6: "int32",
        7: "int64",
        9: "bool",
        10: "float16",
        11: "float64",
        12: "uint32",
        13: "uint64",
    }.items()
}
_TYPED_DATA = {4: "float32", 5: "int32", 7: "int64", 10: "float64", 11: "uint64"}  # field of TensorProto: its elements
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Field = int | float | bytes | memoryview


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """attributes: by name; int, float, bytes, array, or a list of those.  inputs: "" for one that is left out."""

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """opset: of the standard operators.  input: the first that is no constant; output: the last."""

    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, np.ndarray]
    input: str
    output: str


def read_onnx(content: bytes) -> OnnxGraph:
    """The main graph of a serialized ONNX model; raises BundleError where it is none, or has parts in other files."""
    try:
        model = _message(memoryview(content))
        opsets = {_text(entry, 1): _one(entry, 2, 1) for entry in map(_message, model[8])}
        graph = _message(model[7][0])
        constants = dict(_tensor(part) for part in graph[5])
        inputs = [_text(_message(part), 1) for part in graph[11]]
        return OnnxGraph(
            int(opsets.get("", 1)),
            tuple(_node(part) for part in graph[1]),
            constants,
            next(name for name in inputs if name not in constants),
            _text(_message(graph[12][-1]), 1),
        )
    except (IndexError, ValueError, StopIteration, struct.error, KeyError, TypeError, OverflowError) as error:
        raise BundleError(f"this is not an ONNX graph that can be read: {error}") from error


def _node(data: memoryview) -> OnnxNode:
    node = _message(data)
    return OnnxNode(
        _text(node, 3),
        _text(node, 4),
        _text(node, 7),
        tuple(bytes(name).decode() for name in node[1]),
        tuple(bytes(name).decode() for name in node[2]),
        dict(_attribute(part) for part in node[5]),
    )


def _attribute(data: memoryview) -> tuple[str, object]:
    part = _message(data)
    name, kind = _text(part, 1), _one(part, 20, 0)
    if kind == 1:
        return name, float(_one(part, 2, 0.0))
    if kind == 2:
        return name, _signed(_one(part, 3, 0))
    if kind == 3:
        return name, bytes(_one(part, 4, b""))
    if kind == 4:
        return name, _tensor(part[5][0])[1]
    if kind == 6:
        return name, [value for chunk in part[7] for value in _floats(chunk)]
    if kind == 7:
        return name, [_signed(value) for chunk in part[8] for value in _varints(chunk)]
    return name, None  # strings, graphs and such: of operators that are not known here


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    part = _message(data)
    name, kind = _text(part, 8), _one(part, 2, 0)
    if kind not in DTYPES:
        raise ValueError(f"constant {name} has element type {kind}")
    if _one(part, 14, 0):
        raise ValueError(f"constant {name} lies in another file")
    dtype = DTYPES[kind]
    shape = [value for chunk in part[1] for value in _varints(chunk)]
    if part[9]:
        return name, np.frombuffer(part[9][0], dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    values: list[float] = []
    for field, element in _TYPED_DATA.items():
        for chunk in part[field]:
            if element in ("float32", "float64"):
                values += _floats(chunk, element)
            else:
                values += [_signed(value) for value in _varints(chunk)] if element != "uint64" else _varints(chunk)
    if dtype == np.float16:  # its bits stand in the integers
        return name, np.array(values, np.uint16).view(np.float16).reshape(shape)
    return name, np.array(values, dtype).reshape(shape)


def _message(data: memoryview) -> defaultdict[int, list[Field]]:
    """Field number to its values, in order."""
    fields: defaultdict[int, list[Field]] = defaultdict(list)
    for number, value in _fields(data):
        fields[number].append(value)
    return fields


def _fields(data: memoryview) -> Iterator[tuple[int, Field]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
        elif kind == _BYTES:
            length, place = _varint(data, place)
            if place + length > len(data):
                raise ValueError("it is cut off")
            value, place = data[place : place + length], place + length
        elif kind in (_FIXED32, _FIXED64):
            size, code = (4, "<f") if kind == _FIXED32 else (8, "<d")
            (value,) = struct.unpack_from(code, data, place)
            place += size
        else:
            raise ValueError(f"it has a field of kind {kind}")
        yield key >> 3, value


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("it has a number that is too long")


def _varints(chunk: Field) -> list[int]:
    """Of a repeated field: one number, or many packed."""
    if isinstance(chunk, int):
        return [chunk]
    values, place = [], 0
    while place < len(chunk):
        value, place = _varint(chunk, place)
        values.append(value)
    return values


def _floats(chunk: Field, element: str = "float32") -> list[float]:
    return (
        [chunk] if isinstance(chunk, float) else np.frombuffer(chunk, f"<f{element[-2:] == '64' and 8 or 4}").tolist()
    )


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _one(fields: Mapping[int, list[Field]], number: int, default: Field) -> Field:
    return fields[number][-1] if fields[number] else default


def _text(fields: Mapping[int, list[Field]], number: int) -> str:
    return bytes(_one(fields, number, b"")).decode()
