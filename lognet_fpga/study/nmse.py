"""Figures 1a and 2 of the paper: boundaries over a layer's weights, and the error for every resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.numerics.samples import Samples
from lognet_fpga.progress import Stage
from lognet_fpga.study.schemes import CHOICES, KINDS, Choice, Kind, Scheme
from lognet_fpga.study.weight_layers import WeightLayer

_BINS = 80


@dataclass(frozen=True)
class ErrorPoint:
    """nmse: mean square error relative to the mean square of the layer's weights.  zeros: share that becomes 0."""

    layer: str
    scheme: Scheme
    nmse: float
    zeros: float


@dataclass(frozen=True, eq=False)
class Distribution:
    """Of a layer's weights.  counts: (bins,) weights in each bin between edges, (bins + 1,)."""

    layer: str
    edges: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerBoundaries:
    """rows: each scheme's levels and boundaries."""

    weights: Distribution
    rows: tuple[tuple[Scheme, np.ndarray, np.ndarray], ...]


def weight_errors(
    layers: Sequence[WeightLayer], bits: Sequence[int], template: Scheme, stage: Stage
) -> tuple[ErrorPoint, ...]:
    """Of every layer, kind, resolution and choice of the full scale range.  template: what its log schemes have."""
    points = []
    for done, layer in enumerate(layers):
        samples = Samples(layer.weight)
        for kind in KINDS:
            for choice in CHOICES if kind != "lloyd" else ("nmse",):
                for width in bits:
                    scheme = replace(template, kind=kind, bits=width, choice=choice)
                    quantizer = scheme.fit(samples)
                    points.append(ErrorPoint(layer.name, scheme, samples.nmse(quantizer), samples.zeros(quantizer)))
        stage.update(done + 1, len(layers))
    return tuple(points)


def heat_map(points: Sequence[ErrorPoint], choice: Choice) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """(layers, bits, NMSE of linear minus NMSE of log, (layers, bits)): above 0 where log is better."""
    layers = tuple(dict.fromkeys(point.layer for point in points))
    bits = tuple(sorted({point.scheme.bits for point in points}))

    def table(kind: Kind) -> np.ndarray:
        found = {
            (point.layer, point.scheme.bits): point.nmse
            for point in points
            if point.scheme.kind == kind and point.scheme.choice == choice
        }
        return np.array([[found[layer, width] for width in bits] for layer in layers])

    return layers, bits, table("linear") - table("log")


def distribution(layer: WeightLayer) -> Distribution:
    greatest = float(np.abs(layer.weight).max(initial=0)) or 1.0
    counts, edges = np.histogram(layer.weight, bins=_BINS, range=(-greatest, greatest))
    return Distribution(layer.name, edges, counts)


def boundaries(layer: WeightLayer, bits: int, template: Scheme) -> LayerBoundaries:
    """Levels and decision boundaries of the three kinds over the distribution of a layer's weights."""
    samples = Samples(layer.weight)
    rows = []
    for kind in KINDS:
        scheme = replace(template, kind=kind, bits=bits, choice="nmse")
        quantizer = scheme.fit(samples)
        rows.append((scheme, quantizer.levels, quantizer.boundaries))
    return LayerBoundaries(distribution(layer), tuple(rows))
