"""ONNX files whose weights lie at multiples of ALIGNMENT bytes, so that a board computes with them where they are.

NumPy copies weights that lie elsewhere on every call: megabytes a frame.  The file stays a standard one: the bytes that
push the weights along are spaces in doc_string, of the model and of each tensor, which precede the next tensor.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto, numpy_helper

from lognet_fpga.ir.protobuf import fields_of

ALIGNMENT = 64  # bytes: a line of most caches, and more than any element or SIMD register needs
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # numbers of the fields in onnx.proto3
_TYPED = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64)


def aligned_onnx(model: onnx.ModelProto) -> bytes:
    """The model, serialized, every initializer's raw data at a multiple of ALIGNMENT; numbers in other fields become
    raw data.  model: is changed."""
    tensors = model.graph.initializer
    for tensor in tensors:
        if tensor.data_type in _TYPED and not tensor.HasField("raw_data"):
            raw = numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)
            tensor.CopyFrom(raw)
    in_front = [model, *tensors]
    while True:
        content = model.SerializeToString()
        shift = 0
        for index, place in _raw_places(content):
            missing = -(place + shift) % ALIGNMENT
            if missing:
                _lengthen(in_front[index], missing)
                shift += missing
        if not shift:
            return content  # else once more: a length in the file may have become a byte longer, which happens finitely


def _raw_places(content: bytes) -> Iterator[tuple[int, int]]:
    """Of every initializer with raw data its number and where the data begin."""
    for graph in fields_of(memoryview(content)):
        if graph.number == _GRAPH:
            tensors = (field for field in fields_of(graph.content) if field.number == _INITIALIZER)
            for index, tensor in enumerate(tensors):
                for data in fields_of(tensor.content):
                    if data.number == _RAW_DATA and len(data.content):
                        yield index, graph.place + tensor.place + data.place


def _lengthen(message: onnx.ModelProto | onnx.TensorProto, count: int) -> None:
    """Make the serialized message longer by that many bytes, or that many and one multiple of ALIGNMENT."""
    if not message.doc_string:
        count -= 2  # the field's number and its length
    message.doc_string += " " * (count if count > 0 else count + ALIGNMENT)
