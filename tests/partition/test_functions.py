"""Activation functions as exporters write them go onto the FPGA, and are near to what onnxruntime makes of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from lognet_fpga.frontend import load
from lognet_fpga.frontend.dense import dense_as_convolutions
from lognet_fpga.ir.execution import execution_onnx
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import make_tail, partition
from lognet_fpga.partition.split import run_float_layers
from lognet_fpga.quantize import quantize
from tests.models import ModelBuilder, run_onnx, save

PREPROCESSING = Preprocessing(1 / 255)
Write = Callable[[ModelBuilder], object]


def number(net: ModelBuilder, value: float) -> str:
    return net.constant(np.float32(value))


def gated(net: ModelBuilder, gate: Write) -> None:
    """x times gate of x."""
    x = net.tensor
    gate(net)
    net.add("Mul", x)


def slopes(net: ModelBuilder) -> np.ndarray:
    return net.rng.uniform(0.05, 0.4, (net.channels, 1, 1)).astype(np.float32)


def two_relus(net: ModelBuilder) -> None:
    """PReLU as Keras has it written: Relu(x) - slope * Relu(-x)."""
    x = net.tensor
    net.relu()
    positive, net.tensor = net.tensor, x
    net.add("Neg").relu().add("Mul", net.constant(-slopes(net))).add("Add", positive)


def gelu_by_erf(net: ModelBuilder) -> None:
    gated(net, lambda b: b.add("Div", number(b, 2**0.5)).add("Erf").add("Add", number(b, 1)))
    net.add("Mul", number(net, 0.5))


def gelu_by_tanh(net: ModelBuilder) -> None:
    x = net.tensor
    net.add("Pow", number(net, 3)).add("Mul", number(net, 0.044715)).add("Add", x).add("Mul", number(net, 0.7978846))
    net.add("Tanh").add("Add", number(net, 1)).add("Mul", x).add("Mul", number(net, 0.5))


def by_exp(net: ModelBuilder) -> None:
    """Swish as x / (1 + exp(-x))."""
    x = net.tensor
    net.add("Neg").add("Exp").add("Add", number(net, 1)).add("Div", first=x)


def softsign(net: ModelBuilder) -> None:
    x = net.tensor
    net.add("Abs").add("Add", number(net, 1)).add("Div", first=x)


def larger(net: ModelBuilder) -> None:
    x = net.tensor
    net.add("Mul", number(net, 0.1)).add("Max", x)


def chosen(net: ModelBuilder) -> None:
    """Where(x < 0, 0.2 x, x)."""
    x = net.tensor
    less = net.add("Less", number(net, 0)).tensor
    net.tensor = x
    net.add("Mul", number(net, 0.2))
    net.nodes.append(helper.make_node("Where", [less, net.tensor, x], [f"chosen_{x}"], name=f"Where_{x}"))
    net.tensor = f"chosen_{x}"


def mish(net: ModelBuilder) -> None:
    gated(net, lambda b: b.add("Softplus").add("Tanh"))


WRITTEN: dict[str, Write] = {
    "LeakyRelu": lambda b: b.add("LeakyRelu", alpha=0.1),
    "LeakyRelu, the larger of two": larger,
    "PRelu": lambda b: b.add("PRelu", b.constant(slopes(b))),
    "PRelu, one slope": lambda b: b.add("PRelu", b.constant(np.full((1, 1, 1), 0.25, np.float32))),
    "PRelu, two Relus": two_relus,
    "HardSwish": lambda b: b.add("HardSwish"),
    "HardSwish, gated": lambda b: gated(b, lambda c: c.add("HardSigmoid", alpha=1 / 6, beta=0.5)),
    "HardSwish, clipped": lambda b: (
        gated(b, lambda c: c.add("Add", number(c, 3)).clip(0, 6)),
        b.add("Div", number(b, 6)),
    ),
    "HardSigmoid": lambda b: b.add("HardSigmoid"),
    "HardSigmoid, clipped": lambda b: b.add("Add", number(b, 3)).clip(0, 6).add("Div", number(b, 6)),
    "Swish": lambda b: gated(b, lambda c: c.add("Sigmoid")),
    "Swish by Exp": by_exp,
    "Sigmoid": lambda b: b.add("Sigmoid"),
    "Tanh": lambda b: b.add("Tanh"),
    "Elu": lambda b: b.add("Elu", alpha=0.7),
    "Selu": lambda b: b.add("Selu"),
    "Celu": lambda b: b.add("Celu", alpha=1.5),
    "Softplus": lambda b: b.add("Softplus"),
    "Softplus by Log": lambda b: b.add("Exp").add("Add", number(b, 1)).add("Log"),
    "Softsign": lambda b: b.add("Softsign"),
    "Softsign by Abs": softsign,
    "Mish": mish,
    "Gelu by Erf": gelu_by_erf,
    "Gelu by Tanh": gelu_by_tanh,
    "LeakyRelu, chosen": chosen,
    "ThresholdedRelu": lambda b: b.add("ThresholdedRelu", alpha=0.3),
    "Clip": lambda b: b.clip(-0.5, 1),
    "Clip, Min and Max": lambda b: b.add("Max", number(b, -0.5)).add("Min", number(b, 1)),
    "Min": lambda b: b.add("Min", number(b, 1)),
}


def frames_of(count: int, seed: int = 0) -> np.ndarray:
    """Smooth ones."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 4))
    return coarse.repeat(3, 2).repeat(3, 3).astype(np.uint8)


