"""The whole way from a float ONNX model to one whose weights are log2 codes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lognet_fpga.config import AUTO_BITS
from lognet_fpga.errors import (
    InputError,
    ModelError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
    did_you_mean_file,
)
from lognet_fpga.frontend import load
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.graph import AveragePool, Graph
from lognet_fpga.ir.output import BINARY_SCORE, SCORES, ModelOutput, frames_at_a_time
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.machine.output_file import new_file
from lognet_fpga.numerics.ranking import points_lost
from lognet_fpga.partition import Partition, input_padding, make_tail, partition, with_pixels
from lognet_fpga.partition.reach import cut
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.quantize import AskedBits, quantize, quantize_by_error
from lognet_fpga.quantize.grid import pinned_bits
from lognet_fpga.runtime.frames import Frames, load_frames, settle
from lognet_fpga.train.config import RetrainConfig
from lognet_fpga.train.graph_module import GraphModule
from lognet_fpga.train.last_layer import quantize_last
from lognet_fpga.train.loop import Epoch, Lesson, train
from lognet_fpga.train.network import LogNetwork, write_model
from lognet_fpga.verify.measure import host_outputs
from lognet_fpga.verify.onnx_session import OnnxSession
from lognet_fpga.verify.settle_output import PROBES, run_model, settle_output, settle_threshold

_CALIBRATION_FRAMES = 256
_HELD_OUT = 10  # one frame in so many, where no frames to judge on are given
_BATCH = 100
_CHECKED_FRAMES = 8
_LEAST_PROBABILITY = 1e-6  # and that far from 1: where a logit ends


@dataclass(frozen=True, eq=False)
class Retrained:
    """frames, judged: how many were trained on and judged.  act_bits: of each layer's activations.  zeros_*,
    codes_changed: a share a layer, 0..1.  classes: (judged,) the best class of each judged frame, of the float model,
    of the one deployed without retraining, and of the one deployed with it; labels: (judged,) or None, and then
    agreement with the float model counts."""

    path: Path
    frames: int
    judged: int
    history: tuple[Epoch, ...]
    act_bits: tuple[int, ...]
    zeros_before: tuple[float, ...]
    zeros_after: tuple[float, ...]
    codes_changed: tuple[float, ...]
    classes: tuple[np.ndarray, np.ndarray, np.ndarray]
    labels: np.ndarray | None

    def top1(self) -> tuple[float, ...] | None:
        """Of float, deployed before and after, 0..1."""
        return None if self.labels is None else tuple(float(np.mean(c == self.labels)) for c in self.classes)

    def lost(self, which: int) -> tuple[float, float]:
        """(points, standard error) that classes[which] lose against the float model."""
        if self.labels is None:
            same = np.ones(len(self.classes[0]), bool)
            return points_lost(same, self.classes[which] == self.classes[0])
        return points_lost(self.classes[0] == self.labels, self.classes[which] == self.labels)


def retrain(config: RetrainConfig, progress: Progress = NoProgress()) -> Retrained:
    """Train, write config.out, and read it again as lognet-deploy would: what is judged is what deploys.

    Raises ModelError, UnsupportedModelError, InputError, UsageError, OutputError; VerificationError where the file
    written does not give the codes that were trained.
    """
    if not os.path.exists(config.model):
        raise ModelError(
            f"no such file: {config.model}", hint=did_you_mean_file(config.model, "give the path of the .onnx file")
        )
    torch.manual_seed(config.seed)
    with progress.stage(f"read {config.model.name}"):
        graph = load(config.model, input_shape=config.input_shape)
        how = settle(
            config.preprocessing, config.data, graph.input_shape, _CALIBRATION_FRAMES, lambda: input_padding(graph)
        )
        config = replace(config, preprocessing=how)
        graph = with_pixels(graph, config.preprocessing)
        parts = _trained_part(graph, config.fpga_layers)
        graph = parts.graph
        output = _trainable(graph, config)
        frames, judged = _frames(config, graph, output)
        output = settle_threshold(output, graph, config.preprocessing.apply(frames.frames[:PROBES]))
    preprocessing, calibration = config.preprocessing, frames.frames[:_CALIBRATION_FRAMES]
    quant = _calibrated(parts, calibration, config, progress)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = LogNetwork(parts, quant, calibration, preprocessing, config.method).to(device)
    if (config.last_epochs or config.last_bits) and not network.tail.last_weights:
        raise UsageError(
            f"{config.model.name} has no layer left on the host that could be trained alone",
            hint="leave out --last-epochs and --last-bits, or put fewer layers on the FPGA (--fpga-layers)",
        )
    lesson = _lesson(config, graph, output, frames, judged, device)
    history = train(network, lesson, config, config.out.with_suffix(".checkpoint.pt"), progress)
    if config.last_bits:
        quantize_last(network.tail, config.last_bits)
    network = network.cpu().eval()
    content = write_model(network, parts, quant, preprocessing)
    _write(config.out, content)
    with progress.stage("judge") as stage:
        written = load(config.out)
        again = partition(written, len(parts.layers))
        deployed = quantize(again, calibration, preprocessing, act_bits=pinned_bits(written))
        _check(network, deployed, calibration[:_CHECKED_FRAMES], config.out)
        classes = (
            _float_classes(graph, config, output, judged),
            _deployed_classes(parts, quant, output, judged),
            _deployed_classes(again, deployed, output, judged),
        )
        stage.update(len(judged), len(judged))
    return Retrained(
        config.out,
        len(frames),
        len(judged),
        tuple(history),
        pinned_bits(written),
        tuple(layer.sparsity for layer in quant.layers),
        tuple(layer.sparsity for layer in deployed.layers),
        tuple(float(np.mean(_weights(a) != _weights(b))) for a, b in zip(quant.layers, deployed.layers)),
        classes,
        judged.labels,
    )


def _trained_part(graph: Graph, asked: int | Literal["all"] | None) -> Partition:
    """The cut asked for; for None up to the first layer that training does not have."""
    parts = cut(graph, asked)
    kinds = (
        "an activation function other than ReLU"
        if layer.function is not None
        else "an average of signed activations"
        if layer.linear and isinstance(layer.pool, AveragePool)
        else None
        for layer in parts.layers
    )
    first, kind = next(((number, kind) for number, kind in enumerate(kinds) if kind), (0, None))
    if kind is None:
        return parts
    if asked is None and first:
        return partition(graph, first)
    raise UnsupportedModelError(
        f"{parts.layers[first].nodes[0]} has {kind} behind it, which training does not have",
        hint=f"pass --fpga-layers {first}" if first else "retrain the model where it was made",
    )


def _calibrated(parts: Partition, frames: np.ndarray, config: RetrainConfig, progress: Progress) -> QuantGraph:
    """What training starts from."""
    if config.act_bits != AUTO_BITS:
        return quantize(parts, frames, config.preprocessing, act_bits=int(config.act_bits), progress=progress)
    given = AskedBits().given(len(parts.layers))
    quant, _ = quantize_by_error(parts, frames, config.preprocessing, given=given, progress=progress)
    return quant


def _weights(layer) -> np.ndarray:
    """The weights in LSB of the result an LSB of the input, whatever alpha and shift they are written with."""
    return layer.weights / 2.0**layer.shift


def _frames(config: RetrainConfig, graph: Graph, output: ModelOutput) -> tuple[Frames, Frames]:
    """(to train on, to judge on)."""

    def read(source: Path, limit: int | None = None, class_names: Sequence[str] | None = None) -> Frames:
        how, classes = config.preprocessing, output.classes
        return load_frames(source, graph.input_shape, how, limit=limit, classes=classes, class_names=class_names)

    frames = read(config.data, config.limit)
    if config.eval_frames is not None:
        judged = read(config.eval_frames, class_names=frames.class_names)
    else:
        last = np.arange(len(frames)) % _HELD_OUT == _HELD_OUT - 1
        frames, judged = _part(frames, ~last), _part(frames, last)
    if len(frames) < config.batch or not len(judged):
        raise InputError(
            f"{config.data} leaves {len(frames)} frames to train on and {len(judged)} to judge on, with batches of "
            f"{config.batch}",
            hint="give more frames, or a smaller --batch",
        )
    return frames, judged


def _part(frames: Frames, which: np.ndarray) -> Frames:
    return Frames(np.ascontiguousarray(frames.frames[which]), None if frames.labels is None else frames.labels[which])


def _trainable(graph: Graph, config: RetrainConfig) -> ModelOutput:
    """What the model gives.  Raises UnsupportedModelError where nothing can be learned by that."""
    output = settle_output(graph, config.preprocessing)
    if output.kind not in (SCORES, BINARY_SCORE):
        raise UnsupportedModelError(
            "retraining learns by the scores of classes, and the output of this model is of kind "
            f"{output.kind!r}: {output.reason}",
            hint="export the model with its scores as the only output",
        )
    if output.batch is not None:
        raise UnsupportedModelError(
            f"the model runs {frames_at_a_time(output.batch)} only, and retraining needs batches of any size",
            hint="export the model with an open batch",
        )
    return output


def _scores(output: ModelOutput) -> Callable[[torch.Tensor], torch.Tensor]:
    """From what the network gives to a score for each class: a binary score's classes have 0 and its logit."""
    if output.kind == SCORES:
        return torch.nn.Identity()

    def of_two_classes(values: torch.Tensor) -> torch.Tensor:
        logits = torch.logit(values, eps=_LEAST_PROBABILITY) if output.threshold else values
        return torch.cat([torch.zeros_like(logits), logits], dim=1)

    return of_two_classes


