"""Post-training quantization of the FPGA layers, layer by layer, each on what the layers before really put out.

A layer whose weights are log2 codes already is left as it is (`quantize.grid`).

Every output channel has a real alpha of its own: ReLU and max-pool pass a positive factor on, so the next layer's
weights absorb it per input channel before they are quantized, and the host graph absorbs the last one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lognet_fpga.errors import InputError
from lognet_fpga.ir import reference
from lognet_fpga.ir.functions import Function
from lognet_fpga.ir.graph import AveragePool
from lognet_fpga.ir.groups import dense_kernel, of_own_inputs
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import Average, QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Sources, gather
from lognet_fpga.numerics.log2 import log2_codes
from lognet_fpga.partition import FloatLayer, Partition
from lognet_fpga.progress import NoProgress, Progress
from lognet_fpga.quantize import averages, functions, scales, trained, weights
from lognet_fpga.quantize.correlation import correlations, pick_windows, windows_at
from lognet_fpga.quantize.grid import GivenCodes, bias_shift, given_codes
from lognet_fpga.quantize.methods import Methods
from lognet_fpga.quantize.padding import WORTH, falls_short, pad_codes
from lognet_fpga.quantize.signed import goes_out_whole, with_ranking, with_sign, with_whole_sums
from lognet_fpga.quantize.trained import TrainedLayer

IN_BITS = 8
_STEADY = 0.25  # of an activation's LSB; rounding has a deviation of 0.29
_SEED = 1
_CHUNK_BYTES = 128 << 20  # of unfolded windows held at once
_TRIES = 8  # scales that a channel is rounded with, at most
_MOST_WORK = 10**9  # multiplications that all of a layer's roundings may take about


def quantize(
    partition: Partition,
    frames: np.ndarray,
    preprocessing: Preprocessing,
    *,
    act_bits: int | Sequence[int] = 8,
    prune: float = 0.0,
    methods: Methods = Methods(),
    progress: Progress = NoProgress(),
) -> QuantGraph:
    """The integer graph of the partition's FPGA layers.

    frames: (n, channels, h, w) uint8, for calibration.  act_bits: bits of the activations of all layers, or of
    each layer, in front of its pool; the frames have 8.  prune: share of zeros that each layer's weights get at least.
    methods: for comparisons.
    Warns where a file of lognet-retrain's is no longer what it wrote.  Raises InputError for frames of another shape or
    type.
    """
    first = partition.layers[0]
    if frames.ndim != 4 or frames.shape[1:] != first.in_shape or frames.dtype != np.uint8 or not len(frames):
        raise InputError(
            f"calibration frames must be uint8 of shape (n, {', '.join(map(str, first.in_shape))}), "
            f"not {frames.dtype} of shape {frames.shape}"
        )
    rng = np.random.default_rng(_SEED)
    factor, offset = preprocessing.affine(first.in_shape[0])
    frames_float = preprocessing.apply(frames)
    bits = [act_bits] * len(partition.layers) if isinstance(act_bits, int) else list(act_bits)
    layers, stated = list[QuantLayer](), _stated(partition, bits, prune)
    last_taken = {source.layer: number for number, its in enumerate(partition.sources) for source in its}
    outputs, outputs_float = list[np.ndarray](), list[np.ndarray]()
    with progress.stage("quantize") as stage:
        for index, layer in enumerate(partition.layers):
            its = partition.sources[index]
            entering = _Input(
                gather(its, frames, outputs),
                np.concatenate(
                    [factor if source.layer == FRAMES else layers[source.layer].out_scale for source in its]
                ),
                np.concatenate(
                    [offset if source.layer == FRAMES else layers[source.layer].out_offset for source in its]
                ),
                max(IN_BITS if source.layer == FRAMES else layers[source.layer].out_bits for source in its),
                gather(its, frames_float, outputs_float),
            )
            following = _following(partition.layers, partition.sources, index)
            quantized, given = _quantize_layer(
                layer, entering, bits[index], prune, methods, rng, stated[index], index, following
            )
            codes = quantized.activations(entering.x)
            outputs_float.append(layer.run(entering.x_float))
            if quantized.average and not given:
                quantized = averages.fitted(quantized, codes, outputs_float[-1], following)
            layers.append(quantized)
            outputs.append(quantized.pooled(codes))
            for number in range(index + 1):  # the others are only in the way
                if last_taken.get(number, 0) <= index:
                    outputs[number] = outputs_float[number] = outputs[number][:0]
            stage.update(index + 1, len(partition.layers))
    return QuantGraph(partition.graph.name, first.in_shape, tuple(layers), partition.sources)


def _following(layers: Sequence[FloatLayer], sources: Sources, index: int) -> np.ndarray | None:
    """What those who take the layer's results pad with at most, (out,), 0 for no padding; None for the last layer."""
    takers = []
    for layer, its in zip(layers, sources):
        first = 0
        for source in its:
            count = layers[source.layer].out_shape[0] if source.layer != FRAMES else layers[0].in_shape[0]
            if source.layer == index:
                takers.append(layer.pad_value[first : first + count] * any(layer.pads))
            first += count
    return np.max(takers, axis=0) if takers else None


