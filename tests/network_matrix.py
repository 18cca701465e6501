"""A hundred small whole networks, up to their scores, made from their numbers: graphs of the blocks that people use.

Blocks, heads and stems are gone through evenly, in an order that follows from a seed.  `check_network` takes one from
the file in onnxruntime to golden.onnx with all its layers on the FPGA; `verify_network` goes on to its Verilog.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from lognet_fpga.codegen import generate
from lognet_fpga.frontend import load
from lognet_fpga.frontend.dense import dense_as_convolutions
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import partition
from lognet_fpga.partition.reach import reach
from lognet_fpga.verify.check import verify
from lognet_fpga.verify.verdict import Verdict
from tests.graph_models import plan_graph
from tests.model_matrix import FRAMES, Checked, check_split
from tests.models import ModelBuilder, run_onnx, save
from tests.quant_models import SPEEDS
from tests.shallow import shallow

COUNT = 104
PREPROCESSING = Preprocessing(1 / 255)
Block = Callable[[ModelBuilder], object]


def _projection(net: ModelBuilder, *, stride: int = 1) -> None:
    channels = net.channels + 2
    steps = {"strides": [stride, stride]}
    net.residual(lambda b: b.conv(channels, **steps).relu().conv(channels), lambda b: b.conv(channels, 1, **steps))
    net.relu()


def _inverted(net: ModelBuilder) -> None:
    """MobileNetV2's: nothing but the sum behind the last of its convolutions."""
    channels = net.channels
    net.residual(lambda b: b.conv(6, 1).clip().conv(6, group=6).clip().conv(channels, 1))


def _dense(net: ModelBuilder) -> None:
    """DenseNet's: each convolution takes all before it."""
    taken, channels = [net.tensor], net.channels
    for _ in range(2):
        net.conv(2).relu()
        taken.insert(0, net.tensor)
        channels += 2
        net.add("Concat", *taken[1:], axis=1)
        net.channels = channels
    net.conv(4, 1).relu()


def _identity(net: ModelBuilder) -> None:
    channels = net.channels
    net.residual(lambda b: b.conv(3).relu().conv(channels)).relu()


def _hard_inverted(net: ModelBuilder) -> None:
    """MobileNetV3's, without its gate."""
    channels = net.channels
    net.residual(lambda b: b.conv(6, 1).add("HardSwish").conv(6, group=6).add("HardSwish").conv(channels, 1))


def _swish(net: ModelBuilder) -> ModelBuilder:
    x = net.tensor
    return net.add("Sigmoid").add("Mul", x)


def _yolo(net: ModelBuilder) -> None:
    """A layer and what is made of it, side by side, with Swish throughout."""
    first = _swish(net.conv(3, 1)).tensor
    _swish(net.conv(3)).add("Concat", first, axis=1)
    net.channels = 6
    _swish(net.conv(4, 1))


def _slopes(net: ModelBuilder) -> ModelBuilder:
    return net.add("PRelu", net.constant(net.rng.uniform(0.05, 0.5, (net.channels, 1, 1)).astype(np.float32)))


def _leaky_identity(net: ModelBuilder) -> None:
    """A sum of three, with a leaky ReLU behind it."""
    start = net.tensor
    between = net.conv(net.channels).add("LeakyRelu", alpha=0.1).tensor
    net.conv(net.channels).add("Sum", between, start).add("LeakyRelu", alpha=0.1)


BLOCKS: dict[str, Block] = {
    "plain": lambda net: net.conv(4).relu(),
    "linear": lambda net: net.conv(4, 1).conv(5).relu(),
    "identity": _identity,
    "projection": _projection,
    "strided projection": functools.partial(_projection, stride=2),
    "inverted": _inverted,
    "dense": _dense,
    "separable": lambda net: net.conv(net.channels, group=net.channels).relu().conv(5, 1).relu(),
    "grouped": lambda net: net.conv(4, group=2).clip() if net.channels % 2 == 0 else net.conv(4).clip(),
    "parallel": lambda net: net.parallel(lambda b: b.conv(2, 1).relu(), lambda b: b.conv(3).relu()),
    "pooled": lambda net: net.conv(4).relu().pool(),
    "hard inverted": _hard_inverted,
    "yolo": _yolo,
    "leaky sum": _leaky_identity,
    "slopes": lambda net: _slopes(net.conv(4)).pool(),
    "averaged": lambda net: net.conv(4).relu().average_pool(),
}


def _size(net: ModelBuilder) -> tuple[int, int]:
    """Of the frame that the chain's tensor is."""
    model = net.model(net.tensor)
    shape = onnx.shape_inference.infer_shapes(model).graph.output[0].type.tensor_type.shape
    return shape.dim[2].dim_value, shape.dim[3].dim_value


