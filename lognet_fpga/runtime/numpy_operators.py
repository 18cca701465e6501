"""What the operators of a host's part compute, in NumPy: standard operators that CNNs have behind convolutions.

Each function takes the node and its inputs (None for one left out) and gives the first output.  `OPERATORS` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from lognet_fpga.runtime.numpy_windows import average_pool, conv, max_pool
from lognet_fpga.runtime.onnx_file import DTYPES, OnnxNode

Operator = Callable[..., np.ndarray]
_PAD_MODES: Mapping[str, Literal["reflect", "edge", "wrap"]] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _axes(node: OnnxNode, given: np.ndarray | None) -> tuple[int, ...] | None:
    """Axes as an input, as in newer opsets, or as an attribute; None for none."""
    if given is not None:
        return tuple(int(axis) for axis in given.ravel())
    return tuple(node.attribute("axes", list)) if "axes" in node.attributes else None


def _batch_normalization(node: OnnxNode, x, scale, offset, mean, variance) -> np.ndarray:
    shape = (1, -1, *[1] * (x.ndim - 2))
    factor = scale / np.sqrt(variance + np.float32(node.attribute("epsilon", float, 1e-5)))
    return x * factor.reshape(shape) + (offset - mean * factor).reshape(shape)


def _cast(node: OnnxNode, x) -> np.ndarray:
    return x.astype(DTYPES[node.attribute("to", int)])


def _clip(node: OnnxNode, x, low=None, high=None) -> np.ndarray:
    low = node.attribute("min", float, -np.inf) if low is None else low
    high = node.attribute("max", float, np.inf) if high is None else high
    return np.clip(x, low, high).astype(x.dtype, copy=False)


def _constant(node: OnnxNode) -> np.ndarray:
    for name, dtype in (("value", None), ("value_float", np.float32), ("value_int", np.int64)):
        if name in node.attributes:
            return np.asarray(node.attributes[name], dtype)
    for name, dtype in (("value_floats", np.float32), ("value_ints", np.int64)):
        if name in node.attributes:
            return np.array(node.attributes[name], dtype)
    raise ValueError("it has no value")


def _constant_of_shape(node: OnnxNode, shape) -> np.ndarray:
    value = node.attribute("value", np.ndarray, np.zeros(1, np.float32))
    return np.full(shape.tolist(), value.item(), value.dtype)


def _divide(node: OnnxNode, a, b) -> np.ndarray:
    if a.dtype.kind != "f":  # towards zero, not down
        return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)
    return a / b


def _elu(node: OnnxNode, x) -> np.ndarray:
    return np.where(x > 0, x, np.float32(node.attribute("alpha", float, 1.0)) * np.expm1(np.minimum(x, 0)))


def _flatten(node: OnnxNode, x) -> np.ndarray:
    axis = node.attribute("axis", int, 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _gather(node: OnnxNode, x, places) -> np.ndarray:
    return np.take(x, places, axis=node.attribute("axis", int, 0))


def _gemm(node: OnnxNode, a, b, c=None) -> np.ndarray:
    a = a.T if node.attribute("transA", int, 0) else a
    b = b.T if node.attribute("transB", int, 0) else b
    product = a @ b
    alpha = node.attribute("alpha", float, 1.0)
    if alpha != 1.0:
        product *= np.float32(alpha)
    return product if c is None else product + np.float32(node.attribute("beta", float, 1.0)) * c


def _hard_sigmoid(node: OnnxNode, x) -> np.ndarray:
    alpha, beta = node.attribute("alpha", float, 0.2), node.attribute("beta", float, 0.5)
    return np.clip(np.float32(alpha) * x + np.float32(beta), 0, 1)


def _layer_normalization(node: OnnxNode, x, scale, offset=None) -> np.ndarray:
    axes = tuple(range(node.attribute("axis", int, -1) % x.ndim, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=axes, keepdims=True) + np.float32(node.attribute("epsilon", float, 1e-5)))
    scaled = centred / spread * scale
    return scaled if offset is None else scaled + offset


def _local_response(node: OnnxNode, x) -> np.ndarray:
    size, bias = node.attribute("size", int), node.attribute("bias", float, 1.0)
    alpha, beta = node.attribute("alpha", float, 1e-4), node.attribute("beta", float, 0.75)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = np.pad(x.astype(np.float64) ** 2, [(0, 0), (before, after)] + [(0, 0)] * (x.ndim - 2))
    sums = sum(squares[:, first : first + x.shape[1]] for first in range(size))
    return (x / (bias + alpha / size * sums) ** beta).astype(x.dtype)


def _log_softmax(node: OnnxNode, x, opset: int) -> np.ndarray:
    axes = _softmax_axes(node, x, opset)
    shifted = x - x.max(axis=axes, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axes, keepdims=True))


def _pad(node: OnnxNode, x, pads=None, value=None, axes=None) -> np.ndarray:
    pads = np.asarray(node.attribute("pads", list) if pads is None else pads).reshape(2, -1).T
    places = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    widths = [(0, 0)] * x.ndim
    for axis, (before, after) in zip(places, pads.tolist()):
        widths[axis] = before, after
    kept = x[tuple(slice(max(0, -b), x.shape[i] - max(0, -a)) for i, (b, a) in enumerate(widths))]  # negative: cut off
    widths = [(max(0, before), max(0, after)) for before, after in widths]
    mode = node.attribute("mode", bytes, b"constant").decode()
    if mode == "constant":
        fill = node.attribute("value", float, 0.0) if value is None else value.item()
        return np.pad(kept, widths, constant_values=fill)
    return np.pad(kept, widths, mode=_PAD_MODES[mode])


def _reduce(function: Callable[..., np.ndarray]) -> Operator:
    def reduce(node: OnnxNode, x, axes=None) -> np.ndarray:
        places = _axes(node, axes)
        if not places and node.attribute("noop_with_empty_axes", int, 0):
            return x
        result = function(x, axis=places or None, keepdims=bool(node.attribute("keepdims", int, 1)))
        return np.asarray(result, x.dtype)

    return reduce


def _global(function: Callable[..., np.ndarray]) -> Operator:
    return lambda node, x: function(x, axis=tuple(range(2, x.ndim)), keepdims=True)


def _reshape(node: OnnxNode, x, shape=None) -> np.ndarray:
    sizes = node.attribute("shape", list) if shape is None else shape.tolist()
    if not node.attribute("allowzero", int, 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _slice(node: OnnxNode, x, starts=None, ends=None, axes=None, steps=None) -> np.ndarray:
    def given(value: np.ndarray | None, name: str) -> list[int]:
        return node.attribute(name, list) if value is None else value.ravel().tolist()

    begin, end = given(starts, "starts"), given(ends, "ends")
    if axes is None and "axes" not in node.attributes:
        places = list(range(len(begin)))
    else:
        places = given(axes, "axes")
    strides = [1] * len(begin) if steps is None else steps.ravel().tolist()
    cut = [slice(None)] * x.ndim
    for axis, first, last, step in zip(places, begin, end, strides):
        # A negative end counts from behind, but one far below the beginning means all of it, downwards.
        cut[axis] = slice(first, None if step < 0 and last < -x.shape[axis] else last, step)
    return x[tuple(cut)]


def _softmax_axes(node: OnnxNode, x: np.ndarray, opset: int) -> tuple[int, ...]:
    """Up to opset 12 the axis and all behind it are one."""
    if opset >= 13:
        return (node.attribute("axis", int, -1) % x.ndim,)
    return tuple(range(node.attribute("axis", int, 1) % x.ndim, x.ndim))


def _softmax(node: OnnxNode, x, opset: int) -> np.ndarray:
    axes = _softmax_axes(node, x, opset)
    powers = np.exp(x - x.max(axis=axes, keepdims=True))
    return powers / powers.sum(axis=axes, keepdims=True)


def _squeeze(node: OnnxNode, x, axes=None) -> np.ndarray:
    return np.squeeze(x, _axes(node, axes))


def _unsqueeze(node: OnnxNode, x, axes=None) -> np.ndarray:
    return np.expand_dims(x, tuple(node.attribute("axes", list) if axes is None else axes.ravel().tolist()))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype, copy=False)


def _fold(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Operator:
    def fold(node: OnnxNode, first: np.ndarray, *others: np.ndarray) -> np.ndarray:
        for other in others:
            first = function(first, other)
        return first

    return fold


def _mean(node: OnnxNode, *inputs: np.ndarray) -> np.ndarray:
    return sum(inputs[1:], inputs[0]) / np.float32(len(inputs))


_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _plain(function: Callable[..., np.ndarray]) -> Operator:
    return lambda node, *inputs: function(*inputs)


def _arg_max(node: OnnxNode, x) -> np.ndarray:
    axis, keep = node.attribute("axis", int, 0), bool(node.attribute("keepdims", int, 1))
    return np.argmax(x, axis=axis, keepdims=keep).astype(np.int64)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "ArgMax": _arg_max,
    "AveragePool": average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "CastLike": lambda node, x, like: x.astype(like.dtype),
    "Ceil": _plain(np.ceil),
    "Clip": _clip,
    "Concat": lambda node, *inputs: np.concatenate(inputs, axis=node.attribute("axis", int)),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Conv": conv,
    "Div": _divide,
    "Dropout": lambda node, x, *unused: x,
    "Elu": _elu,
    "Equal": _plain(np.equal),
    "Erf": lambda node, x: _ERF(x).astype(x.dtype),
    "Exp": _plain(np.exp),
    "Expand": lambda node, x, shape: x * np.ones(shape.tolist(), x.dtype),
    "Flatten": _flatten,
    "Floor": _plain(np.floor),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global(np.mean),
    "GlobalMaxPool": _global(np.max),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node, x: x * np.clip(x / np.float32(6) + np.float32(0.5), 0, 1),
    "Identity": lambda node, x: x,
    "LRN": _local_response,
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": lambda node, x: np.where(x >= 0, x, np.float32(node.attribute("alpha", float, 0.01)) * x),
    "Log": _plain(np.log),
    "LogSoftmax": _log_softmax,
    "MatMul": _plain(np.matmul),
    "Max": _fold(np.maximum),
    "MaxPool": max_pool,
    "Mean": _mean,
    "Min": _fold(np.minimum),
    "Mish": lambda node, x: x * np.tanh(np.logaddexp(x, x.dtype.type(0))),
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "PRelu": lambda node, x, slope: np.where(x >= 0, x, slope * x),
    "Pad": _pad,
    "Pow": lambda node, x, power: np.power(x, power).astype(x.dtype, copy=False),
    "Reciprocal": _plain(np.reciprocal),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceMin": _reduce(np.min),
    "ReduceSum": _reduce(np.sum),
    "Relu": lambda node, x: np.maximum(x, x.dtype.type(0)),
    "Reshape": _reshape,
    "Shape": lambda node, x: np.array(
        x.shape[node.attribute("start", int, 0) : node.attribute("end", int, x.ndim)], np.int64
    ),
    "Sigmoid": _plain(_sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": lambda node, x: np.logaddexp(x, x.dtype.type(0)),
    "Sqrt": _plain(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(np.subtract),
    "Sum": _fold(np.add),
    "Swish": lambda node, x: x * _sigmoid(x * x.dtype.type(node.attribute("alpha", float, 1.0))),
    "Tanh": _plain(np.tanh),
    "Transpose": lambda node, x: np.transpose(x, node.attribute("perm", list, [*range(x.ndim)][::-1])),
    "Unsqueeze": _unsqueeze,
    "Where": _plain(np.where),
}
BY_OPSET = ("LogSoftmax", "Softmax")  # their functions take the opset too


def apply(node: OnnxNode, inputs: Sequence[np.ndarray | None], opset: int) -> np.ndarray:
    """The first output of a node whose operator is in OPERATORS."""
    extra = {"opset": opset} if node.op_type in BY_OPSET else {}
    return OPERATORS[node.op_type](node, *inputs, **extra)
