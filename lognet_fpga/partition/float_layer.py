"""One FPGA layer in floating point: the exact function that quantization then approximates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir import reference
from lognet_fpga.ir.functions import Function
from lognet_fpga.ir.graph import NO_PADS, Pool
from lognet_fpga.ir.groups import dense_kernel, dense_places

_CHUNK_BYTES = 128 << 20  # of unfolded windows held at once


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Padding, convolution, bias, ReLU unless it is linear, else an optional activation function, and an optional pool,
    with every per-channel scaling folded in; or, where it ranks, the number of the channel with the largest sum.

    weight: (out, in / groups, kernel_h, kernel_w) float64; bias: (out,) float64; stride: (y, x); pads: (top, left,
    bottom, right); pad_value: (in,) float64, the input value that means zero to the model; bound: (out,) float64 > 0,
    the most that the ReLU lets through, inf for a plain one; nodes: names of the model's nodes that this layer
    computes; in_shape: (channels, height, width); exact: as in ir.graph.Conv.  The input of the first layer is the
    model's own input, before any normalization inside the model.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    pad_value: np.ndarray
    bound: np.ndarray
    pool: Pool | None
    nodes: tuple[str, ...]
    in_shape: tuple[int, int, int]
    exact: np.ndarray | None = None
    linear: bool = False
    function: Function | None = None
    ranks: bool = False

    @property
    def groups(self) -> int:
        return self.in_shape[0] // self.weight.shape[1]

    @property
    def dense(self) -> FloatLayer:
        """The same with one group."""
        exact = None if self.exact is None else dense_places(self.exact, self.weight, self.groups)
        return replace(self, weight=dense_kernel(self.weight, self.groups), exact=exact)

    @property
    def conv_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) before the pool."""
        top, left, bottom, right = self.pads
        _, height, width = self.in_shape
        out_channels, _, kernel_h, kernel_w = self.weight.shape
        return (
            out_channels,
            (height + top + bottom - kernel_h) // self.stride[0] + 1,
            (width + left + right - kernel_w) // self.stride[1] + 1,
        )

    @property
    def out_shape(self) -> tuple[int, int, int]:
        channels, *size = reference.pool_shape(self.conv_shape, self.pool)
        return 1 if self.ranks else channels, size[0], size[1]

    def run(self, x: np.ndarray) -> np.ndarray:
        """Activations, (batch, *out_shape) float32, for x, (batch, *in_shape) of floats."""
        weight = self.weight.astype(np.float32)
        window_bytes = 4 * weight[0].size * self.conv_shape[1] * self.conv_shape[2]
        step = max(1, _CHUNK_BYTES // window_bytes)
        out = np.empty((len(x), *self.out_shape), np.float32)
        for start in range(0, len(x), step):
            padded = reference.pad(x[start : start + step].astype(np.float32), self.pads, self.pad_value)
            sums = reference.conv(padded, weight, self.stride)
            y = sums + self.bias.astype(np.float32).reshape(1, -1, 1, 1)
            if not self.linear:
                y = np.clip(y, np.float32(0), self.bound.astype(np.float32).reshape(1, -1, 1, 1))
            elif self.function is not None:
                y = self.function(y).astype(np.float32)
            out[start : start + step] = y.argmax(axis=1)[:, None] if self.ranks else self.pooled(y)
        return out

    def pooled(self, y: np.ndarray) -> np.ndarray:
        """What leaves the layer, (batch, *out_shape), for its activations y, (batch, *conv_shape)."""
        if self.linear and self.pool is not None and any(self.pool.pads):  # below all that is not padding
            y = reference.pad(y, self.pool.pads, np.full(y.shape[1], -np.inf))
            return reference.run_pool(y, replace(self.pool, pads=NO_PADS))
        return reference.run_pool(y, self.pool)
