"""How far the FPGA can go, and how much every node computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.ir.problem import ProblemKind
from lognet_fpga.partition import partition
from lognet_fpga.partition.reach import reach
from lognet_fpga.partition.walk import Problem
from lognet_fpga.partition.work import node_work
from tests.models import ModelBuilder, save, small_cnn


def chain() -> ModelBuilder:
    return ModelBuilder((3, 16, 16), seed=7)


def test_every_number_of_layers_has_its_obstacles(tmp_path: Path) -> None:
    model = chain().conv(4).relu().conv(4).add("Softmax", axis=1).conv(4).relu().pool().pool().conv(4).relu()
    graph = load(save(model.model(), tmp_path))
    far = reach(graph)
    assert (far.available, far.possible) == (4, 2)
    assert [(obstacle.problem.op_type, obstacle.counts) for obstacle in far.obstacles] == [
        ("Softmax", (3, 4)),
        ("MaxPool", (4,)),
    ]
    for count in range(1, 5):  # what partition says of the same number
        expected = [o.problem.node for o in far.obstacles if count in o.counts]
        if not expected:
            assert len(partition(graph, count).layers) == count
            continue
        with pytest.raises(UnsupportedModelError) as caught:
            partition(graph, count)
        assert [line.split(" ")[0] for line in caught.value.context] == expected


def test_as_many_of_three_as_can_go_when_no_number_is_given(tmp_path: Path) -> None:
    graph = load(save(chain().conv(4).relu().conv(4).add("Softmax", axis=1).conv(4).relu().conv(4).model(), tmp_path))
    parts = partition(graph)
    assert len(parts.layers) == 2 and parts.stopped.wanted == 3
    assert [problem.op_type for problem in parts.stopped.problems] == ["Softmax"]
    assert "2 of the first 3" in str(parts.stopped) and "to the host" in str(parts.stopped)
    assert partition(graph, 2).stopped is None
    with pytest.raises(UnsupportedModelError):
        partition(graph, 3)


def test_nothing_stops_a_model_that_goes_whole_and_nothing_goes_is_still_refused(tmp_path: Path) -> None:
    assert partition(load(save(small_cnn(), tmp_path))).stopped is None
    with pytest.raises(UnsupportedModelError, match="within the first 2"):
        partition(load(save(chain().add("Sigmoid").conv(4).relu().conv(4).relu().model(), tmp_path)))


def test_a_merged_layer_counts_once_and_is_all_its_nodes(tmp_path: Path) -> None:
    model = chain().conv(4).relu().parallel(lambda m: m.conv(3, 1).relu(), lambda m: m.conv(5).relu()).pool()
    graph = load(save(model.conv(4).relu().model(), tmp_path))
    far = reach(graph)
    assert (far.available, far.possible) == (3, 3)
    names = {node.name for node in graph.nodes}
    assert {node.name for node in far.nodes(2)} == names - {"Conv_8", "Relu_9"}
    assert {node.name for node in far.nodes(3)} == names
    assert all(node.outputs[0] in node_work(graph) for node in far.nodes(3))


@pytest.mark.parametrize(
    "build, says",
    [
        (lambda m: m.conv(4).add("PRelu", m.constant(np.full((4, 16, 16), 0.1, np.float32))), "same at every position"),
        (lambda m: m.conv(4).relu().residual(lambda b: b.conv(4).add("Sigmoid")), "convolutions join"),
        (
            lambda m: m.conv(4).relu().average_pool(3, 2, pads=[1] * 4, ceil_mode=1, count_include_pad=1),
            "count none of what lies outside",
        ),
        (lambda m: m.conv(4).add("Tanh").pool(3, 2, pads=[1] * 4).average_pool(), "one pool"),
        (lambda m: m.conv(4).relu().pool().pool().conv(4).relu(), "one pool"),
        (lambda m: m.conv(4).average_pool().relu().conv(4).relu(), "in front of the pool"),
    ],
)
def test_what_would_help_is_said(tmp_path: Path, build, says: str) -> None:
    far = reach(load(save(build(chain()).conv(4).relu().model(), tmp_path)))
    assert says in far.obstacles[0].problem.remedy


def test_names_do_not_say_what_would_help(tmp_path: Path) -> None:
    model = chain().conv(4).relu().pool().pool().conv(4).relu().model()
    model.graph.node[0].name = "only activation before the Relu"
    (obstacle,) = reach(load(save(model, tmp_path))).obstacles
    assert "before the Relu" in obstacle.problem.why and obstacle.problem.remedy.startswith("one pool")
    assert obstacle.problem.to_dict()["kind"] == "second_pool"


def test_no_two_kinds_of_problem_are_one() -> None:
    assert len({kind.remedy for kind in ProblemKind.__members__.values()}) == len(ProblemKind.__members__)


def test_an_unknown_problem_has_a_way_out_too() -> None:
    assert "to the host" in Problem("n", "Einsum", "the FPGA does not have this operator").remedy


def test_work_by_hand(tmp_path: Path) -> None:
    graph = load(save(small_cnn(shape=(3, 16, 16), channels=(8, 8, 12)), tmp_path))
    work = [node_work(graph)[node.outputs[0]] for node in graph.nodes]
    kinds = {node.op_type: [] for node in graph.nodes}
    for node, one in zip(graph.nodes, work):
        kinds[node.op_type].append((one.macs, one.parameters))
    assert kinds["Conv"] == [
        (16 * 16 * 8 * 27, 8 * 27 + 8),
        (8 * 8 * 8 * 72, 8 * 72 + 8),
        (4 * 4 * 12 * 72, 12 * 72 + 12),
    ]
    assert kinds["Gemm"] == [(48 * 10, 48 * 10 + 10)]
    assert all(macs == 0 for macs, _ in kinds["Relu"] + kinds["MaxPool"])


def test_grouped_strided_and_matrix_products(tmp_path: Path) -> None:
    model = chain().conv(6, 3, strides=[2, 2], group=3).relu().flatten().matmul_add(6 * 8 * 8, 5).model()
    graph = load(save(model, tmp_path))
    work = node_work(graph).values()
    assert sum(one.macs for one in work) == 6 * 8 * 8 * 9 * 1 + 384 * 5
    floats = [t for t in onnx.load_from_string(graph.onnx_model).graph.initializer if t.data_type == 1]
    weights = sum(one.parameters for one in work)
    assert weights >= 6 * 9 + 6 + 384 * 5 + 5 and floats
    assert weights <= 6 * 9 + 6 + 384 * 5 + 5 + 4  # the shape of a Reshape
