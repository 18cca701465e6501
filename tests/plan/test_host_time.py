"""The host's time: what is counted, by hand; what comes of it, against instruction counts of emulated 32-bit ARM."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from lognet_fpga.fabric.boards import board_names, load_board
from lognet_fpga.flow.layer_choice import host_work
from lognet_fpga.flow.reports.host import SERVE, host_data, host_section
from lognet_fpga.frontend import load
from lognet_fpga.partition import make_tail, partition
from lognet_fpga.partition.host_work import HostWork
from lognet_fpga.partition.reach import reach
from lognet_fpga.partition.work import model_work, node_work, tail_work
from lognet_fpga.plan.host_time import NUMPY_ARM32, ONNXRUNTIME_ARM64, ONNXRUNTIME_X86, host_time, runtime_of

EXAMPLE = Path(__file__).parents[2] / "models" / "cifar10_64x3" / "model_log2.onnx"


def work_of(op_type: str, shape: tuple, *constants: tuple, **attributes: object) -> HostWork | None:
    """Of a model of one node that takes frames of that shape."""
    names = [f"c{i}" for i in range(len(constants))]
    tensors = [numpy_helper.from_array(np.ones(size, np.float32), name) for name, size in zip(names, constants)]
    node = helper.make_node(op_type, ["x", *names], ["y"], **attributes)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [given], [made], tensors)
    model = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    return model_work(model)["y"].host


@pytest.mark.parametrize(
    "found, expected",
    [
        (work_of("Gemm", (20,), (20, 7), (7,)), HostWork(macs=140, elements=7, nodes=1)),
        (work_of("MatMul", (3, 20), (20, 7)), HostWork(macs=420, elements=21, nodes=1)),
        (
            work_of("Conv", (3, 8, 8), (5, 3, 3, 3), (5,)),  # 36 places of 27 elements, for 5 filters
            HostWork(macs=36 * 27 * 5, unfolded=36 * 27, elements=192 + 180, nodes=1, groups=1),
        ),
        (
            work_of("Conv", (4, 8, 8), (6, 2, 3, 3), group=2, pads=[1, 1, 1, 1]),
            HostWork(macs=64 * 18 * 6, unfolded=64 * 36, elements=256 + 384, nodes=1, groups=2),
        ),
        (
            work_of("Conv", (4, 8, 8), (4, 1, 3, 3), group=4),
            HostWork(depthwise_macs=36 * 9 * 4, elements=256 + 144, nodes=1),
        ),
        (
            work_of("MaxPool", (4, 8, 8), kernel_shape=[2, 2], strides=[2, 2]),
            HostWork(pooled=4 * 16 * 4, elements=256, nodes=1),
        ),
        (work_of("Relu", (4, 8, 8)), HostWork(elements=256, nodes=1)),
        (work_of("GlobalAveragePool", (4, 8, 8)), HostWork(elements=256, nodes=1)),
        (work_of("Sigmoid", (10,)), HostWork(functions=10, nodes=1)),
        (work_of("Flatten", (4, 8, 8)), HostWork(nodes=1)),
        (work_of("Relu", ("h", 8)), HostWork(nodes=1)),
        (work_of("MatMul", ("h", 8), (8, 2)), None),
    ],
    ids=lambda value: "",
)
def test_what_is_counted(found, expected):
    assert found == expected


def test_both_ways_to_the_example_s_tail_give_the_same():
    """From the model's nodes behind the cut, and from tail.onnx."""
    graph = load(EXAMPLE)
    far, parts = reach(graph), partition(graph, 3)
    quant = SimpleNamespace(layers=[SimpleNamespace(out_scale=np.ones(parts.cut_shape[0]), out_bits=8, out_zero=0)])
    behind, tail = host_work(far, node_work(graph))[3], tail_work(make_tail(parts, quant))
    assert behind == tail and tail.macs == 1024 * 256 + 256 * 10


def test_the_example_on_a_pynq_z2_takes_what_was_counted():
    """750 to 1,500 frames a second, by instructions of NumPy and OpenBLAS on emulated ARM and half a cycle more or less
    for each: the estimate's ends are within a quarter of those."""
    graph = load(EXAMPLE)
    least, most = host_time(host_work(reach(graph), node_work(graph))[3], load_board("pynq-z2")).fps
    assert least == pytest.approx(750, rel=0.25) and most == pytest.approx(1500, rel=0.25)


def test_every_board_has_its_runtime():
    runtimes = {name: runtime_of(load_board(name)) for name in board_names()}
    assert {name for name, runtime in runtimes.items() if runtime is NUMPY_ARM32} == {"pynq-z1", "pynq-z2"}
    assert {name for name, runtime in runtimes.items() if runtime is ONNXRUNTIME_X86} == {"vc707"}
    assert all(
        runtime is ONNXRUNTIME_ARM64
        for name, runtime in runtimes.items()
        if name not in ("pynq-z1", "pynq-z2", "vc707")
    )


@pytest.mark.parametrize("name", board_names())
def test_more_of_anything_takes_longer(name):
    board, little = load_board(name), HostWork(*[10**6] * 8)
    for unit in ("macs", "depthwise_macs", "unfolded", "pooled", "elements", "functions", "nodes"):
        more = host_time(little + HostWork(**{unit: 10**6}), board)
        assert more.best_s > host_time(little, board).best_s and more.worst_s > more.middle_s > more.best_s


def tail_of(inputs: int, outputs: int) -> bytes:
    """A fully connected tail."""
    weight = numpy_helper.from_array(np.zeros((inputs, outputs), np.float32), "w")
    nodes = [
        helper.make_node("Cast", ["activations"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    infos = [
        helper.make_tensor_value_info("activations", TensorProto.UINT8, ["batch", 1, 1, inputs]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", outputs]),
    ]
    graph = helper.make_graph(nodes, "tail", infos[:1], infos[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


@pytest.mark.parametrize(
    "board, size, advised",
    [("pynq-z2", 100, False), ("pynq-z2", 6000, True), ("zcu104", 6000, False), ("vc707", 6000, False)],
)
def test_deploy_tells_the_range_and_where_a_pc_is_better(board, size, advised):
    tail, board = tail_of(size, size), load_board(board)
    text = "\n".join(host_section(tail, board).lines)
    assert "estimated" in text and "not measured" in text and (SERVE in text) == advised
    estimated = host_data(tail, board)["estimated"]
    best, worst = estimated["frame_ms"]
    assert estimated["runtime"] in text and 0 < best < worst and (worst > 100 and board.name == "pynq-z2") == advised
