"""The accuracy part of deploy's report."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np

from lognet_fpga.numerics.closeness import Closeness
from lognet_fpga.report import Section, Table
from lognet_fpga.verify.accuracy import Accuracy, Loss, RawAccuracy, Shares, greatest_error, least_cosine

_FRAMES_TO_WARN = 50


def accuracy_sections(accuracy: Accuracy | RawAccuracy | None, source: Path | None) -> tuple[Section, ...]:
    """The three models beside each other, then layer by layer; source: where the frames are from."""
    if accuracy is None:
        return (Section("Accuracy", ("not known; it is counted on the frames of --eval, or of --frames",)),)
    name = source.name if source else "?"
    if isinstance(accuracy, RawAccuracy):
        return _raw_models(accuracy, name), _raw_steps(accuracy)
    return _models(accuracy, name), _steps(accuracy)


def warn_of_a_lost_model(accuracy: Accuracy, labels: np.ndarray | None) -> None:
    """Warn where the float model itself knows nothing about the frames, the usual sign of wrong preprocessing."""
    if labels is None or len(labels) < _FRAMES_TO_WARN or len(np.unique(labels)) < 2:
        return
    guessed = np.bincount(labels).max() / len(labels)  # always answering the most frequent class
    if accuracy.float_model.top1 <= guessed + 2 * math.sqrt(guessed * (1 - guessed) / len(labels)):
        warnings.warn(
            f"the float model itself is right on only {accuracy.float_model.top1:.1%} of the frames, no better than "
            f"always answering the most frequent class ({guessed:.1%}): it probably was trained with other "
            "preprocessing (see Input in the report, and lognet-deploy --help), or with its classes in another order",
            stacklevel=2,
        )


def _judged_on(accuracy: Accuracy | RawAccuracy, source: str) -> str:
    used = f"{accuracy.calibrated:,}" if accuracy.calibrated else "none"
    return f"on {accuracy.frames:,} frames of {source}, {used} of them used to calibrate"


def _models(accuracy: Accuracy, source: str) -> Section:
    lines = [_judged_on(accuracy, source)]
    if not accuracy.labelled:
        lines.append(
            "right class: not known, because these frames have no labels; lost: agreement with the float model"
        )
    low, high = (accuracy.loss.points + sign * 2 * accuracy.loss.standard_error for sign in (-1, 1))
    lines.append(
        f"points lost: {accuracy.loss.points:.2f}; with this many frames the true figure lies between {low:.2f} and "
        f"{high:.2f} in 19 of 20 cases"
    )
    rows = (
        ("float model", *_percents(accuracy.float_model), None, None),
        ("log2 weights, float activations", *_percents(accuracy.weights), *_points(accuracy.weights_loss)),
        ("deployed model", *_percents(accuracy.deployed), *_points(accuracy.loss)),
    )
    if accuracy.float_model.auc is not None:
        lines.append("AUC: area under the receiver operating characteristic, 1 where every frame of class 1 is above")
        aucs = [_number(shares.auc) for shares in (accuracy.float_model, accuracy.weights, accuracy.deployed)]
        table = Table(("model", "AUC", *_COLUMNS), tuple((row[0], auc, *row[1:]) for row, auc in zip(rows, aucs)))
    else:
        table = Table(("model", *_COLUMNS), rows)
    return Section("Accuracy", tuple(lines), table)


def _raw_models(accuracy: RawAccuracy, source: str) -> Section:
    lines = (
        _judged_on(accuracy, source),
        "no classes are read from this model's output, and labels are not used: its outputs beside the float model's",
        "cosine: mean over the frames; error: root of the summed squares of the differences, of those of the outputs",
        "comparable: outputs of the same shape, numbers in the same places; cosine and error are of those frames",
    )
    rows = [
        (name, model, *_close(part))
        for model, parts in (("log2 weights", accuracy.weights), ("deployed model", accuracy.deployed))
        for name, part in zip(accuracy.names, parts)
    ]
    return Section("Accuracy", lines, Table(("output", "model", *_RAW_COLUMNS), tuple(rows)))


def _raw_steps(accuracy: RawAccuracy) -> Section:
    several = "; of several outputs the least cosine and the greatest error" if len(accuracy.names) > 1 else ""
    rows = tuple(
        (step.layer, _number(least_cosine(step.outputs)), _percent(greatest_error(step.outputs)))
        for step in accuracy.steps
    )
    table = Table(("quantized up to", *_RAW_COLUMNS[:2]), rows)
    return Section("Accuracy, layer by layer", (*_steps_lines(accuracy), *filter(None, (several[2:],))), table)


_RAW_COLUMNS = ("cosine", "error %", "equal %", "comparable %")


def _close(part: Closeness) -> tuple[object, ...]:
    return _number(part.cosine), _percent(part.relative_error), 100 * part.equal, 100 * part.comparable


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _steps_lines(accuracy: Accuracy | RawAccuracy) -> tuple[str, ...]:
    some = f"on the first {accuracy.steps_frames:,} of these frames" if accuracy.steps_frames < accuracy.frames else ""
    lines = ("each row: the FPGA layers up to this one quantized, the rest of the model in float", some)
    return tuple(filter(None, lines))


def _steps(accuracy: Accuracy) -> Section:
    lines = (*_steps_lines(accuracy), _costly(accuracy))
    rows = (
        ("none: the float model", *_percents(accuracy.steps_from), None, None),
        *((step.layer, *_percents(step.shares), *_points(step.loss)) for step in accuracy.steps),
    )
    return Section("Accuracy, layer by layer", lines, Table(("quantized up to", *_COLUMNS), rows))


def _costly(accuracy: Accuracy) -> str:
    costly = accuracy.costly[:3]
    if not costly:
        return "no layer loses anything on these frames"
    chance = "" if costly[0].loss.clear else "; each may be chance: none is more than two standard errors"
    return f"most is lost by {', '.join(f'{step.layer} ({step.loss.points:.2f})' for step in costly)}{chance}"


_COLUMNS = ("top-1 %", "top-5 %", "as float %", "points lost", "standard error")


def _percents(shares: Shares) -> tuple[float | None, ...]:
    return tuple(None if share is None else 100 * share for share in (shares.top1, shares.top5, shares.agreement))


def _points(loss: Loss) -> tuple[float, float]:
    return loss.points, loss.standard_error
