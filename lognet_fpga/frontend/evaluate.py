"""The host's operators of a loaded graph, one node at a time by onnxruntime: an evaluator for `ir.execute`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from lognet_fpga.frontend.ort_session import open_session
from lognet_fpga.ir.execute import Evaluator
from lognet_fpga.ir.graph import Graph, Node


def host_evaluator(graph: Graph) -> Evaluator:
    """Computes the nodes of graph with onnxruntime, each as a model of its own."""
    whole = onnx.ModelProto.FromString(graph.onnx_model)
    protos = {node.output[0]: node for node in whole.graph.node}
    tensors = {tensor.name: tensor for tensor in whole.graph.initializer}

    def evaluate(node: Node, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        proto = next(protos[name] for name in node.outputs if name in protos)
        values = dict(zip(node.inputs, inputs))
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in values.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.outputs]  # onnxruntime infers their types
        constants = [tensors[name] for name in dict.fromkeys(proto.input) if name in tensors]
        model = helper.make_model(
            helper.make_graph([proto], "node", infos, outputs, constants),
            opset_imports=whole.opset_import,
            ir_version=whole.ir_version,
        )
        return open_session(model).run(list(node.outputs), values)

    return evaluate
