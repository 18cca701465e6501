"""The supported-operator table: one ONNX node to one op of the float graph.

What is not in the table, or is there with attributes the FPGA cannot take, becomes a HostOp that says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper

from lognet_fpga.frontend.file import STANDARD_DOMAINS
from lognet_fpga.frontend.pools import average_pool, global_pool, max_pool
from lognet_fpga.frontend.reading import Context, Unfit, resolve_pads
from lognet_fpga.frontend.shapes import known_shapes
from lognet_fpga.ir.functions import COMPARISONS, Constant, Function, Step, constant
from lognet_fpga.ir.graph import (
    Affine,
    Combined,
    Concat,
    Conv,
    Every,
    HostOp,
    Identity,
    Largest,
    Minimum,
    Node,
    Op,
    Pointwise,
    Ramp,
    Relu,
    Sum,
    ZeroPad,
)
from lognet_fpga.ir.problem import ProblemKind

# In words, for the user.
FPGA_OPERATORS = (
    "Conv, BatchNormalization, Relu, Clip and other activation functions, MaxPool, AveragePool, global pools, zero Pad"
)

# Engines and the quantizer take a grouped or dilated kernel as a dense one; beyond so many weights it is far past any
# FPGA anyway.
_MAX_DENSE_WEIGHTS = 1 << 23
_JOIN = "it joins computed tensors (a residual or gating branch), which are no functions of one tensor"
_LARGEST = 3e38  # a bound beyond this is none: exporters write the largest float32

_PROBLEMS = {
    "ConvTranspose": "transposed convolution is not supported",
    "Flatten": "it turns the feature map into a vector",
    "Reshape": "it turns the feature map into a vector",
    "Gemm": "fully connected layers run on the host",
    "MatMul": "fully connected layers run on the host",
}
QUANTIZED = "the model is quantized already; the float model is needed"
# Operators on quantized tensors, of standard ONNX and of onnxruntime's own, have names that hold one of these.
_QUANTIZED_NAMES = ("quantize", "qlinear", "qgemm", "qattention", "integer", "nbits")
# Functions of one number: for each parameter the attribute and what it is where the file does not say.
_FUNCTIONS: dict[str, tuple[tuple[str, float | bytes], ...]] = {
    "Abs": (),
    "Celu": (("alpha", 1.0),),
    "Elu": (("alpha", 1.0),),
    "Erf": (),
    "Exp": (),
    "Gelu": (("approximate", b"none"),),
    "HardSwish": (),
    "LeakyRelu": (("alpha", 0.01),),
    "Log": (),
    "Mish": (),
    "Neg": (),
    "Selu": (("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Sqrt": (),
    "Swish": (("alpha", 1.0),),
    "Tanh": (),
    "ThresholdedRelu": (("alpha", 1.0),),
}
# Operators with one computed input, or several, that work element by element.
POINTWISE = (*_FUNCTIONS, *COMPARISONS, *"Add Clip Div HardSigmoid Max Min Mul PRelu Pow Relu Sub Sum Where".split())


def read_nodes(model: onnx.ModelProto, called: Mapping[str, str] | None = None) -> tuple[Node, ...]:
    """The nodes of a normalized model in execution order.  called: operators of the user's file, by what they put out,
    where the model has others instead."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = known_shapes(model)
    nodes = []
    for index, node in enumerate(model.graph.node):
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        nodes.append(
            Node(
                name=node.name or f"{node.op_type}_{index}",
                op_type=(called or {}).get(node.output[0], node.op_type),
                op=_read_op(Context(node, attributes, tensors, shapes)),
                inputs=tuple(name for name in node.input if name and name not in tensors),
                outputs=tuple(name for name in node.output if name),
                out_shape=shapes.get(node.output[0], ())[1:],
            )
        )
    return tuple(nodes)


def is_quantized(op_type: str) -> bool:
    """Whether an operator works on quantized tensors, makes them or takes them apart."""
    return any(part in op_type.lower() for part in _QUANTIZED_NAMES)


def _read_op(context: Context) -> Op:
    node = context.node
    if is_quantized(node.op_type):
        return HostOp(node.op_type, QUANTIZED, ProblemKind.QUANTIZED)
    if node.domain not in STANDARD_DOMAINS:
        return HostOp(node.op_type, f"it is an operator of {node.domain}, not of standard ONNX")
    reader = _READERS.get(node.op_type)
    try:
        if reader is not None:
            return reader(context)
        raise Unfit(_PROBLEMS.get(node.op_type, f"the FPGA takes {FPGA_OPERATORS} only"))
    except Unfit as unfit:
        return HostOp(node.op_type, str(unfit), unfit.kind)


