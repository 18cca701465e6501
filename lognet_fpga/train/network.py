"""The quantized FPGA layers and the host's part of a model as one PyTorch module, and back again to ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import nn

from lognet_fpga.errors import VerificationError
from lognet_fpga.ir.graph import AveragePool, MaxPool
from lognet_fpga.ir.groups import dense_kernel, of_own_inputs
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.ir.sources import FRAMES, Source, gather, taken
from lognet_fpga.partition import Partition, make_float_tail
from lognet_fpga.partition.tail import INPUT as TAIL_INPUT
from lognet_fpga.quantize import real_rows, trained
from lognet_fpga.quantize.grid import given_codes
from lognet_fpga.quantize.signed import goes_out_whole
from lognet_fpga.quantize.trained import TrainedLayer, codes_digest
from lognet_fpga.train.graph_module import GraphModule
from lognet_fpga.train.log_layer import LogConv, Method

_PREFIX = "host_"  # of the names of the host's part in the file that is written


class LogNetwork(nn.Module):
    """Frames, (batch, channels, h, w) of integers 0..255 as floats, to (batch, scores)."""

    out_scale: torch.Tensor

    def __init__(
        self, parts: Partition, quant: QuantGraph, frames: np.ndarray, preprocessing: Preprocessing, method: Method
    ) -> None:
        """frames: (n, channels, h, w) uint8, that quant was calibrated with."""
        super().__init__()
        self._tail_onnx = make_float_tail(parts)
        outputs = quant.run_layers(frames)
        inputs = [gather(its, frames, outputs) for its in quant.sources]
        self._sources = quant.sources
        rows = real_rows(parts, quant, preprocessing)
        self.convs = tuple(
            LogConv(layer, real, x, method, source.exact, whole=goes_out_whole(source) and number == len(rows))
            for number, (layer, real, x, source) in enumerate(zip(quant.layers, rows, inputs, parts.layers), 1)
        )
        self._zero = 0 if self.convs[-1].whole else quant.layers[-1].act_zero
        self.layers = nn.ModuleList(self.convs)  # the same, for PyTorch, which does not look into tuples
        self.tail = GraphModule(self._tail_onnx, f"the host's part of {parts.graph.name}")
        out_scale = torch.tensor(quant.layers[-1].out_scale, dtype=torch.float32)
        self.register_buffer("out_scale", out_scale.view(1, -1, 1, 1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.tail(self.integers(frames) * self.out_scale)

    def integers(self, frames: torch.Tensor) -> torch.Tensor:
        """What the FPGA puts out, (batch, channels, h, w), less what stands for zero there."""
        outputs: list[torch.Tensor] = []
        for layer, its in zip(self.convs, self._sources):
            outputs.append(layer(torch.cat(taken(its, frames, outputs), dim=1)))
        return outputs[-1] - self._zero

    @property
    def weight_zeros(self) -> float:
        """Share of zeros among the codes, 0..1."""
        with torch.no_grad():
            codes = [layer.codes() for layer in self.convs]
        return float(sum((code == 0).sum() for code in codes) / sum(code.numel() for code in codes))


@dataclass(frozen=True, eq=False)
class _Layer:
    """weight: (out, in / groups, kh, kw) and bias: (out,) in LSB of the result an LSB of the input, both exact.  whole:
    the results are the sums as they are.  lsb: (out,) what an LSB of the result is worth in the file, of a layer
    without a ReLU: one where another layer takes it, so that activations are whole numbers; None behind a ReLU."""

    quant: QuantLayer
    weight: np.ndarray
    bias: np.ndarray
    whole: bool
    lsb: np.ndarray | None

    @property
    def stated(self) -> TrainedLayer:
        """What its numbers do not tell, for the file's metadata."""
        quant, dense = self.quant, dense_kernel(self.weight, self.quant.groups)
        rows = dense.reshape(len(dense), -1)
        given = given_codes(rows, np.ones(len(rows)))
        if given is None:
            raise VerificationError(f"the weights of {quant.name} are no log2 codes", hint="please report this")
        return TrainedLayer(
            codes_digest(given.codes, given.drop, given.empty),
            quant.shift,
            tuple(np.rint(self.bias * 2.0**quant.shift).astype(int).tolist()),
            None if self.whole else quant.act_bits,
            None if self.whole else quant.out_bits,
            quant.average.shift if quant.average else None,
            None if self.lsb is None else tuple(self.lsb.tolist()),
        )


