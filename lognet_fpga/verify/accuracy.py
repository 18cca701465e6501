"""What an accuracy figure consists of, and the limit on its drop.  `measure.py` counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from lognet_fpga.errors import AccuracyError
from lognet_fpga.numerics.closeness import Closeness


@dataclass(frozen=True)
class Shares:
    """Shares 0..1 of the frames.  top1: their label has the greatest score; None without labels.  top5: it is among the
    five greatest; None without labels and for models of up to five scores.  agreement: the class is the float model's.
    auc: of a binary score with labels, the area under the receiver operating characteristic; else None.
    """

    top1: float | None
    top5: float | None
    agreement: float
    auc: float | None = None

    @property
    def best(self) -> float:
        """The share that losses are counted in: top-1, or agreement without labels."""
        return self.agreement if self.top1 is None else self.top1


@dataclass(frozen=True)
class Loss:
    """Points, in percent of the frames, of top-1 accuracy (of agreement without labels) that are lost, with the
    standard error of the paired difference."""

    points: float
    standard_error: float

    @property
    def clear(self) -> bool:
        """Whether it is more than two standard errors, so hardly chance."""
        return self.points > 2 * self.standard_error

    def __str__(self) -> str:
        return f"{self.points:.2f} points lost (standard error {self.standard_error:.2f})"


@dataclass(frozen=True)
class LayerStep:
    """The model with every FPGA layer up to and including this one quantized, the rest in float; loss: against the
    same without this layer."""

    layer: str
    shares: Shares
    loss: Loss


@dataclass(frozen=True, eq=False)
class Answers:
    """The class of every frame, (n,) int64 each: by the float model and by the deployed one, and its label (None
    without labels)."""

    float_model: np.ndarray
    deployed: np.ndarray
    labels: np.ndarray | None

    @property
    def truth(self) -> np.ndarray:
        """What answers are held against: the labels, the float model's classes without them."""
        return self.float_model if self.labels is None else self.labels


@dataclass(frozen=True)
class Accuracy:
    """The same frames through the float model, the float model with the log2 weights, and the deployed model.

    weights_loss, loss: of the latter two against the first.  steps: layer by layer, on the first steps_frames of the
    frames, where the float model has the shares of steps_from.  calibrated: how many of the frames calibration used.
    answers: frame by frame; None where only the shares are known.
    """

    frames: int
    calibrated: int
    float_model: Shares
    weights: Shares
    deployed: Shares
    weights_loss: Loss
    loss: Loss
    steps_frames: int
    steps_from: Shares
    steps: tuple[LayerStep, ...]
    answers: Answers | None = field(default=None, compare=False)

    @property
    def labelled(self) -> bool:
        return self.float_model.top1 is not None

    @property
    def costly(self) -> tuple[LayerStep, ...]:
        """The layers that lose anything, the worst first; only those clear of chance where there are any."""
        losing = sorted((step for step in self.steps if step.loss.points > 0), key=lambda step: -step.loss.points)
        return tuple(step for step in losing if step.loss.clear) or tuple(losing)

    def require(self, max_drop: float) -> None:
        """Raise AccuracyError when more than max_drop points of top-1 accuracy were lost; nothing without labels."""
        if not self.labelled or self.loss.points <= max_drop:
            return
        weights, rest = self.weights_loss.points, self.loss.points - self.weights_loss.points
        on = "the same" if self.steps_frames == self.frames else f"the first {self.steps_frames:,}"
        raise AccuracyError(
            f"the deployed model loses {self.loss.points:.2f} points of top-1 accuracy "
            f"(standard error {self.loss.standard_error:.2f}), more than the {max_drop:g} allowed",
            context=[
                f"float {self.float_model.top1:.2%}, deployed {self.deployed.top1:.2%}, on {self.frames:,} frames",
                f"of these {weights:.2f} by the log2 weights, {rest:.2f} by the rounded activations",
                *(f"{step.layer}: {step.loss}, on {on} frames" for step in self.costly),
            ],
            hint="put fewer layers on the FPGA (--fpga-layers), use --act-bits 8, prune less, "
            "calibrate with more typical frames, or raise --max-drop",
        )

    def to_json(self) -> dict[str, object]:
        """Flat, as in the manifest and the reports; see docs/commands.md."""
        return {
            "frames": self.frames,
            "frames_calibrated": self.calibrated,
            "float_top1": self.float_model.top1,
            "float_top5": self.float_model.top5,
            "weights_top1": self.weights.top1,
            "weights_top5": self.weights.top5,
            "weights_agreement": self.weights.agreement,
            "weights_lost": self.weights_loss.points,
            "weights_lost_error": self.weights_loss.standard_error,
            "deployed_top1": self.deployed.top1,
            "deployed_top5": self.deployed.top5,
            "float_auc": self.float_model.auc,
            "weights_auc": self.weights.auc,
            "deployed_auc": self.deployed.auc,
            "agreement": self.deployed.agreement,
            "lost": self.loss.points,
            "lost_error": self.loss.standard_error,
            "by_layer_frames": self.steps_frames,
            "by_layer": [
                _step_json(None, self.steps_from, Loss(0.0, 0.0)),
                *(_step_json(step.layer, step.shares, step.loss) for step in self.steps),
            ],
        }


@dataclass(frozen=True)
class RawStep:
    """As LayerStep, of a model without classes: each output against the float model's."""

    layer: str
    outputs: tuple[Closeness, ...]


@dataclass(frozen=True)
class RawAccuracy:
    """As Accuracy, of a model whose outputs are no classes.  names: of the outputs; weights, deployed: each of them
    against the float model's, on the same frames."""

    names: tuple[str, ...]
    frames: int
    calibrated: int
    weights: tuple[Closeness, ...]
    deployed: tuple[Closeness, ...]
    steps_frames: int
    steps: tuple[RawStep, ...]

    def to_json(self) -> dict[str, object]:
        """Flat, with the fields that Accuracy has, null; see docs/commands.md."""
        return {
            **dict.fromkeys(_OF_CLASSES),
            "frames": self.frames,
            "frames_calibrated": self.calibrated,
            "cosine": least_cosine(self.deployed),
            "relative_error": greatest_error(self.deployed),
            "weights_cosine": least_cosine(self.weights),
            "weights_relative_error": greatest_error(self.weights),
            "outputs": [{"name": name, **asdict(part)} for name, part in zip(self.names, self.deployed)],
            "by_layer_frames": self.steps_frames,
            "by_layer": [
                {
                    "layer": step.layer,
                    "cosine": least_cosine(step.outputs),
                    "relative_error": greatest_error(step.outputs),
                }
                for step in self.steps
            ],
        }


def least_cosine(outputs: Sequence[Closeness]) -> float | None:
    """Of several outputs; None where it is known of none."""
    return min((part.cosine for part in outputs if part.cosine is not None), default=None)


def greatest_error(outputs: Sequence[Closeness]) -> float | None:
    """The relative one, of several outputs; None where it is known of none."""
    return max((part.relative_error for part in outputs if part.relative_error is not None), default=None)


_OF_CLASSES = tuple(
    f"{prefix}_{figure}" for prefix in ("float", "weights", "deployed") for figure in ("top1", "top5", "auc")
) + ("weights_agreement", "weights_lost", "weights_lost_error", "agreement", "lost", "lost_error")


def _step_json(layer: str | None, shares: Shares, loss: Loss) -> dict[str, object]:
    return {
        "layer": layer,
        "top1": shares.top1,
        "top5": shares.top5,
        "agreement": shares.agreement,
        "lost": loss.points,
        "lost_error": loss.standard_error,
    }
