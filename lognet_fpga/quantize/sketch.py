"""The integer graph as it will roughly be: from the weights alone, without frames, in a moment.

For sizes only.  Every weight is rounded plainly (`quantize` rounds each one with regard to the others' errors), no
frame is run, biases are left out and scales are those of typical frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Source, Sources
from lognet_fpga.numerics.log2 import log2_codes
from lognet_fpga.partition.float_layer import FloatLayer
from lognet_fpga.quantize import averages, functions
from lognet_fpga.quantize.calibrate import IN_BITS
from lognet_fpga.quantize.scales import MAX_CHANNEL_SHIFT
from lognet_fpga.quantize.signed import goes_out_whole, with_ranking, with_sign, with_whole_sums
from lognet_fpga.quantize.weights import magnitude_prune, nmse, search_alpha

SAMPLED_WEIGHTS = 50_000  # of a layer, at most, are looked at for its alphas
# Of log2: bits dropped behind a channel = log2 of its weights' norm + bits in - bits out + this.  The mean over the
# channels of four trained networks; a channel differs from it by 0.7 (standard deviation).
_TYPICAL_DROP = -0.3
_DROP_SPREAD = 1  # channels that are that many bits quieter than typical are always found


def sketch_graph(
    name: str, layers: Sequence[FloatLayer], sources: Sources, *, act_bits: int | Sequence[int] = 8, prune: float = 0.0
) -> QuantGraph:
    """layers, in order, with codes and widths close to those that `quantize` will find; the options are the same."""
    bits = [act_bits] * len(layers) if isinstance(act_bits, int) else act_bits
    sketched = (
        sketch_layer(layer, bits_in(its, bits), its_bits, prune, last=number == len(layers))
        for number, (layer, its, its_bits) in enumerate(zip(layers, sources, bits, strict=True), 1)
    )
    return QuantGraph(name, layers[0].in_shape, tuple(sketched), sources)


def bits_in(sources: Sequence[Source], act_bits: Sequence[int]) -> int:
    """Of a layer that takes these, where the activations of the layers before it have act_bits."""
    return max(IN_BITS if source.layer == FRAMES else act_bits[source.layer] for source in sources)


def sketch_layer(
    layer: FloatLayer, in_bits: int, out_bits: int, prune: float = 0.0, *, last: bool = False
) -> QuantLayer:
    """last: no layer follows it."""
    whole = last and (layer.ranks or goes_out_whole(layer))
    rows = magnitude_prune(layer.weight, prune).reshape(len(layer.weight), -1)
    alpha = _alphas(rows)
    table = None if layer.function is None else functions.sketched(layer.function, len(rows), out_bits)
    code_bits = out_bits if table is None else table.bits
    codes = log2_codes(rows / alpha[:, None])
    norm = np.sqrt((codes.astype(np.float32) ** 2).sum(axis=1))
    drop = np.rint(np.log2(np.maximum(norm, 1)) + in_bits - code_bits + _TYPICAL_DROP).astype(np.int64)
    shift = 0 if whole else max(0, int(drop.max()) + _DROP_SPREAD)
    channel_shift = np.zeros_like(drop) if whole else np.clip(shift - drop, 0, MAX_CHANNEL_SHIFT)
    channels = len(codes)
    sketched = QuantLayer(
        name=layer.name,
        in_shape=layer.in_shape,
        in_bits=in_bits,
        out_bits=out_bits,
        codes=codes.reshape(layer.weight.shape),
        channel_shift=channel_shift,
        bias=np.zeros(channels, np.int64),
        shift=shift,
        stride=layer.stride,
        pads=layer.pads,
        pad_value=np.zeros(layer.in_shape[0], np.int64),
        pool=layer.pool,
        alpha=alpha,
        out_scale=alpha,
        nmse=nmse(rows, codes * alpha[:, None]),
        average=averages.plain(layer.pool, out_bits),
        table=table,
    )
    if table is not None:
        return sketched
    if layer.ranks:
        return with_ranking(sketched)
    return with_whole_sums(sketched) if whole else with_sign(sketched) if layer.linear else sketched


def _alphas(rows: np.ndarray) -> np.ndarray:
    """search_alpha on as many channels as need no second; the others get the usual share of their largest weight."""
    step = -(-rows.size // SAMPLED_WEIGHTS)
    some = rows[::step]
    found = search_alpha(some, np.ones(rows.shape[1]))
    if step == 1:
        return found
    top = np.abs(rows).max(axis=1)
    some_top = top[::step]
    share = np.median(found[some_top > 0] / some_top[some_top > 0]) if some_top.any() else 1.0
    return np.where(top > 0, top * share, 1.0)
