"""What the operators of ONNX graphs compute, in PyTorch, so that gradients flow through them.

As `runtime.numpy_operators` for NumPy: each function takes the node and its inputs (None for one left out) and gives
the first output.  What works on no float tensor, such as the arithmetic of shapes, is left to those functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from lognet_fpga.runtime import numpy_operators, numpy_windows
from lognet_fpga.runtime.onnx_file import OnnxNode

Value = torch.Tensor | np.ndarray
Operator = Callable[..., torch.Tensor]


def apply(node: OnnxNode, inputs: Sequence[Value | None], opset: int) -> Value:
    """The first output of a node whose operator is in OPERATORS or among those of NumPy."""
    if not any(isinstance(value, torch.Tensor) for value in inputs) or node.op_type in _SHAPES_ONLY:
        arrays = [value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value for value in inputs]
        result = numpy_operators.apply(node, arrays, opset)
        return torch.from_numpy(result) if result.dtype == np.float32 and node.op_type not in _SHAPES_ONLY else result
    extra = {"opset": opset} if node.op_type in numpy_operators.BY_OPSET else {}
    return OPERATORS[node.op_type](node, *inputs, **extra)


def knows(op_type: str) -> bool:
    """Whether gradients flow through the operator, or never have to."""
    return op_type in OPERATORS or op_type in _NO_GRADIENT


def _ints(value: Value) -> list[int]:
    return [int(item) for item in np.asarray(value).ravel()]


def _batch_normalization(node: OnnxNode, x, scale, offset, mean, variance) -> torch.Tensor:
    return F.batch_norm(x, mean, variance, scale, offset, eps=node.attribute("epsilon", float, 1e-5))


def _clip(node: OnnxNode, x, low=None, high=None) -> torch.Tensor:
    low = node.attribute("min", float, -math.inf) if low is None else _scalar(low)
    high = node.attribute("max", float, math.inf) if high is None else _scalar(high)
    return torch.clamp(x, low, high)


def _scalar(value: Value) -> float:
    return float(value.reshape(-1)[0])


def _padded(node: OnnxNode, x: torch.Tensor, kernel: Sequence[int], outside: float) -> torch.Tensor:
    """x with the padding of a convolution or a pool; ceil_mode's included."""
    before, after, _ = numpy_windows.padding(node, tuple(x.shape[2:]), tuple(kernel))
    return F.pad(x, [p for pair in reversed(list(zip(before, after))) for p in pair], value=outside)


def _conv(node: OnnxNode, x, weight, bias=None) -> torch.Tensor:
    dims = x.ndim - 2
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[dims]
    padded = _padded(node, x, weight.shape[2:], 0.0)
    strides, dilations = (numpy_windows.per_axis(node, name, dims) for name in ("strides", "dilations"))
    groups = node.attribute("group", int, 1)
    return function(padded, weight, bias, stride=strides, dilation=dilations, groups=groups)


def _max_pool(node: OnnxNode, x) -> torch.Tensor:
    dims = x.ndim - 2
    function = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[dims]
    kernel = node.attribute("kernel_shape", list)
    padded = _padded(node, x, kernel, -torch.inf)
    strides, dilations = (numpy_windows.per_axis(node, name, dims) for name in ("strides", "dilations"))
    return function(padded, kernel, stride=strides, dilation=dilations)


def _average_pool(node: OnnxNode, x) -> torch.Tensor:
    # How many elements count at the border is NumPy's matter.
    dims = x.ndim - 2
    function = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]
    kernel = node.attribute("kernel_shape", list)
    means = function(_padded(node, x, kernel, 0.0), kernel, stride=numpy_windows.per_axis(node, "strides", dims))
    share = numpy_windows.counted(node, tuple(x.shape[2:])) / np.prod(kernel)
    return means / torch.as_tensor(share, dtype=x.dtype, device=x.device)


def _gemm(node: OnnxNode, a, b, c=None) -> torch.Tensor:
    a = a.T if node.attribute("transA", int, 0) else a
    b = b.T if node.attribute("transB", int, 0) else b
    product = a @ b * node.attribute("alpha", float, 1.0)
    return product if c is None else product + node.attribute("beta", float, 1.0) * c


def _local_response(node: OnnxNode, x) -> torch.Tensor:
    size, bias = node.attribute("size", int), node.attribute("bias", float, 1.0)
    alpha, beta = node.attribute("alpha", float, 1e-4), node.attribute("beta", float, 0.75)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = F.pad(x**2, [0, 0] * (x.ndim - 2) + [before, after])
    sums = sum(squares[:, first : first + x.shape[1]] for first in range(size))
    return x / (bias + alpha / size * sums) ** beta


