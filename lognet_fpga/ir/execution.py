"""The integers of golden.onnx by faster nodes: QLinearConv, which adds, requantizes and clips at once, on uint8 alone.

ONNX says of it: y = saturate(round((sum of (x - zero) * w + bias) * scale[o])), the sum in int32, halves to even, y
from 0 to 255.  That is a layer's floor(sum / 2**down), for down >= 1, with in the places of the sum and of 2**-down

    sum - 2**(down - 1) + 1   and   2**-down * (1 - 2**-22)

For sum = k * 2**down + n, 0 <= n < 2**down, and k of `bits` bits, the product exceeds k - 1/2 by (n + 1) * 2**-down
less at most 2**(bits - 22), and is below k + 1/2 by at least (k + 1/2) * 2**-22.  With bits + down <= 21 the first is
at least 2**-down / 2; both are at least four times what float32 may round it by, 2**-24 of it.  Where sum / 2**down is
beyond what is clipped the product only has to be so too, and it is: every step rises with the sum.  So the bits are
those of golden.onnx on any processor, whatever the order of its sums.

A processor without better instructions adds pairs of products in 16 bits, and does that rightly, too: a code is 64 at
most, and 2 * 64 * 255 = 32,640.  A layer that does not keep to these bounds has the nodes of golden.onnx.
"""

from __future__ import annotations

import numpy as np

from lognet_fpga.ir.golden import add_average_pool, add_layer, add_max_pool, add_padding, add_table, check_range, window
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.layer_nodes import INT32, LayerNodes, model_of_layers
from lognet_fpga.ir.quant import QuantGraph, QuantLayer

_EXACT_BITS = 21
_BYTE_BITS = 8
_BELOW_ONE = 1 - 2.0**-22
_LARGEST_CODE = 64
_LARGEST_PIXEL = 255
_LARGEST_INT32 = np.iinfo(np.int32).max


def execution_onnx(quant: QuantGraph) -> bytes:
    """A serialized ONNX model with the input, the outputs and the integers of `golden_onnx`, made to be fast.

    Raises ModelError where a layer's sums exceed 32 bits.
    """
    for layer in quant.layers:
        check_range(layer)
    return model_of_layers(quant, "execution", _add_layer)


def fuses(layer: QuantLayer) -> bool:
    """Whether one node can be the layer's convolution, as far as its pool."""
    down = layer.shift - layer.channel_shift
    codes = np.abs(layer.codes.astype(np.int64))
    # The products of pixels and of QLinearConv's zero, and the bias.
    sums = 2 * _LARGEST_PIXEL * codes.sum(axis=(1, 2, 3)) + np.abs(layer.bias >> layer.channel_shift)
    return bool(
        down.min() >= 0
        and layer.ranking is None
        and layer.code_bits <= _BYTE_BITS
        and layer.code_bits + down.max() <= _EXACT_BITS
        and codes.max() <= _LARGEST_CODE
        and sums.max() + 2**_EXACT_BITS <= _LARGEST_INT32
    )


def fuses_average(layer: QuantLayer) -> bool:
    """Whether one node can be the layer's average pool: all windows alike, and their sums, which have 20 bits at most
    by `check_range`, rounded rightly."""
    return (
        isinstance(layer.pool, AveragePool)
        and layer.average is not None
        and not any(layer.pool.outside)
        and layer.out_bits + layer.average.shift <= _EXACT_BITS
    )


def _add_layer(nodes: LayerNodes, layer: QuantLayer, source: str) -> None:
    if not fuses(layer):
        add_layer(nodes, layer, source)
        return
    zero, value, pads = int(layer.pad_value[0]), source, list(layer.pads)
    if np.any(layer.pad_value != zero):
        value, pads = add_padding(nodes, layer, source)
        zero = 0
    # In units of a channel's power of two, which all of its products are multiples of.
    bias = (layer.bias >> layer.channel_shift) + zero * layer.codes.sum(axis=(1, 2, 3), dtype=np.int64)
    places = {"kernel_shape": list(layer.kernel), "strides": list(layer.stride), "pads": pads}
    down = layer.shift - layer.channel_shift
    value = _add_conv(nodes, "conv", value, zero, layer.codes, bias, down, places, layer.groups)
    if layer.table is not None:
        value = nodes.add("Cast", [_add_top(nodes, "clipped", value, layer.code_bits)], "codes", to=INT32)
        value = add_table(nodes, layer.table, value, "activations")
    if isinstance(layer.pool, MaxPool):  # the greatest first: less is left to clip
        value = add_max_pool(nodes, layer.pool, value, "pool")
    if layer.table is None:
        value = _add_top(nodes, "clipped", value, layer.act_bits)
    if isinstance(layer.pool, AveragePool) and layer.average is not None:
        if not fuses_average(layer):
            add_average_pool(nodes, layer, value)
            return
        count = layer.out_shape[0]
        ones, down = np.ones((count, 1, *layer.pool.kernel), np.int8), np.full(count, layer.average.shift)
        value = _add_conv(nodes, "average", value, 0, ones, 1 << down >> 1, down, window(layer.pool), count)
        _add_top(nodes, "average_clipped", value, layer.out_bits)
    nodes.end()


def _add_top(nodes: LayerNodes, part: str, value: str, bits: int) -> str:
    """min(value, 2**bits - 1); uint8 ends at 255 by itself.  Clip, for older onnxruntimes have no Min of uint8."""
    if bits == 8:
        return value
    top = nodes.constant(f"{part}/top", np.array(2**bits - 1, np.uint8))
    return nodes.add("Clip", [value, "", top], part)


def _add_conv(
    nodes: LayerNodes,
    part: str,
    value: str,
    zero: int,
    codes: np.ndarray,
    bias: np.ndarray,
    down: np.ndarray,
    places: dict[str, list[int]],
    groups: int,
) -> str:
    """min(max(floor((sum of codes * (value - zero) + bias) / 2**down), 0), 255), uint8; down, bias: (out,)."""
    bias = bias + (down > 0) - (1 << down >> 1)
    constants: dict[str, np.ndarray] = {
        "unit": np.array(1, np.float32),
        "zero": np.array(zero, np.uint8),
        "codes": codes.astype(np.int8),
        "scale": (2.0**-down * _BELOW_ONE).astype(np.float32),
        "codes_zero": np.zeros(len(codes), np.int8),
        "result_zero": np.array(0, np.uint8),
        "bias": bias.astype(np.int32),
    }
    names = {name: nodes.constant(f"{part}/{name}", constant) for name, constant in constants.items()}
    order = ("unit", "zero", "codes", "scale", "codes_zero", "unit", "result_zero", "bias")
    return nodes.add("QLinearConv", [value, *(names[name] for name in order)], part, group=groups, **places)
