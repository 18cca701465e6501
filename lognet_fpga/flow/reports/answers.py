"""How the deployed model answers, frame by frame: which classes it confuses, and the frames whose class changed."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lognet_fpga.page.deployment import PICTURES
from lognet_fpga.runtime.frames import Frames
from lognet_fpga.verify.accuracy import Accuracy, Answers

MATRIX_CLASSES = 32  # at most, for a matrix of all pairs
PAIRS = 10  # the most frequent ones
CHANGED_FRAMES = 12  # that are shown, of those whose class changed
PICTURE_SIDE = 40  # pixels of a picture's longer side at most


def answers_data(
    accuracy: Accuracy, judged: Frames, class_names: Sequence[str] | None, channel_order: str
) -> tuple[dict[str, object] | None, dict[str, bytes]]:
    """(data, files): the field `answers` of report.json, see docs/commands.md, and the pictures of frames that changed
    class, by their places in the bundle.

    judged: the frames that accuracy is of.  channel_order: of their channels, as in the preprocessing.
    """
    answers = accuracy.answers
    if answers is None:
        return None, {}
    changed = np.flatnonzero(answers.float_model != answers.deployed)
    files: dict[str, bytes] = {}
    shown = []
    for frame in _most_telling(answers, changed):
        picture = _picture(judged.frames[frame], channel_order)
        name = f"{PICTURES}{frame}.bmp"
        if picture is not None:
            files[name] = picture
        shown.append(
            {
                "frame": int(frame),
                "name": None if judged.names is None else judged.names[frame],
                "label": None if answers.labels is None else int(answers.labels[frame]),
                "float_class": int(answers.float_model[frame]),
                "deployed_class": int(answers.deployed[frame]),
                "picture": None if picture is None else name,
            }
        )
    data: dict[str, object] = {
        "truth": "float model" if answers.labels is None else "labels",
        "class_names": list(class_names) if class_names else None,
        "confusion": _confusion(answers),
        "confused": _pairs(answers),
        "changed": {
            "frames": len(changed),
            "lost": _count(answers, changed, answers.float_model),
            "gained": _count(answers, changed, answers.deployed),
            "shown": shown,
        },
    }
    return data, files


def _most_telling(answers: Answers, changed: np.ndarray) -> np.ndarray:
    """Of the frames that changed class some of those that became wrong, then those that became right, then others."""
    if answers.labels is None:
        return changed[:CHANGED_FRAMES]
    lost = answers.float_model[changed] == answers.labels[changed]
    gained = answers.deployed[changed] == answers.labels[changed]
    order = np.argsort(np.where(lost, 0, np.where(gained, 1, 2)), kind="stable")
    return changed[order[:CHANGED_FRAMES]]


def _count(answers: Answers, changed: np.ndarray, classes: np.ndarray) -> int | None:
    """How many of the changed frames are right in these classes; None without labels."""
    return None if answers.labels is None else int(np.sum(classes[changed] == answers.labels[changed]))


def _confusion(answers: Answers) -> list[list[int]] | None:
    """Frames by true class (rows) and class of the deployed model (columns); None for too many classes."""
    truth, deployed = answers.truth, answers.deployed
    least, most = min(truth.min(), deployed.min()), max(truth.max(), deployed.max())
    if least < 0 or most >= MATRIX_CLASSES:
        return None
    matrix = np.zeros((most + 1, most + 1), np.int64)
    np.add.at(matrix, (truth, deployed), 1)
    return matrix.tolist()


def _pairs(answers: Answers) -> list[dict[str, int]]:
    """The most frequent errors of the deployed model, how often the float model makes the same beside."""
    ours, float_models = (
        Counter((int(true), int(given)) for true, given in zip(answers.truth, classes) if true != given)
        for classes in (answers.deployed, answers.float_model)
    )
    most = sorted(ours.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
    return [
        {"truth": pair[0], "class": pair[1], "frames": count, "float_frames": float_models[pair]}
        for pair, count in most
    ]


def _picture(frame: np.ndarray, channel_order: str) -> bytes | None:
    """A frame, (channels, height, width) uint8, as a small BMP, which is the same bytes with every version of every
    library; None for frames that are no pictures, and without pillow."""
    channels, *sides = frame.shape
    if channels not in (1, 3):
        return None
    try:
        from PIL import Image
    except ImportError:
        return None
    step = -(-max(sides) // PICTURE_SIDE)
    pixels = frame[::-1] if channels == 3 and channel_order == "bgr" else frame
    height, width = (max(1, side // step) for side in sides)
    if step > 1 and min(sides) >= step:  # means of squares, in whole numbers
        squares = pixels[:, : height * step, : width * step].reshape(channels, height, step, width, step)
        pixels = (squares.sum(axis=(2, 4), dtype=np.int64) // step**2).astype(np.uint8)
    elif step > 1:
        pixels = pixels[:, ::step, ::step]
    buffer = io.BytesIO()
    Image.fromarray(pixels[0] if channels == 1 else pixels.transpose(1, 2, 0)).save(buffer, "BMP")
    return buffer.getvalue()
