"""Variables out of a TensorFlow checkpoint, as a SavedModel has it: an index, which is a sorted string table as of
LevelDB, and the bytes of all variables one behind the other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lognet_fpga.errors import ModelError

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_FLOAT = 1  # of tensorflow.DataType
# Fields of tensorflow.BundleEntryProto, of TensorShapeProto and its Dim.
_DTYPE, _SHAPE, _OFFSET, _SIZE, _DIM = 1, 2, 4, 5, 2


def read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """The float variables of the checkpoint in folder, variables.index and variables.data-00000-of-00001, by their
    names without what all have in common.  Raises ModelError for files that are missing or none."""
    try:
        index = (folder / "variables.index").read_bytes()
        data = (folder / "variables.data-00000-of-00001").read_bytes()
    except OSError as error:
        raise ModelError(
            f"{error.filename} cannot be read: {error.strerror}", hint="fetch the whole SavedModel"
        ) from error
    if index[-len(_MAGIC) :] != _MAGIC:
        raise ModelError(f"{folder / 'variables.index'} is no index of a checkpoint", hint="fetch the file again")
    try:
        return dict(_variables(index, data))
    except (IndexError, ValueError) as error:
        raise ModelError(f"the checkpoint in {folder} is damaged", hint="fetch its files again") from error


def _variables(index: bytes, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    place = len(index) - _FOOTER
    for _ in range(2):  # the handle of the meta index
        _, place = _varint(index, place)
    for _, handle in _block(index, *_handle(index, place)):
        for key, entry in _block(index, *_handle(handle, 0)):
            name = key.decode(errors="replace")
            numbers, messages = _fields(entry)
            if not name.endswith(_SUFFIX) or numbers.get(_DTYPE) != _FLOAT:
                continue
            shape = [_fields(dim)[0].get(1, 0) for each in messages.get(_SHAPE, ()) for dim in _fields(each)[1][_DIM]]
            start, size = numbers.get(_OFFSET, 0), numbers.get(_SIZE, 0)
            if size != 4 * math.prod(shape) or start + size > len(data):
                raise ValueError
            yield name[: -len(_SUFFIX)], np.frombuffer(data, "<f4", size // 4, start).reshape(shape)


def _handle(content: bytes, place: int) -> tuple[int, int]:
    """(offset, size) of a block."""
    offset, place = _varint(content, place)
    return offset, _varint(content, place)[0]


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block: each key has so many bytes of the one before it, then its own."""
    block = index[offset : offset + size]
    if len(block) != size or index[offset + size]:  # compressed, as checkpoints never are
        raise ValueError
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + own]
        place += own + length
        yield key, block[place - length : place]


def _fields(message: bytes) -> tuple[dict[int, int], defaultdict[int, list[bytes]]]:
    """(the whole numbers, the messages) in a protobuf message, by the numbers of its fields."""
    numbers: dict[int, int] = {}
    messages: defaultdict[int, list[bytes]] = defaultdict(list)
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        if tag & 7 == 0:
            numbers[tag >> 3], place = _varint(message, place)
        elif tag & 7 == 2:
            length, place = _varint(message, place)
            messages[tag >> 3].append(message[place : place + length])
            place += length
        elif tag & 7 == 5:
            place += 4
        else:
            raise ValueError
    return numbers, messages


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """(a number of as many bytes as it needs, what is behind it)."""
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
