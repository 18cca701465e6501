"""Which of a model's outputs the host can compute from what the FPGA gives."""

from __future__ import annotations

import onnx

from lognet_fpga.ir.graph import Graph


def further_outputs(graph: Graph) -> set[str]:
    """Names of the outputs but for the first."""
    model = onnx.ModelProto.FromString(graph.onnx_model)
    return {value.name for value in model.graph.output} - {graph.output}


def outputs_in_front(graph: Graph, cut: str) -> set[str]:
    """Names of the outputs, but for the first, that need more of the frames than the tensor `cut`."""
    model = onnx.ModelProto.FromString(graph.onnx_model)
    of_frames = {graph.input}  # tensors that depend on the frames, and not by way of the cut
    for node in model.graph.node:
        if not of_frames.isdisjoint(node.input):
            of_frames.update(name for name in node.output if name != cut)
    return of_frames & {value.name for value in model.graph.output} - {graph.output}
