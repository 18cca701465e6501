"""Reading an ONNX file, and everything that can be wrong with the file itself."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from lognet_fpga.errors import ModelError, UnsupportedModelError, did_you_mean_file
from lognet_fpga.frontend.order import name_inlined, name_nodes, sort_nodes
from lognet_fpga.frontend.tensors import check_finite, check_types, load_external_data

OLDEST_OPSET = 7
STANDARD_DOMAINS = ("", "ai.onnx")
_COPY_AGAIN = "copy the file again, or export the model again as .onnx"
_SEQUENTIAL = {
    "LSTM": "recurrent",
    "GRU": "recurrent",
    "RNN": "recurrent",
    "Loop": "control flow",
    "If": "control flow",
    "Scan": "control flow",
}
# Domains of QONNX, which Brevitas and FINN write: onnxruntime has none of their operators.
_QONNX_DOMAINS = ("qonnx.custom_op", "finn.custom_op", "onnx.brevitas")


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operators the model imports; 0 when it imports none."""
    return max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=0)


def read_model(path: Path) -> tuple[str, onnx.ModelProto]:
    """The file's SHA-256 digest and the model in it, checked, external data loaded, model-local functions inlined, its
    nodes in an order of computation and each with a name of its own.

    Raises ModelError when the file is missing, not ONNX, truncated, invalid, of an unknown opset, holds tensors of
    unknown types or weights that are not finite; UnsupportedModelError when it holds recurrent, control-flow or
    QONNX's operators.
    """
    data = _read_bytes(path)
    digest, model = hashlib.sha256(data).hexdigest(), _parse(path, data)
    del data
    _check_opset(path, model)
    check_types(path, model)
    _check_operators(path, model)
    load_external_data(path, model)
    sort_nodes(path, model)
    try:
        check_model(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise ModelError(
            f"{path} is not a valid ONNX model: {first_line(error)}", hint="export the model again"
        ) from error
    if model.functions:
        name_nodes(model.graph)
        calls, model = model.graph, onnx.inliner.inline_local_functions(model)
        name_inlined(model.graph, calls)
        _check_operators(path, model)
        sort_nodes(path, model)
    check_finite(path, model)
    name_nodes(model.graph)
    return digest, model


def check_model(model: onnx.ModelProto) -> None:
    """onnx's checker, which wants a shape of every output although the shape may be anything; raises what it raises."""
    kinds = [value.type.tensor_type for value in model.graph.output if value.type.HasField("tensor_type")]
    unstated = [kind for kind in kinds if not kind.HasField("shape")]
    try:
        for kind in unstated:
            kind.shape.SetInParent()
        onnx.checker.check_model(model)
    finally:
        for kind in unstated:
            kind.ClearField("shape")


def first_line(error: Exception) -> str:
    """The first non-empty line of an exception's text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _read_bytes(path: Path) -> bytes:
    if os.path.isdir(path):
        raise ModelError(f"{path} is a directory, not an ONNX file", hint="give the path of the .onnx file in it")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        hint = did_you_mean_file(Path(path), "give the path of the .onnx file")
        raise ModelError(f"no such file: {path}", hint=hint) from error
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


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    quantized = [
        f"{node.name or node.op_type} ({node.op_type}): of {node.domain}, which onnxruntime cannot run"
        for node in model.graph.node
        if node.domain.startswith(_QONNX_DOMAINS)
    ]
    if quantized:
        raise UnsupportedModelError(
            f"{path} is a quantized model: {len(quantized)} of its nodes are QONNX's",
            context=quantized,
            hint="give the float model it was made from",
        )
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