def _stated(partition: Partition, act_bits: Sequence[int], prune: float) -> list[TrainedLayer | None]:
    """What lognet-retrain wrote of each layer; nothing where the user asks for other activations or for more zeros."""
    layers = trained.read(partition.graph)
    if layers is None:
        _warn_of_an_edit(partition.graph.name, "its metadata cannot be read")
    taken = (
        []
        if prune
        else [layer if layer.act_bits in (bits, None) else None for layer, bits in zip(layers or (), act_bits)]
    )
    return (taken + [None] * len(partition.layers))[: len(partition.layers)]


def _warn_of_an_edit(name: str, why: str) -> None:
    warnings.warn(
        f"{name} was written by lognet-retrain, but {why}: it was changed since, or its input options were others; "
        "what was trained is not taken over",
        stacklevel=2,
    )


@dataclass(frozen=True, eq=False)
class _Input:
    """x: what the layers before put out, integers of so many bits that stand for x * scale + offset, channel by
    channel; x_float: what the float model has in their place."""

    x: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    bits: int
    x_float: np.ndarray


def _quantize_layer(
    layer: FloatLayer,
    entering: _Input,
    act_bits: int,
    prune: float,
    methods: Methods,
    rng: np.random.Generator,
    stated: TrainedLayer | None,
    number: int,
    following: np.ndarray | None,
) -> tuple[QuantLayer, bool]:
    """(the layer, whether its weights were codes already).  number: of layers before it; following: as of
    `_following`."""
    x, x_float, in_bits = entering.x, entering.x_float, entering.bits
    in_scale, in_offset = entering.scale, entering.offset
    target = _float_sums(layer, x_float)
    scale, offset = (of_own_inputs(part, layer.groups, len(layer.weight)) for part in (in_scale, in_offset))
    scaled = weights.magnitude_prune(layer.weight, prune) * scale
    result_lsb = layer.bound / (2**act_bits - 1)
    if layer.linear and stated is not None and stated.lsb is not None and len(stated.lsb) == len(scaled):
        result_lsb = np.array(stated.lsb)
    given = given_codes(scaled.reshape(len(scaled), -1), result_lsb)
    if given is None:
        scaled[_steady(target, act_bits)] = 0
    rows = scaled.reshape(len(scaled), -1)
    pad_value = pad_codes(layer, number, in_scale, in_offset, in_bits)
    pick = pick_windows(layer, len(x), rng)
    windows = windows_at(reference.pad(x, layer.pads, pad_value), layer, pick)
    correlation, wanted = correlations(layer, windows, pick, x_float, in_scale, in_offset, methods)
    data = _Data(
        layer=layer,
        windows=windows,
        rows=rows,
        bias=layer.bias + (layer.weight * offset).sum(axis=(1, 2, 3)),
        correlation=weights.damped(correlation, len(pick)),
        best=weights.making_up(rows, correlation, wanted) if methods.follow else rows,
        target=target.transpose(1, 0, 2, 3).reshape(len(rows), -1)[:, pick],
        methods=methods,
        padding=np.zeros(len(rows)) if following is None else following,
    )
    stated = _checked(data, given, result_lsb, stated)
    if layer.linear and stated is None:
        given = None  # nothing else tells what an LSB is
    whole = following is None and (layer.ranks or goes_out_whole(layer))
    span = scales.Span.of(act_bits, signed=layer.linear)
    if given is not None:
        rounded, drop, shift = _as_given(data, given, result_lsb, stated)
    elif layer.function is not None:
        rounded, drop, shift, span = _round_for(data, layer.function)
    elif whole:
        rounded, drop, shift = _round_whole(data)
    else:
        rounded, drop, shift = _round_layer(data, span)
    lsb = rounded.alpha * 2.0**drop
    unit = lsb / 2.0**shift  # real value of one LSB of the accumulator
    half = 2 ** (shift - 1) if shift else 0
    bias = np.rint(rounded.bias / unit) if stated is None else np.array(stated.bias)
    average, out_bits, share = averages.plain(layer.pool, act_bits), act_bits, averages.scale(layer.pool)
    if stated is not None and stated.average_shift is not None and isinstance(layer.pool, AveragePool):
        average, out_bits = Average(act_bits, stated.average_shift), stated.out_bits or act_bits
        share = 2.0**average.shift / layer.pool.count
    made = None
    if layer.function is not None:
        made = functions.activations(layer.function, data.target, lsb, span, act_bits)
        bias, lsb = bias + (made.table.zero << shift), made.lsb
    quantized = QuantLayer(
        name=layer.name,
        in_shape=layer.in_shape,
        in_bits=in_bits,
        out_bits=out_bits,
        codes=rounded.codes.reshape(layer.weight.shape),
        channel_shift=shift - drop,
        bias=bias.astype(np.int64) + half,
        shift=shift,
        stride=layer.stride,
        pads=layer.pads,
        pad_value=pad_value,
        pool=layer.pool,
        alpha=rounded.alpha,
        out_scale=lsb * share,
        nmse=weights.nmse(rows, rounded.codes * rounded.alpha[:, None]),
        average=average,
        act_zero=0 if made is None else made.zero,
        table=None if made is None else made.table,
    )
    if layer.ranks:
        quantized = with_ranking(quantized)
    elif whole:
        quantized = with_whole_sums(quantized)
    elif layer.linear and made is None:
        quantized = with_sign(quantized)
    return quantized, given is not None


