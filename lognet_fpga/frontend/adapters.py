"""What stands between a model's input and the frames that its first operator works on: changes of layout and of rank.

Exporters keep the input of the framework, (batch, height, width, channels), (batch, height, width) or (batch, pixels),
and lead it by Transpose, Reshape, Squeeze, Unsqueeze or Flatten to (batch, channels, height, width).  What such nodes
do together is not guessed from their kinds: the numbers 0, 1, 2, ... are sent through them in place of the pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.frontend.batch import with_small_batch
from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.needed import drop_unneeded, output_names
from lognet_fpga.frontend.ort_session import ORT_ERRORS, open_session
from lognet_fpga.frontend.shapes import copied, inferred, known_shapes

_RANKS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
_ADAPTERS = (*_RANKS, "Transpose", "Identity", "Cast")
# Operators on each number by itself.
_ARITHMETIC = ("Abs", "Add", "Cast", "Clip", "Div", "Identity", "Max", "Min", "Mul", "Neg", "Pow", "Sqrt", "Sub")
# Operators that a model may have on its frames before it transposes them.
_LAYOUT_FREE = (*_ARITHMETIC, "Pad", "Resize")
_INTEGERS = (
    TensorProto.UINT8,
    TensorProto.INT8,
    TensorProto.UINT16,
    TensorProto.INT16,
    TensorProto.INT32,
    TensorProto.INT64,
)
_NHWC = (0, 3, 1, 2)  # the axes of (batch, height, width, channels) that are N, C, H, W
_STAND_INS = (37, 41, 43, 47, 53, 59)  # for sizes that the file leaves open
_MOST_PIXELS = 1 << 26

Dims = tuple[int | None, ...]


def take_adapters(model: onnx.ModelProto, input_shape: tuple[int, int, int] | None) -> None:
    """Drop the adapters of model's one input, whose dimensions become (batch, channels, height, width); an integer
    input with a Cast to float becomes a float one.

    Where a Transpose from (batch, height, width, channels) comes only after some arithmetic, the opposite one is put in
    front of that, for onnxruntime to cancel the two; a change of rank changes places with the arithmetic itself.  A
    model that leads its input elsewhere stays as it is.  input_shape: as given by the user, for sizes left open.
    """
    _one_channel_as_transpose(model)
    if _changes_rank_late(model.graph):
        hoisted = copied(model)
        _hoist(hoisted)
        _drop(hoisted, input_shape)
        if not _changes_rank_late(hoisted.graph):
            model.CopyFrom(hoisted)
    _drop(model, input_shape)
    if _channels_last(model.graph):
        _transpose_back(model.graph)


def _way(graph: onnx.GraphProto, kinds: tuple[str, ...]) -> list[onnx.NodeProto]:
    """The nodes behind the input that are of these kinds, each the only one that reads the tensor before it, up to the
    last one before the output; who asks for a shape does not count."""
    tensor = graph.input[0].name
    way: list[onnx.NodeProto] = []
    while True:
        users = [node for node in graph.node if tensor in node.input and node.op_type != "Shape"]
        if len(users) != 1 or users[0].domain not in STANDARD_DOMAINS or users[0].op_type not in kinds:
            return way
        tensor = users[0].output[0]
        if tensor in output_names(graph):
            return way
        way.append(users[0])


def _drop(model: onnx.ModelProto, input_shape: tuple[int, int, int] | None) -> None:
    """Drop as many adapters at the beginning as lead to frames (batch, channels, height, width)."""
    kind = model.graph.input[0].type.tensor_type
    way = _way(model.graph, _ADAPTERS)
    while way:
        casts = [node for node in way if node.op_type == "Cast"]
        legal = all(_to_float(node) for node in casts) and kind.elem_type in (TensorProto.FLOAT, *_INTEGERS)
        dims = _frame_behind(model, way, input_shape) if legal or not casts else None
        if dims is not None:
            out = copied(model)
            _cut(out.graph, way, dims)
            if not any(node.op_type == "Shape" and out.graph.input[0].name in node.input for node in out.graph.node):
                model.CopyFrom(out)
                return
        way.pop()


def _to_float(node: onnx.NodeProto) -> bool:
    return any(item.name == "to" and item.i == TensorProto.FLOAT for item in node.attribute)


def _cut(graph: onnx.GraphProto, way: list[onnx.NodeProto], dims: Dims) -> None:
    """Let the input, of these dimensions, be what comes out of way, the first nodes of graph."""
    frame = graph.input[0]
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == way[-1].output[0]:
                node.input[index] = frame.name
    for dropped in {node.output[0] for node in way}:
        graph.node.remove(next(node for node in graph.node if dropped in node.output))
    if any(node.op_type == "Cast" for node in way):
        frame.type.tensor_type.elem_type = TensorProto.FLOAT
    shape = frame.type.tensor_type.shape
    del shape.dim[1:]
    for size in dims:
        shape.dim.add(**({} if size is None else {"dim_value": size}))
    drop_unneeded(graph)


def _frame_behind(
    model: onnx.ModelProto, way: list[onnx.NodeProto], input_shape: tuple[int, int, int] | None
) -> Dims | None:
    """(channels, height, width) behind way, the first nodes of model, None for one that is open; None where they do
    not lead to frames, or mix their pixels."""
    kind = model.graph.input[0].type.tensor_type
    if not kind.HasField("shape") or len(kind.shape.dim) < 2:
        return None
    given = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim[1:])
    model = with_small_batch(model)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    for sizes in _settled(given, input_shape):
        pixels = math.prod(sizes)
        if pixels > _MOST_PIXELS:
            continue
        for count in (batch,) if batch > 0 else (2, 1):
            numbers = np.arange(count * pixels, dtype=np.int64).reshape(count, *sizes)
            found = _through(model, way, numbers)
            if found is None or found.ndim != 4 or len(found) != count:
                continue
            apart = found - pixels * np.arange(count).reshape(-1, 1, 1, 1)
            if np.array_equal(apart, np.broadcast_to(found[:1], found.shape)) and _is_frame(found[0], sizes):
                open_sizes = {size for size, known in zip(sizes, given) if known is None and input_shape is None}
                return tuple(None if size in open_sizes else size for size in found.shape[1:])
    return None


def _settled(given: Dims, input_shape: tuple[int, int, int] | None) -> Iterator[tuple[int, ...]]:
    """given with every open size settled: as the user says, in the orders that it may stand for; by stand-ins."""
    if None in given and input_shape is not None:
        channels, height, width = input_shape
        orders = [(height, width, channels), input_shape, (math.prod(input_shape),)]
        if channels == 1:
            orders.append((height, width))
        for order in orders:
            if len(order) == len(given) and all(have in (None, size) for have, size in zip(given, order)):
                yield tuple(order)
        return
    free = iter(size for size in _STAND_INS if size not in given)
    if given.count(None) <= len(_STAND_INS) - len(given):
        yield tuple(next(free) if size is None else size for size in given)


def _is_frame(numbers: np.ndarray, sizes: tuple[int, ...]) -> bool:
    """Whether numbers, (channels, height, width), are those of a frame of these sizes in the order of a picture: its
    rows one after the other, all channels of a pixel or all pixels of a channel together."""
    in_order = np.arange(numbers.size)
    channels, height, width = numbers.shape
    if np.array_equal(numbers, in_order.reshape(height, width, channels).transpose(2, 0, 1)):
        return len(sizes) != 3 or sizes == (height, width, channels) or _flat(sizes) or channels == 1
    if not np.array_equal(numbers.ravel(), in_order):
        return False
    # Of three sizes: as they are, or with sizes of 1 put elsewhere; else pixels of one channel would go to another.
    return len(sizes) != 3 or _flat(sizes) or _longer(sizes) == _longer(numbers.shape)


def _longer(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in sizes if size > 1)


def _flat(sizes: tuple[int, ...]) -> bool:
    return len(_longer(sizes)) <= 1


def _through(model: onnx.ModelProto, way: list[onnx.NodeProto], numbers: np.ndarray) -> np.ndarray | None:
    """numbers sent through way, and through what it asks of shapes; None where they do not pass."""
    graph, end = model.graph, way[-1].output[0]
    needed, nodes = {end}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            copy = onnx.NodeProto.FromString(node.SerializeToString())
            if any(node.output[0] == each.output[0] for each in way) and node.op_type == "Cast":
                copy = helper.make_node("Identity", node.input, node.output)
            nodes.append(copy)
            needed.update(node.input)
    frame = helper.make_tensor_value_info(graph.input[0].name, TensorProto.INT64, numbers.shape)
    part = helper.make_model(
        helper.make_graph(
            nodes[::-1],
            "adapters",
            [frame],
            [onnx.ValueInfoProto(name=end)],
            [tensor for tensor in graph.initializer if tensor.name in needed],
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    try:
        return open_session(part).run([end], {frame.name: numbers})[0]
    except ORT_ERRORS:
        return None


def _changes_rank_late(graph: onnx.GraphProto) -> bool:
    """Whether a change of rank follows arithmetic, or comes first and stays."""
    return any(node.op_type in _RANKS for node in _way(graph, (*_ARITHMETIC, *_RANKS)))


def _hoist(model: onnx.ModelProto) -> None:
    """Let every change of rank on the way from the input change places with the arithmetic in front of it."""
    shapes = known_shapes(inferred(model))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    while True:
        way = _way(model.graph, (*_ARITHMETIC, *_RANKS))
        pairs = zip(way, way[1:])
        swap = ((one, two) for one, two in pairs if one.op_type in _ARITHMETIC and two.op_type in _RANKS)
        if not any(_swap(model.graph, one, two, shapes, tensors) for one, two in swap):
            return


def _swap(
    graph: onnx.GraphProto,
    arithmetic: onnx.NodeProto,
    rank: onnx.NodeProto,
    shapes: dict[str, tuple[int, ...]],
    tensors: dict[str, TensorProto],
) -> bool:
    """Put rank, which follows arithmetic, in front of it; False where that cannot be."""
    tensor, between, end = _computed(arithmetic, tensors), arithmetic.output[0], rank.output[0]
    before, after = shapes.get(between, ()), shapes.get(end, ())
    fixed = len(after) > 1 and min(before[1:], default=0) > 0 and min(after[1:]) > 0
    if tensor is None or not fixed or _computed(rank, tensors) != between or between not in rank.input[:1]:
        return False
    constants = {}
    for index, name in enumerate(arithmetic.input):
        if name not in tensors:
            continue
        value = numpy_helper.to_array(tensors[name])
        if value.size == 1:
            constants[index] = value.reshape(())
        elif value.ndim <= len(before) and (value.ndim < len(before) or len(value) == 1):
            whole = np.broadcast_to(value, (1, *before[1:])) if _spreads(value, before) else None
            if whole is None or whole.size != math.prod(after[1:]):
                return False
            constants[index] = _least(whole.reshape(1, *after[1:]))
        else:
            return False
    for index, value in constants.items():
        name = f"{arithmetic.input[index]}__{end}_{index}"
        tensors[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        graph.initializer.append(tensors[name])
        arithmetic.input[index] = name
    moved = f"{end}__moved"
    arithmetic.input[list(arithmetic.input).index(tensor)] = moved
    arithmetic.output[0] = end
    rank.input[0], rank.output[0] = tensor, moved
    shapes[moved] = after
    first = onnx.NodeProto.FromString(rank.SerializeToString())
    rank.CopyFrom(arithmetic)
    arithmetic.CopyFrom(first)
    return True


def _computed(node: onnx.NodeProto, tensors: dict[str, TensorProto]) -> str | None:
    """The one input of node that is no constant; None where there are others."""
    names = [name for name in node.input if name and name not in tensors]
    return names[0] if len(names) == 1 else None


def _spreads(value: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether value can be spread over frames of this shape, with the batch, without making them larger."""
    return all(size in (1, whole) for size, whole in zip(value.shape[::-1], (1, *shape[1:])[::-1]))