def _conv(context: Context) -> Conv:
    weight, bias = context.constant(1), context.constant(2)
    if weight is None:
        raise Unfit("its weights are computed, not constant")
    if weight.ndim != 4:
        raise Unfit(f"it is a {weight.ndim - 2}-dimensional convolution")
    if len(context.node.input) > 2 and context.node.input[2] and bias is None:
        raise Unfit("its bias is computed, not constant")
    channels, height, width = context.frame()
    groups = int(context.attributes.get("group", 1))
    weight = _undilated(weight, groups, tuple(context.attributes.get("dilations", (1, 1))))
    stride = tuple(context.attributes.get("strides", (1, 1)))
    pads = resolve_pads(context.attributes, (height, width), weight.shape[2:], stride)
    if min(pads) < 0:
        raise Unfit("its padding is negative")
    if pads[0] >= weight.shape[2] or pads[1] >= weight.shape[3]:
        raise Unfit("its padding is not smaller than its kernel")  # whole windows would lie before the frame
    if weight.shape[1] * groups != channels:
        raise Unfit(f"it wants {weight.shape[1] * groups} channels and gets {channels}")
    if len(weight) % groups:
        raise Unfit(f"its {len(weight)} filters are no multiple of its {groups} groups")
    bias = np.zeros(len(weight)) if bias is None else bias.reshape(-1)
    return Conv(weight, bias, stride, pads, groups=groups)


def _undilated(weight: np.ndarray, groups: int, dilations: tuple[int, int]) -> np.ndarray:
    """The kernel with zeros where dilations skip inputs; Unfit where it would be too large, as it is or made dense."""
    out_channels, own, kernel_h, kernel_w = weight.shape
    size = (out_channels, own, (kernel_h - 1) * dilations[0] + 1, (kernel_w - 1) * dilations[1] + 1)
    if size == weight.shape and groups == 1:
        return weight
    if (count := groups * math.prod(size)) > _MAX_DENSE_WEIGHTS:
        raise Unfit(f"{groups} groups as one dense kernel would need {count:,} weights")
    spread = np.zeros(size)
    spread[:, :, :: dilations[0], :: dilations[1]] = weight
    return spread


def _batch_normalization(context: Context) -> Affine:
    scale, offset, mean, variance = (context.constant(index) for index in range(1, 5))
    if scale is None or offset is None or mean is None or variance is None:
        raise Unfit("its statistics are computed, not constant")
    if context.attributes.get("training_mode", 0) or len([name for name in context.node.output if name]) > 1:
        raise Unfit("it is in training mode; export the model in evaluation mode")
    context.frame()
    factor = scale / np.sqrt(variance + context.attributes.get("epsilon", 1e-5))
    return Affine(factor, offset - mean * factor)


def _function(context: Context) -> Pointwise:
    kind = context.node.op_type
    stated = [context.attributes.get(name, default) for name, default in _FUNCTIONS[kind]]
    parameters = tuple(float(value == b"tanh") if isinstance(value, bytes) else float(value) for value in stated)
    return _pointwise(kind, 0, parameters=parameters)


def _pointwise(operator: str, *inputs: int | Constant, parameters: tuple[float, ...] = ()) -> Pointwise:
    return Pointwise(Function((Step(operator, inputs, parameters),)))


def _combined(operator: str, count: int) -> Combined:
    """Of so many computed tensors, two by two."""
    steps = [Step(operator, (0, 1))]
    steps += [Step(operator, (count + number, number + 2)) for number in range(count - 2)]
    function = Function(tuple(steps), count)
    if operator == "Add":
        return Sum(operator, _JOIN, ProblemKind.BRANCH, function=function)
    return Combined(operator, _JOIN, ProblemKind.PRODUCT, function=function)


def _choice(context: Context) -> Combined:
    """A comparison, or what is chosen by one: part of a function, but never one by itself."""
    values = [context.constant(index) for index in range(len(context.node.input))]
    computed = [index for index, value in enumerate(values) if value is None]
    if not computed:
        raise Unfit("it compares constants")
    channels, _, _ = context.frame(computed[0])
    inputs = tuple(
        computed.index(index) if value is None else constant(_per_channel(value, channels))
        for index, value in enumerate(values)
    )
    function = Function((Step(context.node.op_type, inputs),), len(computed))
    return Combined(context.node.op_type, _JOIN, ProblemKind.PRODUCT, function=function)


