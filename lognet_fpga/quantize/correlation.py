"""How the inputs of a layer's sums hang together, on the calibration frames."""

from __future__ import annotations

import numpy as np

from lognet_fpga.ir import reference
from lognet_fpga.partition import FloatLayer
from lognet_fpga.quantize.methods import Methods

_WINDOWS = 20_000  # that the means are taken over


def correlations(
    layer: FloatLayer,
    x: np.ndarray,
    pad_value: np.ndarray,
    x_float: np.ndarray,
    in_scale: np.ndarray,
    in_offset: np.ndarray,
    methods: Methods,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """(correlation, wanted), (inputs, inputs) each: means of the products of two inputs of a sum, and of what an input
    should be, without the errors of earlier layers, with another input.

    x: integers that stand for x * in_scale + in_offset, channel by channel; x_float: what they should stand for.
    """
    padded = reference.pad(x, layer.pads, pad_value)
    pick = _pick_windows(padded, layer, rng)
    columns = _windows_at(padded, layer, pick)
    if methods.centred:
        columns -= columns.mean(axis=0)
    correlation = columns.T @ columns / len(columns)
    if not methods.follow:
        return correlation, correlation
    scale, offset = (part.reshape(1, -1, 1, 1) for part in (in_scale, in_offset))
    ideal = reference.pad((x_float - offset) / scale, layer.pads, (layer.pad_value - in_offset) / in_scale)
    cross = _windows_at(ideal, layer, pick).T @ columns / len(columns)
    return correlation, (1 - methods.follow) * correlation + methods.follow * cross


def _pick_windows(padded: np.ndarray, layer: FloatLayer, rng: np.random.Generator) -> np.ndarray:
    """Up to _WINDOWS numbers of windows of the padded activations, all positions of all frames counted."""
    batch, _, rows, cols = reference.windows(padded, layer.weight.shape[2:], layer.stride).shape[:4]
    count = batch * rows * cols
    return rng.choice(count, size=min(count, _WINDOWS), replace=False)


def _windows_at(padded: np.ndarray, layer: FloatLayer, pick: np.ndarray) -> np.ndarray:
    """(windows, in * kernel_h * kernel_w) float64."""
    view = reference.windows(padded, layer.weight.shape[2:], layer.stride)
    rows, cols = view.shape[2:4]
    frame, position = np.divmod(pick, rows * cols)
    row, col = np.divmod(position, cols)
    return view[frame, :, row, col].reshape(len(pick), -1).astype(np.float64)