def _flatten(node: OnnxNode, x) -> torch.Tensor:
    axis = node.attribute("axis", int, 1) % x.ndim
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _reshape(node: OnnxNode, x, shape=None) -> torch.Tensor:
    sizes = node.attribute("shape", list) if shape is None else _ints(shape)
    if not node.attribute("allowzero", int, 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _pad(node: OnnxNode, x, pads=None, value=None, axes=None) -> torch.Tensor:
    pads = np.asarray(node.attribute("pads", list) if pads is None else _ints(pads)).reshape(2, -1).T.tolist()
    places = range(x.ndim) if axes is None else [axis % x.ndim for axis in _ints(axes)]
    widths = [[0, 0] for _ in range(x.ndim)]
    for axis, pair in zip(places, pads):
        widths[axis] = pair
    fill = node.attribute("value", float, 0.0) if value is None else _scalar(value)
    mode = node.attribute("mode", bytes, b"constant").decode()
    flat = [width for pair in reversed(widths) for width in pair]
    if mode == "constant":
        return F.pad(x, flat, value=fill)
    return F.pad(
        x, flat[: 2 * (x.ndim - 2)], mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode]
    )


def _axes(node: OnnxNode, given: Value | None) -> list[int] | None:
    if given is not None:
        return _ints(given)
    return node.attribute("axes", list) if "axes" in node.attributes else None


def _reduce(function: Callable[..., torch.Tensor]) -> Operator:
    def reduce(node: OnnxNode, x, axes=None) -> torch.Tensor:
        places = _axes(node, axes)
        if not places and node.attribute("noop_with_empty_axes", int, 0):
            return x
        return function(x, dim=places or list(range(x.ndim)), keepdim=bool(node.attribute("keepdims", int, 1)))

    return reduce


def _global(function: Callable[..., torch.Tensor]) -> Operator:
    return lambda node, x: function(x, dim=list(range(2, x.ndim)), keepdim=True)


def _squeeze(node: OnnxNode, x, axes=None) -> torch.Tensor:
    places = _axes(node, axes)
    return x.squeeze() if places is None else x.squeeze(tuple(places))


def _unsqueeze(node: OnnxNode, x, axes=None) -> torch.Tensor:
    places = _axes(node, axes) or []
    for axis in sorted(place % (x.ndim + len(places)) for place in places):
        x = x.unsqueeze(axis)
    return x


def _softmax(function: Callable[..., torch.Tensor]) -> Operator:
    def softmax(node: OnnxNode, x, opset: int) -> torch.Tensor:
        if opset >= 13:
            return function(x, dim=node.attribute("axis", int, -1))
        axis = node.attribute("axis", int, 1) % x.ndim  # up to opset 12 the axis and all behind it are one
        return function(x.reshape(*x.shape[:axis], -1), dim=-1).reshape(x.shape)

    return softmax


def _slice(node: OnnxNode, x, starts=None, ends=None, axes=None, steps=None) -> torch.Tensor:
    def given(value: Value | None, name: str) -> list[int]:
        return node.attribute(name, list) if value is None else _ints(value)

    begin, end = given(starts, "starts"), given(ends, "ends")
    absent = axes is None and "axes" not in node.attributes
    places = list(range(len(begin))) if absent else given(axes, "axes")
    cut = [slice(None)] * x.ndim
    for axis, first, last, step in zip(places, begin, end, [1] * len(begin) if steps is None else _ints(steps)):
        if step < 1:
            raise ValueError("a Slice with a negative step")
        cut[axis] = slice(first, last, step)
    return x[tuple(cut)]


def _fold(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Operator:
    def fold(node: OnnxNode, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for other in others:
            first = function(first, other)
        return first

    return fold


def _plain(function: Callable[..., torch.Tensor]) -> Operator:
    return lambda node, *inputs: function(*inputs)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": lambda node, x: x.float() if node.attribute("to", int) == 1 else x,
    "Clip": _clip,
    "Concat": lambda node, *inputs: torch.cat(inputs, dim=node.attribute("axis", int)),
    "Conv": _conv,
    "Div": _plain(torch.div),
    "Dropout": lambda node, x, *unused: x,
    "Elu": lambda node, x: F.elu(x, node.attribute("alpha", float, 1.0)),
    "Exp": _plain(torch.exp),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global(torch.mean),
    "GlobalMaxPool": _global(torch.amax),
    "HardSigmoid": lambda node, x: torch.clamp(
        node.attribute("alpha", float, 0.2) * x + node.attribute("beta", float, 0.5), 0, 1
    ),
    "HardSwish": _plain(F.hardswish),
    "Identity": lambda node, x: x,
    "LRN": _local_response,
    "LeakyRelu": lambda node, x: F.leaky_relu(x, node.attribute("alpha", float, 0.01)),
    "Log": _plain(torch.log),
    "LogSoftmax": _softmax(F.log_softmax),
    "MatMul": _plain(torch.matmul),
    "Max": _fold(torch.maximum),
    "MaxPool": _max_pool,
    "Mean": lambda node, *inputs: sum(inputs[1:], inputs[0]) / len(inputs),
    "Min": _fold(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "PRelu": lambda node, x, slope: torch.where(x >= 0, x, slope * x),
    "Pad": _pad,
    "Pow": _plain(torch.pow),
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax(F.softmax),
    "Softplus": _plain(F.softplus),
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Sum": _fold(torch.add),
    "Tanh": _plain(torch.tanh),
    "Transpose": lambda node, x: x.permute(node.attribute("perm", list, [*range(x.ndim)][::-1])),
    "Unsqueeze": _unsqueeze,
}
_SHAPES_ONLY = ("Shape",)
_NO_GRADIENT = ("Constant", "ConstantOfShape", "Gather", "Shape")
