"""Quantized models of every kind: refused with exit code 4, the nodes named, and the float model asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.flow.inspection import inspect
from lognet_fpga.flow.reports.inspection import build
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from lognet_fpga.partition.work import node_work
from tests.models import ModelBuilder, save


def steps(net: ModelBuilder) -> tuple[str, str]:
    return net.constant(np.float32(0.05)), net.constant(np.uint8(128))


def fake(net: ModelBuilder) -> ModelBuilder:
    """A QuantizeLinear and a DequantizeLinear."""
    scale, zero = steps(net)
    return net.add("QuantizeLinear", scale, zero).add("DequantizeLinear", scale, zero)


def qdq() -> ModelBuilder:
    net = ModelBuilder((3, 8, 8))
    return fake(fake(fake(net).conv(4).relu()).conv(4).relu()).flatten()


def behind_the_conv() -> ModelBuilder:
    """As quantizers leave it that fuse the Relu into the quantization's range."""
    return fake(fake(ModelBuilder((3, 8, 8)).conv(4)).conv(4).relu()).flatten()


def codes(net: ModelBuilder, *shape: int) -> str:
    return net.constant(net.rng.integers(-100, 100, shape).astype(np.int8))


def qlinear() -> ModelBuilder:
    net = ModelBuilder((3, 8, 8))
    scale, zero = steps(net)
    weight = (net.constant(np.float32(0.01)), net.constant(np.int8(0)))
    net.add("QuantizeLinear", scale, zero)
    net.add("QLinearConv", scale, zero, codes(net, 4, 3, 3, 3), *weight, scale, zero, pads=[1] * 4)
    net.add("Flatten")
    net.add("QLinearMatMul", scale, zero, codes(net, 256, 10), *weight, scale, zero)
    return net.add("DequantizeLinear", scale, zero)


def integer() -> ModelBuilder:
    net = ModelBuilder((3, 8, 8))
    scale, zero = steps(net)
    net.add("QuantizeLinear", scale, zero).add("ConvInteger", codes(net, 4, 3, 3, 3), pads=[1] * 4)
    return net.add("Cast", to=1).relu().flatten()


MODELS = {"qdq": qdq, "behind the conv": behind_the_conv, "qlinear": qlinear, "integer": integer}


@pytest.mark.parametrize("name", MODELS)
def test_the_float_model_is_asked_for(name: str, tmp_path: Path) -> None:
    graph = load(save(MODELS[name]().model(), tmp_path))
    for count in (None, 1):
        with pytest.raises(UnsupportedModelError, match="is a quantized model") as caught:
            partition(graph, count)
        assert caught.value.exit_code == 4 and "float model" in caught.value.hint
        assert "uantizeLinear" in caught.value.context[0] and "quantized already" in caught.value.context[0]
    reasons = {node.op_type: node.op.problem for node in graph.nodes if hasattr(node.op, "problem")}
    assert not [why for kind, why in reasons.items() if "Quantize" in kind and "computed" in why]


@pytest.mark.parametrize("domain", ["qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"])
def test_the_nodes_of_qonnx(domain: str, tmp_path: Path) -> None:
    net = ModelBuilder((3, 8, 8)).conv(4).relu()
    extra = [net.constant(np.float32(value)) for value in (0.1, 0, 4)]
    model = net.model()
    net.nodes.append(helper.make_node("Quant", [net.tensor, *extra], ["quant"], name="my_quant", domain=domain))
    net.nodes.append(helper.make_node("Relu", ["quant"], ["end"], name="end"))
    graph = helper.make_graph(
        net.nodes, "g", net.inputs, [helper.make_tensor_value_info("end", 1, ["N", 4, 8, 8])], net.tensors
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    with pytest.raises(UnsupportedModelError, match="is a quantized model") as caught:
        load(save(model, tmp_path))
    assert caught.value.context[0].startswith("my_quant (Quant)") and "float model" in caught.value.hint


def report(model: onnx.ModelProto, folder: Path) -> tuple[dict, str, UnsupportedModelError | None]:
    config = DeployConfig(model=save(model, folder))
    seen = inspect(config, "pynq-z2")
    told = build(config, seen)
    return json.loads(json.dumps(told.data)), told.text(), seen.error


@pytest.mark.parametrize("name", ["qlinear", "integer", "qdq"])
def test_the_share_of_a_model_that_cannot_go_is_none(name: str, tmp_path: Path) -> None:
    data, text, error = report(MODELS[name]().model(), tmp_path)
    assert error is not None and error.exit_code == 4
    macs = {"qlinear": 64 * 4 * 27 + 256 * 10, "integer": 64 * 4 * 27, "qdq": 64 * 4 * 27 + 64 * 4 * 36}[name]
    assert data["host"]["macs"] == macs and data["host"]["fpga_macs_share"] == 0
    assert "the FPGA does 0.0% of the model's" in text and "100" not in text.split("host's part")[1].split("%")[0]


def test_nothing_of_nothing_is_no_share(tmp_path: Path) -> None:
    data, text, _ = report(ModelBuilder((3, 8, 8)).relu().pool().flatten().model(), tmp_path)
    assert data["host"]["macs"] == 0 and data["host"]["fpga_macs_share"] is None
    assert "no multiply-accumulates that count" in text and "%" not in text.split("host's part")[1]


def test_the_products_of_operators_that_are_not_standard_are_not_known(tmp_path: Path) -> None:
    """onnxruntime's own: it runs them, and no shape of theirs is inferred."""
    net = ModelBuilder((3, 8, 8)).conv(4).relu().flatten()
    weights = net.weights(256, 10)
    net.nodes.append(
        helper.make_node("FusedMatMul", [net.tensor, weights], ["end"], name="end", domain="com.microsoft")
    )
    graph = helper.make_graph(
        net.nodes, "g", net.inputs, [helper.make_tensor_value_info("end", 1, ["N", 10])], net.tensors
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    loaded = load(save(model, tmp_path))
    assert [work.macs for work in node_work(loaded).values()] == [64 * 4 * 27, 0, 0, None]
    data, text, error = report(model, tmp_path)
    assert error is None and data["host"]["macs"] is None and "not known" in text
