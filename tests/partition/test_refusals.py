"""What cannot go onto the FPGA is refused with every culprit named and a way out that works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from lognet_fpga.errors import UnsupportedModelError, UsageError
from lognet_fpga.frontend import load
from lognet_fpga.partition import partition
from tests.models import ModelBuilder, save, small_cnn


def refusal(chain: ModelBuilder, folder: Path, fpga_layers: int = 3) -> UnsupportedModelError:
    """The error; where its hint names a number of layers, that number works and one more does not."""
    graph = load(save(chain.model(), folder))
    with pytest.raises(UnsupportedModelError) as caught:
        partition(graph, fpga_layers)
    offered = re.search(r"--fpga-layers (\d+)", caught.value.hint)
    works = int(offered.group(1)) if offered else 0
    if works:
        assert len(partition(graph, works).layers) == works
    with pytest.raises(UnsupportedModelError):
        partition(graph, works + 1)
    caught.value.works = works
    return caught.value


Build = Callable[[ModelBuilder], ModelBuilder]


def chain() -> ModelBuilder:
    return ModelBuilder((3, 16, 16), seed=7)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    model = chain().conv(4).relu().conv(4).add("Softmax", axis=1).add("AveragePool", kernel_shape=[2, 2]).conv(4).relu()
    error = refusal(model, tmp_path)
    assert [line.split(" ")[0] for line in error.context] == ["Softmax_3", "AveragePool_4"]
    assert error.works == 2 and "2 nodes" in error.message


def test_no_convolution(tmp_path: Path) -> None:
    """Such a model loads, for its graph can be executed, but there is nothing to cut."""
    error = refusal(ModelBuilder((3, 4, 4)).flatten().gemm(48), tmp_path)
    assert "no convolution" in error.message and error.works == 0


@pytest.mark.parametrize(
    "build, culprit, works",
    [
        (lambda m: m.conv(4).relu().conv(4).add("Softmax", axis=1).conv(4).relu(), "Softmax_3 .*FPGA takes", 2),
        (
            lambda m: m.conv(4).relu().conv(4).average_pool(count_include_pad=1).add("LeakyRelu").conv(4).relu(),
            "AveragePool_3 .*before the Relu",
            2,
        ),
        (
            lambda m: m.conv(4).relu().average_pool().add("Tanh").conv(4).relu().conv(4).relu(),
            "Tanh_3 .*stands behind an average",
            1,
        ),
        (
            lambda m: m.conv(4).pool().add("HardSwish").conv(4).relu().conv(4).relu(),
            "HardSwish_2 .*does not rise throughout",
            1,
        ),
        (
            lambda m: m.conv(4).add("HardSwish").pool(3, 2, pads=[1] * 4).conv(4).relu().conv(4).relu(),
            "MaxPool_2 .*least value is not",
            1,
        ),
        (
            lambda m: m.conv(4).add("Tanh").average_pool(3, 2, pads=[1] * 4).conv(4).relu().conv(4).relu(),
            "AveragePool_2 .*least value is not",
            1,
        ),
        (
            lambda m: m.conv(4).relu().batch_norm(positive=True, offset=(0.5, 1)).conv(4).relu().conv(4).relu(),
            "Conv_3 .*negative activation",
            1,
        ),
        (lambda m: m.conv(4).relu().pool().pool().conv(4).relu().conv(4).relu(), "MaxPool_3 .*second pool", 1),
        (
            lambda m: m.conv(4, 1).relu().pool(3, 2, pads=[1] * 4).conv(4).relu().conv(4).relu(),
            "MaxPool_2 .*past the first window",
            1,
        ),
        (
            lambda m: m.conv(4).relu().pad(1, 1, 1, 1, mode="reflect").conv(4).relu().conv(4).relu(),
            "Pad_2 .*reflect",
            1,
        ),
        (
            lambda m: m.conv(4).relu().pad(1, 0, 0, 0).per_channel("Add", 1, 2).conv(4).relu().conv(4).relu(),
            "Add_3 .*shifts the zeros",
            1,
        ),
        (
            lambda m: m.conv(4).relu().pad(2, 0, 0, 0).per_channel("Mul", 1, 2).conv(4).relu().conv(4).relu(),
            "Conv_4 .*not smaller than its kernel, with the zeros",
            1,
        ),
        (
            lambda m: m.conv(4, 7).relu().pad(1, 0, 1, 0).pool(3, 2, pads=[2] * 4).conv(4).relu().conv(4).relu(),
            "MaxPool_3 .*not smaller than its window, with the zeros",
            1,
        ),
        (
            lambda m: m.conv(4).relu().per_channel("Add", 1, 2).pad(0, 1, 1, 0).pool().conv(4, 1).relu().conv(4).relu(),
            "MaxPool_4 .*pads with zero behind a shift",
            1,
        ),
        (
            lambda m: m.conv(4).pad(0, 0, 1, 1).pool().batch_norm(positive=True).relu().conv(4).relu().conv(4).relu(),
            "MaxPool_2 .*stands before the Relu",
            1,
        ),
        (lambda m: m.conv(4).clip(0, 0).conv(4).relu().conv(4).relu(), "Clip_1 .*leaves no activation", 1),
        (
            lambda m: m.conv(4).relu().average_pool().clip(0, 0.1).conv(4).relu().conv(4).relu(),
            "Clip_3 .*bounds averages",
            1,
        ),
        (
            lambda m: m.conv(4).relu().conv(4).clip(None, 2).pool().batch_norm(positive=True).relu().conv(4).relu(),
            "BatchNormalization_5 .*between an upper bound and the Relu",
            1,
        ),
        (
            lambda m: m.conv(4).clip().per_channel("Add", 1, 2).clip().conv(4, pads=[0] * 4).relu().conv(4).relu(),
            "Clip_3 .*another activation",
            1,
        ),
        (lambda m: m.conv(4).average_pool().relu().conv(4).relu().conv(4).relu(), "AveragePool_1 .*before the Relu", 1),
        (
            lambda m: m.conv(4).relu().per_channel("Mul", -2, -1).pool().conv(4, pads=[0] * 4).relu().conv(4).relu(),
            "MaxPool_3 .*negative",
            1,
        ),
        (
            lambda m: m.conv(4).relu().per_channel("Add", 1, 2).relu().conv(4, pads=[0] * 4).relu().conv(4).relu(),
            "Relu_3 .*another activation",
            1,
        ),
        (
            lambda m: m.conv(4).relu().conv(4, 1, pads=[1, 0, 0, 0]).relu().conv(4).relu(),
            "Conv_2 .*padding is not smaller",
            1,
        ),
        (lambda m: m.pool().conv(4).relu().conv(4).relu().conv(4).relu(), "MaxPool_0 .*before the first", 0),
        (lambda m: m.relu().conv(4).relu().conv(4).relu().conv(4).relu(), "Relu_0 .*before the first", 0),
        (
            lambda m: (
                m.add("Sub", m.constant(np.ones((3, 16, 16), np.float32))).conv(4).relu().conv(4).relu().conv(4).relu()
            ),
            r"Sub_0 .*\[3, 16, 16\]",
            0,
        ),
    ],
)
def test_problem_names_the_node(
    build: Callable[[ModelBuilder], ModelBuilder], culprit: str, works: int, tmp_path: Path
) -> None:
    error = refusal(build(chain()), tmp_path)
    assert len(error.context) == 1
    assert re.match(culprit, error.context[0])
    assert error.works == works


def test_residual_branch(tmp_path: Path) -> None:
    start = chain().conv(4).relu()
    skip = start.tensor
    error = refusal(start.conv(4).relu().add("Add", skip).relu().conv(4).relu(), tmp_path)
    assert "Relu_1 (Relu): its output goes to 2 nodes" in error.context[0] and "Conv_2" in error.context[0]
    assert error.context[1].startswith("Add_4 (Add)")
    assert error.works == 1


def test_branch_behind_the_cut_is_no_problem(tmp_path: Path) -> None:
    start = chain().conv(4).relu()
    left = start.pool().tensor
    start.tensor = "Relu_1_out"
    start.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).add("Add", left)
    split = partition(load(save(start.model(), tmp_path)), 1)
    assert split.cut == "Relu_1_out" and split.layers[0].pool is None


def test_constant_channel_cannot_be_padded(tmp_path: Path) -> None:
    start = chain()
    start.add("Mul", start.constant(np.float32([1, 0, 1]).reshape(1, 3, 1, 1))).per_channel("Add", 1, 2)
    error = refusal(start.conv(4).relu(), tmp_path, 1)
    assert error.context[0].startswith("Conv_2") and "constant" in error.context[0]


def test_fewer_convolutions_than_asked(tmp_path: Path) -> None:
    error = refusal(chain().conv(4).relu().conv(4).relu().flatten(), tmp_path)
    assert "2 convolution layers" in error.message and "the 3 asked for" in error.message
    assert error.works == 2 and not error.context


def test_number_of_layers_below_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        partition(load(save(small_cnn(), tmp_path)), 0)


def test_intermediate_tensor_that_is_the_output_too(tmp_path: Path) -> None:
    """The host cannot have it from inside the FPGA's layers: the cut is at it."""
    start = chain().conv(4).relu()
    tensor = start.tensor
    model = start.conv(4).relu().model(tensor, "Relu_3_out")
    graph = load(save(model, tmp_path))
    with pytest.raises(UnsupportedModelError, match="(?s)its output is the model's output.*pass --fpga-layers 1"):
        partition(graph, 2)
    assert partition(graph, 1).cut == tensor and partition(graph).graph.left_out == ()


