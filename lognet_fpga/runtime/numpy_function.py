"""An ONNX graph of a bundle as a function of one array, run by NumPy: for processors that onnxruntime has no package
for, as those of the Zynq-7000 (32-bit ARM)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lognet_fpga.errors import BundleError, MissingToolError
from lognet_fpga.runtime.numpy_operators import OPERATORS, apply
from lognet_fpga.runtime.onnx_file import OnnxGraph, OnnxNode, read_onnx


def unknown_operators(content: bytes) -> tuple[str, ...]:
    """The nodes of a serialized ONNX model that NumPy cannot run here, "name (operator)", or why the model cannot even
    be read; empty where it runs all."""
    try:
        return _unknown(read_onnx(content))
    except BundleError as error:
        return (error.message,)


class NumpyFunction:
    """The graph of a serialized ONNX model, from its only input to its last output, or to all of them.

    name: what messages call it.  Raises BundleError when the graph cannot be read or its run fails, MissingToolError
    when it has operators that only onnxruntime runs.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._name = name
        self._graph = read_onnx(content)
        unknown = _unknown(self._graph)
        if unknown:
            raise MissingToolError(
                f"{name} of the bundle has {len(unknown)} {'node' if len(unknown) == 1 else 'nodes'} that only "
                "onnxruntime runs, and it is not installed",
                context=unknown,
                hint="pip install onnxruntime, or run the host's part elsewhere (there is none for 32-bit ARM)",
            )
        self._uses = Counter(value for node in self._graph.nodes for value in node.inputs)

    def __call__(self, array: np.ndarray) -> np.ndarray:
        return self.all(array)[-1]

    def all(self, array: np.ndarray) -> list[np.ndarray]:
        """Every output, in order."""
        graph = self._graph
        values: dict[str, np.ndarray] = {**graph.constants, graph.input: array}
        left = Counter(self._uses)
        for node in graph.nodes:
            try:
                inputs = [values[name] if name else None for name in node.inputs]
                with np.errstate(all="ignore"):  # as onnxruntime, which gives inf and nan without a word
                    values[node.outputs[0]] = apply(node, inputs, graph.opset)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise BundleError(
                    f"{self._name} of the bundle fails on {array.dtype} of shape {array.shape} at {_title(node)}: "
                    f"{' '.join(str(error).split())[:200]}"
                ) from error
            for name in node.inputs:  # let go of what is not needed any more: boards have little memory
                left[name] -= 1
                if not left[name] and name not in graph.outputs and name not in graph.constants:
                    values.pop(name, None)
        return [values[name] for name in graph.outputs]


def _unknown(graph: OnnxGraph) -> tuple[str, ...]:
    read = Counter(name for node in graph.nodes for name in node.inputs)
    read.update(graph.outputs)
    return tuple(
        _title(node)
        for node in graph.nodes
        if node.domain not in ("", "ai.onnx")
        or node.op_type not in OPERATORS
        or any(read[name] for name in node.outputs[1:])  # only first outputs are computed
    )


def _title(node: OnnxNode) -> str:
    return f"{node.name or node.outputs[0]} ({node.op_type})"
