"""The whole frontend in order: read the file, settle its input, normalize it, read its nodes."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import onnx

from lognet_fpga.frontend.apart import join, weights_apart
from lognet_fpga.frontend.batch import with_small_batch
from lognet_fpga.frontend.bounds import require_bounded
from lognet_fpga.frontend.file import read_model
from lognet_fpga.frontend.fold import fold_constants
from lognet_fpga.frontend.needed import drop_unneeded, output_names
from lognet_fpga.frontend.normalize import normalize
from lognet_fpga.frontend.operators import read_nodes
from lognet_fpga.frontend.precision import to_float32
from lognet_fpga.frontend.signature import settle_signature
from lognet_fpga.ir.graph import Graph
from lognet_fpga.report import printable


def load(path: str | os.PathLike[str], *, input_shape: tuple[int, int, int] | None = None) -> Graph:
    """The float graph of the ONNX model at path.

    input_shape: (channels, height, width), needed only where the file leaves one of them open.  The model may
    take its frames as (batch, height, width, channels), or as integers, when its first nodes transpose and cast
    them: the graph then starts behind those nodes, at (batch, channels, height, width) float32.

    Raises ModelError for a file that cannot be read as a valid model, UnsupportedModelError for a valid model
    of a kind that no part of this project handles, UsageError for an input_shape that contradicts the file.
    """
    place = Path(path)
    digest, model = read_model(place)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    outputs = [value.name for value in model.graph.output]
    to_float32(model)
    fold_constants(model)
    settle_signature(model, input_shape)
    model, weights = weights_apart(model)
    require_bounded(with_small_batch(model))
    model, weights = normalize(model, weights)
    join(model, weights)
    del weights
    frame = model.graph.input[0]
    channels, height, width = (dim.dim_value for dim in frame.type.tensor_type.shape.dim[1:])
    return Graph(
        name=printable(place.stem),
        input=frame.name,
        input_shape=(channels, height, width),
        output=model.graph.output[0].name,
        nodes=read_nodes(model),
        onnx_model=model.SerializeToString(),
        source_sha256=digest,
        metadata=metadata,
        left_out=tuple(name for name in outputs if name not in output_names(model.graph)),
    )


def without_outputs(graph: Graph, names: Collection[str]) -> Graph:
    """graph without these of its outputs, the first not among them, and without the nodes that only they need."""
    model = onnx.ModelProto.FromString(graph.onnx_model)
    kept = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend(value for value in kept if value.name not in names)
    drop_unneeded(model.graph)
    made = {name for node in model.graph.node for name in node.output}  # their shapes stay known
    model.graph.value_info.extend(value for value in kept if value.name in names and value.name in made)
    left_out = (*graph.left_out, *(value.name for value in kept if value.name in names))
    return replace(
        graph, nodes=read_nodes(model, graph.operators), onnx_model=model.SerializeToString(), left_out=left_out
    )
