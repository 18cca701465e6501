"""Mutated ONNX files for lognet-inspect and lognet-deploy; what is accepted must compute what onnxruntime says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lognet_fpga.cli import deploy, inspect
from lognet_fpga.errors import LogNetError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute
from tests.fuzz.case import DOCUMENTED, Case, damaged, one_of
from tests.models import ModelBuilder, run_onnx

SHARE_OF_BYTES = 0.25  # of the cases: bytes changed, not fields
SHARE_DEPLOYED = 0.04
_FRAMES = 3
_WHOLE = (0, 1, -1, 2, 3, 7, 16, 255, 256, 65_536, 2**31 - 1, -(2**31))
_LONG = (*_WHOLE, 3_000_000, 2**31, 2**32, 2**63 - 1, -(2**63))
_REAL = (0.0, 1.0, -1.0, 0.5, 1e-38, 3e38, float("nan"), float("inf"), float("-inf"))
_TEXT = ("", "image", "NCHW", "é", "\x00", "\n", "../../x", "a" * 3000, "\U0001f600", "Conv", "ai.onnx.ml")
_OPS = (
    "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "ConvTranspose",
    "DequantizeLinear", "Div", "Flatten", "Gather", "GlobalAveragePool", "HardSwish", "Identity", "If", "LSTM", "Loop",
    "LRN", "MatMul", "MaxPool", "Mul", "NonMaxSuppression", "Pad", "QuantizeLinear", "ReduceMean", "Relu", "Reshape",
    "Resize", "Shape", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Sub", "TopK", "Transpose", "Unsqueeze",
    "Where",
)  # fmt: skip


def _bases() -> list[onnx.ModelProto]:
    """Small networks of the kinds that the front end takes."""

    def tail(chain: ModelBuilder, size: int) -> onnx.ModelProto:
        return chain.flatten().gemm(size, 5).model()

    def start(seed: int, shape: tuple[int, int, int] = (1, 8, 8), **how: object) -> ModelBuilder:
        return ModelBuilder(shape, seed=seed, **how)

    plain = start(3).conv(3).relu().pool().conv(4).relu()
    grouped = start(1, (3, 8, 8)).conv(4).batch_norm().clip().conv(4, group=2).relu().average_pool()
    residual = start(2).conv(4).relu().residual(lambda c: c.conv(4).relu().conv(4)).relu()
    joined = start(4, opset=9).conv(2).relu()
    joined.parallel(lambda c: c.conv(2, 1).relu(), lambda c: c.conv(3).relu()).pool()
    scaled = start(5, batch=1).per_channel("Div", 200, 255).pad(1, 1, 1, 1).conv(3, pads=[0] * 4).relu()
    averaged = start(6, opset=12).conv(4).relu().add("GlobalAveragePool").reshape(-1, 4).matmul_add(4, 3)
    ends = ((plain, 64), (grouped, 64), (residual, 256), (joined, 80), (scaled, 192))
    return [*(tail(chain, size) for chain, size in ends), averaged.model()]


_BASES = [model.SerializeToString() for model in _bases()]


def make(rng: np.random.Generator, folder: Path) -> Case:
    data = one_of(rng, _BASES)
    if rng.random() < SHARE_OF_BYTES:
        data = damaged(data, rng)
    else:
        model = onnx.ModelProto.FromString(data)
        for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
            _change(model, rng)
        data = model.SerializePartialToString()
    path = folder / "m.onnx"
    path.write_bytes(data)
    if rng.random() < SHARE_DEPLOYED:
        options = ("--no-verify", "--weights", "bram", "--fpga-layers", "1", "--out", "out")
        return Case(deploy.main, (str(path), *options), accepted=lambda: _judged(path, data))
    json = ("--json",) if rng.random() < 0.3 else ()
    # An inspection says what is unusable, with exit code 4, or what fits nowhere.
    return Case(inspect.main, (str(path), *json), DOCUMENTED, accepted=lambda: _judged(path, data))


def _judged(path: Path, data: bytes) -> str:
    """What is read of the file computes what onnxruntime computes by the file itself."""
    try:
        graph = load(path)
    except LogNetError as error:
        return f"inspected or deployed, but not loaded: {error.message}"
    model = onnx.load_model_from_string(data)
    batch, *sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] or [0]
    if tuple(sizes) != graph.input_shape or batch > _FRAMES:
        return ""  # of another layout, open, or of a large batch: not judged here
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (_FRAMES, *graph.input_shape)).astype(np.float32)
    plain = onnx.ModelProto.FromString(model.SerializePartialToString())
    # Types and shapes that the file only states, and wrongly: they say nothing of what the nodes compute.
    del plain.graph.value_info[:]
    for output in plain.graph.output:
        output.ClearField("type")
    for size in (batch,) if batch > 0 else (_FRAMES, 1):
        for file in (model, plain):
            try:
                expected = run_onnx(file if file is model else onnx.shape_inference.infer_shapes(plain), frames[:size])[
                    0
                ]
            except Exception as error:
                reason = " ".join(str(error).split())[:200]
                continue
            return _compared(execute(graph, frames[:size], host_evaluator(graph)), expected)
    return f"accepted, but onnxruntime does not run it: {reason}"


def _compared(found: np.ndarray, expected: np.ndarray) -> str:
    if found.size != expected.size:
        return f"its output has shape {found.shape}, by onnxruntime {expected.shape}"
    found, expected = (np.asarray(part).ravel().astype(np.float64) for part in (found, expected))
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=1e-6)
    if not np.allclose(found[finite], expected[finite], rtol=1e-3, atol=1e-4 * scale):
        return f"other values than onnxruntime's: by up to {np.abs(found - expected)[finite].max():g} of {scale:g}"
    return ""


def _change(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """One field of one message somewhere in the model."""
    messages = list(_messages(model))
    by_type: dict[str, list[Message]] = {}
    for message in messages:
        by_type.setdefault(message.DESCRIPTOR.name, []).append(message)
    kind = one_of(rng, sorted(by_type))  # first the type, so that dimensions do not outnumber all else
    message = one_of(rng, by_type[kind])
    if kind == "NodeProto" and rng.random() < 0.3:
        message.op_type = one_of(rng, _OPS)
        return
    if kind == "AttributeProto" and message.ints and rng.random() < 0.6:
        message.ints[int(rng.integers(len(message.ints)))] = one_of(rng, _LONG)
        return
    present = [field for field, _ in message.ListFields()]
    fields = present if present and rng.random() < 0.8 else message.DESCRIPTOR.fields
    _change_field(message, one_of(rng, list(fields)), by_type, rng)


def _change_field(message: Message, field: FieldDescriptor, by_type: dict[str, list[Message]], rng) -> None:
    is_message = field.type == FieldDescriptor.TYPE_MESSAGE
    others = by_type.get(field.message_type.name, []) if is_message else []
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED
    if not repeated:
        if rng.random() < 0.2:
            message.ClearField(field.name)
        elif is_message:
            copied = one_of(rng, others) if others else None
            target = getattr(message, field.name)
            content = copied.SerializePartialToString() if copied is not None else b""
            target.Clear()
            target.MergeFromString(content)
        else:
            setattr(message, field.name, _value(field, getattr(message, field.name), rng))
        return
    values = getattr(message, field.name)
    action = rng.integers(0, 5)
    if is_message:
        if action == 0 and others:
            values.add().MergeFromString(one_of(rng, others).SerializePartialToString())
        elif action == 1 and values:
            values.add().MergeFromString(values[int(rng.integers(len(values)))].SerializePartialToString())
        elif action == 2 and len(values) > 1:
            first, second = rng.choice(len(values), 2, replace=False)
            held = values[int(first)].SerializePartialToString()
            values[int(first)].CopyFrom(values[int(second)])
            values[int(second)].Clear()
            values[int(second)].MergeFromString(held)
        elif action == 3:
            message.ClearField(field.name)
        elif values:
            del values[int(rng.integers(len(values)))]
        return
    content = list(values)
    if action == 0 or not content:
        content.insert(int(rng.integers(len(content) + 1)), _value(field, None, rng))
    elif action == 1:
        del content[int(rng.integers(len(content)))]
    elif action == 2:
        content = content[::-1]
    elif action == 3:
        content = content * 2
    else:
        place = int(rng.integers(len(content)))
        content[place] = _value(field, content[place], rng)
    message.ClearField(field.name)
    getattr(message, field.name).extend(content)


def _value(field: FieldDescriptor, before: object, rng: np.random.Generator):
    kind = field.type
    if kind == FieldDescriptor.TYPE_ENUM:
        return one_of(rng, [value.number for value in field.enum_type.values])
    if kind == FieldDescriptor.TYPE_STRING:
        return one_of(rng, _TEXT)
    if kind == FieldDescriptor.TYPE_BYTES:
        return damaged(before or b"ab", rng) if rng.random() < 0.7 else one_of(rng, _TEXT).encode()
    if kind in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return one_of(rng, _REAL)
    if kind == FieldDescriptor.TYPE_INT64:
        return one_of(rng, (*_LONG, (before or 0) + 1 if abs(before or 0) < 2**62 else 0))
    if kind == FieldDescriptor.TYPE_UINT64:
        return abs(one_of(rng, _WHOLE))
    return one_of(rng, (*_WHOLE, *range(1, 24)))  # int32: among them the types of tensors


def _messages(message: Message):
    yield message
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in value if isinstance(value, Message) is False else [value]:
                yield from _messages(part)
