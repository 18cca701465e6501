"""What goes in and out of a model: one batch of frames in, tensors out."""

from __future__ import annotations

from itertools import count

import onnx
from onnx import TensorProto, helper

from lognet_fpga.errors import ModelError, UnsupportedModelError, UsageError
from lognet_fpga.frontend.adapters import take_adapters
from lognet_fpga.frontend.needed import drop_unneeded, needed_inputs
from lognet_fpga.frontend.one_dimensional import take_one_dimensional


def settle_signature(model: onnx.ModelProto, input_shape: tuple[int, int, int] | None) -> None:
    """Let model have one float32 input, (batch, channels, height, width); vectors, (batch, features), are frames of one
    position, and signals, (batch, channels, length), frames of one row.

    Initializers that double as inputs become plain initializers; outputs behind the first that are no tensors, or need
    other inputs than it, are dropped, and nodes that no output needs; what adapts an input of another layout, rank or
    type is dropped too (`adapters`), the input taking the form behind it.  Channels, height and width are static
    afterwards; a symbolic, zero or negative batch becomes the symbol "batch".
    """
    graph = model.graph
    model.ir_version = max(model.ir_version, 8)  # from 4 on, initializers need not be listed as inputs
    _drop_foreign_outputs(graph)
    drop_unneeded(graph)
    _only_input(graph)
    take_adapters(model, input_shape)
    take_one_dimensional(model)
    _vectors_as_frames(graph)
    frame = model.graph.input[0]
    if frame.type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(frame.type.tensor_type.elem_type).lower()
        raise UnsupportedModelError(
            f"input {frame.name} is of type {kind}, not float32", hint="export the model with a float input"
        )
    _settle_shape(frame, input_shape)


def _drop_foreign_outputs(graph: onnx.GraphProto) -> None:
    if not graph.output:
        raise ModelError("the model has no output", hint="export it again, with its scores as the output")
    first, *others = (onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in graph.output)
    inputs = needed_inputs(graph, first.name)
    kept = [
        value
        for value in others
        if value.type.WhichOneof("value") in (None, "tensor_type")
        and needed_inputs(graph, value.name) <= inputs - {value.name}
    ]
    del graph.output[:]
    graph.output.extend([first, *kept])


def _only_input(graph: onnx.GraphProto) -> None:
    if not graph.input:
        raise ModelError("the model's first output depends on no input", hint="export the model again")
    if len(graph.input) > 1:
        raise UnsupportedModelError(
            f"the model has {len(graph.input)} inputs, not one: {', '.join(value.name for value in graph.input)}",
            hint="export a model whose only input is the frames",
        )


def _vectors_as_frames(graph: onnx.GraphProto) -> None:
    """Let an input of vectors, (batch, features), be frames, (batch, features, 1, 1), that the model flattens."""
    frame = graph.input[0]
    dims = frame.type.tensor_type.shape.dim
    if len(dims) != 2:
        return
    vectors, names = frame.name, {name for node in graph.node for name in (*node.input, *node.output)}
    frame.name = next(name for name in (f"{vectors}__frame{'_' * more}" for more in count()) if name not in names)
    dims.add(dim_value=1)
    dims.add(dim_value=1)
    graph.node.insert(0, helper.make_node("Flatten", [frame.name], [vectors], name=f"{vectors}__rows", axis=1))


def _settle_shape(frame: onnx.ValueInfoProto, input_shape: tuple[int, int, int] | None) -> None:
    kind = frame.type.tensor_type
    known = [dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim]
    if not kind.HasField("shape"):
        known = [None] * 4
    if len(known) != 4:
        raise UnsupportedModelError(
            f"input {frame.name} has {len(known)} dimensions, not 4 (batch, channels, height, width)",
            hint="use a model of two-dimensional or one-dimensional frames, or of vectors",
        )
    batch, *static = known
    if input_shape is not None:
        if any(have not in (None, want) for have, want in zip(static, input_shape)):
            raise UsageError(
                f"input shape {_words(input_shape)} contradicts the model, "
                f"whose input {frame.name} is {_words(static)} (channels, height, width)",
                hint="leave out --input-shape, or change it where the model is open ('?')",
            )
        static = list(input_shape)
    if None in static:
        raise ModelError(
            f"input {frame.name} is {_words(static)} (channels, height, width): '?' must be known",
            hint="pass --input-shape CHANNELS,HEIGHT,WIDTH",
        )
    kind.shape.Clear()
    kind.shape.dim.add(**({"dim_value": batch} if batch else {"dim_param": "batch"}))
    for size in static:
        kind.shape.dim.add(dim_value=size)


def _words(shape: tuple[int | None, ...] | list[int | None]) -> str:
    return ",".join("?" if size is None else str(size) for size in shape)
