"""Rewriting a model into the form the rest of the project reads, without changing what it computes.

Wanted: opset 17, constants folded, batch normalization folded into convolutions, MatMul + Add as Gemm, no dead
nodes, no permutation of the input's channels, and a symbolic batch even where the exporter froze it.  onnx converts
the opset, onnxruntime's basic graph optimizations do the folding, `rewrite` and `channel_order` have the rest.  A
batch is freed by folding at a fixed batch, then rewriting what states it.

No rewrite is trusted: candidates are tried from the most to the least normalized, and the first one that
computes what the original computes on random frames is taken.  The original runs on two frames, together where it can,
and on one; a candidate on all of them, and with a batch that is freed here on one and on all together.  Of a model of
many operations the original runs on one batch, the candidate on one other, so that both a wrong rewrite and a batch
that is still fixed are seen.  A candidate that came out as the original, bit by bit, does not run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
from google.protobuf.message import DecodeError

from lognet_fpga.errors import ModelError, UnsupportedModelError
from lognet_fpga.frontend.apart import Weights, weights_apart
from lognet_fpga.frontend.batch import with_small_batch
from lognet_fpga.frontend.channel_order import drop_channel_permutation
from lognet_fpga.frontend.file import STANDARD_DOMAINS, check_model, first_line, opset_of
from lognet_fpga.frontend.macs import node_macs
from lognet_fpga.frontend.names import name_as_in_file, restore_functions
from lognet_fpga.frontend.needed import drop_unneeded
from lognet_fpga.frontend.ort_session import ORT_ERRORS, open_session
from lognet_fpga.frontend.rewrite import floor_pools, free_batch, relu_before_pool, trim_inputs
from lognet_fpga.frontend.shapes import copied, forget_shapes, known_shapes

OPSET = 17
IR_VERSION = 10
_ONNX_ERRORS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    onnx.version_converter.ConvertError,
    RuntimeError,
    ValueError,
    IndexError,
)
_OPTIMIZE_ROUNDS = 4
_MANY_MACS = 1 << 30  # of a frame, from which on it takes a processor some hundredths of a second
_TOLERANCE = 1e-3  # of the largest output; float32 rounding grows with depth, a wrong rewrite is far off


class _NotNormalized(Exception):
    """This candidate cannot be made."""


@dataclass(frozen=True, eq=False)
class _Sample:
    """frames: (batch, channels, h, w) float32 at a batch that the original accepts; outputs: what it computes."""

    frames: np.ndarray
    outputs: list[np.ndarray]


def normalize(model: onnx.ModelProto, weights: Weights) -> tuple[onnx.ModelProto, Weights]:
    """model, with one float32 input, normalized as far as it can be, and its weights; shapes inferred.

    weights: those that stand apart from it (`apart`).
    Raises ModelError when onnxruntime cannot run the model at all, UnsupportedModelError when it is fixed to a batch
    too large to try out and cannot be run with a smaller one.
    """
    model = copied(model)
    trim_inputs(model.graph)
    stated = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    model = with_small_batch(model)
    few = _frame_macs(model) >= _MANY_MACS
    samples = _samples(model, weights, stated, few)
    batch = len(samples[0].frames)
    for converted in _at_opset(model):
        for freed in (True, False):
            try:
                candidate, its = _optimize(_with_batch(converted, batch) if freed else converted, weights)
                restore_functions(candidate.graph, converted.graph, opset_of(converted))
                relu_before_pool(candidate.graph)
                drop_channel_permutation(candidate.graph, its)
                candidate = floor_pools(candidate)
                if freed:
                    candidate = free_batch(candidate, batch)
                candidate = _finish(candidate)
            except (_NotNormalized, *ORT_ERRORS, *_ONNX_ERRORS):
                continue
            # What was open before need not hold for more batches than it did; what is freed here must.
            open_before = not stated and (batch > 1 or not freed)
            if (open_before and _is_same(candidate, its, model, weights)) or _agrees(
                candidate, its, samples, open_before, few
            ):
                name_as_in_file(candidate.graph, model.graph)
                return candidate, its
    return _finish(model), weights


def _frame_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of a frame, as far as they are known."""
    try:
        inferred = onnx.shape_inference.infer_shapes(_with_batch(model, 1), data_prop=True)
    except _ONNX_ERRORS:
        return 0  # as the model itself will fail, with the reason
    shapes = known_shapes(inferred)
    return sum(node_macs(node, shapes) or 0 for node in inferred.graph.node)


def _samples(model: onnx.ModelProto, weights: Weights, stated: int, few: bool) -> list[_Sample]:
    """One of a whole batch where the model states one, else one of two frames and, but for few, one of one; two samples
    of one frame where it takes only one at a time.  stated: the batch in the file, 0 for none."""
    batch, *frame_shape = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
    rng = np.random.default_rng(0)
    samples: list[_Sample] = []
    reason = ""
    for size in (batch,) if batch else (2, 1):
        if few and samples:
            break
        try:
            session = open_session(_with_batch(model, size), weights)
            for _ in range(2 if size == 1 and not samples else 1):
                frames = rng.standard_normal((size, *frame_shape)).astype(np.float32)
                outputs = session.run(None, {model.graph.input[0].name: frames})
                samples.append(_Sample(frames, [np.asarray(output) for output in outputs]))
        except ORT_ERRORS as error:
            reason = first_line(error)
    if samples:
        return samples
    if stated > batch:
        raise UnsupportedModelError(
            f"the model is fixed to a batch of {stated:,} frames, too many to try it out, and does not run with "
            f"{batch}: {reason}",
            hint="export the model with an open batch, or a batch of 1",
        )
    raise ModelError(
        f"onnxruntime cannot run the model: {reason}",
        hint="check that the model runs in plain onnxruntime; it computes the layers left on the host",
    )


