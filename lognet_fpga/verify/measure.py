"""Count how well the deployed model does beside the float one, on the same frames, and which layers it loses by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from lognet_fpga.errors import InputError
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.output import SCORES, ModelOutput
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.numerics.closeness import Closeness, ClosenessSums
from lognet_fpga.numerics.ranking import area_under_curve, points_lost
from lognet_fpga.partition import Partition, make_float_tail, run_float_layers
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.quantize import with_quantized_weights
from lognet_fpga.verify.accuracy import Accuracy, Answers, LayerStep, Loss, RawAccuracy, RawStep, Shares
from lognet_fpga.verify.onnx_session import OnnxSession
from lognet_fpga.verify.settle_output import run_model, settle_output

STEPS_FRAMES = 1000  # at most, and no more than these multiplications take: minutes
STEPS_MULTIPLICATIONS = 10**12
STEPS_LEAST_FRAMES = 20
_BATCH_FRAMES = 100  # at a time, for the memory; fewer large ones
_BATCH_POSITIONS = 2**19


def measure_accuracy(
    parts: Partition,
    quant: QuantGraph,
    execution: bytes,
    tail: bytes,
    frames: np.ndarray,
    labels: np.ndarray | None,
    preprocessing: Preprocessing,
    *,
    features: np.ndarray | None = None,
    output: ModelOutput | None = None,
    calibrated: int = 0,
    steps_frames: int | None = None,
    progress: Progress = NoProgress(),
) -> Accuracy | RawAccuracy:
    """Judge the float model of parts, the same with the weights of quant, and golden.onnx followed by tail.onnx.

    execution: execution.onnx, or golden.onnx, whose integers it gives faster.  frames: (n, c, h, w) uint8; labels:
    (n,) class numbers or None.  features: what the frames are the codes of, for the float model, which takes them as
    they are; None where that is the frames.  output: what the model gives, None to settle it here; RawAccuracy is what
    comes of one without classes, and labels are not used then.  calibrated: how many of the frames calibration used,
    for the record.  steps_frames: how many of the frames are judged layer by layer; None: as many as `affordable_steps`
    says.  Raises InputError for a label that is no class, ModelError where onnxruntime does not run the model.
    """
    output = output or settle_output(parts.graph, preprocessing)
    models = _Models(parts, quant, execution, tail, preprocessing, output)
    answers_of = _Answers.of if output.has_classes else _Likeness.of
    if steps_frames is None:
        steps_frames = affordable_steps(parts)
    steps_frames = min(steps_frames, len(frames))
    height, width = quant.input_shape[1:]
    batch = max(1, min(_BATCH_FRAMES, _BATCH_POSITIONS // (height * width)))
    answers: list[list[_Judged]] = []
    step_answers: list[list[_Judged]] = []
    with progress.stage("accuracy") as stage:
        for start, end in _batches(len(frames), batch, steps_frames):
            part = np.ascontiguousarray(frames[start:end])
            given = None if features is None else features[start:end]
            known = None if labels is None else labels[start:end]
            activations = models.quantized_activations(part)
            ends = [models.float_model(part, given), models.deployed(activations[-1])]
            _require_classes(known, output)
            three = (ends[0], models.weights(part), ends[1])
            answers.append([answers_of(output, outputs, ends[0], known) for outputs in three])
            if start < steps_frames:
                all_steps = (ends[0], *models.steps(part, activations), ends[1])
                step_answers.append([answers_of(output, outputs, ends[0], known) for outputs in all_steps])
            stage.update(end, len(frames))
    whole, steps = ([type(each[0]).joined(each) for each in zip(*several)] for several in (answers, step_answers))
    names = [layer.name for layer in quant.layers]
    if not output.has_classes:
        return RawAccuracy(
            names=tuple(tensor.name for tensor in output.tensors),
            frames=len(frames),
            calibrated=calibrated,
            weights=whole[1].result(),
            deployed=whole[2].result(),
            steps_frames=steps_frames,
            steps=tuple(RawStep(name, step.result()) for name, step in zip(names, steps[1:])),
        )
    float_model, weights, deployed = whole
    return Accuracy(
        frames=len(frames),
        calibrated=calibrated,
        float_model=float_model.shares(float_model),
        weights=weights.shares(float_model),
        deployed=deployed.shares(float_model),
        weights_loss=_loss(float_model, weights, float_model),
        loss=_loss(float_model, deployed, float_model),
        steps_frames=steps_frames,
        steps_from=steps[0].shares(steps[0]),
        steps=tuple(
            LayerStep(name, after.shares(steps[0]), _loss(before, after, steps[0]))
            for name, before, after in zip(names, steps, steps[1:])
        ),
        answers=Answers(float_model.classes, deployed.classes, labels),
    )


def host_outputs(tail: bytes, activations: np.ndarray, output: ModelOutput) -> list[np.ndarray]:
    """The model's outputs of the last FPGA layer's integers, (n, channels, h, w) uint8, by tail.onnx."""
    return run_model(output, OnnxSession(tail, "tail.onnx"), activations.transpose(0, 2, 3, 1))


def affordable_steps(parts: Partition) -> int:
    """How many frames are judged layer by layer, so that a large model does not take hours."""
    ours = [layer.weight[0].size * math.prod(layer.conv_shape) for layer in parts.layers]
    # With k layers quantized the layers behind them and the rest of the model run in float, for k = 1 .. n - 1.
    work = sum(k * count for k, count in enumerate(ours)) + (len(ours) - 1) * max(
        0, multiplications(parts.graph) - sum(ours)
    )
    return max(STEPS_LEAST_FRAMES, min(STEPS_FRAMES, STEPS_MULTIPLICATIONS // max(1, work)))


def multiplications(graph: Graph) -> int:
    """About how many multiplications a frame takes: of the operators with constant weights."""
    model = onnx.ModelProto.FromString(graph.onnx_model)
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    shapes = {name: node.out_shape for node in graph.nodes for name in node.outputs[:1]}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and len(node.input) > 1:
            shape = shapes.get(node.output[0], ())
            positions = math.prod(shape[1:]) if node.op_type == "Conv" else math.prod(shape[:-1])
            total += sizes.get(node.input[1], 0) * max(1, positions)
    return total


@dataclass(frozen=True, eq=False)
class _Answers:
    """Of one model on n frames: classes, (n,) int64; right1 and right5: (n,) bool, whether the label is the best or
    among the five best, None as in Shares; score, (n,) float64, and labels: of a binary score that has labels, else
    None."""

    classes: np.ndarray
    right1: np.ndarray | None
    right5: np.ndarray | None
    score: np.ndarray | None
    labels: np.ndarray | None

    @classmethod
    def of(
        cls,
        output: ModelOutput,
        outputs: Sequence[np.ndarray],
        float_model: Sequence[np.ndarray],
        labels: np.ndarray | None,
    ) -> _Answers:
        classes = output.classes_of(outputs)
        if labels is None:
            return cls(classes, None, None, None, None)
        score = output.decision(outputs)
        right1, right5 = output.right(outputs, labels), output.right(outputs, labels, 5)
        return cls(classes, right1, right5, score, None if score is None else labels)

    @classmethod
    def joined(cls, parts: Sequence[_Answers]) -> _Answers:
        return cls(
            np.concatenate([part.classes for part in parts]),
            _joined([part.right1 for part in parts]),
            _joined([part.right5 for part in parts]),
            _joined([part.score for part in parts]),
            _joined([part.labels for part in parts]),
        )

    def shares(self, float_model: _Answers) -> Shares:
        top1, top5 = (None if right is None else float(right.mean()) for right in (self.right1, self.right5))
        score, labels = self.score, self.labels
        auc = None if score is None or labels is None else area_under_curve(score, labels)
        return Shares(top1, top5, float(np.mean(self.classes == float_model.classes)), auc)

    def right(self, float_model: _Answers) -> np.ndarray:
        """What losses are counted in: right or wrong, or without labels as the float model or not."""
        return self.classes == float_model.classes if self.right1 is None else self.right1


@dataclass(frozen=True)
class _Likeness:
    """Of one model without classes on some frames: each of its outputs beside the float model's."""

    sums: tuple[ClosenessSums, ...]

    @classmethod
    def of(
        cls,
        output: ModelOutput,
        outputs: Sequence[np.ndarray],
        float_model: Sequence[np.ndarray],
        labels: np.ndarray | None,
    ) -> _Likeness:
        return cls(tuple(map(ClosenessSums.of, outputs, float_model)))

    @classmethod
    def joined(cls, parts: Sequence[_Likeness]) -> _Likeness:
        return cls(tuple(map(ClosenessSums.summed, zip(*(part.sums for part in parts)))))

    def result(self) -> tuple[Closeness, ...]:
        return tuple(sums.result() for sums in self.sums)


