"""How many bits the activations of each layer get: as few, from 4 to 8, as the error that they make allows.

What the rounding of one layer's activations does to the results is measured on the calibration frames: with the
quantized weights and all other activations in float, by how much the results move when that layer's are rounded to 4
bits.  With more bits it is less in the proportion in which the activations themselves are nearer.  Errors of different
layers have little to do with each other: their squares add.

All of them together may add `BUDGET` of the squared error that the results have with 8 bits everywhere, most of which
comes from the weights.  Bits are taken away one after the other, each time where they save the most work for their
error: a bit of an activation is a bit of every sum that it is added to.  What the layers are built of, and whether they
fit, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, gather
from lognet_fpga.partition import FloatLayer, Partition, run_float_layers
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.quantize.averages import MOST_BITS
from lognet_fpga.quantize.calibrate import quantize
from lognet_fpga.quantize.dequantize import with_quantized_weights
from lognet_fpga.quantize.padding import PaddingError
from lognet_fpga.quantize.scales import Span

LEAST_BITS = 4
BUDGET = 0.2  # of the squared error that the results have with 8 bits: what fewer may add to it
_PARTS = (1.0, 0.5, 0.25)  # of the budget that are tried, until what is measured in the end keeps to it
_CHANCE = 0.1  # of the squared error: by so much it differs by itself when all weights are rounded anew
_FRAMES = 64  # at most, of those that calibrate


TYPICAL_BITS = 6  # of a layer's activations, where they are chosen


@dataclass(frozen=True)
class AskedBits:
    """What is settled of the bits before the frames are seen.  every: all layers', as the user says; else pinned: those
    of the first layers, as the model has them (`grid.pinned_bits`), and the others are to be chosen."""

    every: int | None = None
    pinned: tuple[int, ...] = ()

    def given(self, count: int) -> tuple[int | None, ...]:
        """Of the first count layers; None for those to be chosen."""
        return tuple([*self.pinned, *[None] * count][:count] if self.every is None else [self.every] * count)

    def expected(self, count: int) -> tuple[int, ...]:
        """The same with about the bits that will be chosen, for sketches."""
        return tuple(bits or TYPICAL_BITS for bits in self.given(count))


@dataclass(frozen=True)
class LayerBits:
    """bits: of a layer's activations, in front of its pool.  added: what rounding them to these adds to the squared
    error of the results, as a share of that with 8 bits everywhere; least: with LEAST_BITS.  Both None where there was
    nothing to choose: given by the user or the model, or results for the host."""

    name: str
    bits: int
    added: float | None = None
    least: float | None = None

    @property
    def hurts(self) -> bool:
        """Whether fewest bits for this layer alone would take all that the budget has."""
        return self.least is not None and self.least > BUDGET


@dataclass(frozen=True)
class ChosenBits:
    """Bits chosen by their error.  error, error_most: root mean square error of the results relative to their root mean
    square, on frames of the calibration; with these bits, and with 8 everywhere."""

    layers: tuple[LayerBits, ...]
    error: float
    error_most: float


def quantize_by_error(
    partition: Partition,
    frames: np.ndarray,
    preprocessing: Preprocessing,
    *,
    given: Sequence[int | None],
    prune: float = 0.0,
    progress: Progress = NoProgress(),
) -> tuple[QuantGraph, ChosenBits]:
    """As quantize, with the bits of each layer's activations chosen where given, one a layer, is None.

    What the last layer puts out leaves for the host with 8 bits, if not as whole sums: fewer would save nothing here.
    """

    def quantized(bits: Sequence[int]) -> QuantGraph:
        return quantize(partition, frames, preprocessing, act_bits=bits, prune=prune, progress=progress)

    fixed = [*given[:-1], given[-1] or MOST_BITS]
    free = [number for number, bits in enumerate(fixed) if bits is None]
    most = tuple(bits or MOST_BITS for bits in fixed)
    with progress.stage("choose the bits of the activations"):
        quant = quantized(most)
        some = frames[: max(1, min(_FRAMES, len(frames) // 4))]
        wanted = run_float_layers(partition, preprocessing.apply(some))[-1]
        power, least = float(np.mean(wanted.astype(np.float64) ** 2)), _squared_error(quant, some, wanted)
        added = _added(partition, quant, some, preprocessing, free, progress) if least else {}
        shares = {number: {bits: its / least for bits, its in each.items()} for number, each in added.items()}
        chosen, error = (quant, most), least
        for part in _PARTS if shares else ():
            bits = descend(most, shares, Work.of(partition), part * BUDGET)
            try:
                quant = quantized(bits)
            except PaddingError:  # which more bits can say
                continue
            if (found := _squared_error(quant, some, wanted)) <= (1 + BUDGET + _CHANCE) * least:
                chosen, error = (quant, bits), found
                break
    quant, bits = chosen
    layers = tuple(
        LayerBits(layer.name, its, shares[number][its], shares[number][LEAST_BITS])
        if number in shares
        else LayerBits(layer.name, its)
        for number, (layer, its) in enumerate(zip(quant.layers, bits))
    )
    return quant, ChosenBits(
        layers, math.sqrt(error / power) if power else 0.0, math.sqrt(least / power) if power else 0.0
    )


@dataclass(frozen=True)
class Work:
    """What bits of activations cost.  sources: the layers that each layer takes, FRAMES left out; macs: its
    multiply-accumulates a frame with weights other than zero; results: activations that it puts out, in front of its
    pool."""

    sources: tuple[frozenset[int], ...]
    macs: tuple[int, ...]
    results: tuple[int, ...]

    @classmethod
    def of(cls, partition: Partition) -> Work:
        layers = partition.layers
        return cls(
            tuple(frozenset(source.layer for source in its) - {FRAMES} for its in partition.sources),
            tuple(int(np.count_nonzero(layer.weight)) * math.prod(layer.conv_shape[1:]) for layer in layers),
            tuple(math.prod(layer.conv_shape) for layer in layers),
        )

    def bits(self, bits: Sequence[int]) -> int:
        """Bits that are added and put out in a frame: a sum's operands all have the bits of the widest."""
        taken = (max((bits[source] for source in its), default=0) for its in self.sources)
        return sum(a * b for a, b in zip(self.macs, taken)) + sum(a * b for a, b in zip(self.results, bits))


