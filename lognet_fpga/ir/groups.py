"""Grouped convolutions.  A kernel holds the weights within groups only: (out, in / groups, kernel_h, kernel_w), as in
ONNX; output channels and input channels are split into `groups` runs, and each reads its own run of inputs.

What needs a weight for every output and input gets the kernel from `dense_kernel`; nothing else makes one.
"""

from __future__ import annotations

import numpy as np


def dense_kernel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """(out, in, kernel_h, kernel_w), with zeros between groups.  groups: divides the number of outputs."""
    if groups == 1:
        return kernel
    outputs, own, *size = kernel.shape
    dense = np.zeros((groups, outputs // groups, groups, own, *size), kernel.dtype)
    every = np.arange(groups)
    dense[every, :, every] = kernel.reshape(groups, outputs // groups, own, *size)
    return dense.reshape(outputs, groups * own, *size)


def grouped_kernel(dense: np.ndarray, groups: int) -> np.ndarray:
    """Back from dense_kernel: what lies within groups."""
    if groups == 1:
        return dense
    outputs, inputs, *size = dense.shape
    every = np.arange(groups)
    apart = dense.reshape(groups, outputs // groups, groups, inputs // groups, *size)
    return apart[every, :, every].reshape(outputs, inputs // groups, *size)


def dense_places(places: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    """(out,) places among the flat weights of each output of kernel, as places in the dense one; -1 stays -1."""
    outputs = len(kernel)
    first = np.arange(outputs) // (outputs // groups) * kernel[0].size
    return np.where(places < 0, places, places + first)


def of_own_inputs(values: np.ndarray, groups: int, outputs: int) -> np.ndarray:
    """values, one an input channel, as they stand beside a kernel of so many outputs: (outputs, in / groups, 1, 1), or
    (1, in, 1, 1) for one group."""
    if groups == 1:
        return values.reshape(1, -1, 1, 1)
    return np.repeat(values.reshape(groups, -1), outputs // groups, axis=0).reshape(outputs, -1, 1, 1)