@dataclass(frozen=True, eq=False)
class _Data:
    """What one layer is quantized on.

    windows: (groups, windows, inputs), a sample of integer inputs x; rows: (out, inputs), the weights in units of x;
    bias: (out,); correlation: as of `correlations`, damped; best: rows that make up for the errors of earlier
    layers; target: (out, windows), the float model's sums; padding: (out,), what the next layer pads with, 0 for none.
    """

    layer: FloatLayer
    windows: np.ndarray
    rows: np.ndarray
    bias: np.ndarray
    correlation: np.ndarray
    best: np.ndarray
    target: np.ndarray
    methods: Methods
    padding: np.ndarray

    @property
    def exact(self) -> np.ndarray:
        """(out,) place in each row of a weight that must not change relative to its input, -1 for none."""
        return np.full(len(self.rows), -1) if self.layer.exact is None else self.layer.exact

    @property
    def passing(self) -> np.ndarray:
        """(out,) bool: channels that only pass an input on, and stay what it is."""
        return (self.exact >= 0) & (np.count_nonzero(self.rows, axis=1) == 1)

    def search_alpha(self, unit: np.ndarray | None = None) -> np.ndarray:
        """(out,) as weights.search_alpha finds it."""
        power = np.diagonal(self.correlation, axis1=1, axis2=2)
        measure = {"nmse": np.ones_like(power), "output": self.correlation}.get(self.methods.alpha, power)
        return weights.search_alpha(self.rows, measure, unit, self.methods)

    def sums(self, codes: np.ndarray) -> np.ndarray:
        """(out, windows) float32 sums of codes, (out, inputs), times inputs: exact below 2**24."""
        kernel = codes.reshape(len(self.windows), -1, codes.shape[1]).astype(np.float32)
        return (kernel @ self.windows.transpose(0, 2, 1)).reshape(len(codes), -1)


