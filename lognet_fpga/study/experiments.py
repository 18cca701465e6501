"""Figure 3 and Tables 1 and 2 of the paper: accuracy with quantized weights or activations, without retraining."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir.graph import Graph
from lognet_fpga.numerics.quantizers import Quantizer
from lognet_fpga.numerics.samples import Samples
from lognet_fpga.progress import Progress, Stage
from lognet_fpga.study.activations import CALIBRATION_FRAMES, activation_error, sampled, values_of, weight_error
from lognet_fpga.study.judge import Answers, Judge
from lognet_fpga.study.schemes import Choice, Scheme
from lognet_fpga.study.substitute import with_activations, with_weights
from lognet_fpga.study.weight_layers import WeightLayer

TABLE_BITS = (4, 5)
ACTIVATION_BITS = (3, 4, 5)
LAYER_BITS = 4
CHOICES: tuple[Choice, ...] = ("max", "nmse", "output")
ERROR_FRAMES = 4  # of those, that the sums behind quantized activations are compared on
_SEED = 1


@dataclass(frozen=True)
class Row:
    """scheme None: the float model.  top1, top5: shares of the frames.  lost, error: points against the float model and
    their standard error.  zeros: share of the weights or activations that are 0."""

    what: str
    scheme: Scheme | None
    top1: float | None
    top5: float | None
    lost: float
    error: float
    zeros: float


@dataclass(frozen=True)
class LayerRow:
    """One layer quantized to LAYER_BITS, the others in float.  equal: the log quantizer with as many zeros as the
    linear one, random ones of its smallest magnitude made 0."""

    layer: str
    linear_nmse: float
    log_nmse: float
    linear: Row
    log: Row
    equal: Row


@dataclass(frozen=True, eq=False)
class _Variant:
    """A model with other numbers, and what its row says about it."""

    what: str
    scheme: Scheme
    zeros: float
    model: bytes


class Experiments:
    """template: what the log schemes have besides kind, bits and choice."""

    def __init__(self, graph: Graph, layers: Sequence[WeightLayer], judge: Judge, template: Scheme) -> None:
        self._model, self._layers, self._judge, self._template = graph.onnx_model, layers, judge, template
        self._samples = {layer.tensor: Samples(layer.weight) for layer in layers}
        names = [layer.source for layer in layers]
        self._values = values_of(self._model, names, judge.inputs(CALIBRATION_FRAMES))
        self._activations = tuple(name for name in dict.fromkeys(names) if name != graph.input)
        self._float = judge.answers(self._model)

    def float_row(self) -> Row:
        """The float model; zeros: of its weights."""
        weights = np.concatenate([layer.weight.reshape(-1) for layer in self._layers])
        return self._judged("float model", None, self._float, float(np.mean(weights == 0)))

    def table1(self, progress: Progress) -> tuple[Row, ...]:
        """All layers' weights at once, linear and log, 4 and 5 bits, every choice of the full scale range."""
        schemes = _schemes(self._template, TABLE_BITS)

        def quantized(scheme: Scheme) -> _Variant:
            weights = {layer.tensor: self._fit(layer, scheme)(layer.weight) for layer in self._layers}
            return self._with_weights("all weights", scheme, weights)

        with progress.stage("all layers quantized") as stage:
            return tuple(self._rows(map(quantized, schemes), len(schemes), stage))

    def layer_rows(self, progress: Progress, choice: Choice) -> tuple[LayerRow, ...]:
        """Figure 3."""
        schemes = [replace(self._template, kind=kind, bits=LAYER_BITS, choice=choice) for kind in ("linear", "log")]
        errors: list[tuple[float, float]] = []

        def variants() -> Iterator[_Variant]:
            for layer in self._layers:
                by_line, by_log = (self._fit(layer, scheme) for scheme in schemes)
                samples = self._samples[layer.tensor]
                errors.append((samples.nmse(by_line), samples.nmse(by_log)))
                linear, log = by_line(layer.weight), by_log(layer.weight)
                equal = zero_smallest(log, float(np.mean(linear == 0)), np.random.default_rng(_SEED))
                for scheme, weight in ((schemes[0], linear), (schemes[1], log), (schemes[1], equal)):
                    yield self._with_weights(layer.name, scheme, {layer.tensor: weight})

        with progress.stage("layer by layer") as stage:
            rows = list(self._rows(variants(), 3 * len(self._layers), stage))
        return tuple(
            LayerRow(layer.name, *error, linear, log, equal)
            for layer, error, linear, log, equal in zip(self._layers, errors, rows[::3], rows[1::3], rows[2::3])
        )

    def activation_rows(self, progress: Progress) -> tuple[Row, ...]:
        """Activations into all layers but the first: in float, then linear and log, every choice of the range.

        Weights stay in float.  zeros: of the activations.
        """
        schemes = _schemes(replace(self._template, rounding="geometric", small="zero"), ACTIVATION_BITS)
        zero = sum(int(np.sum(self._values[name] == 0)) for name in self._activations)
        count = sum(self._values[name].size for name in self._activations)
        unquantized = self._judged("float activations", None, self._float, zero / max(1, count))
        with progress.stage("activations quantized") as stage:
            return (unquantized, *self._rows(map(self._with_activations, schemes), len(schemes), stage))

    def _with_activations(self, scheme: Scheme) -> _Variant:
        scales, zero, count = {}, 0.0, 0
        for name in self._activations:
            values = self._values[name]
            samples, signed = Samples(sampled(values)), bool(values.min(initial=0) < 0)
            error = None
            if scheme.choice == "output":
                readers = [layer for layer in self._layers if layer.source == name]
                error = activation_error(self._model, readers, values[:ERROR_FRAMES])
            quantizer = scheme.fit(samples, signed=signed, error=error)
            scales[name] = (scheme, _full_scale(scheme, quantizer, signed), signed)
            zero, count = zero + samples.zeros(quantizer) * values.size, count + values.size
        return _Variant("activations", scheme, zero / max(1, count), with_activations(self._model, scales))

    def _with_weights(self, what: str, scheme: Scheme, weights: Mapping[str, np.ndarray]) -> _Variant:
        zeros = sum(int(np.sum(weight == 0)) for weight in weights.values())
        share = zeros / sum(weight.size for weight in weights.values())
        return _Variant(what, scheme, share, with_weights(self._model, weights))

    def _rows(self, variants: Iterable[_Variant], count: int, stage: Stage) -> Iterator[Row]:
        """A row of each.  Models are made as the judge asks for them, for all of them would fill the memory."""
        made: deque[tuple[str, Scheme, float]] = deque()

        def models() -> Iterator[bytes]:
            for variant in variants:
                made.append((variant.what, variant.scheme, variant.zeros))
                yield variant.model

        for done, answers in enumerate(self._judge.answers_each(models())):
            what, scheme, zeros = made.popleft()
            yield self._judged(what, scheme, answers, zeros)
            stage.update(done + 1, count)

    def _fit(self, layer: WeightLayer, scheme: Scheme) -> Quantizer:
        error = None
        if scheme.choice == "output":
            error = weight_error(self._model, layer, self._values[layer.source])
        return scheme.fit(self._samples[layer.tensor], error=error)

    def _judged(self, what: str, scheme: Scheme | None, answers: Answers, zeros: float) -> Row:
        lost = (0.0, 0.0) if scheme is None else answers.lost_from(self._float)
        return Row(what, scheme, answers.top1, answers.top5, *lost, zeros)


def _schemes(template: Scheme, resolutions: Sequence[int]) -> list[Scheme]:
    return [
        replace(template, kind=kind, bits=bits, choice=choice)
        for bits in resolutions
        for choice in CHOICES
        for kind in ("linear", "log")
    ]


def zero_smallest(weight: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """weight with at least `share` of zeros: random elements of its smallest magnitude made 0, then of the next."""
    flat = weight.reshape(-1).copy()
    missing = int(round(share * len(flat))) - int(np.sum(flat == 0))
    while missing > 0:
        magnitude = np.abs(flat)
        places = np.flatnonzero(np.isclose(magnitude, magnitude[magnitude > 0].min()))
        chosen = rng.permutation(places)[:missing]
        flat[chosen] = 0
        missing -= len(chosen)
    return flat.reshape(weight.shape)


def _full_scale(scheme: Scheme, quantizer: Quantizer, signed: bool) -> float:
    """The full scale range that a fitted quantizer was made with."""
    if scheme.kind == "log":
        return float(quantizer.levels[-1])
    steps = 2 ** (scheme.bits - 1) if signed else 2**scheme.bits
    return float(quantizer.levels[-1] - quantizer.levels[-2]) * steps
