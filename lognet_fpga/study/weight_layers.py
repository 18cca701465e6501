"""The layers with weights of a model, or of a bare file of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from lognet_fpga.errors import InputError, ModelError
from lognet_fpga.ir.graph import Graph
from lognet_fpga.machine.array_file import ArrayFile, ArrayHeader

WEIGHT_OPS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True, eq=False)
class WeightLayer:
    """name: of the node.  tensor: the constant that holds its weight, of two dimensions and more.  source: what the
    weight is applied to; empty where there is no model."""

    name: str
    tensor: str
    weight: np.ndarray
    source: str = ""


def layers_of_model(graph: Graph) -> tuple[WeightLayer, ...]:
    """The convolutions and products by constants, in the order of execution; a weight used twice counts once.

    Raises ModelError for a model without any.
    """
    model = onnx.ModelProto.FromString(graph.onnx_model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, WeightLayer] = {}
    for node in model.graph.node:
        if node.op_type not in WEIGHT_OPS:
            continue
        place = 0 if node.op_type == "MatMul" and node.input[0] in constants else 1
        tensor = constants.get(node.input[place])
        if tensor is None or len(tensor.dims) < 2 or tensor.name in found:
            continue
        source = node.input[1 - place] if node.op_type == "MatMul" else node.input[0]
        weight = numpy_helper.to_array(tensor).astype(np.float64)
        found[tensor.name] = WeightLayer(node.name or tensor.name, tensor.name, weight, source)
    if not found:
        raise ModelError(
            f"{graph.name} has no layer with constant weights ({', '.join(WEIGHT_OPS)})",
            hint="give a trained model that holds its weights",
        )
    return tuple(found.values())


def layers_of_arrays(path: Path) -> tuple[WeightLayer, ...]:
    """The arrays of two dimensions and more in an .npz file, in its order; ".weight" at the end of a name is left out.

    Raises ModelError.
    """
    try:
        file = ArrayFile(path)
        found = [(name, file.read(name).astype(np.float64)) for name in file.names if _is_weight(file.header(name))]
    except InputError as error:
        raise ModelError(error.message, hint="save the weights by numpy.savez") from error
    for name, weight in found:
        if not np.isfinite(weight).all():
            raise ModelError(f"{path}: {name} holds values that are no finite numbers", hint="save the weights again")
    if not found:
        raise ModelError(f"{path} holds no array of two dimensions and more", hint="save the weights by numpy.savez")
    return tuple(WeightLayer(name.removesuffix(".weight"), name, weight) for name, weight in found)


def _is_weight(header: ArrayHeader) -> bool:
    return len(header.shape) >= 2 and header.dtype.kind in "uif" and header.nbytes > 0
