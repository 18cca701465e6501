"""ONNX files without the onnx package, which a board does not have: nodes, attributes and constants.

The numbers are the fields' in onnx.proto3; fields that are not named here are skipped, as protobuf asks of readers.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

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

Attribute = int | float | bytes | np.ndarray | list[int] | list[float] | None
_Kind = TypeVar("_Kind", int, float, bytes, list, np.ndarray)


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """attributes: by name; None for one of a type that no operator here has.  inputs: "" for one that is left out."""

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    def attribute(self, name: str, kind: type[_Kind], default: _Kind | None = None) -> _Kind:
        """The attribute of that name, or the default; raises KeyError where there is neither, TypeError where it is of
        another kind.  list: of integers or floats, as the operator has it."""
        value = self.attributes.get(name, default)
        if isinstance(value, kind):
            return value
        if name not in self.attributes:
            raise KeyError(f"attribute {name} is missing")
        raise TypeError(f"attribute {name} is no {kind.__name__}")


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
        opsets = {_text(entry, 1): _integer(entry, 2, 1) for entry in map(_message, model[8])}
        graph = _message(model[7][0])
        constants = dict(_tensor(part) for part in graph[5])
        inputs = [_text(_message(part), 1) for part in graph[11]]
        return OnnxGraph(
            opsets.get("", 1),
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


def _node(data: Value) -> OnnxNode:
    node = _message(data)
    return OnnxNode(
        _text(node, 3),
        _text(node, 4),
        _text(node, 7),
        tuple(_string(name) for name in node[1]),
        tuple(_string(name) for name in node[2]),
        dict(_attribute(part) for part in node[5]),
    )


def _attribute(data: Value) -> tuple[str, Attribute]:
    part = _message(data)
    name, kind = _text(part, 1), _integer(part, 20)
    if kind == 1:
        return name, _float(part, 2)
    if kind == 2:
        return name, _signed(_integer(part, 3))
    if kind == 3:
        return name, bytes(_bytes(part[4][-1])) if part[4] else b""
    if kind == 4:
        return name, _tensor(part[5][0])[1]
    if kind == 6:
        return name, [value for chunk in part[7] for value in _floats(chunk).tolist()]
    if kind == 7:
        return name, [_signed(value) for chunk in part[8] for value in _varints(chunk)]
    return name, None  # strings, graphs and such: of operators that are not known here


def _tensor(data: Value) -> tuple[str, np.ndarray]:
    part = _message(data)
    name, kind = _text(part, 8), _integer(part, 2)
    if kind == _STRING:
        shape = [value for chunk in part[1] for value in _varints(chunk)]
        return name, np.array([_string(text) for text in part[6]], np.str_).reshape(shape)
    if kind not in DTYPES:
        raise ValueError(f"constant {name} has element type {kind}")
    if _integer(part, 14):
        raise ValueError(f"constant {name} lies in another file")
    dtype = DTYPES[kind]
    shape = [value for chunk in part[1] for value in _varints(chunk)]
    if part[9]:
        array = np.frombuffer(_bytes(part[9][0]), dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
        return name, np.require(array, requirements="A")  # copied where the file has it elsewhere
    floats = [_floats(chunk, code) for field, code in _FLOAT_DATA.items() for chunk in part[field]]
    if floats:
        return name, np.concatenate(floats).astype(dtype, copy=False).reshape(shape)
    whole = [value for field in _SIGNED_DATA for chunk in part[field] for value in map(_signed, _varints(chunk))]
    whole += [value for chunk in part[_UNSIGNED_DATA] for value in _varints(chunk)]
    if dtype == np.float16:  # its bits stand in the integers
        return name, np.array(whole, np.uint16).view(np.float16).reshape(shape)
    return name, np.array(whole, dtype).reshape(shape)


def _message(data: Value) -> defaultdict[int, list[Value]]:
    """Field number to its values, in order."""
    fields: defaultdict[int, list[Value]] = defaultdict(list)
    for field in fields_of(_bytes(data)):
        fields[field.number].append(field.value)
    return fields


def _varints(chunk: Value) -> list[int]:
    """Of a repeated field: one number, or many packed."""
    if isinstance(chunk, int):
        return [chunk]
    packed, values, place = _bytes(chunk), [], 0
    while place < len(packed):
        value, place = read_varint(packed, place)
        values.append(value)
    return values


def _floats(chunk: Value, code: str = "<f4") -> np.ndarray:
    """Of a repeated field: one number, or many packed."""
    return np.array([chunk], code) if isinstance(chunk, float) else np.frombuffer(_bytes(chunk), code)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _integer(fields: Mapping[int, list[Value]], number: int, default: int = 0) -> int:
    """Of a field that counts once: the last one."""
    value = fields[number][-1] if fields[number] else default
    if not isinstance(value, int):
        raise ValueError(f"field {number} is no integer")
    return value


def _float(fields: Mapping[int, list[Value]], number: int) -> float:
    value = fields[number][-1] if fields[number] else 0.0
    if not isinstance(value, float):
        raise ValueError(f"field {number} is no float")
    return value


def _text(fields: Mapping[int, list[Value]], number: int) -> str:
    return _string(fields[number][-1]) if fields[number] else ""


def _string(value: Value) -> str:
    return str(_bytes(value), "utf-8")


def _bytes(value: Value) -> memoryview:
    """Of a field that has a length; bytes(number) would be as many zeros."""
    if not isinstance(value, memoryview):
        raise ValueError("a field is a number where it has to have a length")
    return value
