"""What is told of single frames: confusions, and frames that changed class with their pictures."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest

from lognet_fpga.flow.reports.answers import CHANGED_FRAMES, PICTURE_SIDE, answers_data
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.verify.accuracy import Accuracy, Answers, Loss, Shares

NOTHING = Shares(None, None, 1.0)


def told(
    answers: Answers, frames: np.ndarray | None = None, order: str = "rgb", **more
) -> tuple[dict, dict[str, bytes]]:
    count = len(answers.float_model)
    accuracy = Accuracy(count, 0, *[NOTHING] * 3, *[Loss(0, 0)] * 2, 0, NOTHING, (), answers)
    pixels = np.zeros((count, 1, 4, 4), np.uint8) if frames is None else frames
    data, files = answers_data(accuracy, Frames(pixels, answers.labels, **more), ("a", "b"), order)
    assert data is not None
    return data, files


def random_answers(seed: int, classes: int, count: int = 500) -> Answers:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    some = [np.where(rng.random(count) < 0.7, labels, rng.integers(0, classes, count)) for _ in range(2)]
    return Answers(*some, labels)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_one_frame_after_the_other(seed):
    answers = random_answers(seed, 7)
    data, _ = told(answers)
    matrix = [[0] * 7 for _ in range(7)]
    lost = gained = changed = 0
    for before, after, label in zip(
        *(each.tolist() for each in (answers.float_model, answers.deployed, answers.labels))
    ):
        matrix[label][after] += 1
        changed += before != after
        lost += before != after and before == label
        gained += before != after and after == label
    assert data["confusion"] == matrix
    counts = data["changed"]
    assert (counts["frames"], counts["lost"], counts["gained"]) == (changed, lost, gained)
    errors = sorted((-n, row, place) for row, line in enumerate(matrix) for place, n in enumerate(line) if row != place)
    assert [(-p["frames"], p["truth"], p["class"]) for p in data["confused"]] == errors[:10]
    for pair in data["confused"]:
        both = (answers.labels == pair["truth"]) & (answers.float_model == pair["class"])
        assert pair["float_frames"] == both.sum()


def test_frames_that_became_wrong_come_first():
    data, _ = told(random_answers(5, 7))
    shown = data["changed"]["shown"]
    kinds = [0 if f["float_class"] == f["label"] else 1 if f["deployed_class"] == f["label"] else 2 for f in shown]
    assert len(shown) == CHANGED_FRAMES and kinds == sorted(kinds)
    assert all(frame["float_class"] != frame["deployed_class"] for frame in shown)


def test_without_labels_the_float_model_is_the_truth():
    answers = dataclasses.replace(random_answers(1, 4), labels=None)
    data, _ = told(answers)
    assert data["truth"] == "float model" and data["changed"]["lost"] is None
    assert sum(row[place] for place, row in enumerate(data["confusion"])) == np.sum(
        answers.float_model == answers.deployed
    )


def test_a_matrix_of_many_classes_is_left_out():
    assert told(random_answers(1, 32))[0]["confusion"] is not None
    assert told(random_answers(1, 33))[0]["confusion"] is None


@pytest.mark.parametrize("shape", [(3, 32, 24), (1, 8, 8), (3, 100, 50), (1, 300, 4), (3, 4, 300)])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_pictures_are_the_frames_and_small(require_tool, shape, order):
    require_tool("PIL")
    from PIL import Image

    frames = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    answers = Answers(np.array([0, 1]), np.array([0, 0]), None)
    data, files = told(answers, frames, order, names=("first.png", "second.png"))
    ((name, content),) = files.items()
    (shown,) = data["changed"]["shown"]
    assert (shown["frame"], shown["name"], shown["picture"]) == (1, "second.png", name)
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert max(pixels.shape) <= PICTURE_SIDE and len(content) < 3 * PICTURE_SIDE**2 + 1100
    expected = frames[1][::-1] if order == "bgr" and shape[0] == 3 else frames[1]
    if max(shape) <= PICTURE_SIDE:
        np.testing.assert_array_equal(pixels, expected[0] if shape[0] == 1 else expected.transpose(1, 2, 0))
    elif min(shape[1:]) > 8:
        means = expected.reshape(3, -1).mean(axis=1)
        np.testing.assert_allclose(pixels.reshape(-1, 3).mean(axis=0), means, atol=4)


def test_frames_that_are_no_pictures_have_none():
    data, files = told(Answers(np.array([0]), np.array([1]), None), np.zeros((1, 2, 4, 4), np.uint8))
    assert files == {} and data["changed"]["shown"][0]["picture"] is None
