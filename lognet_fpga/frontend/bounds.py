"""How large what a model computes of a frame may be, asked before anything is computed."""

from __future__ import annotations

import math

import onnx

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend.shapes import copied, forget_shapes, known_shapes
from lognet_fpga.ir.preprocessing import MAX_INPUT_SIZE

MAX_VALUES = 1 << 26  # of a tensor, for one frame: 256 MiB as float32
_NAMED = 5


def require_bounded(model: onnx.ModelProto) -> None:
    """Raise UnsupportedModelError, naming the nodes, where a tensor is larger than MAX_VALUES for a single frame, or
    wider or higher than MAX_INPUT_SIZE: a slip of the pen in a pad or a scale, that would take all memory."""
    single = copied(model)
    forget_shapes(single)
    batch = single.graph.input[0].type.tensor_type.shape.dim[0]
    batch.Clear()
    batch.dim_value = 1
    try:
        shapes = known_shapes(onnx.shape_inference.infer_shapes(single, data_prop=True))
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return  # onnxruntime tells why it cannot run
    frame = single.graph.input[0].name
    made_by = {frame: f"input {frame}"}
    for node in single.graph.node:
        made_by |= {name: f"{node.name} ({node.op_type})" for name in node.output}
    too_large = [
        f"{made_by[name]}: {' x '.join(map(str, shape))}"
        for name, shape in shapes.items()
        if name in made_by and _is_too_large(shape)
    ]
    if too_large:
        more = [f"and {len(too_large) - _NAMED:,} more"] if len(too_large) > _NAMED else []
        raise UnsupportedModelError(
            f"of one frame the model makes more than can be handled: at most {MAX_VALUES:,} values a tensor, and "
            f"{MAX_INPUT_SIZE:,} a side",
            context=(*too_large[:_NAMED], *more),
            hint="check the sizes, pads and scales of these nodes, or give a smaller --input-shape",
        )


def _is_too_large(shape: tuple[int, ...]) -> bool:
    """shape: -1 for what is not known."""
    known = [size for size in shape if size >= 0]
    return math.prod(known) > MAX_VALUES or (len(shape) == 4 and max(known, default=0) > MAX_INPUT_SIZE)