def test_every_node_has_a_placement_with_a_reason(tmp_path: Path) -> None:
    start = chain().batch_norm()
    for _ in range(3):
        start.conv(4).relu().pool()
    graph = load(save(start.flatten().gemm(16).model(), tmp_path))
    split = partition(graph, 2)
    assert [place.node for place in split.placements] == [node.name for node in graph.nodes]
    assert [(place.where, place.reason) for place in split.placements] == [
        ("FPGA", "folded into conv1"),
        *[("FPGA", "layer 1 of 2")] * 3,
        *[("FPGA", "layer 2 of 2")] * 3,
        *[("host", "after the cut")] * 3,
        ("host", "after the cut; it turns the feature map into a vector"),
        ("host", "after the cut; fully connected layers run on the host"),
    ]
    assert split.layers[0].nodes == ("BatchNormalization_0", "Conv_1", "Relu_2", "MaxPool_3")
    assert split.cut == "MaxPool_6_out" and split.cut_shape == (4, 4, 4)


def test_shape_kept_open_by_a_side_path(tmp_path: Path) -> None:
    """A second path that starts at the frames themselves is a branch at the input."""
    start = chain().conv(4).relu()
    start.nodes.append(helper.make_node("GlobalAveragePool", ["image"], ["mean"], name="side"))
    start.add("GlobalAveragePool").add("Concat", "mean", axis=1)
    error = refusal(start, tmp_path, 1)
    assert error.context[0].startswith("image (input): its output goes to 2 nodes")


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda m: m.conv(4, 1).relu().pool(3, 2, pads=[1] * 4), "past the first window of Conv_0"),
        (lambda m: m.conv(4).relu().pool().pool(), "second pool behind Conv_0"),
        (lambda m: m.conv(4).relu().average_pool().clip(0, 0.1), "bounds averages"),
        (lambda m: m.conv(4).relu().average_pool(10, 1, pads=[0, 9, 0, 9]), "10 different ones along its width"),
    ],
)
def test_what_the_last_layer_cannot_take_runs_on_the_host(
    build: Callable[[ModelBuilder], ModelBuilder], words: str, tmp_path: Path
) -> None:
    split = partition(load(save(build(chain()).flatten().model(), tmp_path)), 1)
    (behind,) = [place for place in split.placements if words in place.reason]
    assert behind.where == "host" and behind.reason.startswith("after the cut; it")
    assert split.placements[split.placements.index(behind) - 1].where == "FPGA"