def _lesson(
    config: RetrainConfig, graph: Graph, output: ModelOutput, frames: Frames, judged: Frames, device: str
) -> Lesson:
    teacher, scores = None, _scores(output)
    if config.distill or frames.labels is None:
        factor, offset = (
            torch.tensor(part, dtype=torch.float32, device=device).view(1, -1, 1, 1)
            for part in config.preprocessing.affine(graph.input_shape[0])
        )
        module = GraphModule(graph.onnx_model, config.model.name).to(device)

        def teacher(batch: torch.Tensor) -> torch.Tensor:
            return scores(module(batch * factor + offset))

    def labels(of: Frames) -> torch.Tensor | None:
        return None if of.labels is None else torch.from_numpy(of.labels.astype(np.int64))

    return Lesson(
        torch.from_numpy(frames.frames),
        labels(frames),
        teacher,
        torch.from_numpy(judged.frames),
        labels(judged),
        scores,
    )


def _write(path: Path, content: bytes) -> None:
    with new_file(path) as scratch:
        scratch.write_bytes(content)


def _check(network: LogNetwork, deployed: QuantGraph, frames: np.ndarray, path: Path) -> None:
    """The integers of the network that was trained and of the file, deployed, are the same."""
    with torch.no_grad():
        trained = network.integers(torch.from_numpy(frames).float()).numpy()
    got = deployed.run(frames)
    got = got.astype(np.int64) - deployed.layers[-1].act_zero
    if not np.array_equal(trained, got):
        raise VerificationError(
            f"{path} deploys to other activations than were trained: {np.mean(trained != got):.3%} of them differ",
            hint="please report this, with the model",
        )


def _float_classes(graph: Graph, config: RetrainConfig, output: ModelOutput, judged: Frames) -> np.ndarray:
    session = OnnxSession(graph.onnx_model, config.model.name)
    return _classes(judged, output, lambda batch: run_model(output, session, config.preprocessing.apply(batch)))


def _deployed_classes(parts: Partition, quant: QuantGraph, output: ModelOutput, judged: Frames) -> np.ndarray:
    execution, tail = OnnxSession(execution_onnx(quant), "execution.onnx"), make_tail(parts, quant)
    return _classes(judged, output, lambda batch: host_outputs(tail, execution(batch)[-1], output))


def _classes(judged: Frames, output: ModelOutput, run: Callable[[np.ndarray], list[np.ndarray]]) -> np.ndarray:
    parts = []
    for start in range(0, len(judged), _BATCH):
        parts.append(output.classes_of(run(np.ascontiguousarray(judged.frames[start : start + _BATCH]))))
    return np.concatenate(parts)
