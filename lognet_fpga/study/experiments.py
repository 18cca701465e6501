"""Figure 3 and Tables 1 and 2 of the paper: accuracy with quantized weights or activations, without retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.ir.graph import Graph
from lognet_fpga.numerics.quantizers import Quantizer
from lognet_fpga.numerics.samples import Samples
from lognet_fpga.progress import Progress
from lognet_fpga.study.activations import CALIBRATION_FRAMES, output_error, sampled, values_of
from lognet_fpga.study.judge import Answers, Judge
from lognet_fpga.study.schemes import Choice, Scheme
from lognet_fpga.study.substitute import with_activations, with_weights
from lognet_fpga.study.weights import WeightLayer

TABLE_BITS = (4, 5)
ACTIVATION_BITS = (3, 4, 5)
LAYER_BITS = 4
CHOICES: tuple[Choice, ...] = ("max", "nmse", "output")
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


class Experiments:
    """template: what the log schemes have besides kind, bits and choice."""

    def __init__(self, graph: Graph, layers: Sequence[WeightLayer], judge: Judge, template: Scheme) -> None:
        self._model, self._layers, self._judge, self._template = graph.onnx_model, layers, judge, template
        self._samples = {layer.tensor: Samples(layer.weight) for layer in layers}
        names = [layer.source for layer in layers]
        self._values = values_of(self._model, names, judge.inputs(CALIBRATION_FRAMES))
        self._input = graph.input
        self._float = judge.answers(self._model)

    def float_row(self) -> Row:
        weights = np.concatenate([layer.weight.reshape(-1) for layer in self._layers])
        return Row("float model", None, self._float.top1, self._float.top5, 0.0, 0.0, float(np.mean(weights == 0)))

    def table1(self, progress: Progress) -> tuple[Row, ...]:
        """All layers' weights at once, linear and log, 4 and 5 bits, every choice of the full scale range."""
        schemes = [
            replace(self._template, kind=kind, bits=bits, choice=choice)
            for bits in TABLE_BITS
            for choice in CHOICES
            for kind in ("linear", "log")
        ]
        with progress.stage("all layers quantized") as stage:
            rows = []
            for done, scheme in enumerate(schemes):
                weights = {layer.tensor: self._fit(layer, scheme)(layer.weight) for layer in self._layers}
                rows.append(self._row("all weights", scheme, weights))
                stage.update(done + 1, len(schemes))
        return tuple(rows)

    def layer_rows(self, progress: Progress, choice: Choice) -> tuple[LayerRow, ...]:
        """Figure 3."""
        rows = []
        with progress.stage("layer by layer") as stage:
            for done, layer in enumerate(self._layers):
                rows.append(self._layer_row(layer, choice))
                stage.update(done + 1, len(self._layers))
        return tuple(rows)

    def activation_rows(self, progress: Progress, choice: Choice) -> tuple[Row, ...]:
        """Activations into all layers but the first, linear and log; weights in float."""
        tensors = [name for name in dict.fromkeys(layer.source for layer in self._layers) if name != self._input]
        schemes = [
            replace(self._template, kind=kind, bits=bits, choice=choice, rounding="geometric", small="zero")
            for bits in ACTIVATION_BITS
            for kind in ("linear", "log")
        ]
        rows = []
        with progress.stage("activations quantized") as stage:
            for done, scheme in enumerate(schemes):
                scales, zero, count = {}, 0.0, 0
                for name in tensors:
                    values = sampled(self._values[name])
                    samples, signed = Samples(values), bool(values.min(initial=0) < 0)
                    quantizer = scheme.fit(samples, signed=signed)
                    scales[name] = (scheme, _full_scale(scheme, quantizer, signed), signed)
                    zero, count = (
                        zero + samples.zeros(quantizer) * self._values[name].size,
                        count + self._values[name].size,
                    )
                answers = self._judge.answers(with_activations(self._model, scales))
                rows.append(self._judged("activations", scheme, answers, zero / max(1, count)))
                stage.update(done + 1, len(schemes))
        return tuple(rows)

    def _fit(self, layer: WeightLayer, scheme: Scheme) -> Quantizer:
        error = None
        if scheme.choice == "output":
            error = output_error(self._model, layer, self._values[layer.source])
        return scheme.fit(self._samples[layer.tensor], error=error)

    def _layer_row(self, layer: WeightLayer, choice: Choice) -> LayerRow:
        schemes = [replace(self._template, kind=kind, bits=LAYER_BITS, choice=choice) for kind in ("linear", "log")]
        quantizers = [self._fit(layer, scheme) for scheme in schemes]
        linear, log = (quantizer(layer.weight) for quantizer in quantizers)
        equal = zero_smallest(log, float(np.mean(linear == 0)), np.random.default_rng(_SEED))
        samples = self._samples[layer.tensor]
        return LayerRow(
            layer.name,
            *(samples.nmse(quantizer) for quantizer in quantizers),
            *(
                self._row(layer.name, scheme, {layer.tensor: weight})
                for scheme, weight in ((schemes[0], linear), (schemes[1], log), (schemes[1], equal))
            ),
        )

    def _row(self, what: str, scheme: Scheme, weights: Mapping[str, np.ndarray]) -> Row:
        answers = self._judge.answers(with_weights(self._model, weights))
        zeros = sum(int(np.sum(weight == 0)) for weight in weights.values())
        return self._judged(what, scheme, answers, zeros / sum(weight.size for weight in weights.values()))

    def _judged(self, what: str, scheme: Scheme, answers: Answers, zeros: float) -> Row:
        return Row(what, scheme, answers.top1, answers.top5, *answers.lost_from(self._float), zeros)


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