PLAIN = lambda m: m.conv(4).relu()  # noqa: E731


@pytest.mark.parametrize(
    "one, other, words",
    [
        (PLAIN, lambda m: m.conv(4, 1).relu().pool(3, 1, pads=[1] * 4), "not all a convolution and its activation"),
        (PLAIN, lambda m: m.conv(4, 1).add("Sigmoid"), "different activations"),
        (PLAIN, lambda m: m.relu(), "Relu_1 is used elsewhere"),
        (PLAIN, lambda m: m.conv(4, 1).relu().conv(4, 1).relu(), "convolutions of different tensors"),
        (PLAIN, lambda m: m.conv(4, 1).clip(), "different activations"),
        (PLAIN, lambda m: m.conv(4, 1), "different activations"),
        (
            lambda m: m.conv(4, strides=[2, 2]).relu(),
            lambda m: m.conv(4, 9, pads=[0] * 4).relu(),
            "different strides or output sizes",
        ),
    ],
)
def test_branches_that_are_not_one_convolution(one: Build, other: Build, words: str, tmp_path: Path) -> None:
    model = chain().conv(4).relu().parallel(one, other).conv(4, 1).relu()
    error = refusal(model, tmp_path, 3)
    assert error.works == 1
    (line,) = [line for line in error.context if "(Concat)" in line]
    assert re.search(words, line)


