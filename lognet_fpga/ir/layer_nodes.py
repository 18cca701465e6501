"""The ONNX model of a QuantGraph's layers, whatever nodes a layer is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from lognet_fpga.ir.codes import code_type
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Source

INPUT = "frames"
OPSET = 17
IR_VERSION = 8
FLOAT, INT32, UINT8 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.UINT8


def onnx_type(bits: int) -> int:
    """The ONNX element type of activations of so many bits."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(code_type(bits)))


INT64_MAX = np.iinfo(np.int64).max


class LayerNodes:
    """The nodes of one layer and the constants that they use, each named by the layer and its part in it."""

    def __init__(self, layer: str) -> None:
        self._layer = layer
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def constant(self, part: str, value: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(value, f"{self._layer}/{part}"))
        return self.tensors[-1].name

    def add(self, op_type: str, inputs: list[str], part: str, **attributes: Any) -> str:
        """The name of the node's output, the layer's own where part is ""."""
        output = f"{self._layer}/{part}" if part else self._layer
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def end(self) -> None:
        """Make the last node's output the layer's own."""
        self.nodes[-1].name = self.nodes[-1].output[0] = self._layer


def model_of_layers(quant: QuantGraph, name: str, add_layer: Callable[[LayerNodes, QuantLayer, str], None]) -> bytes:
    """The serialized model.  add_layer: adds the nodes from the tensor named last, the layer's whole input, to that of
    the layer's name.

    Input "frames": uint8 (batch, channels, h, w).  Outputs, named by the layers, first to last: each layer's
    activations, (batch, *out_shape) of their `ir.codes.code_type`.
    """
    parts: list[LayerNodes] = []
    outputs = []
    for layer, sources in zip(quant.layers, quant.sources):
        part = LayerNodes(layer.name)
        add_layer(part, layer, _input(part, quant, sources))
        parts.append(part)
        outputs.append(
            helper.make_tensor_value_info(layer.name, onnx_type(layer.out_bits), ["batch", *layer.out_shape])
        )
    frames = helper.make_tensor_value_info(INPUT, UINT8, ["batch", *quant.input_shape])
    nodes = [node for part in parts for node in part.nodes]
    tensors = [tensor for part in parts for tensor in part.tensors]
    graph = helper.make_graph(nodes, name, [frames], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _input(nodes: LayerNodes, quant: QuantGraph, sources: Sequence[Source]) -> str:
    """The tensor of a layer's input."""
    tensors = []
    for number, source in enumerate(sources):
        tensor = INPUT if source.layer == FRAMES else quant.layers[source.layer].name
        if source.stride != (1, 1):
            places = {"starts": [0, 0], "ends": [INT64_MAX, INT64_MAX], "axes": [2, 3], "steps": list(source.stride)}
            names = [
                nodes.constant(f"source{number}/{part}", np.array(value, np.int64)) for part, value in places.items()
            ]
            tensor = nodes.add("Slice", [tensor, *names], f"source{number}")
        tensors.append(tensor)
    return tensors[0] if len(tensors) == 1 else nodes.add("Concat", tensors, "sources", axis=1)
