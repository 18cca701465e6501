"""Section 2 of the paper, adding in the log domain: its error layer by layer, and what it costs in accuracy.

The model is deployed as lognet-deploy has it, log2 weights and integer activations, without hardware; then its layers
add by `ir.log_sums` in the place of exact sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.log_sums import ExactSums, LogSums
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph, QuantLayer, Sums
from lognet_fpga.machine.cache import digest
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.partition import Partition, make_tail, partition
from lognet_fpga.progress import Progress
from lognet_fpga.quantize import quantize
from lognet_fpga.study.judge import Judge, Outputs
from lognet_fpga.verify.measure import host_outputs

CALIBRATION_FRAMES = 256  # at most, for codes and scales; labels are not used
ERROR_FRAMES = 16  # that a layer's error is measured and its bias corrected on


@dataclass(frozen=True)
class Mode:
    """How a deployed model adds.

    first: the sums of the first layer, whose pixels stay linear; sums: those of the other layers; None: exact.
    corrected: each channel's bias makes up for the mean error of its sums on the calibration frames.
    """

    name: str
    first: Sums | None = None
    sums: Sums | None = None
    corrected: bool = False

    def of(self, quant: QuantGraph) -> list[Sums | None]:
        return [self.first, *[self.sums] * (len(quant.layers) - 1)]


_POWERS, _DIGITS = LogSums("power"), LogSums("digits")
MODES = (
    Mode("exact, linear activations"),
    Mode("exact, activations powers of two", sums=ExactSums("power")),
    Mode("log behind the first layer, powers of two", sums=_POWERS),
    Mode("the same, bias corrected", sums=_POWERS, corrected=True),
    Mode("the same, bias corrected, back by a shift", sums=LogSums("power", "shift"), corrected=True),
    Mode("log behind the first layer, linear activations, bias corrected", sums=_DIGITS, corrected=True),
    Mode("log in all layers, powers of two", _DIGITS, _POWERS),
    Mode("the same, bias corrected", _DIGITS, _POWERS, corrected=True),
)
_ERRORS_OF = (
    ("powers of two", _POWERS),
    ("powers of two, 6 bits", LogSums("power", fraction_bits=6)),
    ("powers of two, 4 bits", LogSums("power", fraction_bits=4)),
    ("digit by digit", _DIGITS),
)


@dataclass(frozen=True)
class AddRow:
    """top1: None without labels.  lost, error: points against the exact sums of linear activations and their standard
    error.  agreement: share of the frames with the class that those give."""

    mode: str
    top1: float | None
    lost: float
    error: float
    agreement: float


@dataclass(frozen=True)
class AddError:
    """Of one layer's sums, on the activations that exact sums give.

    mode: which terms, and how many bits the logarithms have behind the point, where LogSums does not choose.
    one_sided: mean of (approximate - exact) / exact over the sums of one sign, 0 apart.  difference: root mean square
    error of their difference, relative to the exact difference's.  remaining: the same without each channel's means,
    which a bias could make up for.
    """

    layer: str
    terms: int
    mode: str
    one_sided: float
    difference: float
    remaining: float


@dataclass(frozen=True)
class LogAddition:
    frames: int
    rows: tuple[AddRow, ...] = ()
    errors: tuple[AddError, ...] = ()


def log_addition(
    graph: Graph, judge: Judge, count: int, preprocessing: Preprocessing, progress: Progress
) -> LogAddition:
    """On `count` of the judge's frames, behind those that calibrate where there are enough.

    Raises UnsupportedModelError for a model without a layer that can be deployed.
    """
    parts = partition(graph)
    frames = judge.frames(CALIBRATION_FRAMES)
    start = len(frames) if len(judge) >= len(frames) + count else 0
    judge = judge.part(start, start + count)
    quant = quantize(parts, frames, preprocessing, progress=progress)
    rows = []
    with progress.stage("sums in the log domain") as stage:
        exact = None
        for done, mode in enumerate(MODES):
            answers = judge.answers_of(*_deployed(parts, quant, mode, frames[:ERROR_FRAMES]))
            exact = exact or answers
            same = float(np.mean(answers.classes == exact.classes))
            rows.append(AddRow(mode.name, answers.top1, *answers.lost_from(exact), same))
            stage.update(done + 1, len(MODES))
    return LogAddition(len(judge), tuple(rows), tuple(_errors(quant, frames[:ERROR_FRAMES])))


def correct_biases(quant: QuantGraph, sums: Sequence[Sums | None], frames: np.ndarray) -> QuantGraph:
    """quant whose biases make up for the mean error of `sums`, channel by channel, one layer after the other."""
    exact, x, layers = frames, frames, []
    for layer, its_sums in zip(quant.layers, sums):
        if its_sums is not None:
            error = (its_sums(layer, x) - layer.accumulate(exact)).mean(axis=(0, 2, 3))
            corrected = dataclasses.replace(layer, bias=layer.bias - np.rint(error).astype(np.int64))
        else:
            corrected = layer
        exact, x = layer.run(exact), corrected.run(x, its_sums)
        layers.append(corrected)
    return dataclasses.replace(quant, layers=tuple(layers))


def _deployed(
    parts: Partition, quant: QuantGraph, mode: Mode, frames: np.ndarray
) -> tuple[str, Callable[[ModelOutput], Outputs]]:
    """(key, what makes the outputs) of the deployed model that adds in this mode; see Judge.answers_of."""
    tail, sums = make_tail(parts, quant), mode.of(quant)
    key = digest(golden_onnx(quant), tail, repr(mode), made_by(__name__, "onnx"))

    def made(output: ModelOutput) -> Outputs:
        used = correct_biases(quant, sums, frames) if mode.corrected else quant
        return lambda batch: host_outputs(tail, used.run_layers(batch, sums)[-1], output)

    return key, made


def _errors(quant: QuantGraph, frames: np.ndarray) -> list[AddError]:
    found, x = [], frames
    for place, layer in enumerate(quant.layers):
        for name, sums in _ERRORS_OF:
            if place or sums.terms == "digits":  # the first layer's pixels stay linear
                found.append(_error(layer, name, sums, x))
        x = layer.run(x)
    return found


def _error(layer: QuantLayer, name: str, sums: LogSums, x: np.ndarray) -> AddError:
    got = sums.one_sided(layer, x)
    wanted = ExactSums(sums.terms).one_sided(layer, x)
    signed = [(a - e)[e > 0] / e[e > 0] for a, e in zip(got, wanted)]
    exact, error = wanted[0] - wanted[1], (got[0] - got[1]) - (wanted[0] - wanted[1])

    def size(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(values**2)))

    def varying(values: np.ndarray) -> np.ndarray:
        return values - values.mean(axis=(0, 2, 3), keepdims=True)

    return AddError(
        layer.name,
        layer.codes[0].size,
        name,
        float(np.mean(np.concatenate(signed))),
        size(error) / size(exact),
        size(varying(error)) / size(varying(exact)),
    )
