"""A QuantGraph as a standard ONNX graph of integer operators, which plain onnxruntime runs to the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from lognet_fpga.errors import ModelError
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.quant import QuantGraph, QuantLayer

INPUT = "frames"
OPSET = 17
IR_VERSION = 8
_INT32 = np.iinfo(np.int32)
_LARGEST_WINDOW = 4096  # elements of an average pool: sums of 2**20, each rounding error of 2**-4 at most


def golden_onnx(quant: QuantGraph) -> bytes:
    """The integer semantics of quant as a serialized ONNX model.

    Input "frames": uint8 (batch, channels, h, w).  Outputs, named by the layers, first to last: each layer's
    activations, uint8 (batch, *out_shape).  Raises ModelError where a layer's sums exceed 32 bits.
    """
    nodes: list[NodeProto] = []
    tensors: list[TensorProto] = []
    outputs = []
    source = INPUT
    for layer in quant.layers:
        _check_range(layer)
        layer_nodes, layer_tensors = _layer(layer, source)
        nodes += layer_nodes
        tensors += layer_tensors
        outputs.append(helper.make_tensor_value_info(layer.name, TensorProto.UINT8, ["batch", *layer.out_shape]))
        source = layer.name
    frames = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", *quant.input_shape])
    graph = helper.make_graph(nodes, "golden", [frames], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _check_range(layer: QuantLayer) -> None:
    low, high = layer.accumulator_range()
    bias_low, bias_high = int(layer.bias.min()), int(layer.bias.max())
    # Sums before and after the bias are int32 in the graph.
    if min(low, low - bias_high, bias_low) < _INT32.min or max(high, high - bias_low, bias_high) > _INT32.max:
        raise ModelError(
            f"layer {layer.name}: sums from {low} to {high} with biases from {bias_low} to {bias_high} "
            "do not fit 32 bits",
            hint="use fewer activation bits, or fewer layers on the FPGA",
        )
    if isinstance(layer.pool, AveragePool) and layer.pool.count > _LARGEST_WINDOW:
        raise ModelError(
            f"layer {layer.name}: its pool averages {layer.pool.count:,} elements, more than {_LARGEST_WINDOW:,}",
            hint="use fewer layers on the FPGA, so that the host averages",
        )
    if not 0 <= layer.shift <= 30:
        raise ModelError(f"layer {layer.name}: a requantize shift of {layer.shift} bits is not within 0 to 30")


def _layer(layer: QuantLayer, source: str) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes from tensor source to tensor layer.name, and the constants they use."""
    nodes: list[NodeProto] = []
    tensors: list[TensorProto] = []

    def constant(part: str, value: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(value, f"{layer.name}/{part}"))
        return tensors[-1].name

    def add(op_type: str, inputs: list[str], part: str, **attributes: object) -> str:
        output = f"{layer.name}/{part}" if part else layer.name
        nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    pads = list(layer.pads)
    value = source
    if np.any(layer.pad_value) and any(pads):
        top, left, bottom, right = pads
        _, height, width = layer.in_shape
        outside = np.ones((1, 1, top + height + bottom, left + width + right), np.bool_)
        outside[:, :, top : top + height, left : left + width] = False
        around = constant("pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        value = add("Pad", [value, around, constant("zero_u8", np.array(0, np.uint8))], "padded_zero")
        pad_value = constant("pad_value", layer.pad_value.astype(np.uint8).reshape(1, -1, 1, 1))
        value = add("Where", [constant("outside", outside), pad_value, value], "padded")
        pads = [0, 0, 0, 0]
    # Codes as uint8 around 128: onnxruntime up to 1.23, the last for Python 3.10, has no ConvInteger of int8 weights.
    codes = constant("codes", (layer.codes.astype(np.int16) + 128).astype(np.uint8))
    zero_points = [constant("x_zero", np.array(0, np.uint8)), constant("codes_zero", np.array(128, np.uint8))]
    value = add(
        "ConvInteger",
        [value, codes, *zero_points],
        "sum",
        pads=pads,
        strides=list(layer.stride),
        kernel_shape=list(layer.kernel),
        **({"group": layer.groups} if layer.groups > 1 else {}),
    )
    if np.any(layer.channel_shift):
        factor = (np.int64(1) << layer.channel_shift.astype(np.int64)).astype(np.int32).reshape(1, -1, 1, 1)
        value = add("Mul", [value, constant("factor", factor)], "scaled")
    value = add("Add", [value, constant("bias", layer.bias.astype(np.int32).reshape(1, -1, 1, 1))], "acc")
    # Behind Max the sum is not negative, where Div, which truncates, is floor.
    value = add("Max", [value, constant("zero", np.array(0, np.int32))], "relu")
    value = add("Div", [value, constant("lsb", np.array(2**layer.shift, np.int32))], "shifted")
    value = add("Min", [value, constant("top", np.array(2**layer.act_bits - 1, np.int32))], "clipped")
    value = add("Cast", [value], "" if layer.pool is None else "activations", to=TensorProto.UINT8)
    if layer.pool is not None:
        _add_pool(add, constant, value, layer)
    return nodes, tensors


def _add_pool(
    add: Callable[..., str], constant: Callable[[str, np.ndarray], str], value: str, layer: QuantLayer
) -> None:
    """The layer's last nodes: from tensor value, uint8, to the layer's own."""
    pool = layer.pool
    window = {"kernel_shape": list(pool.kernel), "strides": list(pool.stride), "pads": list(pool.pads)}
    if isinstance(pool, MaxPool):
        add("MaxPool", [value], "", **window)  # uint8 pads with 0, the least value
        return
    # The average's rounding error, times the number of elements, is far below 1/2, so that Round finds the sum.
    value = add("Cast", [value], "real", to=TensorProto.FLOAT)
    value = add("AveragePool", [value], "average", count_include_pad=1, **window)
    value = add("Mul", [value, constant("count", np.array(pool.count, np.float32))], "unrounded")
    value = add("Round", [value], "total")
    value = add("Mul", [value, constant("scale", np.array(2.0**-layer.average.shift, np.float32))], "scaled_total")
    value = add("Add", [value, constant("half", np.array(0.5, np.float32))], "total_half")
    value = add("Floor", [value], "total_rounded")
    value = add("Min", [value, constant("total_top", np.array(2**layer.out_bits - 1, np.float32))], "total_clipped")
    add("Cast", [value], "", to=TensorProto.UINT8)