def network(write: Write) -> ModelBuilder:
    """Three layers, of which the first is padded and pooled, the second adds the first, and all have the function."""
    net = ModelBuilder((3, 12, 12), seed=5)
    write(net.conv(6))
    net.pool()
    net.residual(lambda b: b.conv(6, bias=True))
    write(net)
    write(net.conv(8, 1))
    return net.add("GlobalAveragePool").flatten().gemm(8, 5)


@pytest.mark.parametrize("name", WRITTEN)
def test_in_the_chip_and_near_to_float(name: str, tmp_path: Path) -> None:
    model = network(WRITTEN[name]).model()
    parts = partition(load(save(model, tmp_path)), 3)
    host = [placement for placement in parts.placements if placement.where == "host"]
    assert {placement.op_type for placement in host} <= {"Flatten", "Gemm"} or name == "HardSigmoid, clipped", host
    frames, judged = frames_of(60), frames_of(60, 1)
    # In float the layers are what the file says, and so is what the host makes of their integers.
    values = PREPROCESSING.apply(judged)
    expected = run_onnx(model, values)[0]
    in_float = run_float_layers(parts, values)
    quant = quantize(parts, frames, PREPROCESSING)
    outputs = quant.run_layers(judged)
    for layer, ours, wanted in zip(quant.layers, outputs, in_float, strict=True):
        shape = (1, -1, 1, 1)
        real = ours * layer.out_scale.reshape(shape) + layer.out_offset.reshape(shape)
        assert np.sqrt(((real - wanted) ** 2).mean()) < 0.12 * wanted.std() + 0.02 * np.abs(wanted).max()
    scores = run_onnx(make_tail(parts, quant), np.ascontiguousarray(outputs[-1].transpose(0, 2, 3, 1)))[0]
    assert np.abs(scores - expected).max() < 0.12 * np.abs(expected).max()
    for integers in (golden_onnx(quant), execution_onnx(quant)):
        assert all(np.array_equal(a, b) for a, b in zip(run_onnx(integers, judged), outputs, strict=True))


@pytest.mark.parametrize("name", ["Swish", "PRelu", "HardSigmoid", "Gelu by Erf"])
def test_float_layers_are_the_file(name: str, tmp_path: Path) -> None:
    """Bit by bit but for float32's rounding: the cut's tensor, by onnxruntime, is what the last layer computes."""
    net = network(WRITTEN[name])
    model = net.model()
    parts = partition(load(save(model, tmp_path)), 3)
    values = PREPROCESSING.apply(frames_of(4))
    found = run_float_layers(parts, values)[-1]
    pooled = run_onnx(net.model("GlobalAveragePool_" + str(len(net.nodes) - 3) + "_out"), values)[0]
    assert np.allclose(found, pooled, atol=2e-5)


def test_between_fully_connected_layers(tmp_path: Path) -> None:
    net = ModelBuilder((3, 8, 8), seed=2).conv(4).add("LeakyRelu").flatten().gemm(256, 12)
    gated(net, lambda b: b.add("Sigmoid"))
    net.gemm(12, 6).add("PRelu", net.constant(np.linspace(0.1, 0.6, 6, dtype=np.float32))).gemm(6, 4).add("Sigmoid")
    model = net.model()
    parts = partition(dense_as_convolutions(load(save(model, tmp_path))), 4)
    assert [layer.function is not None for layer in parts.layers] == [True, True, True, False]
    values = PREPROCESSING.apply(frames_of(5))
    values = values[:, :, :8, :8]
    scores = run_float_layers(parts, values)[-1].reshape(5, 4)
    assert np.allclose(1 / (1 + np.exp(-scores)), run_onnx(model, values)[0], atol=1e-5)


def test_tables_follow_the_function(tmp_path: Path) -> None:
    """One table for all channels; a table for each where slopes are; none for HardSigmoid, a bounded ReLU."""
    tables = {}
    for name in ("Swish", "LeakyRelu", "PRelu", "HardSigmoid"):
        model = network(WRITTEN[name]).model()
        quant = quantize(partition(load(save(model, tmp_path)), 3), frames_of(20), PREPROCESSING)
        tables[name] = [layer.table and len(layer.table.entries) for layer in quant.layers]
    assert tables["LeakyRelu"] == [1, 1, 1] and tables["PRelu"] == [6, 6, 8] and tables["HardSigmoid"] == [None] * 3
    assert tables["Swish"][0] == tables["Swish"][2] == 1