def _least(value: np.ndarray) -> np.ndarray:
    """value without the axes along which it repeats itself: of length 1 there."""
    for axis in range(value.ndim):
        first = np.take(value, [0], axis)
        if np.array_equal(np.broadcast_to(first, value.shape), value):
            value = first
    return value


def _one_channel_as_transpose(model: onnx.ModelProto) -> None:
    """Reshapes on the way that take (batch, height, width, 1) to (batch, 1, height, width), or back, as the Transposes
    that do the same: so converters write them, for one channel, and the others are theirs."""
    way = [node for node in _way(model.graph, (*_LAYOUT_FREE, *_ADAPTERS)) if node.op_type == "Reshape"]
    if not way:
        return
    shapes = known_shapes(inferred(model))
    for node in way:
        before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
        if len(before) != 4 or len(after) != 4 or min(before[1:]) < 1 or before[0] not in (-1, after[0]):
            continue
        for perm, last in ((_NHWC, before[3]), ((0, 2, 3, 1), before[1])):
            if last == 1 and after[1:] == tuple(before[axis] for axis in perm[1:]):
                node.CopyFrom(helper.make_node("Transpose", node.input[:1], node.output, name=node.name, perm=perm))
                break


def _channels_last(graph: onnx.GraphProto) -> bool:
    """Whether arithmetic on the input, and nothing else, leads to a Transpose from (batch, height, width, channels)."""
    tensor = graph.input[0].name
    if len(graph.input[0].type.tensor_type.shape.dim) != 4:
        return False
    if way := _way(graph, _LAYOUT_FREE):
        tensor = way[-1].output[0]
    users = [node for node in graph.node if tensor in node.input and node.op_type != "Shape"]
    return bool(way) and len(users) == 1 and users[0].domain in STANDARD_DOMAINS and _transposes_to_nchw(users[0])


def _transposes_to_nchw(node: onnx.NodeProto) -> bool:
    return node.op_type == "Transpose" and any(
        item.name == "perm" and tuple(item.ints) == _NHWC for item in node.attribute
    )


def _transpose_back(graph: onnx.GraphProto) -> None:
    """Have the input in NCHW by a Transpose to what its users expect."""
    frame = graph.input[0]
    name = f"{frame.name}__nhwc"
    for node in graph.node:
        for index, read in enumerate(node.input):
            if read == frame.name:
                node.input[index] = name
    nodes = [
        helper.make_node("Transpose", [frame.name], [name], name=name, perm=[0, 2, 3, 1]),
        *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    dims = [type(dim).FromString(dim.SerializeToString()) for dim in frame.type.tensor_type.shape.dim]
    del frame.type.tensor_type.shape.dim[:]
    frame.type.tensor_type.shape.dim.extend(dims[axis] for axis in _NHWC)
