"""The benchmark's frames out of files as its runner has them, and its figures of quality by other ways."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.errors import InputError
from lognet_fpga.mlperf_tiny.evaluation import anomaly_auc, read_evaluation, reconstruction_errors, top1
from lognet_fpga.mlperf_tiny.tasks import TASKS


def folder_of(place, task: str, files: dict[str, tuple[bytes, int]], tail: str = ""):
    folder = place / TASKS[task].data
    folder.mkdir(parents=True, exist_ok=True)
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    lines = [f"{name},{TASKS[task].classes},{label}{tail}\n" for name, (_, label) in files.items()]
    (folder / "y_labels.csv").write_text("".join(lines))
    return folder


def test_pictures(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    files = {f"p{i}.bin": (pixels[i].tobytes(), label) for i, label in enumerate((7, 0, 9))}
    folder = folder_of(tmp_path, "ic", files)
    for place in (tmp_path, folder):
        found = read_evaluation(TASKS["ic"], place)
        np.testing.assert_array_equal(found.frames, pixels.transpose(0, 3, 1, 2))
        assert found.labels.tolist() == [7, 0, 9] and found.n_files == 3


def test_windows_of_recordings(tmp_path):
    rng = np.random.default_rng(1)
    spectra = [rng.normal(size=(length, 128)).astype("<f4") for length in (7, 5, 9)]
    files = {f"r{i}.bin": (spectrum.tobytes(), i == 1) for i, spectrum in enumerate(spectra)}
    files = {name: (content, int(label)) for name, (content, label) in files.items()}
    found = read_evaluation(TASKS["ad"], folder_of(tmp_path, "ad", files, ",2560,512"))
    assert found.files.tolist() == [0] * 3 + [1] + [2] * 5 and found.labels.tolist() == [0] * 3 + [1] + [0] * 5
    np.testing.assert_array_equal(found.frames[1, :, 0, 0], spectra[0][1:6].ravel())
    errors = np.array([1.0, 2, 3, 2.5, 9, 0, 0, 0, 0])
    # Means of 2, 2.5 and 1.8: the one recording of class 1 is above both others.
    assert anomaly_auc(errors, found) == 1
    assert anomaly_auc(-errors, found) == 0


@pytest.mark.parametrize("seed", range(5))
def test_quality_by_counting_pairs(tmp_path, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 30)
    files = {f"r{i}.bin": (np.zeros(640, "<f4").tobytes(), int(label)) for i, label in enumerate(labels)}
    found = read_evaluation(TASKS["ad"], folder_of(tmp_path, "ad", files, ",2560,512"))
    errors = rng.integers(0, 6, 30).astype(float)
    pairs = [(a > b) + (a == b) / 2 for a in errors[labels == 1] for b in errors[labels == 0]]
    assert anomaly_auc(errors, found) == pytest.approx(np.mean(pairs))


def test_figures():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]])
    assert top1(scores, np.array([1, 0, 1])) == pytest.approx(2 / 3)
    errors = reconstruction_errors(np.ones((2, 4, 1, 1)), np.array([[1, 1, 1, 3.0], [0, 0, 0, 0]]))
    assert errors.tolist() == [1, 1]


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda folder: (folder / "y_labels.csv").unlink(), "y_labels.csv cannot be read"),
        (lambda folder: (folder / "y_labels.csv").write_text(""), "y_labels.csv is empty"),
        (lambda folder: (folder / "y_labels.csv").write_text("a.bin,10\n"), "line 1: 'a.bin,10' is no file"),
        (lambda folder: (folder / "y_labels.csv").write_text("a.bin,10,10\n"), "class below 10"),
        (lambda folder: (folder / "a.bin").unlink(), "a.bin cannot be read"),
        (lambda folder: (folder / "a.bin").write_bytes(bytes(3071)), "a.bin has 3,071 bytes, .* 3,072"),
        (lambda folder: (folder / "a.bin").write_bytes(bytes(6144)), "a.bin has 6,144 bytes"),
    ],
)
def test_files_that_are_not_as_the_task_has_them(tmp_path, change, says):
    folder = folder_of(tmp_path, "ic", {"a.bin": (bytes(3072), 3)})
    change(folder)
    with pytest.raises(InputError, match=says) as caught:
        read_evaluation(TASKS["ic"], tmp_path)
    assert caught.value.hint
