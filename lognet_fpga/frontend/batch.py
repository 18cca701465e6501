"""A batch that the file fixes, made small where it is too large to run the model with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.shapes import copied, forget_shapes

SMALL = 2  # what a large batch becomes: two frames show whether they are kept apart
_RUN_BATCH, _RUN_ELEMENTS = 4, 2**20  # a batch of up to so many frames, or elements, is run as it stands in the file
# Operator: its input that is a shape.
_SHAPES = {"Reshape": 1, "Expand": 1, "Tile": 1, "ConstantOfShape": 0, "Resize": 3}
_UNMISTAKABLE = 2**16  # sizes that are multiples of so large a batch are batches wherever they stand


def with_small_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """model, or a copy with a batch of SMALL where the file's own is too large to try out.

    Sizes in the graph that state the batch, or a multiple of it, are stated anew; a constant that is the same for every
    frame of the batch and is joined to them is cut.  Where something else depends on the batch the copy does not run.
    """
    batch, *frame = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
    if batch <= _RUN_BATCH or batch * math.prod(frame) <= _RUN_ELEMENTS:
        return model
    out = copied(model)
    graph = out.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    of_frames = {graph.input[0].name}
    for place, node in enumerate(graph.node):
        depends = not of_frames.isdisjoint(node.input)
        if depends:
            of_frames.update(node.output)
        if node.domain not in STANDARD_DOMAINS:
            continue
        position = _SHAPES.get(node.op_type)
        positions: Sequence[int]
        restate: Callable[[np.ndarray, int], np.ndarray | None]
        if position is not None and position < len(node.input):
            # Weights have shapes, too: only what the frames go through has a batch in front.
            positions = (position,) if depends or node.op_type in ("Expand", "ConstantOfShape", "Tile") else ()
            restate = _smaller_sizes
        else:
            positions = range(len(node.input)) if depends and node.op_type == "Concat" else ()
            restate = _fewer_rows
        for index in positions:
            tensor = constants.get(node.input[index])
            if tensor is None:
                continue
            values = restate(numpy_helper.to_array(tensor), batch)
            if values is not None:
                name = f"{tensor.name}__batch_{place}_{index}"
                graph.initializer.append(numpy_helper.from_array(values, name))
                node.input[index] = name
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = SMALL
    forget_shapes(out)
    return out


def _smaller_sizes(sizes: np.ndarray, batch: int) -> np.ndarray | None:
    """A shape with SMALL in the place of batch; None where it has none."""
    if sizes.ndim != 1 or sizes.dtype.kind != "i" or not sizes.size:
        return None
    stated = (sizes > 0) & (sizes % batch == 0)
    if batch < _UNMISTAKABLE:
        stated[1:] = False
    return np.where(stated, sizes // batch * SMALL, sizes) if stated.any() else None


def _fewer_rows(values: np.ndarray, batch: int) -> np.ndarray | None:
    """SMALL rows of a constant that has batch rows, all the same; None for any other."""
    if values.ndim < 2 or len(values) != batch or not (values == values[:1]).all():
        return None
    return values[:SMALL]
