"""Some 170 small ONNX models, made from their numbers: every kind of layer, in every exporter's style.

Each axis (kernel, stride, padding, groups and dilation, activation, pool, style, opset, digits) is gone through evenly,
in an order of its own that follows from a seed, so that the kinds meet in ever new company.  `check_model` takes one
model the whole way: the file in onnxruntime, the float graph, the FPGA layers and the tail, the quantized layers in
NumPy, in golden.onnx and in execution.onnx.  `verify_model` goes on to its Verilog.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from lognet_fpga.codegen import generate
from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.graph import Graph
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.partition import Partition, partition
from lognet_fpga.quantize import quantize
from lognet_fpga.verify.check import verify
from lognet_fpga.verify.verdict import Verdict
from tests.float_tail import run_split
from tests.models import ModelBuilder, run_onnx, save
from tests.quant_models import SPEEDS, frame_cycles, make_plan, solved
from tests.shallow import shallow
from tests.styles import OLDEST_OPSETS, STYLES

COUNT = 168
FRAMES = 4  # through every level
FLOAT_TOLERANCE = 1e-4  # of the largest output

KERNELS = ((3, 3), (1, 1), (5, 5), (3, 3), (2, 2), (3, 1), (1, 4), (4, 3))
STRIDES = ((1, 1), (1, 1), (2, 2), (1, 2), (1, 1), (2, 1), (3, 3))
PADS = ("same", "none", "upper left", "SAME_UPPER", "uneven", "SAME_LOWER", "VALID")
SPREADS = ("dense", "grouped", "dense", "dilated", "depthwise", "dense", "grouped and dilated")
ACTIVATIONS = ("relu", "norm, relu", "clip", "relu, norm", "pool, relu", "dropout, relu", "scale, relu", "bounded")
POOLS = ("none", "max 2", "max 3/2", "average 2", "max 2 ceil", "max 3/2 padded", "max 2/1", "average 4x2/2", "max 3/3")
POOLS += ("average 3/2", "average 3/2 padded")
OPSETS = (7, 17, 9, 13, 11, 21, 8, 15, 12, 18)


@dataclass(frozen=True)
class LayerSpec:
    """One convolution layer in the words of the axes; channels: of its output."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: str
    spread: str
    activation: str
    pool: str


@dataclass(frozen=True)
class ModelSpec:
    """One model of the matrix.  shape: (channels, height, width); act_bits: one a layer; speed: of its plan, see
    tests.quant_models."""

    number: int
    shape: tuple[int, int, int]
    layers: tuple[LayerSpec, ...]
    style: str
    opset: int
    act_bits: tuple[int, ...]
    speed: str

    @property
    def name(self) -> str:
        return f"{self.number:03d} {self.style}"

    def __str__(self) -> str:
        layers = "; ".join(
            f"{layer.kernel[0]}x{layer.kernel[1]}/{layer.stride[0]},{layer.stride[1]} {layer.pads}, {layer.spread}, "
            f"{layer.activation}, pool {layer.pool}"
            for layer in self.layers
        )
        return f"{self.name}, opset {self.opset}, {','.join(map(str, self.act_bits))} bits, {self.speed}: {layers}"


@dataclass(frozen=True, eq=False)
class Checked:
    """What check_model found.  float_error: of graph and of layers with tail, relative to the largest output; bits:
    compared between NumPy and golden.onnx; frames: those that verify_model goes on with."""

    quant: QuantGraph
    golden: bytes
    frames: np.ndarray
    float_error: float
    bits: int
    differing_bits: int