@torch.no_grad()
def write_model(network: LogNetwork, parts: Partition, quant: QuantGraph, preprocessing: Preprocessing) -> bytes:
    """The trained network as a float ONNX model: it takes what parts.graph takes, and lognet-deploy changes no code.

    Activations between the layers are in LSB and end at 2**bits - 1, which `quantize.grid` knows it by.  Its metadata
    holds what float32 does not (`quantize.trained`).
    """
    layers = []
    for module, layer in zip(network.convs, quant.layers):
        codes = module.codes()
        weight, bias = (codes * module.scale).cpu().numpy(), module.bias(codes).cpu().numpy()
        unit = quant.layers[-1].out_scale if layer is quant.layers[-1] else np.ones(len(weight))
        lsb = unit.astype(np.float32).astype(np.float64) if layer.act_zero else None
        layers.append(_Layer(layer, weight.astype(np.float64), bias.astype(np.float64), module.whole, lsb))
    tail = onnx.ModelProto.FromString(network._tail_onnx)
    for tensor in tail.graph.initializer:
        if (value := network.tail.trained_constants().get(tensor.name)) is not None:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    front = _front(parts, layers, network.out_scale.cpu().numpy(), preprocessing, tail)
    tail = compose.add_prefix(tail, _PREFIX)
    output = tail.graph.output[0].name
    model = compose.merge_models(front, tail, [("cut", _PREFIX + TAIL_INPUT)], name=parts.graph.name)
    wanted = parts.graph.output
    for node in model.graph.node:  # the model's own name for its scores
        node.input[:] = [wanted if name == output else name for name in node.input]
        node.output[:] = [wanted if name == output else name for name in node.output]
    model.graph.output[0].name = wanted
    helper.set_model_props(model, trained.to_metadata([layer.stated for layer in layers]))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _front(
    parts: Partition, layers: list[_Layer], out_scale: np.ndarray, preprocessing: Preprocessing, tail: onnx.ModelProto
) -> onnx.ModelProto:
    """The FPGA's layers in float, from the model's own input to the tensor "cut"."""
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []

    def constant(name: str, value: np.ndarray, dtype: type = np.float32) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    # What stands for what the frames and each layer put out, and its unit: integers behind a layer are themselves, less
    # the one that stands for zero.
    values, units = {FRAMES: parts.graph.input}, {FRAMES: preprocessing.affine(parts.graph.input_shape[0])}
    zeros = {FRAMES: np.zeros(parts.graph.input_shape[0], np.int64)}
    low = constant("least", np.array(0.0))
    for number, (layer, sources) in enumerate(zip(layers, parts.sources)):
        quant = layer.quant
        name, weight, bias = f"conv{number + 1}", layer.weight, layer.bias
        factor, offset = (np.concatenate([units[source.layer][part] for source in sources]) for part in (0, 1))
        # From the layer's input to its distance from what padding is, in the units that the input has in this model.
        zero = np.concatenate([zeros[source.layer] for source in sources])
        pad_value = quant.pad_value if any(quant.pads) else zero
        outside = offset + factor * pad_value
        counts = [len(zeros[source.layer]) for source in sources]
        aside = _shortcuts(quant, weight, sources, counts)
        passed = np.repeat([place in aside for place in range(len(sources))], counts)
        pad_value = np.where(passed, -offset / factor, pad_value)  # nothing is around what is not padded
        bias = bias + (weight * of_own_inputs(pad_value, quant.groups, len(weight))).sum(axis=(1, 2, 3))
        weight = weight / of_own_inputs(factor, quant.groups, len(weight))
        if layer.lsb is not None:
            weight, bias = weight * layer.lsb.reshape(-1, 1, 1, 1), bias * layer.lsb
        if aside:
            outside, shortcuts = outside[~passed], np.split(weight, np.cumsum(counts)[:-1], axis=1)
            weight = weight[:, ~passed]
        value = _joined(
            name,
            [(values[source.layer], source.stride) for place, source in enumerate(sources) if place not in aside],
            nodes,
            constant,
        )
        if np.any(outside):
            shift = constant(f"{name}.outside", outside.reshape(1, -1, 1, 1))
            nodes.append(helper.make_node("Sub", [value, shift], [f"{name}.centred"], name=f"{name}.centre"))
            value = f"{name}.centred"
        inputs = [value, constant(f"{name}.weight", weight), constant(f"{name}.bias", bias)]
        window: dict[str, Any] = {"kernel_shape": quant.kernel, "strides": quant.stride, "pads": quant.pads}
        if quant.groups > 1:
            window["group"] = quant.groups
        nodes.append(helper.make_node("Conv", inputs, [name], name=name, **window))
        value = name
        for place in aside:
            source, part = sources[place], f"{name}.shortcut{place}"
            (top, left), steps = quant.pads[:2], [a * b for a, b in zip(quant.stride, sources[place].stride)]
            point = constant(f"{part}.weight", shortcuts[place][:, :, top : top + 1, left : left + 1])
            window = {"kernel_shape": [1, 1], "strides": steps}
            nodes.append(helper.make_node("Conv", [values[source.layer], point], [part], name=part, **window))
            nodes.append(helper.make_node("Add", [value, part], [f"{part}.sum"], name=f"{part}.sum"))
            value = f"{part}.sum"
        if layer.lsb is None:
            high = constant(f"{name}.top", np.array(2.0**quant.act_bits - 1))
            nodes.append(helper.make_node("Clip", [value, low, high], [f"{name}.relu"], name=f"{name}.relu"))
            value = f"{name}.relu"
        if quant.pool is not None:
            pool = quant.pool
            sizes: dict[str, Any] = {"kernel_shape": pool.kernel, "strides": pool.stride, "pads": pool.pads}
            kind = "MaxPool" if isinstance(pool, MaxPool) else "AveragePool"
            if isinstance(pool, AveragePool) and any(pool.outside):
                # What counts of the padding is put around the frame before.
                counted = [pad - uncounted for pad, uncounted in zip(pool.pads, pool.outside)]
                if any(counted):
                    around = numpy_helper.from_array(
                        np.array([0, 0, *counted[:2], 0, 0, *counted[2:]], np.int64), f"{name}.zeros"
                    )
                    tensors.append(around)
                    nodes.append(helper.make_node("Pad", [value, around.name], [f"{name}.padded"], name=f"{name}.pad"))
                    value = f"{name}.padded"
                sizes["pads"] = pool.outside
            elif kind == "AveragePool":
                sizes["count_include_pad"] = 1
            nodes.append(helper.make_node(kind, [value], [f"{name}.pool"], name=f"{name}.pool", **sizes))
            value = f"{name}.pool"
            if isinstance(pool, AveragePool) and quant.average is not None:
                # The FPGA divides by a power of two; whoever reads the mean multiplies by what is missing.
                factors = constant(f"{name}.count", np.array(pool.count / 2**quant.average.shift))
                nodes.append(helper.make_node("Mul", [value, factors], [f"{name}.share"], name=f"{name}.share"))
                value = f"{name}.share"
        zeros[number] = np.full(len(weight), 0 if layer.whole else quant.act_zero)
        values[number], units[number] = value, (np.ones(len(weight)), -zeros[number].astype(np.float64))
    if layers[-1].lsb is None:
        nodes.append(helper.make_node("Mul", [value, constant("scale", out_scale)], ["cut"], name="scale"))
    else:  # its weights have the scale
        nodes[-1].output[0] = "cut"
    batch = tail.graph.input[0].type.tensor_type.shape.dim[0]
    first = batch.dim_value or "batch"
    graph = helper.make_graph(
        nodes,
        "front",
        [helper.make_tensor_value_info(parts.graph.input, TensorProto.FLOAT, [first, *parts.graph.input_shape])],
        [helper.make_tensor_value_info("cut", TensorProto.FLOAT, [first, *parts.cut_shape])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=list(tail.opset_import), ir_version=tail.ir_version)


def _shortcuts(
    quant: QuantLayer, weight: np.ndarray, sources: Sequence[Source], counts: Sequence[int]
) -> tuple[int, ...]:
    """The places among a layer's sources of those that a convolution of one place with a stride takes, and a sum adds:
    what they were before they became channels of the layer.  counts: channels of each source."""
    (top, left), parts = quant.pads[:2], np.split(weight, np.cumsum(counts)[:-1], axis=1)
    if quant.groups > 1 or top >= weight.shape[2] or left >= weight.shape[3]:
        return ()
    found = []
    for place, (source, part) in enumerate(zip(sources, parts)):
        others = np.count_nonzero(part) - np.count_nonzero(part[:, :, top, left])
        if source.stride != (1, 1) and not others:
            found.append(place)
    return tuple(found) if len(found) < len(sources) else ()


def _joined(
    name: str,
    parts: list[tuple[str, tuple[int, int]]],
    nodes: list[onnx.NodeProto],
    constant: Callable[[str, np.ndarray, type], str],
) -> str:
    """The tensor with the channels of all parts, (tensor, stride of the positions that are taken), side by side."""
    tensors = []
    for number, (tensor, stride) in enumerate(parts):
        if stride != (1, 1):
            places = {"starts": [0, 0], "ends": [np.iinfo(np.int64).max] * 2, "axes": [2, 3], "steps": stride}
            inputs = [constant(f"{name}.{part}{number}", np.array(value), np.int64) for part, value in places.items()]
            nodes.append(
                helper.make_node("Slice", [tensor, *inputs], [f"{name}.part{number}"], name=f"{name}.part{number}")
            )
            tensor = f"{name}.part{number}"
        tensors.append(tensor)
    if len(tensors) == 1:
        return tensors[0]
    nodes.append(helper.make_node("Concat", tensors, [f"{name}.input"], name=f"{name}.input", axis=1))
    return f"{name}.input"
