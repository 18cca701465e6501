"""A session: a bundle, the device that runs its FPGA part, and the host that runs the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from types import TracebackType

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BundleError, InputError
from lognet_fpga.ir.output import SCORES, ModelOutput, guessed
from lognet_fpga.runtime.device import Device, DeviceRun
from lognet_fpga.runtime.frame_arrays import codes_of_array
from lognet_fpga.runtime.numpy_function import NumpyFunction
from lognet_fpga.runtime.onnx_function import OnnxFunction

TAIL = "tail.onnx"


class Session:
    """Use as a context manager: the device is open inside.

    The host's part runs in onnxruntime where that is installed, else in NumPy; tail_runs_in says which.  Raises what
    the device's open raises, and MissingToolError or BundleError for the host's part.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        self.bundle = bundle
        self.device = device
        self._output = bundle.model_output
        self._tail: OnnxFunction | NumpyFunction
        if find_spec("onnxruntime") is not None:
            self._tail, self.tail_runs_in = OnnxFunction(bundle, TAIL), "onnxruntime"
        else:
            self._tail, self.tail_runs_in = NumpyFunction(bundle.file(TAIL), TAIL), "NumPy"

    def __enter__(self) -> Session:
        self.device.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.device.close()

    @property
    def output(self) -> ModelOutput:
        """What the model gives.  Raises BundleError for a bundle that does not say it, until something was given."""
        if self._output is None:
            raise BundleError("the bundle does not tell what its model's outputs are", hint="run a frame first")
        return self._output

    def fpga(self, frames: np.ndarray) -> DeviceRun:
        """Run the FPGA part on frames, (n, channels, height, width) uint8, or, where the model takes signed or float
        numbers, those, as of codes_of_array."""
        return self.device.run(self._checked(frames))

    def fpga_runs(self, batches: Iterable[np.ndarray | None]) -> Iterator[DeviceRun]:
        """Run the FPGA part on batches, each as of fpga, and yield what comes back of each, in order.  None among them:
        as of Device.runs."""
        return self.device.runs(None if batch is None else self._checked(batch) for batch in batches)

    def outputs(self, activations: np.ndarray) -> list[np.ndarray]:
        """Run the host's part on activations, (n, height, width, channels); every output of the model as of
        ModelOutput.collect, scores as (n, classes)."""
        try:
            output = self._output or self._guessed(activations)
            outputs = output.collect(self._tail.all, activations)
        except ValueError as error:
            raise BundleError(f"{TAIL} of the bundle does not give what it must: {error}") from error
        self._output = output
        if output.kind == SCORES:
            outputs[0] = outputs[0].reshape(len(activations), -1)
        return outputs

    def tail(self, activations: np.ndarray) -> np.ndarray:
        """The first of outputs: of a model with scores those, (n, classes)."""
        return self.outputs(activations)[0]

    def classify(self, frames: np.ndarray) -> np.ndarray:
        """As tail, of frames, through both parts."""
        return self.tail(self.fpga(frames).activations)

    def predict(self, frames: np.ndarray) -> np.ndarray | None:
        """Class numbers (n,) of frames, through both parts; None for a model whose outputs are no classes."""
        outputs = self.outputs(self.fpga(frames).activations)
        return self.output.predictions(outputs)

    def _guessed(self, activations: np.ndarray) -> ModelOutput:
        batch = getattr(self._tail, "batch", None)
        part = np.resize(activations, (batch, *activations.shape[1:])) if batch else activations
        return guessed(self._tail.all(np.ascontiguousarray(part)), len(part), batch)

    def _checked(self, frames: np.ndarray) -> np.ndarray:
        shape = self.bundle.input_shape
        if frames.dtype != np.uint8 and (how := self.bundle.preprocessing).dtype not in (None, "uint8"):
            return codes_of_array(frames, shape, how)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != shape or not len(frames):
            raise InputError(
                f"frames must be uint8 of shape (n, {', '.join(map(str, shape))}), "
                f"not {frames.dtype} of shape {frames.shape}"
            )
        return np.ascontiguousarray(frames)
