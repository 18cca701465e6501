"""One task of MLPerf Tiny from its reference model to a bundle, and its quality as the benchmark counts it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lognet_fpga.bundle import read_bundle
from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import LogNetError
from lognet_fpga.flow.deploy import deploy
from lognet_fpga.machine.array_file import write_npz
from lognet_fpga.mlperf_tiny.evaluation import (
    Evaluation,
    anomaly_auc,
    cifar10_evaluation,
    read_evaluation,
    reconstruction_errors,
)
from lognet_fpga.mlperf_tiny.reference import Reference
from lognet_fpga.mlperf_tiny.tasks import AUC, Task
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.report import Report, Section, Table
from lognet_fpga.runtime.session import Session
from lognet_fpga.runtime.simulated import SimulatedDevice
from lognet_fpga.verify.onnx_session import OnnxSession

_BATCH = 64
_CIFAR_TASKS = ("ic01", "ic02")


@dataclass(frozen=True)
class Quality:
    """Of float_model and deployed, as the task's metric has it, None where the frames do not tell; frames, files: that
    it was counted on, calibrated: how many of the frames calibration used, too.  float_error, error: mean squares of an
    autoencoder's reconstruction, None for other tasks."""

    metric: str
    float_model: float | None
    deployed: float | None
    frames: int
    files: int
    calibrated: int
    float_error: float | None = None
    error: float | None = None

    def reaches(self, target: float) -> bool | None:
        return None if self.deployed is None else self.deployed >= target


@dataclass(frozen=True)
class TaskDeployment:
    """report: the deployment's, with the benchmark's part.  quality: None without frames.  problem: of DeployResult."""

    report: Report
    bundle_path: Path
    quality: Quality | None
    problem: LogNetError | None


def deploy_task(
    task: Task,
    reference: Reference,
    config: DeployConfig,
    *,
    data: Path | None = None,
    cifar10: Path | None = None,
    progress: Progress = NoProgress(),
) -> TaskDeployment:
    """Write the task's float model to config.out, deploy it, and count its quality.

    config: what is to be done with it; model, frames, preprocessing and, unless given, the number of layers (all) are
    the task's, and so is calibration_frames for image classification, whose calibration set is a list of CIFAR-10's
    images.  data: the runner's folder of frames; without it image classification takes its frames out of CIFAR-10
    (cifar10: as of load_cifar10), the others have none.  Raises what Reference, read_evaluation and deploy raise.
    """
    with progress.stage(f"reference model of {task.title}") as stage:
        model = reference.model(task)
        config.out_folder.mkdir(parents=True, exist_ok=True)
        place = config.out_folder / f"{task.model_id}.onnx"
        place.write_bytes(model.SerializeToString())
        stage.note(str(place))
    evaluation, calibration = None, None
    with progress.stage("frames of the benchmark") as stage:
        if data is not None:
            evaluation = read_evaluation(task, data)
        elif task.model_id in _CIFAR_TASKS:
            evaluation, calibration = cifar10_evaluation(reference, cifar10)
        stage.note("none" if evaluation is None else f"{len(evaluation.frames):,} of {evaluation.source}")
    with tempfile.TemporaryDirectory(prefix="lognet-mlperf-") as scratch:
        frames = _written(Path(scratch) / f"{task.model_id}_frames.npz", evaluation, task)
        if config.calibration_frames is None and calibration is not None:
            calibrating = Path(scratch) / f"{task.model_id}_calibration.npz"
            write_npz(calibrating, {"frames": calibration})
            config = replace(config, calibration_frames=calibrating)
        if config.fpga_layers is None:
            config = replace(config, fpga_layers="all")
        config = replace(config, model=place, frames=frames, eval_limit=None, preprocessing=task.preprocessing)
        result = deploy(config, progress)
    quality = None
    if evaluation is not None:
        with progress.stage("quality, as the benchmark counts it"):
            quality = _quality(task, evaluation, place, result.bundle_path, result.report)
    section, figures = _section(task, quality), _figures(task, quality)
    report = replace(
        result.report, sections=(*result.report.sections, section), data={**result.report.data, "mlperf_tiny": figures}
    )
    progress.known(report.title, section)
    return TaskDeployment(report, result.bundle_path, quality, result.problem)


