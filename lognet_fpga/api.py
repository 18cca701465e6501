"""The toolkit from Python: what the commands do, as functions of `import lognet_fpga as ln`.

    deployment = ln.deploy("model.onnx", frames="photos/")
    deployment.classify("photos/")

Everything that goes wrong is a `LogNetError`, with a message for people and the exit code of the command.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, Union

import numpy as np

from lognet_fpga.bundle import Bundle, read_bundle
from lognet_fpga.config import EVAL_FRAMES, BitstreamRequest, DeployConfig
from lognet_fpga.errors import InputError, LogNetError, UsageError
from lognet_fpga.ir.preprocessing import PRESETS, MeanImage, Preprocessing
from lognet_fpga.page.deployment import PAGE
from lognet_fpga.page.document import framed
from lognet_fpga.page.inspection import inspection_page
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.report import Report
from lognet_fpga.runtime.device import Device
from lognet_fpga.runtime.frames import load_frames
from lognet_fpga.runtime.notebook import find_device
from lognet_fpga.runtime.session import Session

if TYPE_CHECKING:
    from lognet_fpga.flow.inspection import Inspection

Place = Union[str, "os.PathLike[str]"]
BATCH = 64  # frames that go to the device together


@dataclass(frozen=True, eq=False)
class Deployment:
    """A bundle, and what runs it: the FPGA where pynq has one, else the simulated device.

    path: where the bundle lies.  report: the deployment's report; None for a bundle that was opened.  problem: why the
    bundle has no bitstream although one was asked for.
    """

    path: Path
    bundle: Bundle
    report: Report | None = None
    problem: LogNetError | None = None

    def page(self) -> str:
        """The report to look at, report.html; notebooks show it.  Raises BundleError for a bundle without one."""
        return self.bundle.file(PAGE).decode()

    def _repr_html_(self) -> str | None:
        return framed(self.page()) if PAGE in self.bundle.files else None

    def classify(self, frames: Place | np.ndarray, device: Device | None = None) -> np.ndarray:
        """Class numbers, (n,).  frames and device: as of outputs.  Raises UsageError for a model whose outputs are no
        classes."""
        with self.session(device) as session:
            parts = []
            for outputs in self._outputs(session, frames):
                classes = session.output.predictions(outputs)
                if classes is None:
                    raise UsageError(
                        f"the outputs of {self.bundle.name} are no classes",
                        hint="take outputs() in place of classify()",
                    )
                parts.append(classes)
        return np.concatenate(parts)

    def outputs(self, frames: Place | np.ndarray, device: Device | None = None) -> list[np.ndarray]:
        """Every output of the model; of one with scores, the first is those, (n, classes).

        frames: a folder of images, an .npz, .npy or .csv, or an array, (n, channels, height, width) uint8 in RGB as the
        model sees it after its resize, or the signed or float numbers that the model was deployed for.  device: another
        one than `find_device` gives.  Raises a LogNetError.
        """
        with self.session(device) as session:
            parts = list(self._outputs(session, frames))
        return [np.concatenate(each) for each in zip(*parts)]

    def session(self, device: Device | None = None) -> Session:
        """For more: `with deployment.session() as session`."""
        return Session(self.bundle, device or find_device(self.bundle))

    def _outputs(self, session: Session, frames: Place | np.ndarray) -> Iterator[list[np.ndarray]]:
        """Of each batch."""
        array = frames if isinstance(frames, np.ndarray) else self._read(Path(frames))
        if not len(array):
            raise InputError("there are no frames", hint="give at least one")
        for start in range(0, len(array), BATCH):
            yield session.outputs(session.fpga(array[start : start + BATCH]).activations)

    def _read(self, place: Path) -> np.ndarray:
        bundle = self.bundle
        return load_frames(
            place, bundle.input_shape, bundle.preprocessing, classes=bundle.classes, class_names=bundle.class_names
        ).frames


@dataclass(frozen=True, eq=False)
class ModelInspection:
    """What is known of a model before anything is built; sizes and rates are estimates.

    report: as lognet-inspect prints it.  error: what lognet-deploy would refuse it for; None where it would not.
    """

    report: Report
    error: LogNetError | None

    @property
    def data(self) -> Mapping[str, object]:
        """The JSON of lognet-inspect (docs/json.md): `pandas.json_normalize(seen.data["boards"])`, for example."""
        return self.report.data

    def page(self) -> str:
        """The report to look at, as `lognet-inspect --html` writes it; notebooks show it."""
        return inspection_page({**self.data, "error": None if self.error is None else self.error.to_json()})

    def _repr_html_(self) -> str:
        return framed(self.page())

    def __str__(self) -> str:
        return self.report.text()


def deploy(
    model: Place,
    frames: Place | np.ndarray | None = None,
    *,
    board: str = "pynq-z2",
    out: Place | None = None,
    fps: float | None = None,
    calibration_frames: Place | np.ndarray | None = None,
    eval_frames: Place | None = None,
    eval_limit: int | None = EVAL_FRAMES,
    fpga_layers: int | Literal["auto", "all"] | None = None,
    act_bits: int | Literal["auto"] = "auto",
    weights: str = "auto",
    prune: float = 0.0,
    clk_mhz: float | None = None,
    synth: bool = False,
    verify: bool = True,
    preprocessing: Preprocessing | str = Preprocessing(),
    mean_image: MeanImage | None = None,
    input_shape: tuple[int, int, int] | None = None,
    max_drop: float | None = None,
    output: Literal["scores", "class"] = "scores",
    bitstream: BitstreamRequest | None = None,
    progress: Progress = NoProgress(),
) -> Deployment:
    """What lognet-deploy does; the options are those of `DeployConfig`.

    frames: to judge the accuracy on, and without calibration_frames for calibration, too: a folder of images, an .npz,
    .npy or .csv, or an array, (n, channels, height, width), of pixels, signed or float numbers; None draws random
    ones.  preprocessing: or the name of a preset, "imagenet" or
    "caffe".  progress: `Reporter("my program")` of lognet_fpga.cli.reporter prints as the commands do.  Raises a
    LogNetError where the command would end with one.
    """
    from lognet_fpga.flow.deploy import deploy as deploy_by

    with _place_of(frames) as place, _place_of(calibration_frames) as calibration_place:
        config = DeployConfig(
            model=Path(model),
            board=board,
            out=None if out is None else Path(out),
            fps=fps,
            frames=place,
            calibration_frames=calibration_place,
            eval_frames=None if eval_frames is None else Path(eval_frames),
            eval_limit=eval_limit,
            fpga_layers=fpga_layers,
            act_bits=act_bits,
            weights=weights,
            prune=prune,
            clk_mhz=clk_mhz,
            synth=synth,
            verify=verify,
            preprocessing=_preprocessing(preprocessing),
            mean_image=mean_image,
            input_shape=input_shape,
            max_drop=max_drop,
            output=output,
            bitstream=bitstream,
        )
        result = deploy_by(config, progress)
    return Deployment(result.bundle_path, read_bundle(result.bundle_path), result.report, result.problem)


def inspect(
    model: Place,
    board: str | None = None,
    *,
    fps: float | None = None,
    fpga_layers: int | Literal["auto", "all"] | None = None,
    act_bits: int | Literal["auto"] = "auto",
    weights: str = "auto",
    prune: float = 0.0,
    clk_mhz: float | None = None,
    preprocessing: Preprocessing | str = Preprocessing(),
    input_shape: tuple[int, int, int] | None = None,
    progress: Progress = NoProgress(),
) -> ModelInspection:
    """What lognet-inspect says: where each operator would run, which boards have room, how fast they would be.

    board: one only; None: all.  Raises a LogNetError for a file that is no such model.
    """
    from lognet_fpga.flow.inspection import inspect as inspect_by
    from lognet_fpga.flow.reports import inspection as inspection_report

    config = DeployConfig(
        model=Path(model),
        board=board or DeployConfig.board,
        fps=fps,
        fpga_layers=fpga_layers,
        act_bits=act_bits,
        weights=weights,
        prune=prune,
        clk_mhz=clk_mhz,
        preprocessing=_preprocessing(preprocessing),
        input_shape=input_shape,
    )
    seen: Inspection = inspect_by(config, board, progress)
    return ModelInspection(inspection_report.build(config, seen), seen.error)


def open_bundle(path: Place) -> Deployment:
    """A bundle that was deployed before, on a board or elsewhere: NAME.lognet or NAME.lognet.zip.  Needs none of what
    deploying does.  Raises BundleError."""
    return Deployment(Path(path), read_bundle(Path(path)))


@contextmanager
def _place_of(frames: Place | np.ndarray | None) -> Iterator[Path | None]:
    """A file, for as long as it is needed, where frames are an array."""
    if not isinstance(frames, np.ndarray):
        yield None if frames is None else Path(frames)
        return
    with TemporaryDirectory(prefix="lognet-frames-") as folder:
        place = Path(folder) / "frames.npz"
        np.savez(place, frames=frames)
        yield place


def _preprocessing(given: Preprocessing | str) -> Preprocessing:
    if isinstance(given, Preprocessing):
        return given
    if given not in PRESETS:
        raise UsageError(f"there is no preset {given!r} of preprocessing", hint=f"take {' or '.join(PRESETS)}")
    return PRESETS[given]