def test_a_branch_that_is_used_elsewhere_too(tmp_path: Path) -> None:
    start = chain().parallel(PLAIN, PLAIN)
    start.nodes.append(helper.make_node("Softmax", ["Relu_1_out"], ["aside"], name="aside"))
    start.conv(8, pads=[1] * 4).relu().add("Concat", "aside", axis=1)
    error = refusal(start, tmp_path, 2)
    assert any("Concat_4" in line and "Relu_1 is used elsewhere" in line for line in error.context)


def test_joining_rows_is_no_joining_of_channels(tmp_path: Path) -> None:
    start = chain().parallel(PLAIN, PLAIN)
    start.nodes[-1].attribute[0].i = 2
    start.channels = 4
    error = refusal(start.conv(4).relu(), tmp_path, 2)
    assert any("Concat_4" in line and "other things than channels" in line for line in error.context)


def test_every_part_of_a_merged_layer_has_a_placement(tmp_path: Path) -> None:
    start = chain().conv(4).relu().parallel(PLAIN, lambda m: m.conv(3, 1).relu()).pool().conv(4).relu().flatten()
    graph = load(save(start.model(), tmp_path))
    split = partition(graph, 2)
    assert [place.node for place in split.placements] == [node.name for node in graph.nodes]
    inside = {place.node: place.reason for place in split.placements if place.where == "FPGA"}
    parts = ("Conv_2", "Relu_3", "Conv_4", "Relu_5", "MaxPool_7")
    assert sorted(split.layers[1].nodes) == sorted((*parts, "Concat_6")) and split.cut == "MaxPool_7_out"
    assert all(inside[name] == "layer 2 of 2" for name in parts)
    assert inside["Concat_6"] == "layer 2 of 2: its branches are one convolution"


def test_a_smaller_model_goes_onto_the_fpga_whole(tmp_path: Path) -> None:
    graph = load(save(chain().conv(4).relu().conv(4).relu().flatten().model(), tmp_path))
    assert len(partition(graph).layers) == 2
    with pytest.raises(UnsupportedModelError, match="fewer than the 3"):
        partition(graph, 3)
