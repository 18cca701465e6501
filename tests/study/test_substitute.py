"""Quantized activations in onnxruntime against the quantizers themselves."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lognet_fpga.numerics.quantizers import linear_quantizer, log_quantizer
from lognet_fpga.study.schemes import Scheme
from lognet_fpga.study.substitute import with_activations, with_outputs, with_weights


def _two_products() -> bytes:
    eye = numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("MatMul", ["y", "w"], ["z"])]
    value = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8]) for name in ("x", "z"))
    source, target = value
    graph = helper.make_graph(nodes, "two", [source], [target], [eye])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _run(model: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.astype(np.float32)})[0]


@pytest.mark.parametrize("kind, made", (("linear", linear_quantizer), ("log", log_quantizer)))
@pytest.mark.parametrize("signed", (True, False))
@pytest.mark.parametrize("bits", (3, 4, 5))
@pytest.mark.parametrize("where", ("x", "y"))
def test_the_nodes_are_the_quantizer(kind, made, signed, bits, where):
    x = np.random.default_rng(bits).normal(size=(500, 8)).astype(np.float32)
    x[0] = 0
    got = _run(with_activations(_two_products(), {where: (Scheme(kind, bits), 1.3, signed)}), x)
    wanted = made(bits, 1.3, signed=signed)(x)
    near = np.isclose(got, wanted, rtol=1e-5, atol=1e-7)
    assert near.mean() > 0.999, x[~near]  # float32 next to a boundary


def test_other_weights_and_other_outputs():
    x = np.ones((1, 8))
    assert np.all(_run(with_weights(_two_products(), {"w": 2 * np.eye(8)}), x) == 4)
    assert np.all(_run(with_outputs(with_weights(_two_products(), {"w": 2 * np.eye(8)}), ["y"]), x) == 2)
