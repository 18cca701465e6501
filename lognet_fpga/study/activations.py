"""What passes between the layers of a model: samples of it, and a layer's error on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from lognet_fpga.numerics.quantizers import Quantizer
from lognet_fpga.study.substitute import with_outputs
from lognet_fpga.study.weight_layers import WeightLayer
from lognet_fpga.verify.onnx_session import OnnxSession

CALIBRATION_FRAMES = 16
_SAMPLES = 200_000  # of a tensor
_SEED = 1


def values_of(model: bytes, names: Sequence[str], inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors of the model for inputs, float32; the model's own input may be among the names."""
    proto = onnx.ModelProto.FromString(model)
    own = proto.graph.input[0].name
    asked = [name for name in dict.fromkeys(names) if name != own]
    found = dict(zip(asked, OnnxSession(with_outputs(model, asked), "the model")(inputs))) if asked else {}
    return {own: inputs, **found}


def sampled(values: np.ndarray) -> np.ndarray:
    """At most _SAMPLES of them, float64, flat."""
    flat: np.ndarray = values.reshape(-1)
    if len(flat) > _SAMPLES:
        flat = flat[np.random.default_rng(_SEED).choice(len(flat), _SAMPLES, replace=False)]
    return flat.astype(np.float64)


def weight_error(model: bytes, layer: WeightLayer, source: np.ndarray) -> Callable[[Quantizer], float]:
    """The mean square error of the layer's sums when its weights pass a quantizer.

    source: what the layer is applied to, (frames, ...).  The layer is linear, so it is run on the differences.
    """
    sums = _sums_of(model, layer)
    return lambda quantizer: _mean_square(sums(source, quantizer(layer.weight) - layer.weight))


def activation_error(model: bytes, readers: Sequence[WeightLayer], source: np.ndarray) -> Callable[[Quantizer], float]:
    """The mean square error of the sums of all layers that read `source` when that passes a quantizer, added up."""
    several = [(_sums_of(model, layer), layer.weight) for layer in readers]

    def error(quantizer: Quantizer) -> float:
        difference = quantizer(source) - source
        return sum(_mean_square(sums(difference, weight)) for sums, weight in several)

    return error


def _mean_square(values: np.ndarray) -> float:
    return float(np.mean(np.square(values, dtype=np.float64)))


def _sums_of(model: bytes, layer: WeightLayer) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The layer's node alone, without its bias, as a function of what it reads and of its weight."""
    proto = onnx.ModelProto.FromString(model)
    node = next(node for node in proto.graph.node if layer.tensor in node.input)
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[2:], alone.output[:]
    alone.output.append("sums")
    inputs = {
        layer.source: helper.make_tensor_value_info(layer.source, TensorProto.FLOAT, None),
        layer.tensor: helper.make_tensor_value_info(layer.tensor, TensorProto.FLOAT, list(layer.weight.shape)),
    }
    graph = helper.make_graph(
        [alone],
        "layer",
        [inputs[name] for name in alone.input],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, None)],
    )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    one = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version).SerializeToString()
    session = onnxruntime.InferenceSession(one, options, providers=["CPUExecutionProvider"])

    def sums(source: np.ndarray, weight: np.ndarray) -> np.ndarray:
        given = {layer.source: source.astype(np.float32), layer.tensor: weight.astype(np.float32)}
        return session.run(None, given)[0]

    return sums