def _at_opset(model: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """model at opset 17 where that can be had, then model as it is."""
    opset = opset_of(model)
    try:
        if opset < OPSET:
            yield onnx.version_converter.convert_version(model, OPSET)
        elif opset > OPSET:
            yield lower_opset(model)
    except (_NotNormalized, *_ONNX_ERRORS):
        pass
    yield model


def lower_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of model marked as opset 17, where all its nodes are valid there with the same meaning.

    Versions later than 17 that change an operator's meaning also change its inputs or attributes, so that the
    checker tells; the rest only add element types.
    """
    out = copied(model)
    out.ir_version = min(out.ir_version, IR_VERSION)
    for entry in out.opset_import:
        if entry.domain in STANDARD_DOMAINS:
            entry.version = OPSET
    check_model(out)
    return out


def _with_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy of model with its batch fixed; shapes stated inside the model are forgotten."""
    out = copied(model)
    out.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    out.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    forget_shapes(out)
    return out


def _optimize(model: onnx.ModelProto, weights: Weights) -> tuple[onnx.ModelProto, Weights]:
    """model and its weights after onnxruntime's basic optimizations, repeated until nothing changes: its folding of
    constants comes too late for some of its fusions.  _NotNormalized where these used operators of its own."""
    known = {*STANDARD_DOMAINS, *(node.domain for node in model.graph.node)}
    out = model
    for _ in range(_OPTIMIZE_ROUNDS):
        before = [node.op_type for node in out.graph.node]
        out, weights = _optimize_once(out, weights)
        if not {node.domain for node in out.graph.node} <= known:
            raise _NotNormalized
        if [node.op_type for node in out.graph.node] == before:
            break
    return out, weights


def _optimize_once(model: onnx.ModelProto, weights: Weights) -> tuple[onnx.ModelProto, Weights]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "optimized.onnx"
        try:
            open_session(model, weights, place)
            out = onnx.load(place, load_external_data=False)
        except (DecodeError, *ORT_ERRORS) as error:
            size = model.ByteSize() + sum(array.nbytes for array in weights.values())
            (Path(folder) / "probe").write_bytes(bytes(size))  # a full disk is no reason to go on without
            raise _NotNormalized from error
    return weights_apart(out, weights)  # what is made new has a name of its own


def _finish(model: onnx.ModelProto) -> onnx.ModelProto:
    """model without dead parts and unused imports, its shapes inferred, checked."""
    out = copied(model)
    drop_unneeded(out.graph)
    used = {node.domain for node in out.graph.node}
    imports = [
        (entry.domain, entry.version)
        for entry in out.opset_import
        if entry.domain in STANDARD_DOMAINS or entry.domain in used
    ]
    del out.opset_import[:]
    for domain, version in imports:
        out.opset_import.add(domain=domain, version=version)
    out.ir_version = min(max(out.ir_version, 8), IR_VERSION)
    out = onnx.shape_inference.infer_shapes(out, data_prop=True)
    check_model(out)
    return out


def _is_same(model: onnx.ModelProto, weights: Weights, before: onnx.ModelProto, weights_before: Weights) -> bool:
    """Whether model is the one before, node by node and bit by bit, but for the batch and the shapes it states."""

    def content(some: onnx.ModelProto) -> list[bytes]:
        parts = (*some.graph.node, *some.graph.initializer, *some.opset_import)
        return [part.SerializeToString(deterministic=True) for part in parts]

    same = all(weights_before.get(name) is array for name, array in weights.items())
    return same and content(model) == content(before)


def _agrees(model: onnx.ModelProto, weights: Weights, samples: list[_Sample], open_before: bool, few: bool) -> bool:
    """Whether model computes the samples' outputs; a symbolic batch, unless it was open before, must also hold for
    other batches.  few: on one batch alone, another one than the original ran with where the model's is symbolic."""
    name, batch = model.graph.input[0].name, model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    pairs = [(sample.frames, sample.outputs) for sample in samples if batch in (0, len(sample.frames))]
    apart = all(output.ndim for sample in samples for output in sample.outputs)  # one for each frame
    if not batch and not open_before and not apart:
        return False
    if not batch and apart and (few or not open_before):
        frames = np.concatenate([sample.frames for sample in samples])
        outputs = [np.concatenate(each) for each in zip(*(sample.outputs for sample in samples))]
        pairs = [(frames, outputs), (frames[:1], [output[:1] for output in outputs])]
    if few:
        pairs = [pair for pair in pairs if len(pair[0]) != len(samples[0].frames)][:1] or pairs[:1]
    try:
        session = open_session(model, weights)
        return all(all(map(_close, session.run(None, {name: frames}), outputs)) for frames, outputs in pairs)
    except ORT_ERRORS:
        return False


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    found = np.asarray(found)
    if found.shape != wanted.shape:
        return False
    if not np.issubdtype(wanted.dtype, np.floating):  # classes, say: an exact tie may fall either way
        return found.dtype == wanted.dtype
    scale = float(np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0.0))
    return np.allclose(found, wanted, rtol=0, atol=_TOLERANCE * max(scale, 1e-6), equal_nan=True)
