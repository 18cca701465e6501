"""What a deployment takes of the frames that it is given: how many for each stage, and whose labels count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import InputError
from lognet_fpga.flow.inputs import (
    calibrated_among,
    calibration,
    names_of_all,
    read_frames,
    read_judged,
    unseen,
    verified,
)
from lognet_fpga.ir.output import SCORES, ModelOutput, OutputTensor
from lognet_fpga.runtime.frames import Frames


@pytest.mark.parametrize(
    "size, given, calibrated, judged, checked",
    [(32, 1256, 256, 1000, 8), (32, 300, 256, 300, 8), (32, 1, 1, 1, 2), (224, 100, 20, 80, 2), (500, 40, 8, 32, 2)],
)
def test_counts(size, given, calibrated, judged, checked):
    frames = Frames(np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (given, 1, size, size)))
    assert (len(calibration(frames)), len(unseen(frames)), len(verified(frames))) == (calibrated, judged, checked)


@pytest.mark.parametrize("size, given, calibrated", [(32, 1256, 1000), (32, 300, 300), (64, 900, 256), (500, 40, 8)])
def test_frames_that_only_calibrate_may_be_more(size, given, calibrated):
    frames = Frames(np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (given, 1, size, size)))
    assert len(calibration(frames, apart=True)) == calibrated


def test_frames_are_found_again_by_their_pixels():
    pixels = np.random.default_rng(2).integers(0, 256, (600, 1, 4, 4), dtype=np.uint8)
    given = Frames(pixels)  # the first 256 calibrate
    assert calibrated_among(unseen(given), calibration(given)) == 0
    assert calibrated_among(Frames(pixels[250:][::-1]), calibration(given)) == 6


def graph_of() -> SimpleNamespace:
    """As much of a graph as the frames need: one channel of 4 x 4."""
    return SimpleNamespace(input_shape=(1, 4, 4))


def folder_of(path: Path, *classes: str) -> Path:
    """A folder of two images a class, each in its subfolder."""
    for value, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.full((4, 4), 10 * value + number, np.uint8)).save(path / name / f"{number}.png")
    return path


def judged_of(classes: int, **options: object) -> Frames | None:
    """read_judged as a deployment calls it, of a folder in options."""
    config = DeployConfig(model=Path("model.onnx"), **options)
    output = ModelOutput(SCORES, (OutputTensor("scores", "float32", (classes,)),), classes)
    return read_judged(config, graph_of(), read_frames(config, graph_of(), output), output)


@pytest.mark.parametrize("option", ["frames", "eval_frames"])
def test_a_subfolder_a_class_gives_labels_in_the_order_of_names(tmp_path, option):
    judged = judged_of(3, **{option: folder_of(tmp_path, "dog", "ant", "cat")})
    numbers = dict(zip(judged.frames[:, 0, 0, 0].tolist(), judged.labels.tolist()))
    assert numbers == {0: 2, 1: 2, 10: 0, 11: 0, 20: 1, 21: 1}


@pytest.mark.parametrize("option", ["frames", "eval_frames"])
def test_fewer_subfolders_than_classes_are_no_labels(tmp_path, option):
    with pytest.warns(UserWarning, match="has 2 subfolders and the model 3 classes"):
        judged = judged_of(3, **{option: folder_of(tmp_path, "ant", "dog")})
    assert judged.labels is None and len(judged) == 4


def test_a_folder_with_some_classes_takes_the_numbers_of_the_one_with_all(tmp_path):
    everything, some = folder_of(tmp_path / "all", "ant", "cat", "dog"), folder_of(tmp_path / "some", "dog")
    assert judged_of(3, frames=everything, eval_frames=some).labels.tolist() == [2, 2]


def test_max_drop_needs_labels(tmp_path):
    with pytest.warns(UserWarning), pytest.raises(InputError, match="no labels, which --max-drop needs"):
        judged_of(5, frames=folder_of(tmp_path, "ant", "dog"), max_drop=1.0)


def test_class_names_are_kept_where_there_is_one_a_class():
    pixels = np.zeros((1, 1, 4, 4), np.uint8)
    two, three = (Frames(pixels, class_names=names) for names in (("a", "b"), ("c", "d", "e")))
    assert names_of_all(3, two, None, three) == ("c", "d", "e")
    assert names_of_all(2, Frames(pixels), two) == ("a", "b")
    assert names_of_all(4, two, three) is names_of_all(None, two) is None
