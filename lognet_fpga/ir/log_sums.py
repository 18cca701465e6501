"""Sums in the log domain as an execution mode of the reference: every sum of a layer is taken by `numerics.log_add`.

A `LogSums` takes the place of `QuantLayer.accumulate` in `QuantGraph.run_layers`.  The terms of a sum are powers of
two, added one after the other in the order of the weights (input channel, row, column); positive and negative ones have
a sum each, and what both stand for is subtracted in the linear domain.  Bias, requantization and pool stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lognet_fpga.ir import reference
from lognet_fpga.ir.groups import dense_kernel
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.numerics.log_add import log_add, log_value, shifted_value

Terms = Literal["power", "digits"]
Back = Literal["exact", "shift"]
_CHUNK = 1 << 17  # sums taken at a time, so that they stay in the cache
_NONE = -(1 << 10)  # stored logarithm that stays below 1 whatever is added to it: no term


@dataclass(frozen=True)
class LogSums:
    """How a layer's sums are taken.

    terms: "power" rounds each activation to a power of two, a term a weight, which is what the paper's adder asks for;
    "digits" adds a linear activation digit by digit, a term for each that is set, so that only the adding is
    approximate.  back: how a sum leaves the log domain: "exact", 2^s; "shift", 2^floor(s) * (1 + s - floor(s)), which
    is a shifter.  fraction_bits: behind the point of a logarithm; None: as many as let each of a layer's weights count
    in a run of equal terms.
    """

    terms: Terms = "power"
    back: Back = "exact"
    fraction_bits: int | None = None

    def fraction(self, layer: QuantLayer) -> int:
        return (layer.codes[0].size - 1).bit_length() if self.fraction_bits is None else self.fraction_bits

    def __call__(self, layer: QuantLayer, x: np.ndarray) -> np.ndarray:
        """In the place of layer.accumulate(x): (batch, out, h, w) int64."""
        return _joined(layer, *self.one_sided(layer, x))

    def one_sided(self, layer: QuantLayer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sums of the positive and of the negative terms in units of the codes, (batch, out, h, w) float64 each.

        x: (batch, in, h, w) of integers 0..2**in_bits - 1.
        """
        columns = _columns(layer, x)
        fraction, codes = self.fraction(layer), dense_kernel(layer.codes, layer.groups).reshape(len(layer.codes), -1)
        back = log_value if self.back == "exact" else shifted_value
        out, step = [], max(1, _CHUNK // len(codes))
        for weights in (codes, -codes.astype(np.int16)):
            order, exponents = _of_one_sign(weights)
            sums = np.empty((len(codes), columns.shape[1]))
            for start in range(0, columns.shape[1], step):
                part = columns[:, start : start + step]
                total = np.zeros((len(codes), part.shape[1]), np.int32)
                for stored in _stored(part, self.terms, layer.in_bits, order):
                    terms = np.maximum(stored[0] + exponents[stored[1]][:, None], 0)
                    total = log_add(total, terms, fraction)
                sums[:, start : start + step] = back(total, fraction)
            batch, (_, rows, cols) = len(x), layer.conv_shape
            out.append(sums.reshape(len(codes), batch, rows, cols).transpose(1, 0, 2, 3))
        return out[0], out[1]


@dataclass(frozen=True)
class ExactSums:
    """The exact sums of the terms that LogSums has."""

    terms: Terms = "power"

    def __call__(self, layer: QuantLayer, x: np.ndarray) -> np.ndarray:
        """As of LogSums."""
        return _joined(layer, *self.one_sided(layer, x))

    def one_sided(self, layer: QuantLayer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As of LogSums."""
        padded = reference.pad(x.astype(np.int64), layer.pads, layer.pad_value)
        values = (powers(padded) if self.terms == "power" else padded).astype(np.float64)
        positive, negative = (
            reference.conv(values, np.maximum(sign * layer.codes.astype(np.float64), 0), layer.stride)
            for sign in (1, -1)
        )
        return positive, negative


def powers(x: np.ndarray) -> np.ndarray:
    """Whole numbers x >= 0, each at the power of two whose logarithm is nearest; 0 stays 0.  int64."""
    logarithm = np.rint(np.log2(np.maximum(x, 1))).astype(np.int64)
    return np.where(x > 0, np.int64(1) << logarithm, 0)


def _joined(layer: QuantLayer, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    sums = (positive - negative) * 2.0 ** layer.channel_shift.reshape(1, -1, 1, 1)
    return np.rint(sums).astype(np.int64) + layer.bias.reshape(1, -1, 1, 1)


def _columns(layer: QuantLayer, x: np.ndarray) -> np.ndarray:
    """(inputs of a sum, batch * positions) int32."""
    view = reference.windows(reference.pad(x.astype(np.int32), layer.pads, layer.pad_value), layer.kernel, layer.stride)
    return view.transpose(1, 4, 5, 0, 2, 3).reshape(layer.in_shape[0] * math.prod(layer.kernel), -1)


def _of_one_sign(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places, exponents), (longest, out) each: the k-th positive weight of every row; _NONE where there are fewer."""
    count = (weights > 0).sum(axis=1)
    places = np.argsort(weights <= 0, axis=1, kind="stable")[:, : count.max(initial=0)].T
    chosen = np.take_along_axis(weights, places.T, axis=1).T
    exponents = np.where(chosen > 0, np.log2(np.maximum(chosen, 1)), _NONE).astype(np.int32)
    return places, exponents


def _stored(columns: np.ndarray, terms: Terms, in_bits: int, places: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """(stored logarithms of the activations of the k-th weights, (out, positions) int32, k), term after term."""
    if terms == "power":
        planes = [np.where(columns > 0, np.rint(np.log2(np.maximum(columns, 1))) + 1, _NONE).astype(np.int32)]
    else:
        planes = [np.where(columns >> digit & 1, digit + 1, _NONE).astype(np.int32) for digit in range(in_bits)]
    for k, chosen in enumerate(places):
        for plane in planes:
            yield plane[chosen], k
