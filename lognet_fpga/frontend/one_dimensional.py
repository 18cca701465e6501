"""Models of one-dimensional frames, (batch, channels, length), as models of frames of one row.

PyTorch writes a Conv1d as a Conv of three axes, Keras as one of four between an Unsqueeze and a Squeeze.  Here a tensor
of three axes that has its values in one of four takes the place of a row or a column, and operators work on that; what
has no such form gets the three axes back by a Squeeze.  The result must compute what the model does, on random frames.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lognet_fpga.frontend.batch import with_small_batch
from lognet_fpga.frontend.file import STANDARD_DOMAINS, opset_of
from lognet_fpga.frontend.needed import drop_unneeded
from lognet_fpga.frontend.ort_session import ORT_ERRORS, open_session
from lognet_fpga.frontend.shapes import copied, forget_shapes, inferred, known_shapes

_ROW = 2  # the axis of one row in (batch, channels, 1, length)
_WINDOWED = ("Conv", "MaxPool", "AveragePool", "LpPool")
_ANY_RANK = ("BatchNormalization", "GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization")
_ELEMENTWISE = (
    *("Abs", "Cast", "Clip", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity"),
    *("LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh"),
)
_BROADCAST = ("Add", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub")
_REDUCTIONS = ("ReduceMax", "ReduceMean", "ReduceSum")
_SEEDS = 2
_STAND_IN = 64  # for a length that the file leaves open
_TOLERANCE = 1e-4  # of the largest output; only the order of sums differs


def take_one_dimensional(model: onnx.ModelProto) -> None:
    """Let model's input of (batch, channels, length) be frames (batch, channels, 1, length), and what follows work on
    these as far as it can; the same behind an input of four axes that is squeezed to three."""
    graph = model.graph
    if len(graph.input[0].type.tensor_type.shape.dim) == 3:
        _input_as_rows(graph, opset_of(model))
    shapes = known_shapes(inferred(model))
    if not any(node.op_type == "Squeeze" and len(shapes.get(node.output[0], ())) == 3 for node in graph.node):
        return
    lifted = copied(model)
    _Lift(lifted, shapes).run()
    if _agree(model, lifted):
        model.CopyFrom(lifted)


def _input_as_rows(graph: onnx.GraphProto, opset: int) -> None:
    """Frames of one row for an input of three axes, and a Squeeze to what it was; a Transpose from (batch, length,
    channels) that is all that reads the input goes into the frames."""
    frame = graph.input[0]
    name = frame.name
    dims = [type(dim).FromString(dim.SerializeToString()) for dim in frame.type.tensor_type.shape.dim]
    users = [node for node in graph.node if name in node.input]
    if len(users) == 1 and users[0].op_type == "Transpose" and _attribute(users[0], "perm") == [0, 2, 1]:
        name, dims = users[0].output[0], [dims[0], dims[2], dims[1]]
        graph.node.remove(users[0])
    del frame.type.tensor_type.shape.dim[:]
    frame.type.tensor_type.shape.dim.extend([*dims[:_ROW], onnx.TensorShapeProto.Dimension(dim_value=1), dims[2]])
    taken = {each for node in graph.node for each in (*node.input, *node.output)}
    frame.name = _free_name(f"{name}__frame", taken)
    graph.node.insert(0, _squeeze(graph, frame.name, name, [_ROW], opset))


@dataclass(eq=False)
class _Lift:
    """The nodes of model on tensors of four axes.  rows: of a tensor of three, the one of four with its values, and
    which of the four axes has length 1."""

    model: onnx.ModelProto
    shapes: dict[str, tuple[int, ...]]
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.opset = opset_of(self.model)
        self.tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self.taken = {name for node in self.model.graph.node for name in (*node.input, *node.output)}

    def run(self) -> None:
        graph = self.model.graph
        nodes: list[onnx.NodeProto] = []
        for node in graph.node:
            made = self._made(node) if node.domain in STANDARD_DOMAINS else None
            nodes += [node] if made is None else made
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
        drop_unneeded(graph)

    def _made(self, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        """The nodes in node's place; None where it stays."""
        if node.op_type == "Squeeze" and node.input[0] not in self.rows:
            axes = self._axes(node, 4)
            if len(self.shapes.get(node.input[0], ())) == 4 and len(axes) == 1 and axes[0] in (2, 3):
                self.rows[node.output[0]] = node.input[0], axes[0]
            return None
        data = [name for name in node.input if name in self.rows]
        others = [name for name in node.input if name and name not in self.rows]
        if not data or not all(name in self.tensors for name in others):
            return None
        axis = self.rows[data[0]][1]
        if any(self.rows[name][1] != axis for name in data):
            return None
        kind = node.op_type
        makers: dict[str, Callable[[onnx.NodeProto, int], list[onnx.NodeProto] | None]] = {
            **dict.fromkeys(_WINDOWED, self._windowed),
            **dict.fromkeys((*_ANY_RANK, *_ELEMENTWISE), self._same),
            **dict.fromkeys(_BROADCAST, self._broadcast),
            **dict.fromkeys(_REDUCTIONS, self._reduction),
            "Concat": self._concat,
            "Pad": self._pad,
            "Unsqueeze": self._unsqueeze,
            "Squeeze": self._to_two,
            "Flatten": self._to_two,
            "Reshape": self._to_two,
        }
        return makers[kind](node, axis) if kind in makers else None

    def _windowed(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        place = axis - 2
        changed: dict[str, list[int]] = {}
        for name in ("kernel_shape", "strides", "dilations"):
            if (values := _attribute(node, name)) is not None:
                changed[name] = [*values[:place], 1, *values[place:]]
        if (pads := _attribute(node, "pads")) is not None:
            changed["pads"] = [0, pads[0], 0, pads[1]] if place == 0 else [pads[0], 0, pads[1], 0]
        inputs = [self.rows[node.input[0]][0], *node.input[1:]]
        if node.op_type == "Conv":
            if node.input[1] not in self.tensors:
                return None
            inputs[1] = self._constant(node.input[1], np.expand_dims(self._value(node.input[1]), axis))
        return self._in_rows(node, inputs, axis, **changed)

    def _same(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        return self._in_rows(node, self._lifted_inputs(node), axis)

    def _broadcast(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        inputs = self._lifted_inputs(node)
        for place, name in enumerate(node.input):
            if name in self.tensors and (value := self._value(name)).size > 1:
                if value.ndim > 3:
                    return None
                whole = value.reshape((1,) * (3 - value.ndim) + value.shape)
                inputs[place] = self._constant(name, np.expand_dims(whole, axis))
        return self._in_rows(node, inputs, axis)

    def _concat(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        along = _attribute(node, "axis") % 3
        if along == 0:
            return None
        return self._in_rows(node, self._lifted_inputs(node), axis, axis=along + (along >= axis))

    def _pad(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        if len(node.input) > 3 or (self.opset >= 11 and len(node.input) < 2):  # with axes of its own
            return None
        pads = _attribute(node, "pads") if self.opset < 11 else self._value(node.input[1]).tolist()
        if pads is None or len(pads) != 6:
            return None
        begin, end = ([*half[:axis], 0, *half[axis:]] for half in (pads[:3], pads[3:]))
        inputs = self._lifted_inputs(node)
        if self.opset < 11:
            return self._in_rows(node, inputs, axis, pads=[*begin, *end])
        inputs[1] = self._constant(node.input[1], np.array([*begin, *end], np.int64))
        return self._in_rows(node, inputs, axis)

    def _reduction(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        keep = _attribute(node, "keepdims")
        if self._axes(node, 3) != [2]:
            return None
        source = [self.rows[node.input[0]][0]]
        axes: dict[str, list[int]] = {}
        if len(node.input) > 1:
            source.append(self._constant(node.input[1], np.array([2, 3], np.int64)))
        else:
            axes["axes"] = [2, 3]
        if keep in (None, 1):
            return self._in_rows(node, source, axis, **axes)
        made = helper.make_node(node.op_type, source, node.output, name=node.name, keepdims=0)
        made.attribute.extend(helper.make_attribute(name, values) for name, values in axes.items())
        return [made]

    def _unsqueeze(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        if self._axes(node, 4) != [axis]:
            return None
        return [helper.make_node("Identity", [self.rows[node.input[0]][0]], node.output, name=node.name)]

    def _to_two(self, node: onnx.NodeProto, axis: int) -> list[onnx.NodeProto] | None:
        """What flattens: an axis of length 1 more or less leaves the order as it is."""
        two = len(self.shapes.get(node.output[0], ())) == 2
        flat = two and (node.op_type != "Flatten" or _attribute(node, "axis") in (None, 1))
        if node.op_type == "Reshape":
            target = self._value(node.input[1]).tolist()
            flat = two and len(target) == 2 and target[1] != 0 and not _attribute(node, "allowzero")
        if node.op_type == "Squeeze":
            flat = self._axes(node, 3) == [2]
        if not flat:
            return None
        source = self.rows[node.input[0]][0]
        if node.op_type == "Reshape":
            return [helper.make_node("Reshape", [source, node.input[1]], node.output, name=node.name)]
        return [helper.make_node("Flatten", [source], node.output, name=node.name, axis=1)]

    def _in_rows(
        self, node: onnx.NodeProto, inputs: Sequence[str], row: int, **changed: object
    ) -> list[onnx.NodeProto] | None:
        """node with these inputs and attributes on tensors of four axes, and a Squeeze for who wants three."""
        if any(node.output[1:]):
            return None
        result = node.output[0]
        whole = _free_name(f"{result}__row", self.taken)
        self.taken.add(whole)
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        kept = [item for item in copy.attribute if item.name not in changed]
        attributes = [
            *(onnx.AttributeProto.FromString(item.SerializeToString()) for item in kept),
            *(helper.make_attribute(name, value) for name, value in changed.items()),
        ]
        del copy.attribute[:], copy.input[:], copy.output[:]
        copy.attribute.extend(attributes)
        copy.input.extend(inputs)
        copy.output.append(whole)
        self.rows[result] = whole, row
        return [copy, _squeeze(self.model.graph, whole, result, [row], self.opset)]

    def _lifted_inputs(self, node: onnx.NodeProto) -> list[str]:
        return [self.rows[name][0] if name in self.rows else name for name in node.input]

    def _axes(self, node: onnx.NodeProto, rank: int) -> list[int]:
        """The axes that node says, counted from 0 of so many; none where it says none."""
        axes = _attribute(node, "axes")
        if axes is None and len(node.input) > 1 and node.input[1] in self.tensors:
            axes = self._value(node.input[1]).ravel().tolist()
        return [axis % rank for axis in axes or ()]

    def _value(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.tensors[name])

    def _constant(self, name: str, value: np.ndarray) -> str:
        """A new tensor in place of the one called name."""
        new = _free_name(f"{name}__row", self.tensors)
        self.tensors[new] = numpy_helper.from_array(np.ascontiguousarray(value), new)
        self.model.graph.initializer.append(self.tensors[new])
        return new


def _squeeze(graph: onnx.GraphProto, source: str, result: str, axes: list[int], opset: int) -> onnx.NodeProto:
    name = f"{result}__squeeze"
    if opset < 13:
        return helper.make_node("Squeeze", [source], [result], name=name, axes=axes)
    constant = f"{result}__squeezed_axes"
    graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), constant))
    return helper.make_node("Squeeze", [source, constant], [result], name=name)


def _agree(model: onnx.ModelProto, lifted: onnx.ModelProto) -> bool:
    """Whether both compute the same of random frames."""
    try:
        before, after = (open_session(_stated(each)) for each in (model, lifted))
        frame = before.get_inputs()[0]
        for seed in range(_SEEDS):
            frames = np.random.default_rng(seed).standard_normal(frame.shape).astype(np.float32)
            pairs = zip(before.run(None, {frame.name: frames}), after.run(None, {frame.name: frames}))
            if not all(_close(np.asarray(one), np.asarray(other)) for one, other in pairs):
                return False
    except ORT_ERRORS:
        return False
    return True


def _stated(model: onnx.ModelProto) -> onnx.ModelProto:
    """model with every size of its input known."""
    out = copied(with_small_batch(model))
    for place, dim in enumerate(out.graph.input[0].type.tensor_type.shape.dim):
        if dim.dim_value < 1:
            dim.Clear()
            dim.dim_value = _STAND_IN if place else 1
    forget_shapes(out)
    return out


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype.kind != "f":
        return np.array_equal(one, other)
    scale = float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0))
    return np.allclose(one, other, rtol=0, atol=_TOLERANCE * max(scale, 1e-6), equal_nan=True)


def _attribute(node: onnx.NodeProto, name: str):
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), None)


def _free_name(wanted: str, taken: Container[str]) -> str:
    name = wanted
    while name in taken:
        name += "_"
    return name
