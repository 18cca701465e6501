"""Convolution and pools of ONNX graphs in NumPy, over windows of any number of dimensions.

Windows are never looked at one by one: a tap, one element of all windows, is one slice of the padded input, long runs
for NumPy to copy or to add.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from types import EllipsisType

import numpy as np

from lognet_fpga.runtime.onnx_file import OnnxNode


def conv(node: OnnxNode, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    kernel, groups = weight.shape[2:], node.attribute("group", int, 1)
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    before, after, places = padding(node, x.shape[2:], kernel)
    sums = np.empty((len(x), *matrices.shape[:2], math.prod(places)), np.result_type(x, weight))
    # One frame at a time: the unfolded windows of many fill the memory.
    columns = np.empty((x.shape[1], math.prod(kernel), *places), x.dtype)
    for frame, out in zip(x, sums):
        for tap, part in enumerate(_taps(node, _padded(frame, before, after, 0), kernel, places)):
            columns[:, tap] = part
        np.matmul(matrices, columns.reshape(groups, matrices.shape[2], -1), out=out)
    sums = sums.reshape(len(x), len(weight), *places)
    if bias is not None:
        sums += bias.reshape(1, -1, *[1] * len(places))
    return sums


def max_pool(node: OnnxNode, x: np.ndarray) -> np.ndarray:
    kernel = tuple(node.attribute("kernel_shape", list))
    before, after, places = padding(node, x.shape[2:], kernel)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return _pooled(np.maximum, node, _padded(x, before, after, lowest), kernel, places)


def average_pool(node: OnnxNode, x: np.ndarray) -> np.ndarray:
    kernel = tuple(node.attribute("kernel_shape", list))
    before, after, places = padding(node, x.shape[2:], kernel)
    sums = _pooled(np.add, node, _padded(x, before, after, 0), kernel, places)
    return sums / counted(node, x.shape[2:]).astype(x.dtype)


def counted(node: OnnxNode, sizes: tuple[int, ...]) -> np.ndarray:
    """By how many elements each window's average divides, (1, 1, *places) float64; sizes: of the input's axes."""
    kernel = tuple(node.attribute("kernel_shape", list))
    before, after, places = padding(node, sizes, kernel)
    ones = np.ones((1, 1, *sizes))
    if node.attribute("count_include_pad", int, 0):
        # Explicit padding counts; what ceil_mode adds behind it does not.
        first, last = zip(*_explicit(node, sizes, kernel))
        ones = _padded(ones, first, last, 1)
        before, after = [0] * len(kernel), [max(0, more - pads) for more, pads in zip(after, last)]
    return _pooled(np.add, node, _padded(ones, before, after, 0), kernel, places)


def _pooled(function: np.ufunc, node: OnnxNode, padded: np.ndarray, kernel, places) -> np.ndarray:
    first, *others = _taps(node, padded, kernel, places)
    folded = first.copy()
    for part in others:
        function(folded, part, out=folded)
    return folded


def _padded(x: np.ndarray, before, after, outside: float) -> np.ndarray:
    """x with that much of `outside` around its last axes; x itself where that is nothing."""
    if not any((*before, *after)):
        return x
    apart = x.ndim - len(before)
    sizes = [first + size + last for first, size, last in zip(before, x.shape[apart:], after)]
    padded = np.full((*x.shape[:apart], *sizes), outside, x.dtype)
    padded[_last_axes(slice(first, first + size) for first, size in zip(before, x.shape[apart:]))] = x
    return padded


def _taps(node: OnnxNode, padded: np.ndarray, kernel, places) -> Iterator[np.ndarray]:
    """Each element of all windows, (..., *places), views of padded, in the order of the kernel's elements."""
    strides, dilations = (per_axis(node, name, len(kernel)) for name in ("strides", "dilations"))
    for tap in itertools.product(*map(range, kernel)):
        steps = zip(tap, dilations, strides, places)
        yield padded[_last_axes(slice(at * far, at * far + (n - 1) * step + 1, step) for at, far, step, n in steps)]


def _last_axes(slices: Iterable[slice]) -> tuple[EllipsisType | slice, ...]:
    return (..., *slices)


def per_axis(node: OnnxNode, name: str, dims: int) -> list[int]:
    """strides or dilations, 1 where the node has none; dims: how many axes there are."""
    return node.attribute(name, list, []) or [1] * dims


def _explicit(node: OnnxNode, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    """Padding (before, after) of each axis as the node asks for it, without what ceil_mode adds."""
    dims = len(kernel)
    mode = node.attribute("auto_pad", bytes, b"NOTSET").decode() or "NOTSET"
    if mode in ("NOTSET", "VALID"):
        pads = (node.attribute("pads", list, []) if mode == "NOTSET" else []) or [0] * 2 * dims
        return list(zip(pads[:dims], pads[dims:]))
    strides, dilations = per_axis(node, "strides", dims), per_axis(node, "dilations", dims)
    found = []
    for size, width, stride, dilation in zip(sizes, kernel, strides, dilations):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return found


def padding(node: OnnxNode, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    """Padding before and behind, and the number of places, of each axis."""
    dims = len(kernel)
    strides, dilations = per_axis(node, "strides", dims), per_axis(node, "dilations", dims)
    before, after, places = [], [], []
    for axis, (first, last) in enumerate(_explicit(node, sizes, kernel)):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        span = sizes[axis] + first + last - reach
        count = span // strides[axis] + 1
        if node.attribute("ceil_mode", int, 0):
            count = -(-span // strides[axis]) + 1
            if (count - 1) * strides[axis] >= sizes[axis] + first:  # a window must not begin in the padding behind
                count -= 1
        before.append(first)
        after.append(max(last, (count - 1) * strides[axis] + reach - sizes[axis] - first))
        places.append(count)
    return before, after, places
