"""An ONNX graph as a function of any number of frames, run by onnxruntime on all cores."""

from __future__ import annotations

import numpy as np

from lognet_fpga.errors import MissingToolError, ModelError


class OnnxSession:
    """An ONNX graph with one input, run by onnxruntime on any number of frames; several threads may call it at a time.

    what: what messages call it.  threads: that share the work of one call; None: one a core.  batch: the only number of
    frames that the graph takes, None where it takes any.  outputs: name and type of each, as onnxruntime has them.
    """

    def __init__(self, model: bytes, what: str, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingToolError(
                "onnxruntime is not installed; it is needed to measure the accuracy", hint="pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings are about graphs, not for the user
        options.intra_op_num_threads = threads or 0
        self.what = what
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise self._failure(error) from error
        source = self._session.get_inputs()[0]
        self._input = source.name
        self.batch = source.shape[0] if isinstance(source.shape[0], int) and source.shape[0] > 0 else None
        self.outputs = self._session.get_outputs()

    def __call__(self, frames: np.ndarray) -> list[np.ndarray]:
        """All outputs for all frames; a model of a fixed batch gets the last frame again to fill its last batch."""
        count = len(frames)
        if self.batch is None:
            return self.run(frames)
        short = -count % self.batch
        filled = np.concatenate([frames, np.repeat(frames[-1:], short, axis=0)]) if short else frames
        runs = [self.run(filled[start : start + self.batch]) for start in range(0, len(filled), self.batch)]
        return [np.concatenate(parts)[:count] for parts in zip(*runs)]

    def run(self, frames: np.ndarray) -> list[np.ndarray]:
        """All outputs of one run, of just as many frames as there are."""
        try:
            return self._session.run(None, {self._input: np.ascontiguousarray(frames)})
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ModelError:
        text = " ".join(str(error).split())[:300]
        return ModelError(f"onnxruntime does not run {self.what}: {text}", hint="export the model again")
