"""A QuantGraph as a standard ONNX graph of integer operators, which plain onnxruntime runs to the same bits."""

from __future__ import annotations

import numpy as np

from lognet_fpga.errors import ModelError
from lognet_fpga.ir.border import border_factors, borders
from lognet_fpga.ir.graph import LARGEST_AVERAGE, AveragePool, MaxPool, Pool
from lognet_fpga.ir.layer_nodes import FLOAT, INT32, LayerNodes, model_of_layers, onnx_type
from lognet_fpga.ir.quant import CodeTable, QuantGraph, QuantLayer

_INT32 = np.iinfo(np.int32)


def golden_onnx(quant: QuantGraph) -> bytes:
    """The integer semantics of quant as a serialized ONNX model.

    Input "frames": uint8 (batch, channels, h, w).  Outputs, named by the layers, first to last: each layer's
    activations, (batch, *out_shape) of their `ir.codes.code_type`.  Raises ModelError where a layer's sums exceed 32
    bits.
    """
    for layer in quant.layers:
        check_range(layer)
    return model_of_layers(quant, "golden", add_layer)


def check_range(layer: QuantLayer) -> None:
    """Raise ModelError unless golden.onnx can hold the layer."""
    low, high = layer.accumulator_range()
    bias_low, bias_high = int(layer.bias.min()), int(layer.bias.max())
    # Sums before and after the bias are int32 in the graph.
    if min(low, low - bias_high, bias_low) < _INT32.min or max(high, high - bias_low, bias_high) > _INT32.max:
        raise ModelError(
            f"layer {layer.name}: sums from {low} to {high} with biases from {bias_low} to {bias_high} "
            "do not fit 32 bits",
            hint="use fewer activation bits, or fewer layers on the FPGA",
        )
    if isinstance(layer.pool, AveragePool) and not _holds_sums(layer.pool, layer):
        raise ModelError(
            f"layer {layer.name}: its pool averages {layer.pool.count:,} elements, whose sums are too large",
            hint="use fewer layers on the FPGA, so that the host averages",
        )
    if not 0 <= layer.shift <= 30:
        raise ModelError(f"layer {layer.name}: a requantize shift of {layer.shift} bits is not within 0 to 30")


def _holds_sums(pool: AveragePool, layer: QuantLayer) -> bool:
    """Whether a window's sum and its product with the factors of the border are held."""
    assert layer.average is not None
    rows, cols = borders(pool, *layer.conv_shape[1:])
    half = 1 << layer.average.shift + rows.fraction + cols.fraction >> 1
    products = rows.largest * cols.largest * (2**layer.act_bits - 1) + half
    return pool.count <= LARGEST_AVERAGE and products <= _INT32.max


def add_layer(nodes: LayerNodes, layer: QuantLayer, source: str) -> None:
    """Nodes from tensor source to tensor layer.name."""
    value, pads = add_padding(nodes, layer, source)
    # Codes as uint8 around 128: onnxruntime up to 1.23, the last for Python 3.10, has no ConvInteger of int8 weights.
    codes = nodes.constant("codes", (layer.codes.astype(np.int16) + 128).astype(np.uint8))
    zeros = [nodes.constant("x_zero", np.array(0, np.uint8)), nodes.constant("codes_zero", np.array(128, np.uint8))]
    value = nodes.add(
        "ConvInteger",
        [value, codes, *zeros],
        "sum",
        pads=pads,
        strides=list(layer.stride),
        kernel_shape=list(layer.kernel),
        **({"group": layer.groups} if layer.groups > 1 else {}),
    )
    if np.any(layer.channel_shift):
        factor = (np.int64(1) << layer.channel_shift.astype(np.int64)).astype(np.int32).reshape(1, -1, 1, 1)
        value = nodes.add("Mul", [value, nodes.constant("factor", factor)], "scaled")
    bias = nodes.constant("bias", layer.bias.astype(np.int32).reshape(1, -1, 1, 1))
    value = nodes.add("Add", [value, bias], "acc")
    # Behind Max the sum is not negative, where Div, which truncates, is floor.
    value = nodes.add("Max", [value, nodes.constant("zero", np.array(0, np.int32))], "relu")
    value = nodes.add("Div", [value, nodes.constant("lsb", np.array(2**layer.shift, np.int32))], "shifted")
    value = nodes.add("Min", [value, nodes.constant("top", np.array(2**layer.code_bits - 1, np.int32))], "clipped")
    activations = "" if layer.pool is None else "activations"
    if layer.ranking is not None:
        value = nodes.add("ArgMax", [value], "class", axis=1, keepdims=1)
        value = nodes.add("Cast", [value], "", to=onnx_type(layer.out_bits))
    elif layer.table is not None:
        value = add_table(nodes, layer.table, value, activations)
    else:
        value = nodes.add("Cast", [value], activations, to=onnx_type(layer.act_bits))
    if isinstance(layer.pool, MaxPool):
        add_max_pool(nodes, layer.pool, value)
    elif layer.pool is not None and layer.average is not None:
        add_average_pool(nodes, layer, value)


