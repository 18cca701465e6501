"""An ONNX graph as a PyTorch module whose weights can be trained."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import nn

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.runtime.onnx_file import read_onnx
from lognet_fpga.train.operators import apply, knows

_TRAINED = {"Conv": (1, 2), "Gemm": (1, 2), "MatMul": (0, 1), "Add": (0, 1)}  # operator: its inputs that may be weights


class GraphModule(nn.Module):
    """A serialized ONNX model from its first input to its last output, in evaluation mode: Dropout does nothing.

    Float constants of Conv, Gemm, MatMul and Add are parameters, all others stay.  Raises UnsupportedModelError for
    operators that no gradient flows through here.
    """

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__()
        self._graph = read_onnx(content)
        unknown = [
            f"{node.name or node.outputs[0]} ({node.op_type})"
            for node in self._graph.nodes
            if node.domain not in ("", "ai.onnx") or not knows(node.op_type)
        ]
        if unknown:
            raise UnsupportedModelError(
                f"{name} has {len(unknown)} {'node' if len(unknown) == 1 else 'nodes'} that cannot be trained through",
                context=unknown,
                hint="retrain the model where it was made, or cut these nodes off",
            )
        self._uses = Counter(value for node in self._graph.nodes for value in node.inputs)
        weights = self._weights()
        self._fixed: dict[str, np.ndarray] = {}
        self._trained: dict[str, nn.Parameter] = {}
        self._buffers_of: dict[str, str] = {}
        for index, (constant, value) in enumerate(self._graph.constants.items()):
            if constant in weights:
                self._trained[constant] = nn.Parameter(torch.tensor(value))
                self.register_parameter(f"weight{index}", self._trained[constant])
            elif value.dtype == np.float32:
                self._buffers_of[constant] = f"constant{index}"
                self.register_buffer(f"constant{index}", torch.tensor(value), persistent=False)
            else:
                self._fixed[constant] = value

    @property
    def last_weights(self) -> tuple[nn.Parameter, ...]:
        """Those of the last layer: of the last node that has a matrix, and of what is added behind it."""
        found: list[nn.Parameter] = []
        for node in reversed(self._graph.nodes):
            found += [self._trained[name] for name in node.inputs if name in self._trained]
            if any(parameter.ndim > 1 for parameter in found):
                break
        return tuple(found)

    def trained_constants(self) -> dict[str, np.ndarray]:
        """The trained constants by their names in the model."""
        return {name: parameter.detach().cpu().numpy() for name, parameter in self._trained.items()}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        graph, left = self._graph, Counter(self._uses)
        values = {
            **self._fixed,
            **{name: getattr(self, buffer) for name, buffer in self._buffers_of.items()},
            **self._trained,
            graph.input: x,
        }
        for node in graph.nodes:
            values[node.outputs[0]] = apply(node, [values[name] if name else None for name in node.inputs], graph.opset)
            for name in node.inputs:
                left[name] -= 1
                if not left[name] and name != graph.output:
                    values.pop(name, None)
        return values[graph.output].flatten(1)

    def _weights(self) -> set[str]:
        """Constants that are weights of one operator."""
        constants = self._graph.constants
        return {
            node.inputs[place]
            for node in self._graph.nodes
            for place in _TRAINED.get(node.op_type, ())
            if place < len(node.inputs)
            and node.inputs[place] in constants
            and constants[node.inputs[place]].dtype == np.float32
            and self._uses[node.inputs[place]] == 1
        }