@dataclass(frozen=True, eq=False)
class _Rounded:
    """codes: (out, inputs) int8 in units of alpha, (out,); bias: (out,), corrected; sums: (out, windows) with bias."""

    alpha: np.ndarray
    codes: np.ndarray
    bias: np.ndarray
    sums: np.ndarray

    def replaced(self, channels: np.ndarray, other: _Rounded) -> _Rounded:
        """With the channels, (out,) bool, of other."""
        return _Rounded(
            np.where(channels, other.alpha, self.alpha),
            np.where(channels[:, None], other.codes, self.codes),
            np.where(channels, other.bias, self.bias),
            np.where(channels[:, None], other.sums, self.sums),
        )


def _round_whole(data: _Data) -> tuple[_Rounded, np.ndarray, int]:
    """(codes, drop, shift) of a layer whose sums go out whole, or are compared: then in one unit for all channels."""
    if data.layer.ranks:
        rounded, drop, shift = _round_tied(data, np.full(len(data.rows), scales.nearest_unit(data.search_alpha())))
        return rounded, drop - shift, 0
    return _round(data, data.search_alpha(), fit=data.methods.fit), np.zeros(len(data.rows), np.int64), 0


def _round_layer(data: _Data, span: scales.Span) -> tuple[_Rounded, np.ndarray, int]:
    """(codes, drop, shift) of a layer with these activations."""
    bound, top = data.layer.bound, span.top
    target = data.target
    if not data.layer.linear:
        target = np.clip(target, 0, bound[:, None])
    rounded = _round(data, data.search_alpha(), fit=data.methods.fit)
    limit = scales.greatest_drop(rounded.alpha, bound, top)
    drop, error = scales.search_drop(rounded.sums, target, rounded.alpha, limit, span)
    same = np.log2(np.maximum(1, np.abs(rounded.codes).max(axis=1))).astype(np.int64)  # the LSB of the input
    drop = np.where(data.passing, same, drop)
    bounded, short = np.isfinite(bound), falls_short(data.padding, rounded.alpha * 2.0**drop, top) & ~data.passing
    if np.any(bounded | short):
        # Where activations reach the bound, the top code had better be the bound itself; or what the next layer pads
        # with, where that lies above: if it costs too much, that layer refuses its padding.
        ends = np.where(bounded, bound, np.where(short, data.padding, rounded.alpha * top))
        tied, tied_drop = _round_to(data, ends / top)
        exactly = tied.alpha * 2.0**tied_drop == ends / top
        tied_error = scales.squared_error(tied.sums, target, ends / top, span)
        must = (limit < -scales.MAX_CHANNEL_SHIFT) | short
        better = bounded & ((tied_error < error) | must) & exactly
        better |= short & ~bounded & (tied_error - error <= WORTH * target.var(axis=1)) & exactly
        rounded, drop = rounded.replaced(better, tied), np.where(better, tied_drop, drop)
        limit = scales.greatest_drop(rounded.alpha, bound, top)
    return _settled(data, rounded, drop, limit)


