"""The float graph: what the frontend reads out of an ONNX model.

A Graph is a list of nodes in execution order.  Conv, Affine, Relu, Minimum, Ramp, Pointwise, Largest, MaxPool,
AveragePool, ZeroPad and Every are the operators that the FPGA can take; every other operator is a HostOp, known by its
ONNX type only and executed by onnxruntime.
All tensors are batch-first; the shapes here leave the batch out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lognet_fpga.ir.functions import Function
from lognet_fpga.ir.groups import dense_kernel, dense_places
from lognet_fpga.ir.problem import ProblemKind

Pads = tuple[int, int, int, int]
"""(top, left, bottom, right)."""

NO_PADS: Pads = (0, 0, 0, 0)

DENSE_TYPES = ("Gemm", "MatMul")
"""ONNX's operators of fully connected layers."""

LARGEST_AVERAGE = 4096  # elements of a window: sums of 8-bit activations have 20 bits, float32 means tell them apart


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation as in ONNX Conv, dilation already expanded into zeros of the kernel.

    weight: (out_channels, in_channels / groups, kernel_h, kernel_w) float64, see `ir.groups`; bias: (out_channels,)
    float64; stride: (y, x); pads: (top, left, bottom, right), zero padding.  exact: (out_channels,) int or None for
    none: the place among a channel's flat weights of one that quantization must not change relative to its input, -1
    for none.
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int] = (1, 1)
    pads: Pads = NO_PADS
    exact: np.ndarray | None = None
    groups: int = 1

    @property
    def in_channels(self) -> int:
        return self.weight.shape[1] * self.groups

    @property
    def dense(self) -> Conv:
        """The same with one group."""
        exact = None if self.exact is None else dense_places(self.exact, self.weight, self.groups)
        return replace(self, weight=dense_kernel(self.weight, self.groups), exact=exact, groups=1)


@dataclass(frozen=True, eq=False)
class Affine:
    """y[c] = x[c] * scale[c] + offset[c]; scale, offset: (channels,) float64."""

    scale: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Relu:
    """y = min(max(x, 0), bound), with bound > 0: ReLU, or ReLU6 and its like."""

    bound: float = math.inf


@dataclass(frozen=True)
class Minimum:
    """y = min(x, bound), with bound > 0: before or behind a Relu the upper half of a bounded one."""

    bound: float


@dataclass(frozen=True)
class Ramp:
    """y = min(max(scale * x + offset, 0), 1): HardSigmoid, which is scaling and a bounded ReLU."""

    scale: float
    offset: float


@dataclass(frozen=True)
class Pointwise:
    """y = function(x), element by element: any other activation function."""

    function: Function


@dataclass(frozen=True)
class Largest:
    """The number of the channel with the largest value at each position, the first of equals: a class."""


@dataclass(frozen=True)
class MaxPool:
    """kernel, stride: (y, x); pads: (top, left, bottom, right), each less than the kernel.

    Stands behind a ReLU, so that padding with zero is neutral.  A window that only reaches past the frame because
    the output size was rounded up (ceil_mode) is one with more padding.  Output size by floor division.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads = NO_PADS


@dataclass(frozen=True)
class AveragePool:
    """As MaxPool; padding counts as zeros but for `outside`, its outermost rows and columns: no mean is divided by them
    (`ir.border`).  What the FPGA makes of a window's sum: `ir.quant.Average`."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads = NO_PADS
    outside: Pads = NO_PADS

    @property
    def count(self) -> int:
        """Elements of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def sum_bits(self) -> int:
        """By how many bits a window's sum can be wider than what it adds up."""
        return (self.count - 1).bit_length()


Pool = MaxPool | AveragePool


@dataclass(frozen=True)
class ZeroPad:
    """Zeros around the frame; pads: (top, left, bottom, right) >= 0."""

    pads: Pads


@dataclass(frozen=True)
class Every:
    """The positions at each multiple of stride, (y, x)."""

    stride: tuple[int, int]


@dataclass(frozen=True)
class Identity:
    """Dropout or Identity: passes its input on."""


