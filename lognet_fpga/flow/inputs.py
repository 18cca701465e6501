"""What a deployment starts from, looked at before the slow stages: frames, tools, the place for the bundle."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from lognet_fpga.bundle import check_place, safe_name
from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import InputError, ModelError, UsageError, did_you_mean_file
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.output import ModelOutput
from lognet_fpga.machine.tools import find_cxx, find_verilator
from lognet_fpga.partition import input_padding
from lognet_fpga.runtime.frames import Frames, load_frames, settle
from lognet_fpga.synth.yosys import find_yosys

CALIBRATION_FRAMES = 256  # at most; fewer of large frames, which is as many positions and bounds the memory
APART_FRAMES = 1000  # the same of frames that only calibrate: nobody waits for four times as long without having asked
CALIBRATION_POSITIONS = 2**20
VERIFIED_FRAMES = 8  # at most; two of large frames, for they take long to simulate
VERIFIED_POSITIONS = 2**16
_NOISE_FRAMES = 64
_NOISE_SEED = 1


def check_surroundings(config: DeployConfig) -> None:
    """Raise the ModelError, MissingToolError or OutputError that would otherwise come after minutes of work."""
    if not os.path.exists(config.model):  # before the question of tools: more often the reason
        raise ModelError(
            f"no such file: {config.model}", hint=did_you_mean_file(config.model, "give the path of the .onnx file")
        )
    if config.verify:
        find_verilator()
        find_cxx()
    if config.synth:
        find_yosys()
    check_place(safe_name(config.model.stem), config.out_folder)


def settle_preprocessing(config: DeployConfig, graph: Graph) -> DeployConfig:
    """config with its preprocessing settled for the model and the frames that calibrate; raises what `settle` does."""
    settled = settle(
        config.preprocessing,
        config.calibration_source,
        graph.input_shape,
        calibration_limit(graph.input_shape, config.judged_apart),
        lambda: input_padding(graph),
    )
    return replace(config, preprocessing=settled)


def read_frames(config: DeployConfig, graph: Graph, output: ModelOutput) -> Frames:
    """The frames to calibrate with, and behind them those to judge where no others are given; else noise: enough to
    size and verify the hardware, no use for accuracy.

    Raises InputError for frames that the model cannot take and labels that it does not know.
    """
    shape, source = graph.input_shape, config.calibration_source
    if source is None:
        return Frames(np.random.default_rng(_NOISE_SEED).integers(0, 256, (_NOISE_FRAMES, *shape), dtype=np.uint8))
    judged = 0 if config.judged_apart else config.eval_limit
    limit = None if judged is None else calibration_limit(shape, config.judged_apart) + judged
    return load_frames(source, shape, config.preprocessing, limit=limit, classes=output.classes)


def read_judged(config: DeployConfig, graph: Graph, frames: Frames, output: ModelOutput) -> Frames | None:
    """The frames to count the accuracy on: those given apart from the ones that calibrate, else those of `frames` that
    calibration leaves; without labels where the model's output has no classes.

    None without any.  Raises InputError for frames that the model cannot take, labels that it does not know, and
    where --max-drop has no labels; UsageError where it has no classes.
    """
    if config.max_drop is not None and not output.has_classes:
        raise UsageError(
            "--max-drop limits how much accuracy is lost, and this model has none to lose: no classes are read from "
            f"its output, for {output.reason}",
            hint="leave --max-drop out; the report says how near the outputs are to the float model's",
        )
    source = config.judged_source
    if source is None:
        return None
    if config.judged_apart:
        judged = load_frames(
            source,
            graph.input_shape,
            config.preprocessing,
            limit=config.eval_limit,
            classes=output.classes,
            class_names=names_of_all(output.classes, frames),
        )
    else:
        judged = unseen(frames).first(config.eval_limit)
    if not output.has_classes:
        return replace(judged, labels=None, class_names=None)
    if config.max_drop is not None and judged.labels is None:
        raise InputError(
            f"{source} has no labels, which --max-drop needs",
            hint="give an .npz with labels, a folder with a subfolder a class, or one with a labels.csv",
        )
    return judged


def names_of_all(classes: int | None, *frames: Frames | None) -> tuple[str, ...] | None:
    """The class names of the first frames that have one for each of so many classes: a folder of frames may hold some
    of the classes only, or subfolders that are none."""
    names = (some.class_names for some in frames if some is not None)
    return next((each for each in names if each and len(each) == classes), None)


def calibration(frames: Frames, apart: bool = False) -> np.ndarray:
    """The frames that the quantizer is calibrated with, (n, channels, height, width) uint8."""
    return frames.frames[: calibration_limit(frames.frames.shape[1:], apart)]


def calibration_limit(shape: tuple[int, ...], apart: bool = False) -> int:
    """The most frames, (channels, height, width) each, that the quantizer is calibrated with.  apart: they are given
    for this only."""
    most = APART_FRAMES if apart else CALIBRATION_FRAMES
    return max(8, min(most, CALIBRATION_POSITIONS // (shape[1] * shape[2])))


def verified(frames: Frames) -> np.ndarray:
    """The frames that go through every level, two at least, for cycles per frame are measured from one to the next."""
    height, width = frames.frames.shape[2:]
    vectors = frames.frames[: max(2, min(VERIFIED_FRAMES, VERIFIED_POSITIONS // (height * width)))]
    return vectors if len(vectors) > 1 else np.repeat(vectors, 2, axis=0)


def unseen(frames: Frames) -> Frames:
    """The frames that calibration did not use; all of them where too few are left to say anything."""
    used = len(calibration(frames))
    return frames[used if len(frames) >= 2 * used else 0 :]


def calibrated_among(judged: Frames, used: np.ndarray) -> int:
    """How many of the judged frames are, pixel by pixel, frames that the calibration used."""
    seen = {frame.tobytes() for frame in used}
    return sum(frame.tobytes() in seen for frame in judged.frames)
