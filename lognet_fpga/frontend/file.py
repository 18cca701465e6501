"""Reading an ONNX file, and everything that can be wrong with the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from lognet_fpga.errors import ModelError, UnsupportedModelError

OLDEST_OPSET = 7
STANDARD_DOMAINS = ("", "ai.onnx")
_COPY_AGAIN = "copy the file again, or export the model again as .onnx"
_FLOAT_TYPES = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)
_SEQUENTIAL = {
    "LSTM": "recurrent",
    "GRU": "recurrent",
    "RNN": "recurrent",
    "Loop": "control flow",
    "If": "control flow",
    "Scan": "control flow",
}


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operators the model imports; 0 when it imports none."""
    return max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=0)


def read_model(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """The file's bytes and the model in it, checked, external data loaded, model-local functions inlined.

    Raises ModelError when the file is missing, not ONNX, truncated, invalid, of an unknown opset or holds
    weights that are not finite; UnsupportedModelError when it holds recurrent or control-flow operators.
    """
    data = _read_bytes(path)
    model = _parse(path, data)
    _check_opset(path, model)
    _load_external_data(path, model)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise ModelError(
            f"{path} is not a valid ONNX model: {first_line(error)}", hint="export the model again"
        ) from error
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _check_operators(path, model)
    _check_finite(path, model)
    return data, model


def first_line(error: Exception) -> str:
    """The first non-empty line of an exception's text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path} is a directory, not an ONNX file", hint="give the path of the .onnx file in it")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"no such file: {path}", hint="give the path of the .onnx file") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if not data:
        raise ModelError(f"{path} is empty", hint=_COPY_AGAIN)
    return data


def _parse(path: Path, data: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not an ONNX file, or it is truncated", hint=_COPY_AGAIN) from error
    # Some foreign files happen to parse as a message without any of a model's fields.
    if not model.ir_version or not model.graph.node:
        raise ModelError(f"{path} is not an ONNX model, or it is truncated: it holds no graph", hint=_COPY_AGAIN)
    # protobuf hands out names that are not UTF-8 as bytes.
    names = [name for node in model.graph.node for name in (node.name, node.op_type, *node.input, *node.output)]
    if any(isinstance(name, bytes) for name in names):
        raise ModelError(f"{path} is damaged: names in its graph are not text", hint=_COPY_AGAIN)
    return model


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    opset, newest = opset_of(model), onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ModelError(
            f"{path} uses opset {opset}; this version reads opsets {OLDEST_OPSET} to {newest}",
            hint=f"export the model again with an opset from {OLDEST_OPSET} to {newest}, such as 17",
        )


def _load_external_data(path: Path, model: onnx.ModelProto) -> None:
    outside = [tensor for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    locations = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"}
    missing = sorted(name for name in locations if not (path.parent / name).is_file())
    if missing:
        raise ModelError(
            f"{path} keeps its weights in another file that is missing: {', '.join(missing)}",
            hint=f"put it beside {path.name}",
        )
    if not outside:
        return
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        for tensor in _tensors(model):
            numpy_helper.to_array(tensor)
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"the weights of {path} in {', '.join(sorted(locations))} cannot be read: {first_line(error)}",
            hint="copy the file again: it may be truncated",
        ) from error


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    found = [
        f"{node.name or node.op_type} ({node.op_type}): {_SEQUENTIAL[node.op_type]}"
        for node in model.graph.node
        if node.op_type in _SEQUENTIAL and node.domain in STANDARD_DOMAINS
    ]
    if found:
        raise UnsupportedModelError(
            f"{path} holds recurrent or control-flow operators, which cannot be deployed",
            context=found,
            hint="use a feed-forward CNN, exported without control flow",
        )


def _check_finite(path: Path, model: onnx.ModelProto) -> None:
    bad = []
    for tensor in _tensors(model):
        if tensor.data_type not in _FLOAT_TYPES:
            continue
        try:
            with np.errstate(over="ignore"):
                values = numpy_helper.to_array(tensor).astype(np.float32)
        except ValueError as error:
            raise ModelError(
                f"{path} is not a valid ONNX model: initializer {tensor.name}: {first_line(error)}"
            ) from error
        # A single infinity is a legitimate bound, as in Clip or Pad.
        if np.isnan(values).any() or (values.size > 1 and np.isinf(values).any()):
            bad.append(tensor.name or "(unnamed constant)")
    if bad:
        raise ModelError(
            f"{path} holds weights that are NaN or infinite: {', '.join(bad)}",
            hint="the training has diverged, or the file is damaged: export a sound checkpoint",
        )


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All initializers and constants; a constant without a name goes by its node's output."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                if not attribute.t.name and node.output:
                    attribute.t.name = node.output[0]
                yield attribute.t