def add_table(nodes: LayerNodes, table: CodeTable, value: str, part: str) -> str:
    """Activations, uint8, for the codes of tensor value, int32."""
    if not table.is_shared:
        rows = np.arange(len(table.entries), dtype=np.int32).reshape(1, -1, 1, 1) << table.bits
        value = nodes.add("Add", [value, nodes.constant("rows", rows)], "places")
    return nodes.add("Gather", [nodes.constant("table", table.array.reshape(-1)), value], part, axis=0)


def add_padding(nodes: LayerNodes, layer: QuantLayer, source: str) -> tuple[str, list[int]]:
    """(tensor, pads of the convolution on it): with pad_value around it, where that is not zero."""
    pads = list(layer.pads)
    if not (np.any(layer.pad_value) and any(pads)):
        return source, pads
    top, left, bottom, right = pads
    _, height, width = layer.in_shape
    outside = np.ones((1, 1, top + height + bottom, left + width + right), np.bool_)
    outside[:, :, top : top + height, left : left + width] = False
    around = nodes.constant("pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    value = nodes.add("Pad", [source, around, nodes.constant("zero_u8", np.array(0, np.uint8))], "padded_zero")
    pad_value = nodes.constant("pad_value", layer.pad_value.astype(np.uint8).reshape(1, -1, 1, 1))
    value = nodes.add("Where", [nodes.constant("outside", outside), pad_value, value], "padded")
    return value, [0, 0, 0, 0]


def add_max_pool(nodes: LayerNodes, pool: MaxPool, value: str, part: str = "") -> str:
    """Of activations, of which 0, the least value, is the padding."""
    return nodes.add("MaxPool", [value], part, **window(pool))


def add_average_pool(nodes: LayerNodes, layer: QuantLayer, value: str) -> None:
    """The layer's last nodes, of its average pool: from tensor value, uint8, to the layer's own."""
    pool, average = layer.pool, layer.average
    assert isinstance(pool, AveragePool) and average is not None
    # The average's rounding error, times the number of elements, is far below 1/2, so that Round finds the sum.
    value = nodes.add("Cast", [value], "real", to=FLOAT)
    value = nodes.add("AveragePool", [value], "average", count_include_pad=1, **window(pool))
    value = nodes.add("Mul", [value, nodes.constant("count", np.array(pool.count, np.float32))], "unrounded")
    value = nodes.add("Round", [value], "total")
    if any(pool.outside):
        # Products that float32 may not hold.
        factors, fraction = border_factors(pool, *layer.conv_shape[1:])
        shift = average.shift + fraction
        value = nodes.add("Cast", [value], "total_int32", to=INT32)
        value = nodes.add("Mul", [value, nodes.constant("border", factors.astype(np.int32))], "total_scaled")
        value = nodes.add("Add", [value, nodes.constant("half", np.array(1 << shift >> 1, np.int32))], "total_half")
        value = nodes.add("Div", [value, nodes.constant("scale", np.array(1 << shift, np.int32))], "total_rounded")
        top = nodes.constant("total_top", np.array(2**layer.out_bits - 1, np.int32))
        value = nodes.add("Min", [value, top], "total_clipped")
        nodes.add("Cast", [value], "", to=onnx_type(layer.out_bits))
        return
    scale = nodes.constant("scale", np.array(2.0**-average.shift, np.float32))
    value = nodes.add("Mul", [value, scale], "scaled_total")
    value = nodes.add("Add", [value, nodes.constant("half", np.array(0.5, np.float32))], "total_half")
    value = nodes.add("Floor", [value], "total_rounded")
    top = nodes.constant("total_top", np.array(2**layer.out_bits - 1, np.float32))
    value = nodes.add("Min", [value, top], "total_clipped")
    nodes.add("Cast", [value], "", to=onnx_type(layer.out_bits))


def window(pool: Pool) -> dict[str, list[int]]:
    """A pool's attributes, which are also those of a convolution over the same windows."""
    return {"kernel_shape": list(pool.kernel), "strides": list(pool.stride), "pads": list(pool.pads)}