def descend(
    most: Sequence[int], shares: Mapping[int, Mapping[int, float]], work: Work, budget: float
) -> tuple[int, ...]:
    """Bits of each layer, from `most` down as far as the budget goes.

    shares: of the layers with a choice, what each number of bits adds to the squared error, as the budget counts it.
    """
    bits = tuple(most)
    while True:
        steps = []
        for layers in _steps(bits, shares, work):
            fewer = tuple(its - (number in layers) for number, its in enumerate(bits))
            error = math.fsum(each[fewer[number]] for number, each in shares.items())
            if error <= budget and (saved := work.bits(bits) - work.bits(fewer)) > 0:
                more = error - math.fsum(each[bits[number]] for number, each in shares.items())
                steps.append((more / saved, fewer))
        if not steps:
            return bits
        bits = min(steps)[1]


def _steps(bits: Sequence[int], shares: Mapping[int, Mapping[int, float]], work: Work) -> Iterator[frozenset[int]]:
    """Layers that may lose a bit together: each by itself, and the widest of those that are added up in one layer."""
    yield from (frozenset({number}) for number in shares if bits[number] > LEAST_BITS)
    for its in dict.fromkeys(work.sources):
        widest = frozenset(number for number in its if bits[number] == max(bits[other] for other in its))
        if len(widest) > 1 and all(number in shares and bits[number] > LEAST_BITS for number in widest):
            yield widest


def _squared_error(quant: QuantGraph, frames: np.ndarray, wanted: np.ndarray) -> float:
    """Mean squared error of what quant puts out for frames, in the units of the float results that are wanted."""
    last = quant.layers[-1]
    found = quant.run(frames) * last.out_scale.reshape(1, -1, 1, 1) + last.out_offset.reshape(1, -1, 1, 1)
    return float(np.mean((found - wanted) ** 2))


def _added(
    partition: Partition,
    quant: QuantGraph,
    frames: np.ndarray,
    preprocessing: Preprocessing,
    numbers: Sequence[int],
    progress: Progress,
) -> dict[int, dict[int, float]]:
    """{layer: {bits: squared error of the results that comes from rounding its activations}}, of the layers with these
    numbers.  quant: with MOST_BITS for all of them."""
    parts, pixels = with_quantized_weights(partition, quant, preprocessing), preprocessing.apply(frames)
    results = run_float_layers(parts, pixels)
    added = {}
    with progress.stage("round each layer's activations") as stage:
        for done, number in enumerate(numbers, 1):
            layer = parts.layers[number]
            values = replace(layer, pool=None).run(gather(partition.sources[number], pixels, results))
            rounded = {
                bits: _rounded(values, *_grid(quant.layers[number], layer, bits))
                for bits in range(LEAST_BITS, MOST_BITS + 1)
            }
            near = {bits: float(np.mean((its - values) ** 2)) for bits, its in rounded.items()}
            known = [*results[:number], layer.pooled(rounded[LEAST_BITS])]
            moved = float(np.mean((run_float_layers(parts, pixels, known)[-1] - results[-1]) ** 2))
            added[number] = {bits: moved * its / (near[LEAST_BITS] or 1.0) for bits, its in near.items()}
            stage.update(done, len(numbers))
    return added


def _grid(quantized: QuantLayer, layer: FloatLayer, bits: int) -> tuple[list[np.ndarray], Span]:
    """(what an LSB of fewer bits may be worth, (out,) each; the range of activations in such LSB).  quantized: with
    MOST_BITS."""
    lsb, top, most = quantized.out_scale, 2**bits - 1, 2**MOST_BITS - 1
    if isinstance(layer.pool, AveragePool) and quantized.average is not None:  # that of what is averaged
        lsb = lsb * layer.pool.count / 2.0**quantized.average.shift
    factors = [2.0**step for step in range(MOST_BITS - bits + 1)]
    if layer.function is not None or np.any(np.isfinite(layer.bound)):  # all of a range: a bound is the top code
        factors.append(most / top)
    zero = round(quantized.act_zero * top / most)
    return [lsb * factor for factor in factors], Span(-zero, top - zero)


def _rounded(values: np.ndarray, lsbs: Sequence[np.ndarray], span: Span) -> np.ndarray:
    """values, (batch, channels, h, w), on the grid of that LSB that is best for each channel."""
    best, least = values, np.full(values.shape[1], np.inf)
    for lsb in lsbs:
        unit = lsb.astype(np.float32).reshape(1, -1, 1, 1)
        tried = np.clip(np.floor(values / unit + np.float32(0.5)), span.low, span.top) * unit
        error = ((tried - values) ** 2).mean(axis=(0, 2, 3), dtype=np.float64)
        best = np.where((error < least).reshape(1, -1, 1, 1), tried, best)
        least = np.minimum(error, least)
    return best
