"""One FPGA layer as a PyTorch module that computes, in floats, exactly the integers of `ir.quant`.

Forward it quantizes; backward the quantizers are taken for the identity (Algorithm 1 of Lee et al., ICASSP 2017,
applies the gradients of quantized weights to the real ones).  A channel's alpha is not trained: together with the
LSB of its result it could only be renamed, for the next layer's weights absorb it.

What is trained are the weights relative to the calibrated spread of their input and of their sum, and the mean of the
sum: numbers of about the size they have in a network with batch normalization, whatever the units of the model.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lognet_fpga.ir.border import border_factors
from lognet_fpga.ir.graph import MaxPool
from lognet_fpga.ir.groups import of_own_inputs
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log2 import largest_code

Method = Literal["paper", "ste"]
_LARGEST = math.log2(largest_code())


class LogConv(nn.Module):
    """weight: (out, in / groups, kh, kw) and mean: (out,), trained.  x: (batch, in, h, w) integers; the result too.

    Made of a QuantLayer and the real weights that it was rounded from, `rows`, of the same shape in units of its
    codes; x: (n, in, h, w) uint8, what calibration frames put into it; exact: as in ir.graph.Conv, weights that stay;
    whole: its results are the sums as they are.  Results of a layer without a ReLU are from 0 on, as the FPGA's, but
    whole sums, which have their sign.
    """

    unit: torch.Tensor
    scale: torch.Tensor
    center: torch.Tensor
    spread_out: torch.Tensor
    outside: torch.Tensor
    mask: torch.Tensor
    free: torch.Tensor
    free_mean: torch.Tensor

    def __init__(
        self,
        layer: QuantLayer,
        rows: np.ndarray,
        x: np.ndarray,
        method: Method,
        exact: np.ndarray | None = None,
        *,
        whole: bool = False,
    ) -> None:
        super().__init__()
        rows = _into_cells(rows, layer.codes)
        self._layer, self._method, self._whole = layer, method, whole
        self._zero = 0 if whole else layer.act_zero
        self._low, self._top = -self._zero, 2**layer.act_bits - 1 - self._zero
        self._out_top = 2**layer.out_bits - 1
        drop = (layer.shift - layer.channel_shift).astype(np.float64)
        sums = layer.accumulate(x) / 2.0**layer.shift
        center, spread = x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3))
        spread_in = np.maximum(spread, 0.01 * max(1.0, spread.max()))
        spread_out = np.maximum(sums.std(axis=(0, 2, 3)), 0.25)  # of a channel that never varies: rounding's own
        spread_in, center = (of_own_inputs(part, layer.groups, len(rows)) for part in (spread_in, center))
        # Codes a unit of weight.
        unit = spread_out.reshape(-1, 1, 1, 1) / spread_in * 2.0 ** drop.reshape(-1, 1, 1, 1)
        bias = (layer.bias - (1 << layer.shift >> 1)) / 2.0**layer.shift - layer.act_zero
        carried = (layer.codes.sum(axis=(2, 3)) * center[:, :, 0, 0]).sum(axis=1) / 2.0**drop
        self.weight = nn.Parameter(_float(rows / unit))
        self.mean = nn.Parameter(_float((bias + carried) / spread_out))
        for name, value in (
            ("unit", unit),
            ("scale", 2.0 ** -drop.reshape(-1, 1, 1, 1)),
            ("center", center),
            ("spread_out", spread_out),
            ("outside", layer.pad_value.reshape(1, -1, 1, 1)),
            ("mask", rows != 0),
        ):
            self.register_buffer(name, _float(value))
        if exact is not None:
            self._hold(exact, layer.codes)

    @property
    def whole(self) -> bool:
        """Whether its results are the sums as they are."""
        return self._whole

    def codes(self) -> torch.Tensor:
        """The codes of the weights, with the gradient of what they are rounded from."""
        real = self.weight * self.unit * self.mask
        return _Straight.apply(real, _log2_codes(real))

    def bias(self, codes: torch.Tensor) -> torch.Tensor:
        """In LSB of the result, on the grid that the accumulator has."""
        real = self.mean * self.spread_out - (codes * self.scale * self.center).sum(dim=(1, 2, 3))
        steps = 2.0**self._layer.shift
        return _Straight.apply(real, torch.round(real * steps) / steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        codes = self.codes()
        top, left, bottom, right = self._layer.pads
        if any(self._layer.pads):
            x = F.pad(x - self.outside, (left, right, top, bottom)) + self.outside
        layer = self._layer
        y = F.conv2d(x, codes * self.scale, self.bias(codes), stride=layer.stride, groups=layer.groups)
        return y.float() if self._whole else self._activation(y.float()) + self._zero

    def _activation(self, y: torch.Tensor) -> torch.Tensor:
        """Requantized and pooled.  The greatest of rounded values is the greatest value rounded, which is less work."""
        pool, average = self._layer.pool, self._layer.average
        if pool is None:
            return self._requantize(y)
        top, left, bottom, right = pool.pads
        pads = (left, right, top, bottom)
        if isinstance(pool, MaxPool) or average is None:
            padded = F.pad(y, pads, value=self._low) if any(pads) else y
            return self._requantize(F.max_pool2d(padded, pool.kernel, pool.stride))
        sums = F.avg_pool2d(F.pad(self._requantize(y), pads), pool.kernel, pool.stride, divisor_override=1)
        if any(pool.outside):
            factors, fraction = border_factors(pool, *y.shape[2:])
            sums = sums * torch.from_numpy(factors / 2.0**fraction).to(sums)
        averages = sums / 2**average.shift
        passed = torch.clamp(averages, max=self._out_top)
        return _Straight.apply(passed, torch.clamp(torch.floor(averages.detach() + 0.5), max=self._out_top))

    def _requantize(self, y: torch.Tensor) -> torch.Tensor:
        passed = torch.clamp(y, self._low, self._top)
        if self._method == "paper":  # which has no end of its own
            passed = y if self._zero else torch.relu(y)
        return _Straight.apply(passed, torch.clamp(torch.floor(y.detach() + 0.5), self._low, self._top))

    def _hold(self, exact: np.ndarray, codes: np.ndarray) -> None:
        """No gradient for exact weights, and none for the mean of channels that have no other."""
        places = np.arange(codes[0].size) == exact[:, None]
        alone = (exact >= 0) & (np.count_nonzero(codes.reshape(len(codes), -1), axis=1) == 1)
        self.register_buffer("free", _float(~places.reshape(codes.shape)))
        self.register_buffer("free_mean", _float(~alone))
        self.weight.register_hook(lambda gradient: gradient * self.free)
        self.mean.register_hook(lambda gradient: gradient * self.free_mean)

    @torch.no_grad()
    def prune(self, keep: torch.Tensor) -> None:
        """Set weights to zero for good.  keep: (out, in / groups, kh, kw) bool."""
        self.mask.mul_(keep)

    @property
    def importance(self) -> torch.Tensor:
        """(out, in / groups, kh, kw) magnitude of each weight, relative to the spread of its input and of its sum."""
        return (self.weight.detach() * self.mask).abs()


class _Straight(torch.autograd.Function):
    """quantized forward, the gradient of real backward."""

    @staticmethod
    def forward(ctx, real: torch.Tensor, quantized: torch.Tensor) -> torch.Tensor:
        return quantized

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def _into_cells(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """rows moved no farther than needed to be rounded to codes, which may have been chosen otherwise."""
    magnitude = np.abs(codes).astype(np.float64)
    low = np.where(magnitude == 1, 0.5, magnitude * 0.75) * 1.001
    high = np.where(magnitude == 0, 0.5, np.where(magnitude == largest_code(), np.inf, magnitude * 1.5)) * 0.999
    inside = np.clip(np.sign(codes) * rows, np.where(magnitude == 0, 0, low), high)
    return np.where(codes == 0, np.clip(rows, -high, high), np.sign(codes) * inside)


def _float(value: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.asarray(value), dtype=torch.float32)


def _log2_codes(x: torch.Tensor) -> torch.Tensor:
    """numerics.log2.log2_codes."""
    magnitude = x.abs()
    exponent = torch.floor(torch.log2(torch.clamp(magnitude, min=0.5) * (4.0 / 3.0)))
    values = torch.where(magnitude < 0.5, 0.0, torch.exp2(torch.clamp(exponent, 0, _LARGEST)))
    return torch.sign(x) * values
