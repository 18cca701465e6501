"""Convolution and pools of ONNX graphs in NumPy, over windows of any number of dimensions."""

from __future__ import annotations

import math

import numpy as np

from lognet_fpga.runtime.onnx_file import OnnxNode


def conv(node: OnnxNode, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    # One frame at a time: the unfolded windows of many fill the memory.
    return np.concatenate([_conv(node, frame[None], weight, bias) for frame in x])


def _conv(node: OnnxNode, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    groups = int(node.attributes.get("group", 1))
    windows = _windows(node, x, weight.shape[2:], 0.0)  # (n, channels, *places, *kernel)
    n, channels = x.shape[:2]
    places = windows.shape[2 : x.ndim]
    rows = windows.reshape(n, groups, channels // groups, math.prod(places), -1)
    rows = np.ascontiguousarray(rows.transpose(0, 1, 3, 2, 4)).reshape(n, groups, math.prod(places), -1)
    matrices = weight.reshape(groups, weight.shape[0] // groups, -1).transpose(0, 2, 1)
    sums = (rows @ matrices).transpose(0, 1, 3, 2).reshape(n, weight.shape[0], *places)
    return sums if bias is None else sums + bias.reshape(1, -1, *[1] * (x.ndim - 2))


def max_pool(node: OnnxNode, x: np.ndarray) -> np.ndarray:
    kernel = tuple(node.attributes["kernel_shape"])
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return _windows(node, x, kernel, lowest).max(axis=tuple(range(-len(kernel), 0)))


def average_pool(node: OnnxNode, x: np.ndarray) -> np.ndarray:
    kernel = tuple(node.attributes["kernel_shape"])
    inside = tuple(range(-len(kernel), 0))
    return _windows(node, x, kernel, 0.0).sum(axis=inside) / counted(node, x.shape[2:]).astype(x.dtype)


def counted(node: OnnxNode, sizes: tuple[int, ...]) -> np.ndarray:
    """By how many elements each window's average divides, (1, 1, *places) float64; sizes: of the input's axes."""
    kernel = tuple(node.attributes["kernel_shape"])
    inside = tuple(range(-len(kernel), 0))
    if not node.attributes.get("count_include_pad", 0):
        return _windows(node, np.ones((1, 1, *sizes)), kernel, 0.0).sum(axis=inside)
    # Explicit padding counts; what ceil_mode adds behind it does not.
    _, after, _ = padding(node, sizes, kernel)
    explicit = _explicit(node, sizes, kernel)
    ones = np.ones((1, 1, *(size + sum(pads) for size, pads in zip(sizes, explicit))))
    extra = [(0, 0), (0, 0)] + [(0, max(0, behind - pads[1])) for behind, pads in zip(after, explicit)]
    return _strided(node, np.pad(ones, extra), kernel).sum(axis=inside)


def _windows(node: OnnxNode, x: np.ndarray, kernel: tuple[int, ...], outside: float) -> np.ndarray:
    """Every window of x, (n, channels, *places, *kernel), a view of the padded x."""
    before, after, _ = padding(node, x.shape[2:], kernel)
    widths = [(0, 0), (0, 0), *zip(before, after)]
    return _strided(node, np.pad(x, widths, constant_values=outside), kernel)


def _strided(node: OnnxNode, padded: np.ndarray, kernel: tuple[int, ...]) -> np.ndarray:
    dims = len(kernel)
    strides, dilations = _per_axis(node, "strides", dims), _per_axis(node, "dilations", dims)
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations)]
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, 2 + dims)))
    steps = tuple(slice(None, None, stride) for stride in strides)
    taps = tuple(slice(None, None, dilation) for dilation in dilations)
    return views[(slice(None), slice(None), *steps, *taps)]


def _per_axis(node: OnnxNode, name: str, dims: int) -> list[int]:
    return list(node.attributes.get(name) or [1] * dims)


def _explicit(node: OnnxNode, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    """Padding (before, after) of each axis as the node asks for it, without what ceil_mode adds."""
    dims = len(kernel)
    mode = bytes(node.attributes.get("auto_pad", b"NOTSET")).decode() or "NOTSET"
    if mode in ("NOTSET", "VALID"):
        pads = list(node.attributes.get("pads") or [0] * 2 * dims) if mode == "NOTSET" else [0] * 2 * dims
        return list(zip(pads[:dims], pads[dims:]))
    strides, dilations = _per_axis(node, "strides", dims), _per_axis(node, "dilations", dims)
    found = []
    for size, width, stride, dilation in zip(sizes, kernel, strides, dilations):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return found


def padding(node: OnnxNode, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    """Padding before and behind, and the number of places, of each axis."""
    dims = len(kernel)
    strides, dilations = _per_axis(node, "strides", dims), _per_axis(node, "dilations", dims)
    before, after, places = [], [], []
    for axis, (first, last) in enumerate(_explicit(node, sizes, kernel)):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        span = sizes[axis] + first + last - reach
        count = span // strides[axis] + 1
        if node.attributes.get("ceil_mode", 0):
            count = -(-span // strides[axis]) + 1
            if (count - 1) * strides[axis] >= sizes[axis] + first:  # a window must not begin in the padding behind
                count -= 1
        before.append(first)
        after.append(max(last, (count - 1) * strides[axis] + reach - sizes[axis] - first))
        places.append(count)
    return before, after, places
