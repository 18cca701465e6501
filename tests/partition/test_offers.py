"""What is offered is what is taken: a number of layers that the reach names can be had, and no other one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from lognet_fpga.config import DeployConfig
from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.flow.layer_choice import host_work, sketch_reach
from lognet_fpga.frontend import load
from lognet_fpga.ir.graph import Graph
from lognet_fpga.partition import partition
from lognet_fpga.partition.reach import reach
from lognet_fpga.partition.work import node_work
from lognet_fpga.plan.survey import best, survey
from lognet_fpga.quantize import AskedBits
from tests.models import ModelBuilder, save
from tests.partition.test_float_equality import check_equal
from tests.quant_models import target

Build = Callable[[ModelBuilder], object]


def conv_relu(net: ModelBuilder, channels: int = 4) -> ModelBuilder:
    return net.conv(channels).relu()


def join(net: ModelBuilder, op_type: str, *branches: Build, turned: bool, **attributes: object) -> ModelBuilder:
    """Branches from one tensor that meet in one node; turned: the first branch written is the last input."""
    start, channels, ends, total = net.tensor, net.channels, [], 0
    for branch in branches:
        net.tensor, net.channels = start, channels
        branch(net)
        ends.append(net.tensor)
        total += net.channels
    if turned:
        ends.reverse()
    net.tensor = ends[0]
    net.add(op_type, *ends[1:], **attributes)
    if op_type == "Concat":
        net.channels = total
    return net


def gate(net: ModelBuilder) -> ModelBuilder:
    """Squeeze and excitation: the frame times a number a channel that is computed from it."""
    start = net.tensor
    net.add("GlobalAveragePool").conv(net.channels, 1).add("Sigmoid")
    return net.add("Mul", start)


# What may stand between two layers of a net, or be several of them.
PIECES: tuple[Build, ...] = (
    conv_relu,
    lambda net: conv_relu(net).pool(2, 1),
    lambda net: net.conv(4).clip(0, 1),
    lambda net: net.conv(4).batch_norm(positive=True).relu(),
    lambda net: conv_relu(net).batch_norm(positive=True, offset=(-2, -1)),
    lambda net: net.conv(4).add("Sigmoid"),
    lambda net: net.conv(4).add("Softmax", axis=1),
    lambda net: net.conv(4),
    lambda net: net.pool(2, 1),
    lambda net: net.relu(),
    lambda net: net.pad(1, 0, 0, 1),
    lambda net: net.pad(1, 1, 1, 1, mode="reflect"),
    lambda net: net.add("Dropout"),
    lambda net: net.residual(lambda b: conv_relu(b, net.channels).conv(net.channels)).relu(),
    lambda net: net.residual(lambda b: b.conv(3, 1).relu().conv(3).relu().conv(5, 1), lambda b: b.conv(5, 1)).relu(),
    lambda net: net.residual(lambda b: b.conv(net.channels)).relu(),
    lambda net: net.residual(
        lambda b: b.conv(b.channels, 3, pads=[0] * 4).relu().conv(b.channels, 3, pads=[2] * 4)
    ).relu(),
    lambda net: net.parallel(lambda b: conv_relu(b, 3), lambda b: b.conv(2, 1).relu()),
    lambda net: join(
        net, "Concat", lambda b: b.conv(3).add("Sigmoid"), lambda b: b.conv(2, 1).relu(), turned=True, axis=1
    ),
    lambda net: join(net, "Concat", conv_relu, lambda b: b.pool(3, 1, pads=[1] * 4), turned=False, axis=1),
    lambda net: join(net, "Add", lambda b: b.conv(4).add("Sigmoid"), lambda b: b.conv(4, 1), turned=True),
    lambda net: join(net, "Sum", lambda b: b.conv(4), lambda b: b.conv(4, 1), lambda b: b.conv(4, 1), turned=True),
    lambda net: join(net, "Sub", lambda b: b.conv(4, 1), lambda b: b.conv(4).relu(), turned=True),
    lambda net: join(net, "Max", lambda b: b.conv(4).relu(), lambda b: b.conv(4, 1).relu(), turned=False),
    gate,
)


def random_net(seed: int) -> ModelBuilder:
    rng = np.random.default_rng(seed)
    net = conv_relu(ModelBuilder((3, 8, 8), seed=seed))
    for piece in rng.choice(len(PIECES), rng.integers(2, 6)):
        PIECES[piece](net)
    return net.flatten()


def taken(graph: Graph, counts: range) -> list[int]:
    """Those of counts that partition takes, each with as many layers as asked for."""
    out = []
    for count in counts:
        try:
            assert len(partition(graph, count).layers) == count
        except UnsupportedModelError:
            continue
        out.append(count)
    return out


@pytest.mark.parametrize("seed", range(60))
def test_what_is_offered_is_what_is_taken(seed: int, tmp_path: Path) -> None:
    graph = load(save(random_net(seed).model(), tmp_path))
    far = reach(graph)
    assert taken(graph, range(1, far.available + 3)) == list(far.counts), f"seed {seed}"
    for obstacle in far.obstacles:
        assert not set(obstacle.counts) & set(far.counts)
    if not far.counts:
        with pytest.raises(UnsupportedModelError):
            partition(graph)
        return
    usual = partition(graph)
    assert len(usual.layers) == max(count for count in far.counts if count <= 3 or count == far.counts[0])
    if usual.stopped is not None:
        beyond = [count for count in far.counts if count > usual.stopped.wanted]
        assert usual.stopped.beyond == (min(beyond) if beyond else None)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_offered_is_what_is_taken_of_several_outputs(seed: int, tmp_path: Path) -> None:
    """An output, or a head of its own, anywhere on the way: it is left out where only so more layers can go."""
    net = random_net(seed)
    rng = np.random.default_rng(seed)
    tensor = net.nodes[int(rng.integers(len(net.nodes) - 1))].output[0]
    outputs = [net.tensor, tensor]
    if seed % 2:
        net.nodes.append(helper.make_node("GlobalAveragePool", [tensor], ["aside"], name="aside"))
        outputs[1] = "aside"
    try:
        graph = load(save(net.model(*outputs), tmp_path))
    except UnsupportedModelError:
        return
    far = reach(graph)
    assert taken(graph, range(1, far.available + 3)) == list(far.counts), f"seed {seed}"


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_every_cut_offered_computes_the_model(seed: int, tmp_path: Path) -> None:
    model = random_net(seed).model()
    for count in reach(load(save(model, tmp_path))).counts:
        check_equal(model, tmp_path, count)


@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_the_best_number_of_layers_is_one_that_is_taken(seed: int, tmp_path: Path) -> None:
    """And it was judged by the very layers that are deployed."""
    graph = load(save(random_net(seed).model(), tmp_path))
    far, board = reach(graph), load_board("pynq-z2")
    if not far.counts:
        return
    sketch = sketch_reach(DeployConfig(model=Path("net.onnx")), far, [board], AskedBits(8))
    candidates = survey(sketch, host_work(far, node_work(graph)), target(board))
    assert [candidate.layers for candidate in candidates] == list(far.counts)
    parts = partition(graph, best(candidates).layers)
    assert [layer.out_shape for layer in parts.layers] == [
        layer.out_shape for layer in sketch.layers[: len(parts.layers)]
    ]
    for candidate in candidates:
        for ours, theirs in zip(partition(graph, candidate.layers).layers, far.spans[far.possible - 1].layers):
            np.testing.assert_array_equal(ours.weight, theirs.weight)
            assert (ours.pads, ours.pool, ours.nodes) == (theirs.pads, theirs.pool, theirs.nodes)


def test_a_cut_inside_a_residual_block_is_not_offered(tmp_path: Path) -> None:
    net = conv_relu(ModelBuilder((3, 8, 8))).residual(lambda b: b.conv(6).relu().conv(6).relu().conv(4)).relu()
    graph = load(save(net.flatten().model(), tmp_path))
    far = reach(graph)
    assert far.counts == (1, 4) and far.possible == 4
    (inside,) = [each for each in far.obstacles if each.problem.node == "Relu_1"]
    assert inside.counts == (2, 3) and "inside the residual block that ends with Add_7" in inside.problem.why
    stopped = partition(graph).stopped
    assert (stopped.layers, stopped.wanted, stopped.beyond) == (1, 3, 4) and "--fpga-layers 4" in str(stopped)
    for count in (2, 3):
        with pytest.raises(UnsupportedModelError) as caught:
            partition(graph, count)
        assert "--fpga-layers 4 or 1" in caught.value.hint


@pytest.mark.parametrize("op_type", ["Concat", "Add", "Mul", "Sub", "Max", "MatMul"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_join_off_the_way_is_told_and_not_tripped_over(op_type: str, turned: bool, tmp_path: Path) -> None:
    """As in a YOLO's head: the way from the input leads through one branch, and the join names the other one first."""
    net = conv_relu(ModelBuilder((3, 8, 8)))
    attributes = {"axis": 1} if op_type == "Concat" else {}
    branches = (lambda b: b.conv(4).add("Softmax", axis=1), lambda b: b.conv(4, 1).add("Softmax", axis=1))
    model = join(net, op_type, *branches, turned=turned, **attributes).conv(4, 1).relu().model()
    far = reach(load(save(model, tmp_path)))
    assert far.counts == (1,)
    assert [each.problem.node for each in far.obstacles][:2] == ["Relu_1", "Softmax_3"]
    check_equal(model, tmp_path, 1)


