"""What the operators of ONNX graphs compute, in PyTorch, so that gradients flow through them.

As `runtime.numpy_operators` for NumPy: each function takes the node and its inputs (None for one left out) and gives
the first output.  What works on no float tensor, such as the arithmetic of shapes, is left to those functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from lognet_fpga.runtime import numpy_operators, numpy_windows
from lognet_fpga.runtime.onnx_file import OnnxNode

Value = torch.Tensor | np.ndarray | None
Operator = Callable[..., torch.Tensor]


def apply(node: OnnxNode, inputs: Sequence[Value], opset: int) -> Value:
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
    return F.batch_norm(x, mean, variance, scale, offset, eps=node.attributes.get("epsilon", 1e-5))


def _clip(node: OnnxNode, x, low=None, high=None) -> torch.Tensor:
    low = node.attributes.get("min") if low is None else _scalar(low)
    high = node.attributes.get("max") if high is None else _scalar(high)
    return x if low is None and high is None else torch.clamp(x, low, high)


def _scalar(value: Value) -> float:
    return float(value.reshape(-1)[0])


def _padded(node: OnnxNode, x: torch.Tensor, kernel: Sequence[int], outside: float) -> torch.Tensor:
    """x with the padding of a convolution or a pool; ceil_mode's included."""
    before, after, _ = numpy_windows.padding(node, tuple(x.shape[2:]), tuple(kernel))
    return F.pad(x, [p for pair in reversed(list(zip(before, after))) for p in pair], value=outside)


def _conv(node: OnnxNode, x, weight, bias=None) -> torch.Tensor:
    get, dims = node.attributes.get, x.ndim - 2
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[dims]
    padded = _padded(node, x, weight.shape[2:], 0.0)
    strides, dilations = (tuple(get(name) or [1] * dims) for name in ("strides", "dilations"))
    return function(padded, weight, bias, stride=strides, dilation=dilations, groups=int(get("group", 1)))


def _max_pool(node: OnnxNode, x) -> torch.Tensor:
    get, dims = node.attributes.get, x.ndim - 2
    function = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[dims]
    kernel = tuple(get("kernel_shape"))
    padded = _padded(node, x, kernel, -torch.inf)
    strides, dilations = (tuple(get(name) or [1] * dims) for name in ("strides", "dilations"))
    return function(padded, kernel, stride=strides, dilation=dilations)


def _average_pool(node: OnnxNode, x) -> torch.Tensor:
    # How many elements count at the border is NumPy's matter.
    get, dims = node.attributes.get, x.ndim - 2
    function = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]
    kernel = tuple(get("kernel_shape"))
    means = function(_padded(node, x, kernel, 0.0), kernel, stride=tuple(get("strides") or [1] * dims))
    share = numpy_windows.counted(node, tuple(x.shape[2:])) / np.prod(kernel)
    return means / torch.as_tensor(share, dtype=x.dtype, device=x.device)


def _gemm(node: OnnxNode, a, b, c=None) -> torch.Tensor:
    get = node.attributes.get
    product = (a.T if get("transA", 0) else a) @ (b.T if get("transB", 0) else b) * get("alpha", 1.0)
    return product if c is None else product + get("beta", 1.0) * c


def _local_response(node: OnnxNode, x) -> torch.Tensor:
    get, size = node.attributes.get, int(node.attributes["size"])
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = F.pad(x**2, [0, 0] * (x.ndim - 2) + [before, after])
    sums = sum(squares[:, first : first + x.shape[1]] for first in range(size))
    return x / (get("bias", 1.0) + get("alpha", 1e-4) / size * sums) ** get("beta", 0.75)


def _flatten(node: OnnxNode, x) -> torch.Tensor:
    axis = int(node.attributes.get("axis", 1)) % x.ndim
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _reshape(node: OnnxNode, x, shape=None) -> torch.Tensor:
    sizes = list(node.attributes["shape"]) if shape is None else _ints(shape)
    if not node.attributes.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _pad(node: OnnxNode, x, pads=None, value=None, axes=None) -> torch.Tensor:
    pads = np.asarray(node.attributes["pads"] if pads is None else _ints(pads)).reshape(2, -1).T.tolist()
    places = range(x.ndim) if axes is None else [axis % x.ndim for axis in _ints(axes)]
    widths = [[0, 0] for _ in range(x.ndim)]
    for axis, pair in zip(places, pads):
        widths[axis] = pair
    fill = node.attributes.get("value", 0.0) if value is None else _scalar(value)
    mode = bytes(node.attributes.get("mode", b"constant")).decode()
    flat = [width for pair in reversed(widths) for width in pair]
    if mode == "constant":
        return F.pad(x, flat, value=fill)
    return F.pad(
        x, flat[: 2 * (x.ndim - 2)], mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode]
    )


def _axes(node: OnnxNode, given: Value) -> list[int] | None:
    axes = node.attributes.get("axes") if given is None else _ints(given)
    return None if axes is None else [int(axis) for axis in axes]


def _reduce(function: Callable[..., torch.Tensor]) -> Operator:
    def reduce(node: OnnxNode, x, axes=None) -> torch.Tensor:
        places = _axes(node, axes)
        if not places and node.attributes.get("noop_with_empty_axes", 0):
            return x
        return function(x, dim=places or list(range(x.ndim)), keepdim=bool(node.attributes.get("keepdims", 1)))

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
            return function(x, dim=int(node.attributes.get("axis", -1)))
        axis = int(node.attributes.get("axis", 1)) % x.ndim  # up to opset 12 the axis and all behind it are one
        return function(x.reshape(*x.shape[:axis], -1), dim=-1).reshape(x.shape)

    return softmax


def _slice(node: OnnxNode, x, starts=None, ends=None, axes=None, steps=None) -> torch.Tensor:
    def given(value: Value, name: str) -> list[int]:
        return list(node.attributes[name]) if value is None else _ints(value)

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
    "Cast": lambda node, x: x.float() if node.attributes["to"] == 1 else x,
    "Clip": _clip,
    "Concat": lambda node, *inputs: torch.cat(inputs, dim=int(node.attributes["axis"])),
    "Conv": _conv,
    "Div": _plain(torch.div),
    "Dropout": lambda node, x, *unused: x,
    "Elu": lambda node, x: F.elu(x, node.attributes.get("alpha", 1.0)),
    "Exp": _plain(torch.exp),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global(torch.mean),
    "GlobalMaxPool": _global(torch.amax),
    "HardSigmoid": lambda node, x: torch.clamp(
        node.attributes.get("alpha", 0.2) * x + node.attributes.get("beta", 0.5), 0, 1
    ),
    "HardSwish": _plain(F.hardswish),
    "Identity": lambda node, x: x,
    "LRN": _local_response,
    "LeakyRelu": lambda node, x: F.leaky_relu(x, node.attributes.get("alpha", 0.01)),
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
    "Transpose": lambda node, x: x.permute(*(node.attributes.get("perm") or range(x.ndim - 1, -1, -1))),
    "Unsqueeze": _unsqueeze,
}
_SHAPES_ONLY = ("Shape",)
_NO_GRADIENT = ("Constant", "ConstantOfShape", "Gather", "Shape")
