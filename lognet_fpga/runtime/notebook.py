"""What the notebooks run with, wherever they lie: the bundle, frames, a model and the device that are there.

A checkout, a folder that `pynq get-notebooks` filled on a board, and a folder of the user's own are searched alike: the
notebook's folder first, then the one above it, then what `make demo` makes in a checkout.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from lognet_fpga.bundle import VECTORS, Bundle, read_bundle
from lognet_fpga.errors import BundleError, InputError, ModelError, UsageError
from lognet_fpga.runtime.board import BoardDevice
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.frames import Frames, load_frames
from lognet_fpga.runtime.simulated import SimulatedDevice

SUFFIXES = (".lognet", ".lognet.zip")
DEMO = "build/demo"
MODEL_FOLDER = "models/cifar10_64x3"
FRAMES_FILE = "test_frames.npz"
DEVICES = ("pynq", "simulated")


def find_bundle(place: Path | str | None = None) -> Bundle:
    """The bundle at place, else at LOGNET_BUNDLE, else the only one in the first folder that has any.

    Raises BundleError where there is none, UsageError where a folder has several.
    """
    given = place or os.environ.get("LOGNET_BUNDLE")
    if given:
        return read_bundle(Path(given))
    for folder in _folders(".", DEMO):
        found = {path.name.removesuffix(".zip"): path for path in sorted(folder.glob("*.lognet*"), reverse=True)}
        bundles = [path for path in found.values() if path.name.endswith(SUFFIXES)]
        if len(bundles) > 1:
            raise UsageError(
                f"{folder} has {len(bundles)} bundles: {', '.join(sorted(path.name for path in bundles))}",
                hint='name one: find_bundle("NAME.lognet"), or LOGNET_BUNDLE',
            )
        if bundles:
            return read_bundle(bundles[0])
    raise BundleError(
        "there is no bundle for this notebook",
        context=[f"looked in {folder}" for folder in _folders(".", DEMO)],
        hint="copy the NAME.lognet.zip that lognet-deploy wrote beside this notebook, "
        'or name it: find_bundle("path/NAME.lognet.zip"); `make demo` in a checkout makes one',
    )


def find_frames(bundle: Bundle, place: Path | str | None = None) -> Frames:
    """The frames at place, else at LOGNET_FRAMES, as of load_frames; else the first test_frames.npz that suits the
    bundle, else the frames that it was verified with, which have no labels."""
    given = place or os.environ.get("LOGNET_FRAMES")
    if given:
        classes, names = bundle.classes, bundle.class_names
        return load_frames(Path(given), bundle.input_shape, bundle.preprocessing, classes=classes, class_names=names)
    for folder in _folders(".", MODEL_FOLDER):
        try:
            return load_frames(folder / FRAMES_FILE, bundle.input_shape, bundle.preprocessing, classes=bundle.classes)
        except InputError:  # not there, or of another model
            continue
    return Frames(bundle.arrays(VECTORS, "frames")["frames"])


def find_model(place: Path | str | None = None) -> Path:
    """The ONNX file at place, else at LOGNET_MODEL, else the checkout's model.  Raises ModelError where it is not."""
    given = place or os.environ.get("LOGNET_MODEL")
    paths = [Path(given)] if given else [folder / "model.onnx" for folder in _folders(".", MODEL_FOLDER)]
    for path in paths:
        if path.is_file():
            return path
    raise ModelError(
        "there is no ONNX file for this notebook",
        context=[f"looked for {path}" for path in paths],
        hint='name one: find_model("path/model.onnx"), or LOGNET_MODEL',
    )


def find_device(bundle: Bundle) -> Device:
    """The FPGA where pynq has one, on a board or with a SimulatedBoard, else the simulated device; not open yet.

    LOGNET_DEVICE=pynq or =simulated chooses.  LOGNET_BITSTREAM: a .bit file instead of the bundle's.
    """
    wanted = os.environ.get("LOGNET_DEVICE") or ("pynq" if _pynq_has_a_device() else "simulated")
    if wanted not in DEVICES:
        raise UsageError(f"LOGNET_DEVICE is {wanted!r}, which is no device", hint=f"set {' or '.join(DEVICES)}")
    if wanted == "simulated":
        return SimulatedDevice(bundle)
    bitstream = os.environ.get("LOGNET_BITSTREAM")
    return BoardDevice(bundle, bitstream=Path(bitstream) if bitstream else None)


def _pynq_has_a_device() -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # away from a board pynq warns that there is none
            return importlib.import_module("pynq").Device.active_device is not None
    except Exception:  # and its import fails in many ways
        return False


def _folders(*places: str) -> Iterator[Path]:
    """Each place in the folder that the notebook runs in, and in the one above."""
    for place in places:
        for start in (Path.cwd(), Path.cwd().parent):
            if (start / place).is_dir():
                yield start / place
