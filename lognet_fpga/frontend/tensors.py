"""The constant tensors of a file: where they are, of what type, read from the files beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.errors import ModelError

_FLOAT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_KNOWN_TYPES = set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}


def tensors_of(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """All initializers and constants; a constant without a name goes by its node's output."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                if not attribute.t.name and node.output:
                    attribute.t.name = node.output[0]
                yield attribute.t


def check_types(path: Path, model: onnx.ModelProto) -> None:
    """Raise ModelError, naming them, for tensors of types that onnx does not know."""
    found = {tensor.name or "(unnamed constant)": tensor.data_type for tensor in tensors_of(model)}
    for value in model.graph.input:
        if value.type.HasField("tensor_type"):
            found.setdefault(value.name, value.type.tensor_type.elem_type)
    for value in (*model.graph.output, *model.graph.value_info):
        # An intermediate tensor or an output may leave its type open: it is inferred.
        if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type:
            found.setdefault(value.name, value.type.tensor_type.elem_type)
    unknown = [f"{name} (type {kind})" for name, kind in found.items() if kind not in _KNOWN_TYPES]
    if unknown:
        raise ModelError(
            f"{path} holds tensors of a type that onnx {onnx.__version__} does not know: {', '.join(unknown)}",
            hint="export the model again, with float32 weights; or the file is damaged",
        )


def check_finite(path: Path, model: onnx.ModelProto) -> None:
    """Raise ModelError, naming them, for tensors that hold NaN, or infinity other than as a single bound."""
    bad = []
    for tensor in tensors_of(model):
        if tensor.data_type not in _FLOAT_TYPES:
            continue
        try:
            with np.errstate(over="ignore"):
                values = numpy_helper.to_array(tensor).astype(np.float32)
        except ValueError as error:
            raise ModelError(f"{path} is not a valid ONNX model: initializer {tensor.name}: {error}") from error
        # A single infinity is a legitimate bound, as in Clip or Pad.
        if np.isnan(values).any() or (values.size > 1 and np.isinf(values).any()):
            bad.append(tensor.name or "(unnamed constant)")
    if bad:
        raise ModelError(
            f"{path} holds weights that are NaN or infinite: {', '.join(bad)}",
            hint="the training has diverged, or the file is damaged: export a sound checkpoint",
        )


def load_external_data(path: Path, model: onnx.ModelProto) -> None:
    """Read into model the tensors that its file, at path, keeps in other files.

    These lie beside the file, or beside what it is a link to; each may itself be a link, as in the cache of a model
    hub, where both are links into a store.  (onnx's own loader refuses links.)  No place outside the folder is named.
    Raises ModelError for files that are missing, too short or named by a path that leads elsewhere.
    """
    outside = [tensor for tensor in tensors_of(model) if tensor.data_location == TensorProto.EXTERNAL]
    places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in outside]
    names = sorted({place.get("location", "") for place in places})
    for name in names:
        if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise ModelError(
                f"{path} names a file outside of its folder for its weights: {name!r}",
                hint="save the model again with its external data beside it",
            )
    found = {name: _beside(path, name) for name in names}
    files = {name: file for name, file in found.items() if file is not None}
    missing = [name for name in found if name not in files]
    if missing:
        raise ModelError(
            f"{path} keeps its weights in another file that is missing: {', '.join(missing)}",
            hint=f"put it beside {path.name}",
        )
    for tensor, place in zip(outside, places):
        try:
            tensor.raw_data = _read(files[place["location"]], place, tensor)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"the weights of {path} in {place['location']} cannot be read: {tensor.name}: {error}",
                hint="copy the file again: it may be truncated",
            ) from error
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _beside(path: Path, name: str) -> Path | None:
    """The file of that name beside path, or beside what path is a link to, link by link."""
    while True:
        if (path.parent / name).is_file():
            return path.parent / name
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()  # no loop: path has been read


def _read(file: Path, place: dict[str, str], tensor: TensorProto) -> bytes:
    """ValueError where offset and length are none, or do not agree with the tensor or the file."""
    if min(tensor.dims, default=0) < 0:
        raise ValueError("its shape is negative")
    name = TensorProto.DataType.Name(tensor.data_type)
    packed = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
    bits = packed.get(name) or helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8
    wanted = -(-math.prod(tensor.dims) * bits // 8)
    offset, length = int(place.get("offset") or 0), int(place.get("length") or wanted)
    if offset < 0 or length != wanted:
        raise ValueError(f"{length:,} bytes at {offset:,} are given for {wanted:,}")
    with file.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(length)
    if len(data) < length:
        raise ValueError(f"the file ends {length - len(data):,} bytes too early")
    return data
