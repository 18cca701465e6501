"""An ONNX graph of a bundle as a function of one array, run by onnxruntime."""

from __future__ import annotations

import numpy as np

from lognet_fpga.bundle import Bundle
from lognet_fpga.errors import BundleError, MissingToolError


class OnnxFunction:
    """The graph in file `name` of the bundle, from its only input to its last output, or to all of them.

    threads: that share the work of one call; None: one a core.  batch: the only number of frames that the graph takes,
    None where it takes any.
    Raises MissingToolError without onnxruntime, BundleError when onnxruntime does not take the graph or its run fails.
    """

    def __init__(self, bundle: Bundle, name: str, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingToolError(
                f"onnxruntime is not installed, and {name} of the bundle is run with it",
                hint="on a board, run it with --device pynq, which needs none; "
                "elsewhere pip install onnxruntime (there is none for 32-bit ARM)",
            ) from error
        self._name = name
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings are about graphs, not for the user
        options.intra_op_num_threads = threads or 0
        content = bundle.file(name)
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise BundleError(f"onnxruntime does not take {name} of the bundle: {_one_line(error)}") from error
        if len(self._session.get_inputs()) != 1 or not self._session.get_outputs():
            raise BundleError(f"{name} of the bundle is no model of one input with an output")
        source = self._session.get_inputs()[0]
        self._input = source.name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.batch = source.shape[0] if source.shape and isinstance(source.shape[0], int) else None

    def __call__(self, array: np.ndarray) -> np.ndarray:
        return self._run(self._outputs[-1:], array)[0]

    def all(self, array: np.ndarray) -> list[np.ndarray]:
        """Every output, in order."""
        return self._run(self._outputs, array)

    def _run(self, outputs: list[str], array: np.ndarray) -> list[np.ndarray]:
        try:
            return self._session.run(outputs, {self._input: array})
        except Exception as error:
            raise BundleError(
                f"{self._name} of the bundle fails on {array.dtype} of shape {array.shape}: {_one_line(error)}"
            ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
