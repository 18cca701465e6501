"""The float graph, executed: what every operator of `ir.graph` computes, in NumPy.

An operator that joins `ir.graph` gets its case in `_double`.  Operators of the host are not defined here: whoever wants
a graph with such nodes executed passes an evaluator for them (`frontend.evaluate` has one, by onnxruntime).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.ir import reference
from lognet_fpga.ir.exhaustive import assert_never
from lognet_fpga.ir.graph import (
    Affine,
    AveragePool,
    Conv,
    Every,
    FpgaOp,
    Graph,
    HostOp,
    Identity,
    Largest,
    MaxPool,
    Minimum,
    Node,
    Pointwise,
    Ramp,
    Relu,
    ZeroPad,
)

Evaluator = Callable[[Node, Sequence[np.ndarray]], Sequence[np.ndarray]]
"""(node, values of node.inputs) -> values of node.outputs."""


def execute(graph: Graph, frames: np.ndarray, host: Evaluator | None = None) -> np.ndarray:
    """The graph's output for frames, (n, *graph.input_shape) float32.

    host: computes the operators of the host.  Only the nodes that the output depends on are executed.
    Raises UnsupportedModelError, naming all of them, where there are such operators and no evaluator.
    """
    nodes = _needed(graph)
    unknown = [f"{node.name} ({node.op_type}): {node.op.problem}" for node in nodes if isinstance(node.op, HostOp)]
    if unknown and host is None:
        raise UnsupportedModelError(
            f"{graph.name} holds {len(unknown)} {'node' if len(unknown) == 1 else 'nodes'} that only the host can run",
            context=unknown,
            hint="run these with onnxruntime",
        )
    values = {graph.input: frames}
    for node in nodes:
        inputs = [values[name] for name in node.inputs]
        if isinstance(node.op, HostOp):
            assert host is not None  # else refused above
            values.update(zip(node.outputs, host(node, inputs)))
        else:
            values[node.outputs[0]] = run_op(node.op, np.concatenate(inputs, axis=1) if inputs[1:] else inputs[0])
    return values[graph.output]


def run_op(op: FpgaOp, x: np.ndarray) -> np.ndarray:
    """One operator of the FPGA on x, (n, channels, h, w) float32: computed in double precision, float32 out."""
    return _double(op, x).astype(np.float32, copy=False)


def _double(op: FpgaOp, x: np.ndarray) -> np.ndarray:
    if isinstance(op, Conv):
        return _conv(op, x)
    if isinstance(op, Affine):
        return x * op.scale.reshape(1, -1, 1, 1) + op.offset.reshape(1, -1, 1, 1)
    if isinstance(op, Relu):
        return np.clip(x, 0, op.bound)
    if isinstance(op, Minimum):
        return np.minimum(x, op.bound)
    if isinstance(op, Ramp):
        return np.clip(op.scale * x + op.offset, 0, 1)
    if isinstance(op, Pointwise):
        return op.function(x)
    if isinstance(op, Largest):
        return x.argmax(axis=1)[:, None]
    if isinstance(op, MaxPool):
        return _max_pool(op, x)
    if isinstance(op, AveragePool):
        return reference.run_pool(x, op)
    if isinstance(op, ZeroPad):
        return reference.pad(x, op.pads, np.zeros(x.shape[1]))
    if isinstance(op, Every):
        return x[:, :, :: op.stride[0], :: op.stride[1]]
    if isinstance(op, Identity):
        return x
    assert_never(op)


def _needed(graph: Graph) -> list[Node]:
    """The nodes that the output depends on, in order."""
    wanted = {graph.output}
    nodes = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            nodes.append(node)
            wanted.update(node.inputs)
    return nodes[::-1]


def _conv(op: Conv, x: np.ndarray) -> np.ndarray:
    # One frame at a time: the unfolded windows of many large frames fill the memory.
    outside = np.zeros(x.shape[1])
    sums = [reference.conv(reference.pad(frame[None], op.pads, outside), op.weight, op.stride) for frame in x]
    return np.concatenate(sums) + op.bias.reshape(1, -1, 1, 1)


def _max_pool(op: MaxPool, x: np.ndarray) -> np.ndarray:
    # Behind a ReLU, where the FPGA has it, zero does as well as this.
    padded = reference.pad(x, op.pads, np.full(x.shape[1], -np.inf))
    return reference.run_pool(padded, dataclasses.replace(op, pads=(0, 0, 0, 0)))