def _flattened(net: ModelBuilder) -> int:
    height, width = _size(net)
    inputs = net.channels * height * width
    net.flatten()
    return inputs


def _averaged(net: ModelBuilder) -> int:
    net.conv(net.channels, 1).relu().add("GlobalAveragePool").flatten()
    return net.channels


def _hard_averaged(net: ModelBuilder) -> int:
    net.conv(net.channels, 1).add("HardSwish").add("GlobalAveragePool").flatten()
    return net.channels


HEADS: dict[str, Callable[[ModelBuilder], object]] = {
    "dense": lambda net: net.gemm(_flattened(net), 3),
    "two dense": lambda net: net.gemm(_flattened(net), 6).relu().gemm(6, 3),
    "linear dense": lambda net: net.gemm(_flattened(net), 5).gemm(5, 3),
    "average": lambda net: net.gemm(_averaged(net), 3),
    "hard": lambda net: net.gemm(_hard_averaged(net), 6).add("HardSwish").gemm(6, 4),
    "probabilities": lambda net: net.gemm(_averaged(net), 4).add("Softmax", axis=1),
    "matmul": lambda net: net.matmul_add(_flattened(net), 3),
}


@dataclass(frozen=True)
class NetworkSpec:
    """One network.  act_bits: None for layers of all numbers of bits, from a seed; in_memory: every
    second layer has its weights in memories."""

    number: int
    shape: tuple[int, int, int]
    blocks: tuple[str, ...]
    head: str
    act_bits: int | None
    speed: str
    in_memory: bool

    @property
    def name(self) -> str:
        return f"{self.number:03d} {', '.join(self.blocks)}; {self.head}"

    def __str__(self) -> str:
        store = "memories" if self.in_memory else "fabric"
        return f"{self.name}; {self.shape}, {self.act_bits or 'mixed'} bits, {self.speed}, {store}"


@functools.cache
def specs() -> tuple[NetworkSpec, ...]:
    """All of them, the same every time."""
    rng = np.random.default_rng(2026)
    kinds = [name for _ in range(-(-3 * COUNT // len(BLOCKS))) for name in rng.permutation(list(BLOCKS))]
    heads, out = list(HEADS), []
    for number in range(COUNT):
        count = int(rng.choice([1, 1, 2]))
        blocks = tuple(str(kinds.pop()) for _ in range(count))
        shape = (int(rng.choice([1, 2, 3])), *(int(size) for size in rng.choice([6, 7, 8], 2)))
        bits, in_memory = (8, None, None)[number % 3], number % 4 == 3
        # Memories give one word a cycle, and cannot follow the fastest adders.
        speed = "slowest" if in_memory else SPEEDS[number % len(SPEEDS)]
        out.append(NetworkSpec(number, shape, blocks, heads[number % len(heads)], bits, speed, in_memory))
    return tuple(out)


def build(spec: NetworkSpec) -> onnx.ModelProto:
    net = ModelBuilder(spec.shape, seed=spec.number).conv(4).relu()
    for block in spec.blocks:
        BLOCKS[block](net)
    HEADS[spec.head](net)
    return net.model()


def check_network(spec: NetworkSpec, folder: Path) -> Checked:
    """Raises AssertionError where a float result is off or a layer stays behind, LogNetError where a stage refuses."""
    model = build(spec)
    graph = dense_as_convolutions(load(save(model, folder, f"{spec.number:03d}.onnx")))
    pixels = np.random.default_rng(spec.number).integers(0, 256, (16, *spec.shape), dtype=np.uint8)
    wanted = run_onnx(model, PREPROCESSING.apply(pixels))[0]
    far = reach(graph)
    assert far.possible == far.available, f"{spec}: {[obstacle.problem for obstacle in far.obstacles]}"
    split = partition(graph, far.available)
    left = {placement.op_type for placement in split.placements if placement.where == "host"}
    assert left <= {"Flatten", "Softmax"}, f"{spec}: {left}"
    mixed = np.random.default_rng(spec.number).integers(4, 9, far.available)
    bits = [spec.act_bits or int(its) for its in mixed]
    return check_split(graph, split, pixels, PREPROCESSING, wanted, bits, str(spec))


def verify_network(spec: NetworkSpec, checked: Checked) -> Verdict:
    """The Verilog of all layers in Verilator, three times, against golden.onnx."""
    quant = checked.quant
    plan = plan_graph(quant, spec.speed, [spec.in_memory and number % 2 == 1 for number in range(len(quant.layers))])
    design = shallow(generate, plan, "ab" * 32)
    return verify(design, quant, checked.golden, checked.frames[:FRAMES], plan)
