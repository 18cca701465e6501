"""The raster of slots against an enumeration of every window, with positions as labels."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.ir import reference
from tests.quant_models import Spec, random_layer

FRAMES = 3
PAD = -1
CASES = {
    "3x3": (Spec(1), (5, 6)),
    "no pads": (Spec(1, pads=(0, 0, 0, 0)), (5, 6)),
    "1x1": (Spec(1, (1, 1), pads=(0, 0, 0, 0)), (3, 2)),
    "5x5": (Spec(1, (5, 5), pads=(2, 2, 2, 2)), (6, 5)),
    "5x3 few pads": (Spec(1, (5, 3), pads=(1, 0, 2, 1)), (7, 4)),
    "stride 2": (Spec(1, stride=(2, 2)), (7, 8)),
    "stride 2 asymmetric": (Spec(1, stride=(2, 2), pads=(0, 0, 1, 1)), (8, 6)),
    "stride 2x1": (Spec(1, (3, 2), (2, 1), (1, 1, 0, 0)), (6, 5)),
    "stride 3": (Spec(1, (2, 2), (3, 3), (0, 1, 1, 0)), (7, 8)),
    "left only": (Spec(1, (1, 3), pads=(0, 2, 0, 0)), (3, 4)),
    "bottom only": (Spec(1, (3, 1), pads=(0, 0, 2, 0)), (4, 3)),
    "smaller than the kernel": (Spec(1, (5, 5), pads=(2, 2, 2, 2)), (2, 1)),
    "top right": (Spec(1, pads=(2, 0, 0, 2)), (4, 4)),
    "more than the kernel below": (Spec(1, (2, 2), pads=(1, 0, 3, 2)), (3, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_window(name):
    spec, (rows, cols) = CASES[name]
    layer = random_layer(np.random.default_rng(1), name, (1, rows, cols), 8, spec)
    raster = slot_raster(layer)
    height, width = len(raster.row_flags), len(raster.col_flags)
    assert (height, width, raster.slots) == (rows + raster.pad_rows, cols + raster.pad_cols, height * width)

    stream, computing = [], []

    def send(row: int, col: int, frame: int, primed: bool) -> None:
        inside = row < rows and col < cols
        stream.append(frame * 1000 + row * cols + col if inside else PAD)
        computing.append(bool(primed and raster.row_flags[row] and raster.col_flags[col]))

    # The padding before the first frame, from `first` to the end of a frame that never was.
    row, col = raster.first
    padding = 0
    while (row, col) != (0, 0):
        send(row, col, 0, False)
        assert stream[-1] == PAD
        padding += 1
        row, col = (row, col + 1) if col + 1 < width else ((row + 1) % height, 0)
    assert padding == raster.slots_after_reset
    for frame in range(FRAMES):
        for row in range(height):
            for col in range(width):
                send(row, col, frame, True)

    kernel_h, kernel_w = layer.kernel
    found = []
    for end in np.flatnonzero(computing):
        places = [
            end - (kernel_h - 1 - ky) * width - (kernel_w - 1 - kx) for ky in range(kernel_h) for kx in range(kernel_w)
        ]
        assert min(places) >= 0
        found.append([stream[place] for place in places])
    labels = np.arange(FRAMES)[:, None, None, None] * 1000 + np.arange(rows * cols).reshape(1, 1, rows, cols)
    windows = reference.windows(reference.pad(labels, layer.pads, np.array([PAD])), layer.kernel, layer.stride)
    assert found == windows.reshape(-1, kernel_h * kernel_w).tolist()
    _, out_rows, out_cols = layer.conv_shape
    assert raster.computing == out_rows * out_cols
    assert raster.cycles(7, 3) == out_rows * out_cols * 7 + (height * width - out_rows * out_cols) * 3