@pytest.mark.parametrize("turned", [False, True])
def test_a_resize_and_a_concat_with_an_earlier_layer(turned: bool, tmp_path: Path) -> None:
    """A feature pyramid: the join's other input comes from before the branch, its size from a Shape."""
    net = conv_relu(ModelBuilder((3, 8, 8)))
    early = net.tensor
    net.conv(6, strides=[2, 2]).relu()
    sizes = net.constant(np.float32([1, 1, 2, 2]))
    net.nodes.append(helper.make_node("Resize", [net.tensor, "", sizes], ["up"], name="up", mode="nearest"))
    net.tensor, ends = "up", ["up", early]
    net.tensor = ends[turned]
    net.add("Concat", ends[not turned], axis=1)
    net.channels = 10
    model = net.conv(4).relu().model()
    assert reach(load(save(model, tmp_path))).counts == (1,)
    check_equal(model, tmp_path, 1)


def test_what_belongs_to_a_convolution_that_cannot_be_read_is_not_blamed(tmp_path: Path) -> None:
    net = conv_relu(ModelBuilder((3, 8, 8)))
    weights = net.constant(np.float32(np.random.default_rng(0).standard_normal((8, 4, 1, 1))))
    start = net.tensor
    net.nodes.append(helper.make_node("ReduceMean", [start], ["mean"], name="mean", keepdims=1, axes=[0, 1, 2, 3]))
    net.nodes.append(helper.make_node("Mul", [weights, "mean"], ["scaled"], name="scaled"))
    net.add("Conv", "scaled").relu().pool()
    net.channels = 8
    far = reach(load(save(net.conv(4).relu().model(), tmp_path)))
    assert far.counts == (1,)
    assert [each.problem.node for each in far.obstacles] == ["Relu_1", "mean", "scaled", "Conv_4"]
    assert "computed" in far.obstacles[3].problem.why
