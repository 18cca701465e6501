"""How much a model computes: multiply-accumulates, parameters and what the host has to do for every node."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from lognet_fpga.frontend.macs import node_macs
from lognet_fpga.frontend.shapes import forget_shapes, known_shapes
from lognet_fpga.ir.graph import Graph
from lognet_fpga.partition.host_work import HostWork, host_work_of


@dataclass(frozen=True)
class Work:
    """macs: multiply-accumulates a frame; None where a shape that decides is not static.  parameters: elements of the
    node's constant tensors; one that several nodes read counts for the first.  host: what the node costs a processor,
    None where that is not known."""

    macs: int | None
    parameters: int
    host: HostWork | None = None


def node_work(graph: Graph) -> dict[str, Work]:
    """The Work of every node of graph, by the name of its first output."""
    return model_work(onnx.ModelProto.FromString(graph.onnx_model))


def tail_work(tail: bytes) -> HostWork | None:
    """What tail.onnx has to do for a frame; None where that is not known."""
    model = onnx.ModelProto.FromString(tail)
    forget_shapes(model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    parts = [work.host for work in model_work(onnx.shape_inference.infer_shapes(model, data_prop=True)).values()]
    return total_host_work(parts, HostWork())


def total_host_work(parts: Iterable[HostWork | None], more: HostWork) -> HostWork | None:
    """The sum of parts and more; None where one of parts is not known."""
    total = more
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def model_work(model: onnx.ModelProto) -> dict[str, Work]:
    """The same of a model that states the shapes of its tensors.

    As macs count convolutions and products of matrices, of floats or quantized; what other operators do counts as none.
    """
    shapes = known_shapes(model)
    constants = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    work = {}
    for node in model.graph.node:
        parameters = sum(constants.pop(name, 0) for name in dict.fromkeys(node.input))
        macs = node_macs(node, shapes)
        work[next(name for name in node.output if name)] = Work(macs, parameters, host_work_of(node, shapes, macs))
    return work
