"""Fully connected layers as convolutions over whole frames, for those who want them on the FPGA.

A Gemm behind a flattened frame of (channels, height, width) is a convolution whose kernel has that size: it has one
position.  Further ones, and what stands between them, are the same on frames of one position.  Name and operator stay
with each node; the flattened tensors that anything else reads, the model's outputs among them, are made of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lognet_fpga.frontend.file import STANDARD_DOMAINS, check_model
from lognet_fpga.frontend.needed import drop_unneeded, output_names
from lognet_fpga.frontend.operators import POINTWISE, read_nodes
from lognet_fpga.frontend.shapes import known_shapes
from lognet_fpga.ir.functions import COMPARISONS
from lognet_fpga.ir.graph import DENSE_TYPES, Graph

_VIEWS = ("Flatten", "Reshape", "Squeeze")
_BY_CHANNEL = (
    *COMPARISONS,
    *"Add Div Max Min Mul PRelu Pow Sub Sum Where".split(),
)  # with constants, one for all or each
_ALONG = (*POINTWISE, "BatchNormalization", "Dropout", "Identity")  # element by element
_CHANNELS_LAST = [0, 2, 3, 1]


@dataclass(frozen=True)
class _Frame:
    """tensor: (batch, *shape), of which another one is the rows, one a frame; channels_last: with the channels of a
    position side by side in them."""

    tensor: str
    shape: tuple[int, int, int]
    channels_last: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def dense_as_convolutions(graph: Graph) -> Graph:
    """graph with its fully connected layers as convolutions, as far as they follow frames; graph itself without any."""
    lowering = _Lowering(onnx.ModelProto.FromString(graph.onnx_model))
    if not lowering.found:
        return graph
    model = lowering.model
    called = {_frame_of(rows): operator for rows, operator in graph.operators.items()}
    return replace(graph, nodes=read_nodes(model, called), onnx_model=model.SerializeToString())


class _Lowering:
    """found: names of the layers that became convolutions; model: with them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.found = model, list[str]()
        self._shapes = known_shapes(model)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._frames: dict[str, _Frame] = {}
        self._made: set[str] = set()  # frames whose flattened form nothing has computed yet
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._classes: list[str] = []
        for node in model.graph.node:
            self._take(node)
        if self.found:
            for value in model.graph.output:
                self._flatten(value.name)
            self._write()

    def _take(self, node: onnx.NodeProto) -> None:
        if node.domain in STANDARD_DOMAINS:
            if node.op_type in DENSE_TYPES and self._as_convolution(node):
                return
            if node.op_type == "ArgMax" and self._as_class(node):
                return
            if node.op_type in _ALONG and self._along(node):
                return
            if (frame := self._viewed(node)) is not None:
                self._frames[node.output[0]] = frame
        for name in node.input:
            self._flatten(name)
        self._nodes.append(node)

    def _viewed(self, node: onnx.NodeProto) -> _Frame | None:
        """The frame that node, of the model, flattens; or turns, to flatten it with its channels last."""
        if not node.input or len(self._shapes.get(node.input[0], ())) not in (2, 4):
            return None
        source, shape = node.input[0], self._shapes[node.input[0]]
        frame = self._frames.get(source)
        if frame is None and len(shape) == 4 and min(shape[1:]) > 0:
            frame = _Frame(source, (shape[1], shape[2], shape[3]))
        if node.op_type == "Transpose" and frame is not None and frame.tensor == source:
            order = next((list(item.ints) for item in node.attribute if item.name == "perm"), None)
            return replace(frame, channels_last=True) if order == _CHANNELS_LAST else None
        flat = self._shapes.get(node.output[0], ())
        if node.op_type in _VIEWS and frame is not None and len(flat) == 2 and flat[1] == frame.size:
            return frame
        return None

    def _rows(self, name: str) -> _Frame | None:
        """The frame whose rows that tensor is, where it has one row a frame."""
        return self._frames.get(name) if len(self._shapes.get(name, ())) == 2 else None

    def _as_convolution(self, node: onnx.NodeProto) -> bool:
        """Write node as a convolution, where it is a fully connected layer with constant weights."""
        frame, options = (
            self._rows(node.input[0]),
            {item.name: helper.get_attribute_value(item) for item in node.attribute},
        )
        matrix = self._constants.get(node.input[1])
        if frame is None or matrix is None or len(matrix.dims) != 2 or options.get("transA"):
            return False
        weight = numpy_helper.to_array(matrix) * np.float32(options.get("alpha", 1.0))
        if not options.get("transB"):
            weight = weight.T
        bias = None
        if len(node.input) > 2 and node.input[2]:
            if (constant := self._constants.get(node.input[2])) is None:
                return False
            bias = numpy_helper.to_array(constant) * np.float32(options.get("beta", 1.0))
            if bias.size not in (1, len(weight)):
                return False
            bias = np.broadcast_to(bias.reshape(-1), len(weight))
        if weight.shape[1] != frame.size:
            return False
        channels, height, width = frame.shape
        if frame.channels_last:
            kernel = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        else:
            kernel = weight.reshape(-1, channels, height, width)
        names = [self._constant(node.output[0], "weight", kernel)]
        if bias is not None:
            names.append(self._constant(node.output[0], "bias", bias))
        self._on_frames(node.output[0], (len(kernel), 1, 1))
        convolution = helper.make_node(
            "Conv", [frame.tensor, *names], [_frame_of(node.output[0])], name=node.name, kernel_shape=[height, width]
        )
        self._nodes.append(convolution)
        self.found.append(node.name)
        return True

    def _along(self, node: onnx.NodeProto) -> bool:
        """Write node on frames, where it takes rows of frames that a layer here has made."""
        computed = [name for name in node.input if name and name not in self._constants]
        frames = {name: frame for name in computed if (frame := self._rows(name)) and frame.tensor == _frame_of(name)}
        if not computed or len(frames) < len(set(computed)) or len({frame.shape for frame in frames.values()}) > 1:
            return False
        frame = frames[computed[0]]
        names = []
        for name in node.input:
            if name in frames:
                names.append(frames[name].tensor)
            elif (
                name and node.op_type in _BY_CHANNEL
            ):  # one value for all, or one a channel: the frame has one position
                value = numpy_helper.to_array(self._constants[name])
                if value.size > 1 and value.shape not in ((frame.size,), (1, frame.size)):
                    return False
                names.append(self._constant(node.output[0], f"constant{len(names)}", value.reshape(1, -1, 1, 1)))
            else:
                names.append(name)
        self._on_frames(node.output[0], frame.shape)
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.input[:], copy.output[:] = names, [_frame_of(node.output[0])]
        self._nodes.append(copy)
        return True

    def _as_class(self, node: onnx.NodeProto) -> bool:
        """Write node, which gives a class for rows of frames that a layer here has made, on frames."""
        frame = self._rows(node.input[0])
        options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if frame is None or frame.tensor != _frame_of(node.input[0]) or options.get("axis", 0) % 2 != 1:
            return False
        made, sizes = _frame_of(node.output[0]), [-1, 1][: 1 + options.get("keepdims", 1)]
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        _set(copy, {"axis": 1, "keepdims": 1})
        copy.input[:], copy.output[:] = [frame.tensor], [made]
        shape = self._constant(node.output[0], "shape", np.array(sizes, np.int64))
        self._nodes += [copy, helper.make_node("Reshape", [made, shape], [node.output[0]], name=f"{made}__rows")]
        self._classes.append(made)
        return True

    def _on_frames(self, rows: str, shape: tuple[int, int, int]) -> None:
        self._frames[rows] = _Frame(_frame_of(rows), shape)
        self._made.add(rows)

    def _constant(self, rows: str, part: str, value: np.ndarray) -> str:
        self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), f"{_frame_of(rows)}_{part}"))
        return self._tensors[-1].name

    def _flatten(self, rows: str) -> None:
        """Have these rows, where they are those of frames made here and not there yet."""
        if rows in self._made:
            self._made.remove(rows)
            name = f"{rows}__rows"
            self._nodes.append(helper.make_node("Flatten", [self._frames[rows].tensor], [rows], name=name, axis=1))

    def _write(self) -> None:
        model = self.model
        nodes: Sequence[onnx.NodeProto] = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self._nodes]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(self._tensors)
        batch = model.graph.input[0].type.tensor_type.shape.dim[0]
        present = {name for node in nodes for name in node.output}
        for frame in self._frames.values():
            if frame.tensor in present and frame.tensor not in self._shapes:
                value = helper.make_tensor_value_info(frame.tensor, onnx.TensorProto.FLOAT, [None, *frame.shape])
                value.type.tensor_type.shape.dim[0].CopyFrom(batch)
                model.graph.value_info.append(value)
        for name in self._classes:
            value = helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [None, 1, 1, 1])
            value.type.tensor_type.shape.dim[0].CopyFrom(batch)
            model.graph.value_info.append(value)
        outputs = output_names(model.graph)
        stated = [value for value in model.graph.value_info if value.name in present and value.name not in outputs]
        copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in stated]
        del model.graph.value_info[:]
        model.graph.value_info.extend(copies)
        drop_unneeded(model.graph)
        check_model(model)


def _set(node: onnx.NodeProto, attributes: dict[str, int]) -> None:
    """Give node these attributes in the place of its own of their names."""
    kept = [item for item in node.attribute if item.name not in attributes]
    copies = [onnx.AttributeProto.FromString(item.SerializeToString()) for item in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, *(helper.make_attribute(name, value) for name, value in attributes.items())])


def _frame_of(rows: str) -> str:
    """The tensor of frames that a flattened one is made of."""
    return f"{rows}__frame"