@dataclass(frozen=True)
class HostOp:
    """Any operator that only the host can run.  problem: why the FPGA cannot take it, in words for the user; kind: of
    the problem."""

    op_type: str
    problem: str
    kind: ProblemKind = ProblemKind.OTHER


@dataclass(frozen=True)
class Concat(HostOp):
    """A concatenation of channels: the host's, unless what it joins can be made one convolution, or convolutions can
    take it apart."""


@dataclass(frozen=True)
class Combined(HostOp):
    """What computed tensors give element by element: the host's, unless all of them are functions of one tensor.
    function: of as many arguments as there are tensors."""

    function: Function = field(kw_only=True)


@dataclass(frozen=True)
class Sum(Combined):
    """A sum of computed tensors: the host's, unless a convolution can add what it joins."""


FpgaOp = (
    Conv | Affine | Relu | Minimum | Ramp | Pointwise | Largest | MaxPool | AveragePool | ZeroPad | Every | Identity
)
Op = FpgaOp | HostOp


@dataclass(frozen=True)
class Node:
    """name and op_type as in the user's ONNX file; inputs: names of the non-constant inputs, which a Conv takes side by
    side as its channels; out_shape: of the first output, -1 for a dimension that is not static; parts: for a node that
    stands for several, these, as in the file."""

    name: str
    op_type: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    out_shape: tuple[int, ...]
    parts: tuple[Node, ...] = ()

    @property
    def members(self) -> tuple[Node, ...]:
        """The nodes in the file that it is: its parts, or itself."""
        return self.parts or (self,)

    @property
    def is_convolution(self) -> bool:
        """Whether it is one, be it for the FPGA or not, or a fully connected layer that became one."""
        return self.op_type == "Conv" or isinstance(self.op, Conv)

    @property
    def is_dense(self) -> bool:
        """Fully connected in the user's file, whatever it is here."""
        return self.op_type in DENSE_TYPES

    @property
    def names(self) -> tuple[str, ...]:
        """Its name in the file, or those of its parts."""
        return tuple(node.name for node in self.members)


@dataclass(frozen=True)
class Graph:
    """A whole model.

    input_shape: (channels, height, width).  onnx_model: the normalized ONNX model (constants folded, batch
    normalization folded, shapes inferred) that the nodes were read from, serialized; it computes the same
    function as the user's file, from (batch, channels, height, width) float32 frames even where the file takes
    another layout or type.  source_sha256: digest of the user's file.  metadata: the file's metadata_props.  output:
    the first of the model's outputs, of which onnx_model has them all but those that were left_out.
    pixels: for each channel the model's inputs that pixels of 0 and of 255 become; None where that is not known.
    """

    name: str
    input: str
    input_shape: tuple[int, int, int]
    output: str
    nodes: tuple[Node, ...]
    onnx_model: bytes
    source_sha256: str
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    left_out: tuple[str, ...] = ()
    pixels: tuple[tuple[float, float], ...] | None = None

    @property
    def operators(self) -> dict[str, str]:
        """Those of the user's file, by what their nodes put out first."""
        return {node.outputs[0]: node.op_type for node in self.nodes}

    def producer(self, tensor: str) -> Node | None:
        """The node that puts it out; None for the model's input and for what is not there."""
        return self._producers.get(tensor)

    def users(self, tensor: str) -> tuple[Node, ...]:
        """The nodes that read it, each once, in their order."""
        return self._users.get(tensor, ())

    def uses(self, tensor: str) -> int:
        """How often it is read, by the model's output, too."""
        return sum(node.inputs.count(tensor) for node in self.users(tensor)) + (tensor == self.output)

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {tensor: node for node in reversed(self.nodes) for tensor in node.outputs}

    @cached_property
    def _users(self) -> dict[str, tuple[Node, ...]]:
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for tensor in dict.fromkeys(node.inputs):
                users.setdefault(tensor, []).append(node)
        return {tensor: tuple(nodes) for tensor, nodes in users.items()}
