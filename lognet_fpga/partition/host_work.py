"""What a node costs a processor, in the units that plan/host_time.py has times for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import add

import onnx

# Operators that only give their input another shape, or nothing to compute at all.
_VIEWS = frozenset("Constant ConstantOfShape Dropout Flatten Identity Reshape Shape Squeeze Unsqueeze".split())
_POOLS = frozenset(["MaxPool", "AveragePool", "LpPool"])
# Operators that take a function of the C library, or one like it, for every element.
_FUNCTIONS = frozenset(
    "Elu Erf Exp Gelu LRN LayerNormalization Log LogSoftmax Mish Pow Selu Sigmoid Softmax Softplus Tanh".split()
)


@dataclass(frozen=True)
class HostWork:
    """Of a frame.

    macs: in products of matrices and convolutions.  depthwise_macs: in convolutions whose groups have one channel and
    one filter.  unfolded: elements of all windows of the other convolutions.  pooled: of all windows of pools.
    elements: that other operators go through, but for functions, which take exp or the like for each.  nodes:
    operators; groups: of convolutions.
    """

    macs: int = 0
    depthwise_macs: int = 0
    unfolded: int = 0
    pooled: int = 0
    elements: int = 0
    functions: int = 0
    nodes: int = 0
    groups: int = 0

    def __add__(self, other: HostWork) -> HostWork:
        return HostWork(*map(add, vars(self).values(), vars(other).values()))

    @classmethod
    def entry(cls, elements: int) -> HostWork:
        """Of what tail.onnx does first with the FPGA's integers: cast, transpose, scale."""
        return cls(elements=3 * elements, nodes=3)


def host_work_of(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]], macs: int | None) -> HostWork | None:
    """shapes: of all tensors that have one; their first dimension is the batch and left out.  macs: the node's, None
    where they are not known; then all is not.  Elements of a tensor whose shape is not known do not count."""
    if macs is None:
        return None
    if node.op_type in _VIEWS:
        return HostWork(nodes=1)
    given, made = (_elements(shapes.get(name, (0, 0))) for name in (*node.input[:1], *node.output[:1]))
    if node.op_type == "Conv":
        return _conv(node, shapes, macs, given, made)
    if node.op_type in _POOLS:
        kernel = next((item.ints for item in node.attribute if item.name == "kernel_shape"), ())
        return HostWork(pooled=made * math.prod(kernel), elements=given, nodes=1)
    if node.op_type in ("Gemm", "MatMul"):
        return HostWork(macs=macs, elements=made, nodes=1)
    if node.op_type in _FUNCTIONS:
        return HostWork(functions=max(given, made), nodes=1)
    return HostWork(macs=macs, elements=max(given, made), nodes=1)


def _elements(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:]) if min(shape[1:], default=0) >= 0 else 0


def _conv(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]], macs: int, given: int, made: int) -> HostWork:
    groups = max(1, next((item.i for item in node.attribute if item.name == "group"), 1))
    weight = shapes[node.input[1]]  # known, for macs are
    padded_and_biased = given + made
    if weight[0] == groups and weight[1] == 1:
        return HostWork(depthwise_macs=macs, elements=padded_and_biased, nodes=1)
    filters = max(1, weight[0] // groups)
    return HostWork(macs=macs, unfolded=macs // filters, elements=padded_and_biased, nodes=1, groups=groups)
