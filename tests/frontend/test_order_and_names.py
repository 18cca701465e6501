"""Nodes in any order, under any names: sorted, told apart, and cycles refused with the way round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from lognet_fpga.errors import ModelError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute
from lognet_fpga.partition import partition
from tests.models import ModelBuilder, run_onnx, save, small_cnn


def residual() -> onnx.ModelProto:
    net = ModelBuilder((3, 8, 8)).conv(4).relu().residual(lambda b: b.conv(4).relu().conv(4))
    return net.relu().flatten().gemm(256).model()


def in_order(model: onnx.ModelProto, order) -> onnx.ModelProto:
    out = onnx.ModelProto.FromString(model.SerializeToString())
    nodes = [onnx.NodeProto.FromString(out.graph.node[index].SerializeToString()) for index in order]
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    return out


@pytest.mark.parametrize("make", [small_cnn, residual])
@pytest.mark.parametrize("seed", range(4))
def test_nodes_in_any_order(make, seed: int, tmp_path: Path) -> None:
    """onnxruntime runs them; the graph is that of the sorted file."""
    model = make()
    count, rng = len(model.graph.node), np.random.default_rng(seed)
    mixed = in_order(model, rng.permutation(count) if seed else range(count)[::-1])
    size = 16 if make is small_cnn else 8
    frames = rng.standard_normal((2, 3, size, size)).astype(np.float32)
    wanted = run_onnx(mixed, frames)[0]  # onnxruntime takes it as it is
    graph = load(save(mixed, tmp_path))
    np.testing.assert_allclose(execute(graph, frames, host_evaluator(graph)), wanted, rtol=0, atol=1e-5)
    ours, theirs = (partition(load(save(each, tmp_path)), 3) for each in (mixed, model))
    assert [layer.nodes for layer in ours.layers] == [layer.nodes for layer in theirs.layers]


def test_a_sorted_file_keeps_its_order(tmp_path: Path) -> None:
    model = residual()
    graph = load(save(model, tmp_path))
    assert [node.name for node in graph.nodes] == [node.name for node in model.graph.node]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_cycle_is_told(length: int, tmp_path: Path) -> None:
    net = ModelBuilder((3, 8, 8)).conv(4)
    for number in range(length):
        inputs = ["Conv_0_out", f"c{(number - 1) % length}"]
        net.nodes.append(helper.make_node("Add", inputs, [f"c{number}"], name=f"n{number}"))
    net.tensor = "c0"
    net.nodes.append(helper.make_node("Relu", ["c0"], ["end"], name="behind"))
    graph = helper.make_graph(
        net.nodes, "g", net.inputs, [helper.make_tensor_value_info("end", 1, ["N", 4, 8, 8])], net.tensors
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="its nodes form a cycle: ") as caught:
        load(save(model, tmp_path))
    ring = caught.value.message.split("cycle: ")[1].split(" -> ")
    assert ring[0] == ring[-1] and sorted(ring[1:]) == [f"n{number}" for number in range(length)]
    for one, two in zip(ring, ring[1:]):  # each is read by the next
        assert (int(one[1:]) + 1) % length == int(two[1:])


def test_names_that_are_there_twice_or_not_at_all(tmp_path: Path) -> None:
    """onnxruntime refuses two nodes of one name; the format does not, and no table could tell them apart."""
    model = small_cnn()
    plain = partition(load(save(model, tmp_path)), 3)
    for index, node in enumerate(model.graph.node):
        node.name = ("same", "", "same_2", "Relu_1")[index % 4]
    graph = load(save(model, tmp_path))
    names = [node.name for node in graph.nodes]
    assert len(set(names)) == len(names) == len(model.graph.node) and all(names)
    assert names[:4] == ["same", "Relu_1_2", "same_2", "Relu_1"]
    split = partition(graph, 3)
    for ours, theirs in zip(split.layers, plain.layers):
        np.testing.assert_array_equal(ours.weight, theirs.weight)
    assert [place.where for place in split.placements] == [place.where for place in plain.placements]