def _written(place: Path, evaluation: Evaluation | None, task: Task) -> Path | None:
    if evaluation is None:
        return None
    labels = {} if task.metric == AUC else {"labels": evaluation.labels.astype(np.int64)}
    write_npz(place, {"frames": evaluation.frames, **labels})
    return place


def _quality(task: Task, evaluation: Evaluation, model: Path, bundle_path: Path, report: Report) -> Quality:
    accuracy = report.data["accuracy"]
    assert isinstance(accuracy, dict)  # there are frames
    counts = {"files": evaluation.n_files, "calibrated": int(accuracy["frames_calibrated"])}
    if task.metric != AUC:
        return Quality(
            task.metric, accuracy["float_top1"], accuracy["deployed_top1"], frames=int(accuracy["frames"]), **counts
        )
    bundle = read_bundle(bundle_path)
    with Session(bundle, SimulatedDevice(bundle)) as session:
        deployed = _errors(evaluation.frames, lambda part: session.outputs(session.fpga(part).activations)[0])
    float_model = OnnxSession(model.read_bytes(), model.name)
    before = _errors(evaluation.frames, lambda part: np.asarray(float_model(part.reshape(len(part), -1))[0]))
    return Quality(
        task.metric,
        anomaly_auc(before, evaluation),
        anomaly_auc(deployed, evaluation),
        frames=len(evaluation.frames),
        float_error=float(before.mean()),
        error=float(deployed.mean()),
        **counts,
    )


def _errors(frames: np.ndarray, run) -> np.ndarray:
    starts: Sequence[int] = range(0, len(frames), _BATCH)
    parts = (frames[start : start + _BATCH] for start in starts)
    return np.concatenate([reconstruction_errors(part, run(part)) for part in parts])


def _section(task: Task, quality: Quality | None) -> Section:
    lines = [f"{task.title}; target of the closed division: {_shown(task.target, task.metric)}"]
    if quality is None:
        lines.append("quality not known: give the runner's folder of frames with --data")
        return Section("MLPerf Tiny", tuple(lines))
    frames = f"{quality.frames:,} frames" + (f" in {quality.files:,} files" if quality.files != quality.frames else "")
    lines.append(f"counted on {frames}; float weights of the reference, quantized after training, none dropped")
    if quality.calibrated:
        lines.append(f"{quality.calibrated:,} of these frames calibrated, too")
    rows: list[tuple[object, ...]] = [
        (task.metric, _shown(quality.float_model, task.metric), _shown(quality.deployed, task.metric)),
        ("target reached", None, {None: "not known", True: "yes", False: "no"}[quality.reaches(task.target)]),
    ]
    if quality.error is not None and quality.float_error:
        more = 100 * (quality.error / quality.float_error - 1)
        rows.append(("mean square of the reconstruction's error", f"{quality.float_error:.4f}", f"{quality.error:.4f}"))
        rows.append(("of that more than float, %", None, f"{more:.2f}"))
    return Section("MLPerf Tiny", tuple(lines), Table(("quality", "float model", "deployed"), tuple(rows)))


def _shown(value: float | None, metric: str) -> str | None:
    if value is None:
        return None
    return f"{value:.3f}" if metric == AUC else f"{value:.2%}"


def _figures(task: Task, quality: Quality | None) -> dict[str, object]:
    return {
        "task": task.name,
        "model_id": task.model_id,
        "reference": [{"path": each.path, "sha256": each.sha256} for each in task.model],
        "target": task.target,
        "quality": None
        if quality is None
        else {
            "metric": quality.metric,
            "float_model": quality.float_model,
            "deployed": quality.deployed,
            "reached": quality.reaches(task.target),
            "frames": quality.frames,
            "files": quality.files,
            "frames_calibrated": quality.calibrated,
            "float_error": quality.float_error,
            "error": quality.error,
        },
    }