def _round_for(data: _Data, function: Function) -> tuple[_Rounded, np.ndarray, int, scales.Span]:
    """(codes, drop, shift, range of the sums' codes) of a layer with an activation function other than ReLU."""
    if not function.scales:
        lsb, span = functions.common_scale(function, data.target)
        return *_round_tied(data, np.full(len(data.rows), lsb)), span
    rounded, target = _round(data, data.search_alpha(), fit=data.methods.fit), data.target
    wanted, free = function(target, axis=0), np.full(len(data.rows), np.inf)
    tried = [
        (scales.search_drop(rounded.sums, wanted, rounded.alpha, free, span, function), span)
        for span in functions.spans()
    ]
    power = np.maximum(wanted.var(axis=1), np.finfo(np.float32).tiny)
    (drop, _), span = min(tried, key=lambda each: float((each[0][1] / power).sum()))
    return *_settled(data, rounded, drop, free), span


def _round_tied(data: _Data, lsb: np.ndarray) -> tuple[_Rounded, np.ndarray, int]:
    """(codes, drop, shift) of a layer whose activations are to be worth lsb, (out,), each."""
    rounded, drop = _round_to(data, lsb)
    return _settled(data, rounded, drop, drop.astype(np.float64))


def _round_to(data: _Data, lsb: np.ndarray) -> tuple[_Rounded, np.ndarray]:
    """(codes, drop) with alpha a power of two times lsb, (out,), but where an exact weight decides."""
    alpha, drop = scales.tied_alpha(data.search_alpha(lsb), lsb, 1)
    steps = np.where(drop[:, None] > -scales.MAX_CHANNEL_SHIFT, (0, 1, -1), 0) if data.methods.several else 0
    alpha, codes = _best_of(data, np.ldexp(alpha[:, None], steps), fit=False)
    return _corrected(data, alpha, codes), np.rint(np.log2(lsb / alpha)).astype(np.int64)


def _settled(data: _Data, rounded: _Rounded, drop: np.ndarray, limit: np.ndarray) -> tuple[_Rounded, np.ndarray, int]:
    """(codes, drop, shift) with one shift for all channels; limit: of drop."""
    steps = scales.channel_steps(rounded.codes)
    alpha, common, shift = scales.common_shift(rounded.alpha, drop, limit, np.all(rounded.codes == 0, axis=1), steps)
    moved = alpha != rounded.alpha
    if np.any(moved):
        rounded = rounded.replaced(moved, _round(data, alpha, fit=False))
    return rounded, common, shift


