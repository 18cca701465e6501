"""The inputs of a layer's sums on the calibration frames: a sample of them, and how they hang together."""

from __future__ import annotations

import numpy as np

from lognet_fpga.ir import reference
from lognet_fpga.partition import FloatLayer
from lognet_fpga.quantize.methods import Methods

_WINDOWS = 20_000  # that a layer is looked at through
_CHUNK_BYTES = 128 << 20  # of windows held at once as float64, but for those of a single group


def pick_windows(layer: FloatLayer, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Up to _WINDOWS numbers of windows of the padded activations, all positions of all frames counted."""
    count = frames * layer.conv_shape[1] * layer.conv_shape[2]
    return rng.choice(count, size=min(count, _WINDOWS), replace=False)


def windows_at(padded: np.ndarray, layer: FloatLayer, pick: np.ndarray) -> np.ndarray:
    """(groups, windows, inputs of a group) float32, of the channels of some groups, (batch, channels, h, w)."""
    view = reference.windows(padded, layer.weight.shape[2:], layer.stride)
    rows, cols = view.shape[2:4]
    frame, position = np.divmod(pick, rows * cols)
    row, col = np.divmod(position, cols)
    groups = padded.shape[1] // layer.weight.shape[1]
    apart = view[frame, :, row, col].reshape(len(pick), groups, -1)
    return np.ascontiguousarray(apart.transpose(1, 0, 2), np.float32)


def correlations(
    layer: FloatLayer,
    windows: np.ndarray,
    pick: np.ndarray,
    x_float: np.ndarray,
    in_scale: np.ndarray,
    in_offset: np.ndarray,
    methods: Methods,
) -> tuple[np.ndarray, np.ndarray]:
    """(correlation, wanted), (groups, inputs, inputs) each: means of the products of two inputs of a sum, and of what
    an input should be, without the errors of earlier layers, with another input.

    windows: of integers x that stand for x * in_scale + in_offset, channel by channel, those of `pick`; x_float: what
    all of x should stand for.
    """
    own, *size = layer.weight.shape[1:]
    inputs = own * size[0] * size[1]
    found = np.empty((2, layer.groups, inputs, inputs))
    step = max(1, _CHUNK_BYTES // (8 * len(pick) * inputs))
    for first in range(0, layer.groups, step):
        groups, channels = slice(first, first + step), slice(first * own, (first + step) * own)
        columns = windows[groups].astype(np.float64)
        if methods.centred:
            columns -= columns.mean(axis=1, keepdims=True)
        correlation = columns.transpose(0, 2, 1) @ columns / len(pick)
        found[:, groups] = correlation
        if methods.follow:
            ideal = windows_at(reference.pad(x_float[:, channels], layer.pads, layer.pad_value[channels]), layer, pick)
            scale, offset = (
                part[channels].reshape(-1, 1, own, 1).repeat(size[0] * size[1], axis=3).reshape(-1, 1, inputs)
                for part in (in_scale, in_offset)
            )
            cross = ((ideal - offset) / scale).transpose(0, 2, 1) @ columns / len(pick)
            found[1, groups] = (1 - methods.follow) * correlation + methods.follow * cross
    return found[0], found[1]
