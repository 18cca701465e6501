"""ONNX files without the onnx package, which a board does not have: nodes, attributes and constants.

The numbers are the fields' in onnx.proto3; fields that are not named here are skipped, as protobuf asks of readers.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import BundleError
from lognet_fpga.ir.protobuf import Value, fields_of, read_varint

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
_FLOAT_DATA, _SIGNED_DATA, _UNSIGNED_DATA = {4: "<f4", 10: "<f8"}, (5, 7), 11  # fields of TensorProto
_STRING = 8  # an element type without a NumPy type of fixed size


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
    """opset: of the standard operators.  constants: by name; they lie in the file's own bytes where those are aligned
    as NumPy needs it, which copies others on every use.  input: the first that is no constant; outputs: all, in
    order."""

    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, np.ndarray]
    input: str
    outputs: tuple[str, ...]

    @property
    def output(self) -> str:
        """The last one."""
        return self.outputs[-1]


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
            _outputs(graph[12]),
        )
    except (IndexError, ValueError, StopIteration, struct.error, KeyError, TypeError, OverflowError) as error:
        raise BundleError(f"this is not an ONNX graph that can be read: {error}") from error


def _outputs(parts: Sequence[Value]) -> tuple[str, ...]:
    names = tuple(_text(_message(part), 1) for part in parts)
    if not names:
        raise ValueError("it has no output")
    return names


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
        return name, [value for chunk in part[7] for value in _floats(chunk).tolist()]
    if kind == 7:
        return name, [_signed(value) for chunk in part[8] for value in _varints(chunk)]
    return name, None  # strings, graphs and such: of operators that are not known here


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    part = _message(data)
    name, kind = _text(part, 8), _one(part, 2, 0)
    if kind == _STRING:
        shape = [value for chunk in part[1] for value in _varints(chunk)]
        return name, np.array([bytes(text).decode() for text in part[6]], str).reshape(shape)
    if kind not in DTYPES:
        raise ValueError(f"constant {name} has element type {kind}")
    if _one(part, 14, 0):
        raise ValueError(f"constant {name} lies in another file")
    dtype = DTYPES[kind]
    shape = [value for chunk in part[1] for value in _varints(chunk)]
    if part[9]:
        array = np.frombuffer(part[9][0], dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
        return name, np.require(array, requirements="A")  # copied where the file has it elsewhere
    floats = [_floats(chunk, code) for field, code in _FLOAT_DATA.items() for chunk in part[field]]
    if floats:
        return name, np.concatenate(floats).astype(dtype, copy=False).reshape(shape)
    whole = [value for field in _SIGNED_DATA for chunk in part[field] for value in map(_signed, _varints(chunk))]
    whole += [value for chunk in part[_UNSIGNED_DATA] for value in _varints(chunk)]
    if dtype == np.float16:  # its bits stand in the integers
        return name, np.array(whole, np.uint16).view(np.float16).reshape(shape)
    return name, np.array(whole, dtype).reshape(shape)


def _message(data: memoryview) -> defaultdict[int, list[Value]]:
    """Field number to its values, in order."""
    fields: defaultdict[int, list[Value]] = defaultdict(list)
    for field in fields_of(data):
        fields[field.number].append(field.value)
    return fields


def _varints(chunk: Value) -> list[int]:
    """Of a repeated field: one number, or many packed."""
    if isinstance(chunk, int):
        return [chunk]
    values, place = [], 0
    while place < len(chunk):
        value, place = read_varint(chunk, place)
        values.append(value)
    return values


def _floats(chunk: Value, code: str = "<f4") -> np.ndarray:
    """Of a repeated field: one number, or many packed."""
    return np.array([chunk], code) if isinstance(chunk, float) else np.frombuffer(chunk, code)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _one(fields: Mapping[int, list[Value]], number: int, default: Value) -> Value:
    return fields[number][-1] if fields[number] else default


def _text(fields: Mapping[int, list[Value]], number: int) -> str:
    return bytes(_one(fields, number, b"")).decode()