def _largest(context: Context) -> Largest:
    channels, _, _ = context.frame()
    if context.attributes.get("axis", 0) % 4 != 1:
        raise Unfit("it compares other things than channels")
    if context.attributes.get("select_last_index", 0):
        raise Unfit("it takes the last of equal channels; the FPGA takes the first")
    return Largest()


def _ramp(context: Context) -> Ramp | Pointwise:
    scale, offset = (float(context.attributes.get(name, usual)) for name, usual in (("alpha", 0.2), ("beta", 0.5)))
    return Ramp(scale, offset) if scale > 0 else _pointwise("HardSigmoid", 0, parameters=(scale, offset))


def _channel_slopes(context: Context) -> Pointwise:
    slopes = context.constant(1)
    if slopes is None:
        raise Unfit("its slopes are computed, not constant", ProblemKind.ACTIVATION)
    channels, _, _ = context.frame()
    try:
        return _pointwise("PRelu", 0, constant(_per_channel(slopes, channels)))
    except Unfit as unfit:
        raise Unfit(str(unfit), ProblemKind.ACTIVATION) from None


def _power(context: Context) -> Pointwise:
    exponent = context.constant(1)
    if exponent is None or exponent.size != 1:
        raise Unfit("its exponent is not one constant number")
    context.frame()
    return _pointwise("Pow", 0, (float(exponent.item()),))


def _arithmetic(context: Context) -> Affine | Combined | Pointwise:
    kind, left, right = context.node.op_type, context.constant(0), context.constant(1)
    if left is None and right is None:
        return _combined(kind, 2)
    channels, _, _ = context.frame(0 if left is None else 1)
    stated = right if left is None else left
    assert stated is not None  # one of them is
    value = _per_channel(stated, channels)
    one, zero = np.ones(channels), np.zeros(channels)
    if kind == "Add":
        return Affine(one, value)
    if kind == "Mul":
        return Affine(value, zero)
    if kind == "Sub":
        return Affine(one, -value) if left is None else Affine(-one, value)
    if left is not None:
        return _pointwise("Div", constant(value), 0)
    if not value.all():
        raise Unfit("it divides by zero")
    return Affine(one / value, zero)


def _sum(context: Context) -> Affine | Combined | Identity:
    """Sum of any number of tensors."""
    values = [context.constant(index) for index in range(len(context.node.input))]
    computed = [index for index, value in enumerate(values) if value is None]
    constants = [value for value in values if value is not None]
    if len(computed) > 1:
        if constants:
            raise Unfit("it joins computed tensors and a constant: a residual block on the FPGA adds computed ones")
        return _combined("Add", len(computed))
    channels, _, _ = context.frame(computed[0])
    if not constants:
        return Identity()
    offset = sum((_per_channel(value, channels) for value in constants), np.zeros(channels))
    return Affine(np.ones(channels), offset)


def _per_channel(value: np.ndarray, channels: int) -> np.ndarray:
    """value, broadcast against (batch, channels, h, w), as (channels,); Unfit where it differs within a frame."""
    if value.size == 1:
        return np.full(channels, value.item())
    shape = (1,) * (4 - value.ndim) + value.shape
    if shape != (1, channels, 1, 1):
        raise Unfit(f"its constant has shape {list(value.shape)}: only one value for all, or one a channel, fits")
    return value.reshape(channels)


def _clip(context: Context) -> Relu | Minimum | Pointwise:
    if any(name and name not in context.tensors for name in context.node.input[1:]):
        raise Unfit("its bounds are computed, not constant")
    bounds = [context.attributes.get(name, context.constant(index)) for index, name in ((1, "min"), (2, "max"))]
    low, high = (None if bound is None else float(np.asarray(bound).item()) for bound in bounds)
    high = math.inf if high is None or high > _LARGEST else high
    if low is None or low < -_LARGEST:
        return Minimum(_positive(high))
    if low != 0:
        return _pointwise("Clip", 0, (low,), (high,))
    return Relu(_positive(high))


