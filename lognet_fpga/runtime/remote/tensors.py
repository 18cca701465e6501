"""Tensors as the Open Inference Protocol writes them: names of datatypes, and values as bytes and as JSON."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

BYTES = "BYTES"
_DATATYPES = {
    "bool": "BOOL",
    **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    "str": BYTES,
}
_OF_ARRAYS = {np.dtype(name): datatype for name, datatype in _DATATYPES.items() if datatype != BYTES}
_LENGTH = struct.Struct("<I")  # in front of each element of BYTES


def datatype_of(dtype: str) -> str:
    """Of a NumPy type's name, or "str" for text.  Raises ValueError for one that the protocol does not have."""
    try:
        return _DATATYPES[dtype]
    except KeyError:
        raise ValueError(f"the protocol has no datatype for {dtype}") from None


def datatype(array: np.ndarray) -> str:
    """Of an array's elements."""
    known = _OF_ARRAYS.get(array.dtype)
    if known is None:
        known = BYTES if array.dtype.kind == "U" else _OF_ARRAYS[array.dtype.newbyteorder("=")]
    return known


def to_binary(array: np.ndarray) -> bytes:
    """Row by row, little-endian; text as of BYTES, each element behind its length."""
    if array.dtype.kind == "U":
        encoded = [text.encode("utf-8", "surrogatepass") for text in array.ravel().tolist()]
        return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def to_json(array: np.ndarray) -> list:
    """Row by row, flat.  Raises ValueError for what JSON has no words for."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("JSON has no infinities and nothing that is not a number")
    return array.ravel().tolist()


def split_bytes(data: memoryview, count: int) -> list[memoryview]:
    """The elements of a tensor of BYTES.  Raises ValueError unless there are just so many."""
    elements: list[memoryview] = []
    place = 0
    while place < len(data) and len(elements) < count:
        if place + _LENGTH.size > len(data):
            raise ValueError("the last element's length is not whole")
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if length > len(data) - place:
            raise ValueError(f"element {len(elements)} says {length:,} bytes, of which {len(data) - place:,} are there")
        elements.append(data[place : place + length])
        place += length
    if len(elements) != count or place != len(data):
        raise ValueError(f"there are not just {count:,} elements in its {len(data):,} bytes")
    return elements


def flat(data: object, most: int) -> list:
    """The elements of nested lists.  Raises ValueError for what is no list, and for more than `most` elements."""
    if not isinstance(data, list):
        raise ValueError("data is no list")
    out: list = []
    stack: list[Iterator] = [iter(data)]
    while stack:
        for element in stack[-1]:
            if isinstance(element, list):
                stack.append(iter(element))
                break
            out.append(element)
            if len(out) > most:
                raise ValueError(f"data has more than the {most:,} elements of its shape")
        else:
            stack.pop()
    return out