@functools.cache
def specs() -> tuple[ModelSpec, ...]:
    """The whole matrix, the same every time."""
    rng, mixed = np.random.default_rng(2017), np.random.default_rng(4)
    slots = 3 * COUNT

    def spread_evenly(values: tuple) -> list:
        """values over and over, each round in a new order."""
        rounds = -(-slots // len(values))
        return [values[index] for _ in range(rounds) for index in rng.permutation(len(values))]

    axes = [spread_evenly(axis) for axis in (KERNELS, STRIDES, PADS, SPREADS, ACTIVATIONS, POOLS)]
    layers = iter(zip(*axes))
    styles, opsets, speeds = (spread_evenly(axis) for axis in (tuple(STYLES), OPSETS, SPEEDS))
    out = []
    for number in range(COUNT):
        style = styles[number]
        opset = max(opsets[number], OLDEST_OPSETS.get(style, 0))
        chosen = []
        for _ in range(int(rng.choice([1, 2, 2, 3]))):
            chosen.append(LayerSpec(2 * int(rng.integers(1, 3)), *next(layers)))
        shape = (int(rng.choice([1, 2, 3, 4])), *(int(size) for size in rng.integers(9, 17, 2)))
        bits = tuple(int(its) for its in mixed.integers(4, 9, len(chosen)))
        out.append(ModelSpec(number, shape, tuple(chosen), style, opset, bits, speeds[number]))
    return tuple(out)


def build(spec: ModelSpec) -> onnx.ModelProto:
    """The model in its style: the layers as far as the frame is large enough for them, then Flatten and Gemm."""
    chain = ModelBuilder(spec.shape, seed=spec.number, opset=spec.opset)
    size = spec.shape[1:]
    for index, layer in enumerate(spec.layers):
        size = _add_layer(chain, layer, size, first=index == 0)
    model = chain.flatten().gemm(chain.channels * size[0] * size[1], 3).model()
    return STYLES[spec.style](model)


def _add_layer(chain: ModelBuilder, spec: LayerSpec, size: tuple[int, int], *, first: bool) -> tuple[int, int]:
    """Add the layer, its kind narrowed to what the FPGA takes on a frame of this size; returns the size behind it."""
    inputs = chain.channels
    group = {"grouped": 2, "grouped and dilated": 2, "depthwise": inputs}.get(spec.spread, 1)
    if inputs % group or spec.channels % group:
        group = 1
    dilation = 2 if "dilated" in spec.spread else 1
    kernel = tuple(min(extent, length) for extent, length in zip(spec.kernel, size))
    extent = [(k - 1) * dilation + 1 for k in kernel]
    if any(e > length for e, length in zip(extent, size)) or spec.pads.startswith("SAME"):  # onnxruntime has no both
        dilation, extent = 1, list(kernel)
    stride = tuple(min(step, length) for step, length in zip(spec.stride, size))
    attributes: dict[str, object] = {"strides": list(stride), "kernel_shape": list(kernel)}
    if dilation > 1:
        attributes["dilations"] = [dilation] * 2
    if group > 1:
        attributes["group"] = group
    pads = [0, 0, 0, 0]
    if spec.pads in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        attributes["auto_pad"] = spec.pads
        if spec.pads != "VALID":
            total = [max(0, (-(-n // s) - 1) * s + e - n) for n, s, e in zip(size, stride, extent)]
            less, more = [t // 2 for t in total], [t - t // 2 for t in total]
            pads = [*less, *more] if spec.pads == "SAME_UPPER" else [*more, *less]
    else:
        half = [e // 2 for e in extent]
        pads = {
            "same": [*half, *half],
            "none": pads,
            "upper left": [*half, 0, 0],
            "uneven": [min(1, extent[0] - 1), 0, 0, extent[1] - 1],
        }[spec.pads]
        attributes["pads"] = pads
    bias = "norm" not in spec.activation or spec.activation == "relu, norm"
    weights = [chain.weights(spec.channels, inputs // group, *kernel)]
    if bias:
        weights.append(chain.constant(chain.rng.uniform(-0.3, 0.3, spec.channels).astype(np.float32)))
    chain.channels = spec.channels
    chain.add("Conv", *weights, **attributes)
    size = tuple((n + pads[i] + pads[i + 2] - extent[i]) // stride[i] + 1 for i, n in enumerate(size))

    pool = _fitting_pool(spec.pool, size, pads, stride, extent)
    pool_first = spec.activation == "pool, relu" and not pool.startswith("average")
    if spec.activation == "norm, relu":
        chain.batch_norm()
    elif spec.activation == "dropout, relu":
        chain.dropout()
    elif spec.activation == "scale, relu":
        chain.per_channel("Mul", 0.5, 1.5)
    if pool_first:
        size = _add_pool(chain, pool, size)
    if spec.activation in ("clip", "bounded"):
        bounds = {"min": 0.0} | ({"max": 0.75} if spec.activation == "bounded" else {})
        if chain.opset < 11:
            chain.add("Clip", **bounds)
        else:
            chain.add("Clip", *(chain.constant(np.float32(bound)) for bound in bounds.values()))
    else:
        chain.relu()
    if spec.activation == "relu, norm" and not any(pads):
        # A shift of the activations would have to be undone where the next layer pads: only a factor.
        chain.per_channel("Mul", 0.5, 1.5)
    return size if pool_first else _add_pool(chain, pool, size)


def _fitting_pool(kind: str, size: tuple[int, int], pads: list[int], stride: tuple[int, int], extent: list[int]) -> str:
    """kind, or a smaller pool where the frame is too small or the padding would reach past the first window."""
    if kind.endswith(" padded") and any(pads[i] + stride[i] >= extent[i] for i in (0, 1)):
        kind = kind.removesuffix(" padded")
    least = {"max 3/2": 3, "max 3/3": 3, "average 3/2": 3, "average 4x2/2": 4, "none": 1}.get(kind, 2)
    return kind if min(size) >= least else "max 2" if min(size) >= 2 else "none"


def _add_pool(chain: ModelBuilder, kind: str, size: tuple[int, int]) -> tuple[int, int]:
    if kind == "none":
        return size
    kernel, stride, pad, ceil = {
        "max 2": ((2, 2), 2, 0, 0),
        "max 2 ceil": ((2, 2), 2, 0, 1),
        "max 3/2": ((3, 3), 2, 0, 0),
        "max 3/2 padded": ((3, 3), 2, 1, 0),
        "max 2/1": ((2, 2), 1, 0, 0),
        "max 3/3": ((3, 3), 3, 0, 0),
        "average 2": ((2, 2), 2, 0, 0),
        "average 4x2/2": ((4, 2), 2, 0, 0),
        "average 3/2": ((3, 3), 2, 0, 0),
        "average 3/2 padded": ((3, 3), 2, 1, 0),
    }[kind]
    if ceil and chain.opset < 10:
        ceil = 0
    attributes: dict[str, object] = {"kernel_shape": list(kernel), "strides": [stride, stride], "pads": [pad] * 4}
    if ceil:
        attributes["ceil_mode"] = 1
    if pad and kind.startswith("average"):
        attributes["count_include_pad"] = 1
    chain.add("AveragePool" if kind.startswith("average") else "MaxPool", **attributes)
    round_up = stride - 1 if ceil else 0
    return tuple((n + 2 * pad - k + round_up) // stride + 1 for n, k in zip(size, kernel))


def _frames(model: onnx.ModelProto, shape: tuple[int, int, int], count: int) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 frames, (n, channels, h, w); the same as the file takes them)."""
    pixels = np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)
    kind = model.graph.input[0].type.tensor_type
    given = pixels if kind.elem_type == onnx.TensorProto.UINT8 else (pixels / 255).astype(np.float32)
    channels_last = tuple(dim.dim_value for dim in kind.shape.dim[1:]) != shape
    return pixels, np.ascontiguousarray(given.transpose(0, 2, 3, 1)) if channels_last else given


def _preprocessing(given: np.ndarray) -> Preprocessing:
    return Preprocessing() if given.dtype == np.uint8 else Preprocessing(scale=1 / 255)


def check_model(spec: ModelSpec, folder: Path) -> Checked:
    """Raises AssertionError where a float result is off, LogNetError where a stage refuses the model."""
    model = build(spec)
    graph = load(save(model, folder, f"{spec.number:03d}.onnx"))
    pixels, given = _frames(model, spec.shape, 16)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or len(given)
    wanted = np.concatenate([run_onnx(model, given[at : at + batch])[0] for at in range(0, len(given), batch)])
    assert graph.input_shape == spec.shape
    split = partition(graph, len(spec.layers))
    return check_split(graph, split, pixels, _preprocessing(given), wanted, spec.act_bits, str(spec))


def check_split(
    graph: Graph,
    split: Partition,
    pixels: np.ndarray,
    preprocessing: Preprocessing,
    wanted: np.ndarray,
    act_bits: Sequence[int],
    name: str,
) -> Checked:
    """The float graph and the split against `wanted`, which onnxruntime gives for the file; then the quantized layers
    in NumPy against golden.onnx and execution.onnx.  pixels: (n, channels, h, w) uint8."""
    frames, scale = preprocessing.apply(pixels), np.abs(wanted).max()
    assert wanted.std() > 1e-3 * scale > 0, name
    results = execute(graph, frames, host_evaluator(graph)), run_split(split, frames)
    error = max(float(np.abs(found - wanted).max() / scale) for found in results)
    assert error < FLOAT_TOLERANCE, f"{name}: off by {error:.1e}"
    quant = quantize(split, pixels, preprocessing, act_bits=act_bits)
    golden = golden_onnx(quant)
    bits = differing = 0
    models = [_run_layers(model, quant, pixels) for model in (golden, execution_onnx(quant))]
    for layer, ours, theirs, fast in zip(quant.layers, quant.run_layers(pixels), *models):
        bits += ours.size * layer.out_bits
        differing += int(np.unpackbits(np.ascontiguousarray(ours ^ theirs).view(np.uint8)).sum())
        assert np.array_equal(fast, theirs), f"{name}: execution.onnx differs in {layer.name}"
    return Checked(quant, golden, pixels[:FRAMES], error, bits, differing)


def _run_layers(model: bytes, quant: QuantGraph, pixels: np.ndarray) -> list[np.ndarray]:
    outputs = run_onnx(model, pixels)
    names = [value.name for value in onnx.load_from_string(model).graph.output]
    return [outputs[names.index(layer.name)] for layer in quant.layers]


def quantized(spec: ModelSpec, folder: Path) -> QuantGraph:
    """The model's layers on the FPGA, without what check_model compares on the way."""
    model = build(spec)
    pixels, given = _frames(model, spec.shape, 16)
    split = partition(load(save(model, folder, f"{spec.number:03d}.onnx")), len(spec.layers))
    return quantize(split, pixels, _preprocessing(given), act_bits=spec.act_bits)


def verify_model(spec: ModelSpec, checked: Checked) -> Verdict:
    """The Verilog of the model's layers in Verilator, three times, against golden.onnx."""
    plan = make_plan(solved(checked.quant), frame_cycles(checked.quant, spec.speed))
    design = shallow(generate, plan, "ab" * 32)
    return verify(design, checked.quant, checked.golden, checked.frames, plan)
