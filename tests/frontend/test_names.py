"""Whatever is said of a node is said under the name that it has in the user's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute
from lognet_fpga.partition.reach import reach
from tests.frontend.test_order_and_names import residual
from tests.models import ModelBuilder, run_onnx, save, small_cnn


def check(model: onnx.ModelProto, folder: Path) -> list[tuple[str, str]]:
    """(name, operator) of every node of the loaded graph; all names are the file's, and it computes the file's."""
    graph = load(save(model, folder))
    names = {node.name for node in model.graph.node}
    assert {node.name for node in graph.nodes} <= names
    frames = np.random.default_rng(1).standard_normal((2, *graph.input_shape)).astype(np.float32)
    wanted = run_onnx(model, frames)[0]
    found = execute(graph, frames, host_evaluator(graph))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * max(1, np.abs(wanted).max()))
    return [(node.name, node.op_type) for node in graph.nodes]


@pytest.mark.parametrize("opset", [14, 17, 21, 22, 24])
def test_hard_swish(opset: int, tmp_path: Path) -> None:
    """onnxruntime has HardSigmoid and Mul in its place."""
    net = ModelBuilder((3, 8, 8), opset=opset).conv(4).add("HardSwish").conv(4).add("HardSwish").flatten()
    model = net.model()
    kinds = check(model, tmp_path)
    assert [kind for _, kind in kinds] == ["Conv", "HardSwish"] * 2 + ["Flatten"]
    far = reach(load(save(model, tmp_path)))
    assert far.counts == (1, 2) and not far.obstacles


@pytest.mark.parametrize(
    "op_type, opset",
    [
        *[
            (name, 17)
            for name in ("Celu", "Elu", "Selu", "Softplus", "Softsign", "ThresholdedRelu", "Shrink", "LogSoftmax")
        ],
        ("Mish", 18),
        ("Gelu", 20),
        ("Swish", 24),
    ],
)
def test_other_operators_with_a_definition(op_type: str, opset: int, tmp_path: Path) -> None:
    kinds = check(ModelBuilder((3, 8, 8), opset=opset).conv(4).add(op_type).conv(4).relu().model(), tmp_path)
    assert [kind for _, kind in kinds] == ["Conv", op_type, "Conv", "Relu"]


def test_a_hard_swish_taken_apart_in_the_file_stays_so(tmp_path: Path) -> None:
    """As Keras' converter writes it."""
    net = ModelBuilder((3, 8, 8)).conv(4)
    start = net.tensor
    net.add("HardSigmoid", alpha=1 / 6, beta=0.5).add("Mul", start)
    assert [kind for _, kind in check(net.conv(4).relu().model(), tmp_path)][:3] == ["Conv", "HardSigmoid", "Mul"]


def test_two_nodes_made_one_have_the_name_of_the_first(tmp_path: Path) -> None:
    net = ModelBuilder((3, 8, 8)).conv(4).batch_norm().relu().flatten().matmul_add(256).relu().matmul_add(10, 4)
    kinds = check(net.model(), tmp_path)
    assert [name for name, kind in kinds if kind == "Gemm"] == ["MatMul_4", "MatMul_7"]
    assert kinds[0] == ("Conv_0", "Conv")


@pytest.mark.parametrize("make", [small_cnn, residual])
def test_names_with_slashes_and_semicolons(make, tmp_path: Path) -> None:
    """PyTorch's and TensorFlow Lite's."""
    model = make()
    for index, node in enumerate(model.graph.node):
        node.name = f"/features/{index}/{node.op_type};model/{node.op_type}_{index}/BiasAdd" * (1 + index % 3)
    check(model, tmp_path)


def test_what_one_node_is_taken_apart_into_has_its_name(tmp_path: Path) -> None:
    """A function of the model's own, whose nodes have none."""
    domain = "of.mine"
    body = [helper.make_node("HardSigmoid", ["x"], ["h"]), helper.make_node("Mul", ["x", "h"], ["y"])]
    function = helper.make_function(domain, "MySwish", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    net = ModelBuilder((3, 8, 8)).conv(4)
    net.nodes.append(helper.make_node("MySwish", [net.tensor], ["swished"], name="mine", domain=domain))
    net.tensor = "swished"
    net.add("Relu")
    graph = helper.make_graph(
        net.nodes, "g", net.inputs, [helper.make_tensor_value_info(net.tensor, 1, ["N", 4, 8, 8])], net.tensors
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)],
        ir_version=8,
        functions=[function],
    )
    loaded = load(save(model, tmp_path))
    assert [node.op_type for node in loaded.nodes] == ["Conv", "HardSigmoid", "Mul", "Relu"]
    assert [node.name for node in loaded.nodes] == ["Conv_0", "mine/HardSigmoid", "mine/Mul", "Relu_2"]