def _round(data: _Data, alpha: np.ndarray, *, fit: bool) -> _Rounded:
    """Codes with the LSB near alpha, (out,), that is best beside its codes; without fit: with alpha itself."""
    if not fit:
        return _corrected(data, *_best_of(data, alpha[:, None], fit=False))
    # Plain rounding, which alpha was found by, tells little of how well codes make up for each other's errors.
    work = data.rows.size * data.rows.shape[1]
    tries = max(1, min(_TRIES, _MOST_WORK // work)) if data.methods.several else 1
    steps = (np.arange(tries) - tries // 2) / tries  # of an octave: beyond it all codes are one power further
    return _corrected(data, *_best_of(data, alpha[:, None] * 2.0**steps, fit=True))


def _corrected(data: _Data, alpha: np.ndarray, codes: np.ndarray) -> _Rounded:
    """With the bias that keeps each channel's mean what it is in the float model."""
    sums = data.sums(codes) * alpha[:, None]
    correction = (data.target - sums).mean(axis=1, dtype=np.float64) - data.bias
    bias = data.bias + np.where(data.passing | (not data.methods.correct_bias), 0, correction)
    return _Rounded(alpha, codes, bias, sums + bias[:, None])


def _best_of(data: _Data, alpha: np.ndarray, *, fit: bool) -> tuple[np.ndarray, np.ndarray]:
    """(alpha, codes), (out,) and (out, inputs): of the scales (out, tries) those with the least error of the sums, each
    rounded with its own codes, and fitted to them where asked for."""
    outputs, tries = alpha.shape
    every = np.repeat(np.arange(outputs), tries)
    best, exact = data.best[every], data.exact[every]
    found = weights.keep_exact(alpha.ravel(), data.rows[every], exact)
    codes = _codes(data, found, every)
    if fit:
        fitted = weights.fit_alpha(best, codes, data.correlation, found, per_channel=data.methods.per_channel)
        found = np.where(exact < 0, fitted, found)
    gain = weights.gain(best, codes, data.correlation, found).reshape(outputs, tries)
    chosen = np.arange(outputs) * tries + np.argmax(gain, axis=1)
    return found[chosen], codes[chosen]


def _codes(data: _Data, alpha: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """(len(channels), inputs) of the channels, in order, with an LSB each."""
    methods = data.methods
    rows, exact, best = data.rows[channels], data.exact[channels], data.best[channels]
    if methods.rounding == "nearest":
        return log2_codes(rows / alpha[:, None], boundaries=methods.boundaries)
    codes = weights.round_by_output(rows, alpha, data.correlation, exact, methods.boundaries, best)
    if methods.rounding == "greedy":
        return codes
    return weights.descend(rows, codes, alpha, data.correlation, exact, best)


def _checked(
    data: _Data, given: GivenCodes | None, lsb: np.ndarray, stated: TrainedLayer | None
) -> TrainedLayer | None:
    """stated, where it was written for this layer; else a warning.  lsb: (out,) of the result."""
    if stated is None:
        return None
    layer = data.layer
    why: str | None = "its weights are not those that were trained"
    if given is not None:
        dense = dense_kernel(given.codes.reshape(layer.weight.shape), layer.groups)  # as lognet-retrain takes it
        digest = trained.codes_digest(dense, given.drop, given.empty)
        drop = np.where(given.empty, 0, given.drop)
        weights_in_steps = np.abs(given.codes.astype(np.int64)).sum(axis=1) * 2.0 ** (stated.shift - drop)
        bias = data.bias / lsb * 2.0**stated.shift
        why = stated.why_not(digest, bias, weights_in_steps * 255, isinstance(layer.pool, AveragePool))
    if why is None:
        return stated
    _warn_of_an_edit(layer.name, why)
    return None


def _as_given(
    data: _Data, given: GivenCodes, lsb: np.ndarray, stated: TrainedLayer | None
) -> tuple[_Rounded, np.ndarray, int]:
    """(codes, drop, shift) of a layer whose weights are codes: nothing of it is changed, not its bias either."""
    least = max(0, int(np.max(given.drop, initial=0, where=~given.empty)))
    shift = bias_shift(data.bias / lsb, least) if stated is None else stated.shift
    drop = np.where(given.empty, shift, given.drop)
    alpha = lsb / 2.0**drop
    sums = data.sums(given.codes) * alpha[:, None] + data.bias[:, None]
    return _Rounded(alpha, given.codes, data.bias, sums), drop, shift


def _steady(target: np.ndarray, act_bits: int) -> np.ndarray:
    """(out,) bool: channels of target, (batch, out, h, w), that vary by less than their activations could show.

    Such a channel is its bias, as behind a BatchNormalization that training has switched off.  Its weights would need
    an LSB far below that of the other channels, which all would have to follow.
    """
    lsb = np.abs(target).max(axis=(0, 2, 3)) / (2**act_bits - 1)
    return target.std(axis=(0, 2, 3), dtype=np.float64) < _STEADY * lsb


def _float_sums(layer: FloatLayer, x: np.ndarray) -> np.ndarray:
    """The float model's sums, (batch, out, h, w) float32, of its inputs x, (batch, in, h, w)."""
    size, kernel = layer.conv_shape, layer.weight.astype(np.float32)
    sums = np.empty((len(x), *size), np.float32)
    step = max(1, _CHUNK_BYTES // (4 * kernel[0].size * size[1] * size[2]))
    for start in range(0, len(x), step):
        padded = reference.pad(x[start : start + step], layer.pads, layer.pad_value)
        sums[start : start + step] = reference.conv(padded, kernel, layer.stride)
    sums += layer.bias.astype(np.float32).reshape(1, -1, 1, 1)
    return sums
