"""onnxruntime as the front end runs it, and the errors that it refuses a model with."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from lognet_fpga.frontend.apart import NONE, Weights

ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ort_errors.EPFail,
    ort_errors.NoSuchFile,
)


def open_session(
    model: onnx.ModelProto, weights: Weights = NONE, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """model in onnxruntime, without graph optimizations.

    weights: those that stand apart from it (`apart`), to be kept as long as the session.  optimized: where to write the
    model after the basic optimizations.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_BASIC if optimized else level.ORT_DISABLE_ALL
    if optimized:
        options.optimized_model_filepath = str(optimized)
        options.add_session_config_entry("session.disable_prepacking", "1")  # nothing will be computed
    if weights:
        # onnxruntime reads the arrays where they are.
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
