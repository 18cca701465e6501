"""An ONNX graph as a function of any number of frames, run by onnxruntime on all cores."""

from __future__ import annotations

import numpy as np

from lognet_fpga.errors import MissingToolError, ModelError


class OnnxSession:
    """An ONNX graph with one input, run by onnxruntime on any number of frames; several threads may call it at a time.

    threads: that share the work of one call; None: one a core.
    """

    def __init__(self, model: bytes, what: str, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingToolError(
                "onnxruntime is not installed, and the accuracy is counted with it", hint="pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings are about graphs, not for the user
        options.intra_op_num_threads = threads or 0
        self._what = what
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise self._failure(error) from error
        source = self._session.get_inputs()[0]
        self._input = source.name
        self._batch = source.shape[0] if isinstance(source.shape[0], int) and source.shape[0] > 0 else None

    def __call__(self, frames: np.ndarray) -> list[np.ndarray]:
        """All outputs for all frames; a model of a fixed batch gets the last frame again to fill its last batch."""
        count = len(frames)
        if self._batch is None:
            return self._run(frames)
        short = -count % self._batch
        filled = np.concatenate([frames, np.repeat(frames[-1:], short, axis=0)]) if short else frames
        runs = [self._run(filled[start : start + self._batch]) for start in range(0, len(filled), self._batch)]
        return [np.concatenate(parts)[:count] for parts in zip(*runs)]

    def _run(self, frames: np.ndarray) -> list[np.ndarray]:
        try:
            return self._session.run(None, {self._input: np.ascontiguousarray(frames)})
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ModelError:
        text = " ".join(str(error).split())[:300]
        return ModelError(f"onnxruntime does not run {self._what}: {text}", hint="export the model again")
