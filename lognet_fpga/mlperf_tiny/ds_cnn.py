"""The reference model of keyword spotting, DS-CNN, out of its SavedModel: the file that MLCommons calls its float32
.tflite has 8-bit weights, so the graph (keras_model.py of mlcommons/tiny) is built here around the float variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.errors import ModelError

_FRAME = (49, 10, 1)
_EPSILON = 1e-3  # Keras' default of BatchNormalization
_CONVOLUTIONS = 9  # the first of 10 x 4; then four times a depthwise one and one of 1 x 1
_OPSET = 17


def ds_cnn(variables: Mapping[str, np.ndarray], name: str = "kws_ref_model") -> onnx.ModelProto:
    """The model with these variables, as of read_checkpoint.  Raises ModelError where they are not its own."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def variable(layer: int, what: str) -> np.ndarray:
        try:
            return variables[f"layer_with_weights-{layer}/{what}"]
        except KeyError as error:
            raise ModelError(f"the SavedModel has no variable {error.args[0]}: it is no DS-CNN") from error

    def add(kind: str, source: str, *values: np.ndarray, **attributes: object) -> str:
        result, names = f"{kind}_{len(nodes)}", []
        for value in values:
            names.append(f"constant_{len(constants)}")
            constants.append(numpy_helper.from_array(np.ascontiguousarray(value), names[-1]))
        nodes.append(helper.make_node(kind, [source, *names], [result], name=result))
        nodes[-1].attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        return result

    end = add("Transpose", "frames", perm=[0, 3, 1, 2])
    for number in range(_CONVOLUTIONS):
        layer, depthwise = 2 * number, number % 2 == 1
        kernel = variable(layer, "depthwise_kernel" if depthwise else "kernel")  # (height, width, in, out or 1)
        weight = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        stride = 1 if number else 2
        groups = kernel.shape[2] if depthwise else 1
        end = add(
            "Conv",
            end,
            weight,
            variable(layer, "bias"),
            auto_pad="SAME_UPPER",
            strides=[stride, stride],
            kernel_shape=weight.shape[2:],
            group=groups,
        )
        norm = [variable(layer + 1, what) for what in ("gamma", "beta", "moving_mean", "moving_variance")]
        end = add("Relu", add("BatchNormalization", end, *norm, epsilon=_EPSILON))
    end = add("Flatten", add("GlobalAveragePool", end))
    last = 2 * _CONVOLUTIONS
    dense = add("Gemm", end, variable(last, "kernel"), variable(last, "bias"))
    end = add("Softmax", dense, axis=-1)
    return helper.make_model(
        helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", *_FRAME])],
            [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", len(variable(last, "bias"))])],
            constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=8,
        producer_name="lognet-fpga",
    )
