"""Run the simulations in order and hold their figures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from lognet_fpga.errors import ModelError, UnsupportedModelError, UsageError, did_you_mean_file
from lognet_fpga.frontend import load
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.numerics.quantizers import MAX_BITS
from lognet_fpga.partition import input_padding
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.runtime.frames import load_frames, settle
from lognet_fpga.study.experiments import Experiments, LayerRow, Row
from lognet_fpga.study.judge import Judge
from lognet_fpga.study.log_addition import LogAddition, log_addition
from lognet_fpga.study.nmse import Distribution, ErrorPoint, LayerBoundaries, boundaries, distribution, weight_errors
from lognet_fpga.study.schemes import Choice, Scheme
from lognet_fpga.study.weight_layers import WeightLayer, layers_of_arrays, layers_of_model
from lognet_fpga.study.workers import WorkerPool
from lognet_fpga.verify.settle_output import PROBES, settle_output, settle_threshold

BOUNDARY_BITS = 4
MAX_BASE = 16.0  # beyond, the smallest powers of 8 bits are no numbers


@dataclass(frozen=True)
class StudyConfig:
    """model: .onnx, or .npz with weights alone.  data: frames with labels to count the accuracy on, at most `limit` of
    them; None: only the weights' errors.  choice: of the full scale range in Fig. 3; the tables compare them all.
    template: what the log schemes have besides kind, bits and choice.  log_add: frames on which the deployed layers
    also add in the log domain; 0: none.  dask: address of a scheduler whose workers judge the models."""

    model: Path
    data: Path | None = None
    limit: int | None = 1000
    bits: tuple[int, ...] = tuple(range(1, MAX_BITS + 1))
    choice: Choice = "max"
    template: Scheme = Scheme("log", 4)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    input_shape: tuple[int, int, int] | None = None
    log_add: int = 0
    dask: str | None = None

    def __post_init__(self) -> None:
        if not self.bits or not all(1 <= bits <= MAX_BITS for bits in self.bits):
            given = ", ".join(map(str, self.bits)) or "none"
            raise UsageError(f"--bits must lie between 1 and {MAX_BITS}, not {given}")
        if not 1 < self.template.base <= MAX_BASE:
            raise UsageError(f"--base must lie above 1 and not above {MAX_BASE:g}, not {self.template.base:g}")
        if self.choice == "output" and self.data is None:
            raise UsageError("--fsr output needs frames to see a layer's sums on", hint="give --data")
        if self.log_add and self.data is None:
            raise UsageError("--log-add needs frames to calibrate and count on", hint="give --data")


@dataclass(frozen=True, eq=False)
class Study:
    """errors: Fig. 2.  boundaries: Fig. 1a, of the layer with most weights.  distributions: of Fig. 3.

    frames: judged; 0 where none were given, and then the rest is empty: float_model; table1; layers: Fig. 3;
    activations; log_addition, where asked for.
    """

    name: str
    sha256: str
    choice: Choice
    weights: tuple[tuple[str, tuple[int, ...]], ...]
    errors: tuple[ErrorPoint, ...]
    boundaries: LayerBoundaries
    distributions: tuple[Distribution, ...]
    frames: int = 0
    float_model: Row | None = None
    table1: tuple[Row, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    activations: tuple[Row, ...] = ()
    log_addition: LogAddition | None = None


def run_study(config: StudyConfig, progress: Progress = NoProgress()) -> Study:
    """Every simulation that model and data allow.  Finished parts are cached, so a study that was stopped goes on.

    Raises ModelError, InputError, UsageError, MissingToolError, ToolError.
    """
    if not os.path.exists(config.model):
        raise ModelError(
            f"no such file: {config.model}",
            hint=did_you_mean_file(config.model, "give an .onnx file, or an .npz file of weights"),
        )
    if config.model.suffix == ".npz":
        if config.data is not None:
            raise UsageError(
                f"{config.model} holds weights without a model, so no accuracy can be counted on --data",
                hint="leave --data out, or give the .onnx file",
            )
        sha256 = hashlib.sha256(config.model.read_bytes()).hexdigest()
        return _of_weights(config, layers_of_arrays(config.model), sha256, progress)
    with progress.stage(f"read {config.model.name}"):
        graph = load(config.model, input_shape=config.input_shape)
        layers = layers_of_model(graph)
    study = _of_weights(config, layers, graph.source_sha256, progress)
    if config.data is None:
        return study
    preprocessing = settle(
        config.preprocessing, config.data, graph.input_shape, config.limit, lambda: input_padding(graph)
    )
    output = _with_classes(graph, preprocessing)
    frames = load_frames(config.data, graph.input_shape, preprocessing, limit=config.limit, classes=output.classes)
    output = settle_threshold(output, graph, preprocessing.apply(frames.frames[:PROBES]))
    with WorkerPool(config.dask) if config.dask else nullcontext() as pool:
        judge = Judge(frames.frames, frames.labels, preprocessing, output, pool)
        with progress.stage("the float model"):
            experiments = Experiments(graph, layers, judge, config.template)
        return replace(
            study,
            frames=len(frames),
            float_model=experiments.float_row(),
            table1=experiments.table1(progress),
            layers=experiments.layer_rows(progress, config.choice),
            activations=experiments.activation_rows(progress),
            log_addition=log_addition(graph, judge, config.log_add, preprocessing, progress)
            if config.log_add
            else None,
        )


def _with_classes(graph: Graph, preprocessing: Preprocessing) -> ModelOutput:
    """What the model gives.  Raises UnsupportedModelError where that is no classes."""
    output = settle_output(graph, preprocessing)
    if not output.has_classes:
        raise UnsupportedModelError(
            f"the accuracy cannot be measured: no classes are read from the output of this model, for {output.reason}",
            hint="leave --data out, for the errors of the weights alone",
        )
    return output


def _of_weights(config: StudyConfig, layers: Sequence[WeightLayer], sha256: str, progress: Progress) -> Study:
    with progress.stage("errors of the weights") as stage:
        errors = weight_errors(layers, config.bits, config.template, stage)
        largest = max(layers, key=lambda layer: layer.weight.size)
        shown = boundaries(largest, BOUNDARY_BITS, config.template)
    shapes = tuple((layer.name, layer.weight.shape) for layer in layers)
    return Study(config.model.stem, sha256, config.choice, shapes, errors, shown, tuple(map(distribution, layers)))