_Judged = _Answers | _Likeness


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """One behind the other; None unless all are there."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _loss(before: _Answers, after: _Answers, float_model: _Answers) -> Loss:
    return Loss(*points_lost(before.right(float_model), after.right(float_model)))


def _require_classes(labels: np.ndarray | None, output: ModelOutput) -> None:
    """For labels that nobody has checked when they were read."""
    if labels is None or output.classes is None:
        return
    classes, what = output.classes, "scores" if output.kind == SCORES else "classes"
    if not (labels.min() >= 0 and labels.max() < classes):
        raise InputError(
            f"the labels reach from {labels.min()} to {labels.max()}, but the model has {classes:,} {what}",
            hint=f"number the classes from 0 to {classes - 1:,}, the way the model was trained",
        )


def _batches(count: int, batch: int, border: int) -> list[tuple[int, int]]:
    """Ranges of up to `batch` frames that cover count, one of them ending at border."""
    starts = [*range(0, border, batch), *range(border, count, batch)]
    return list(zip(starts, [*starts[1:], count]))


class _Models:
    """The models to judge, as functions from a batch to their outputs, as of ModelOutput.collect."""

    def __init__(
        self,
        parts: Partition,
        quant: QuantGraph,
        execution: bytes,
        tail: bytes,
        preprocessing: Preprocessing,
        output: ModelOutput,
    ) -> None:
        self._parts, self._quant, self._preprocessing, self._output = parts, quant, preprocessing, output
        self._weights = with_quantized_weights(parts, quant, preprocessing)
        self._float = OnnxSession(parts.graph.onnx_model, "the model")
        self._execution = OnnxSession(execution, "execution.onnx")
        self._tail = OnnxSession(tail, "tail.onnx")
        self._float_tail = OnnxSession(make_float_tail(parts), "the model behind the FPGA layers")

    def float_model(self, frames: np.ndarray, features: np.ndarray | None) -> list[np.ndarray]:
        how = self._preprocessing
        return run_model(
            self._output, self._float, how.apply(frames) if features is None else how.apply_to_features(features)
        )

    def weights(self, frames: np.ndarray) -> list[np.ndarray]:
        """With quantized weights, everything else in float."""
        return self._behind(run_float_layers(self._weights, self._preprocessing.apply(frames)))

    def quantized_activations(self, frames: np.ndarray) -> list[np.ndarray]:
        """The integers of every FPGA layer, (n, channels, h, w) uint8 each."""
        return self._execution(frames)

    def deployed(self, activations: np.ndarray) -> list[np.ndarray]:
        """As the bundle runs: the last layer's integers through tail.onnx."""
        return run_model(self._output, self._tail, activations.transpose(0, 2, 3, 1))

    def steps(self, frames: np.ndarray, activations: list[np.ndarray]) -> list[list[np.ndarray]]:
        """Outputs with the first 1, 2, ... layers quantized, all but the last, and the rest in float."""
        values = [
            (part * layer.out_scale.reshape(1, -1, 1, 1) + layer.out_offset.reshape(1, -1, 1, 1)).astype(np.float32)
            for part, layer in zip(activations, self._quant.layers)
        ]
        x = self._preprocessing.apply(frames)
        return [self._behind(run_float_layers(self._parts, x, values[:count])) for count in range(1, len(values))]

    def _behind(self, activations: list[np.ndarray]) -> list[np.ndarray]:
        return run_model(self._output, self._float_tail, activations[-1])