def _extremum(context: Context) -> Relu | Minimum | Identity | Pointwise | Combined:
    """Min or Max of the frame and one constant number, of the frame alone, or of several frames."""
    values = [context.constant(index) for index in range(len(context.node.input))]
    if len(values) == 1:
        return Identity()
    constants = [value for value in values if value is not None]
    if not constants:
        return _combined(context.node.op_type, len(values))
    if len(values) != 2 or len(constants) != 1:
        raise Unfit("it compares computed tensors with constants")
    if constants[0].size != 1:
        raise Unfit(f"its constant has shape {list(constants[0].shape)}: only one value for all fits")
    context.frame(1 if values[0] is not None else 0)
    bound = float(constants[0].flat[0])
    if context.node.op_type == "Min":
        return Minimum(_positive(bound))
    return Relu() if bound == 0 else _pointwise("Max", 0, (bound,))


def _positive(bound: float) -> float:
    if not bound > 0:
        raise Unfit(f"its upper bound of {bound:g} leaves no activation above 0")
    return bound


def _concat(context: Context) -> Concat | Identity:
    if len(context.node.input) == 1:
        return Identity()
    if context.attributes["axis"] % 4 != 1:
        raise Unfit("it joins other things than channels")
    for index in range(len(context.node.input)):
        if context.constant(index) is not None:
            raise Unfit("it joins constants to the frame")
        context.frame(index)
    return Concat("Concat", "joining branches is not supported")


def _pad(context: Context) -> ZeroPad | Identity:
    context.frame()
    mode = context.attributes.get("mode", b"constant").decode()
    if mode != "constant":
        raise Unfit(f"it pads by values of the frame (mode {mode}); the FPGA pads with zero")
    if any(name and name not in context.tensors for name in context.node.input[1:]):
        raise Unfit("its padding is computed, not constant")
    pads = context.attributes.get("pads", context.constant(1))  # an attribute before opset 11
    value = context.attributes.get("value", context.constant(2))
    stated = context.constant(3)
    if pads is None:
        raise Unfit("it has no padding")
    if value is not None and np.any(np.asarray(value) != 0):
        raise Unfit(f"it pads with {np.asarray(value).item():g}; the FPGA pads with zero")
    axes = list(range(4)) if stated is None else [int(axis) % 4 for axis in stated]
    before, after = ({axis: int(pads[at]) for at, axis in enumerate(axes, start)} for start in (0, len(axes)))
    if any(before.get(axis) or after.get(axis) for axis in (0, 1)):
        raise Unfit("it pads the batch or the channels")
    around = (before.get(2, 0), before.get(3, 0), after.get(2, 0), after.get(3, 0))
    if min(around) < 0:
        raise Unfit("its padding is negative")
    return ZeroPad(around) if any(around) else Identity()


def _slice(context: Context) -> Every:
    """Every so many rows and columns of the frame, the first among them."""
    context.frame()
    names = ("starts", "ends", "axes", "steps")
    values = [context.attributes.get(name, context.constant(index)) for index, name in enumerate(names, 1)]
    stated = [value for index, value in enumerate(values, 1) if index < len(context.node.input) or value is not None]
    places = [[int(place) for place in value] for value in stated if value is not None]
    if len(places) < max(2, len(stated)):
        raise Unfit("its places are computed, not constant")
    starts, ends = places[:2]
    axes = [axis % 4 for axis in (places[2] if len(places) > 2 else range(len(starts)))]
    steps = places[3] if len(places) > 3 else [1] * len(starts)
    shape = context.shapes[context.node.input[0]]
    cuts = any(starts) or any(end < shape[axis] for axis, end in zip(axes, ends)) or min(steps) < 1
    if cuts or not {*axes} <= {2, 3}:
        raise Unfit("it cuts the frame")
    stride = dict(zip(axes, steps))
    return Every((stride.get(2, 1), stride.get(3, 1)))


_READERS: dict[str, Callable[[Context], Op]] = {
    "Conv": _conv,
    "BatchNormalization": _batch_normalization,
    "Add": _arithmetic,
    "Sum": _sum,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "Relu": lambda context: Relu(),
    "ArgMax": _largest,
    "HardSigmoid": _ramp,
    "PRelu": _channel_slopes,
    "Pow": _power,
    **dict.fromkeys(_FUNCTIONS, _function),
    **dict.fromkeys((*COMPARISONS, "Where"), _choice),
    "Clip": _clip,
    "Min": _extremum,
    "Max": _extremum,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalMaxPool": global_pool,
    "GlobalAveragePool": global_pool,
    "ReduceMax": global_pool,
    "ReduceMean": global_pool,
    "Pad": _pad,
    "Concat": _concat,
    "Slice": _slice,
    "Dropout": lambda context: Identity(),
    "Identity": lambda context: Identity(),
}
