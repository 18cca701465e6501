"""Small random quantized graphs, with their adder graphs and plans, each from a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lognet_fpga.engines.bram.foldings import BRAM, BramFolding, bram_folding, splits, table_folding, table_shapes
from lognet_fpga.engines.clb.foldings import CLB, ClbFolding, accumulator_bits
from lognet_fpga.engines.folding import Engine, Folding, Given
from lognet_fpga.engines.stores import solve_layers, stores_of
from lognet_fpga.fabric.board import Board
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.graph import AveragePool, MaxPool, Pool
from lognet_fpga.ir.quant import Average, CodeTable, QuantGraph, QuantLayer
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import Planner
from lognet_fpga.quantize.signed import with_ranking

POOL_2X2 = MaxPool((2, 2), (2, 2))
POOL_3X3 = MaxPool((3, 3), (2, 2))
SPEEDS = ("slowest", "middle", "fastest")


@dataclass(frozen=True)
class Spec:
    """One layer of a random graph.  zeros: share of zero codes; odd_pad: pad with values other than zero.  out_bits:
    of the activations, and of averages unless average_bits says otherwise; average_drop: bits dropped of a window's
    sum, None for as many as it is wider than what leaves.  holes: share of the stretches of so many outputs and so many
    inputs that have no weight under a tap.  table: of an activation function, "shared" or one for "each" channel.
    ranks: what leaves is the number of the channel with the largest sum."""

    outputs: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    pool: Pool | None = POOL_2X2
    out_bits: int = 8
    zeros: float = 0.5
    odd_pad: bool = False
    average_bits: int | None = None
    average_drop: int | None = None
    groups: int = 1
    holes: tuple[float, int, int] = (0.0, 1, 1)
    table: str = ""
    ranks: bool = False

    @property
    def leaving_bits(self) -> int:
        return self.average_bits or self.out_bits

    @property
    def average(self) -> Average | None:
        if not isinstance(self.pool, AveragePool):
            return None
        wider = max(0, self.out_bits + self.pool.sum_bits - self.leaving_bits)
        return Average(self.out_bits, wider if self.average_drop is None else self.average_drop)


def random_layer(
    rng: np.random.Generator, name: str, in_shape: tuple[int, int, int], in_bits: int, spec: Spec
) -> QuantLayer:
    """A layer whose results are spread over their whole range, some of them clipped at either end."""
    shape = (spec.outputs, in_shape[0] // spec.groups, *spec.kernel)
    magnitude = 1 << rng.integers(0, 7, shape)
    codes = np.where(rng.random(shape) < spec.zeros, 0, magnitude * rng.choice([-1, 1], shape)).astype(np.int8)
    share, *stretch = spec.holes
    if share:
        holes = rng.random((-(-shape[0] // stretch[0]), -(-shape[1] // stretch[1]), *spec.kernel)) < share
        codes[holes.repeat(stretch[0], 0).repeat(stretch[1], 1)[: shape[0], : shape[1]]] = 0
    channel_shift = rng.integers(0, 3, spec.outputs)
    weights = codes.astype(np.int64) << channel_shift.reshape(-1, 1, 1, 1)
    # Scale and bias from the statistics of uniform inputs.
    top = 2**in_bits - 1
    mean = weights.sum(axis=(1, 2, 3)) * top / 2
    deviation = np.sqrt((weights**2).sum(axis=(1, 2, 3))) * top / 12**0.5
    table = random_table(rng, spec) if spec.table else None
    bits = table.bits if table else spec.out_bits
    shift = max(0, int(np.ceil(np.log2(max(1.0, 2.5 * float(np.median(deviation))) / 2**bits))))
    bias = np.rint(rng.uniform(-0.5, 1.5, spec.outputs) * deviation - mean).astype(np.int64)
    pad_value = rng.integers(0, top + 1, in_shape[0]) if spec.odd_pad else np.zeros(in_shape[0], np.int64)
    layer = QuantLayer(
        name,
        in_shape,
        in_bits,
        spec.leaving_bits,
        codes,
        channel_shift,
        bias,
        shift,
        spec.stride,
        spec.pads,
        pad_value,
        spec.pool,
        np.ones(spec.outputs),
        np.ones(spec.outputs),
        0.0,
        spec.average,
        table.zero if table else 0,
        table,
    )
    return with_ranking(dataclasses.replace(layer, shift=0)) if spec.ranks else layer


def random_table(rng: np.random.Generator, spec: Spec) -> CodeTable:
    """Of any function; where a pool pads, of one that rises."""
    bits = int(rng.integers(4, 10))
    entries = rng.integers(0, 2**spec.out_bits, (spec.outputs if spec.table == "each" else 1, 2**bits))
    if spec.pool is not None and any(spec.pool.pads):
        entries = np.sort(entries, axis=1)
    return CodeTable(bits, int(rng.integers(2**spec.out_bits)), tuple(map(tuple, entries.tolist())))


def random_graph(seed: int, in_shape: tuple[int, int, int], *specs: Spec) -> QuantGraph:
    rng = np.random.default_rng(seed)
    layers, shape, bits = [], in_shape, 8
    for number, spec in enumerate(specs, 1):
        layers.append(random_layer(rng, f"conv{number}", shape, bits, spec))
        shape, bits = layers[-1].out_shape, spec.leaving_bits
    return QuantGraph("random", in_shape, tuple(layers))


def random_frames(quant: QuantGraph, count: int, seed: int) -> np.ndarray:
    """Uniform noise, but every second frame noise of 0 and 255 only, which reaches the ends of the sums' range."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, *quant.input_shape))
    frames[1::2] = np.where(frames[1::2] < 128, 0, 255)
    return frames.astype(np.uint8)


def solved(quant: QuantGraph, in_memory: Sequence[bool] | None = None) -> tuple[Engine, ...]:
    """in_memory: which layers have their weights in memories; None for no layer."""
    stores = [BRAM if memory else CLB for memory in in_memory or [False] * len(quant.layers)]
    return solve_layers(quant.layers, stores)


def target(board: Board, *, fps: float | None = None, clk_mhz: float | None = None, weights: str = CLB) -> Target:
    return Target(board, board.clock_mhz(clk_mhz), stores_of(weights), fps)


def endless_board() -> Board:
    """One that is never too small."""
    return dataclasses.replace(load_board("zcu104"), lut=10**7, ff=10**7, bram36=10**5)


def frame_cycles(quant: QuantGraph, speed: str) -> int:
    """Cycles a frame with bits one by one (slowest), one position a cycle (fastest), and between the two (middle)."""
    slots = [slot_raster(layer) for layer in quant.layers]
    fastest = max(raster.slots for raster in slots)
    slowest = max(raster.cycles(accumulator_bits(layer), layer.in_bits) for raster, layer in zip(slots, quant.layers))
    return {"fastest": fastest, "slowest": slowest, "middle": round((fastest * slowest) ** 0.5)}[speed]


def make_plan(engines: Sequence[Engine], cycles: int) -> HardwarePlan:
    """The plan for one frame in that many cycles, on a board that is never too small."""
    board = endless_board()
    return plan_engines(engines, target(board, fps=board.clk_mhz * 1e6 / cycles))


def random_spec(rng: np.random.Generator, groups: int = 1) -> Spec:
    """Kernels of 1..5, strides of 1..4, pads, pools; of a grouped layer words without weights, too."""
    kernel, stride = tuple(map(int, rng.integers(1, 6, 2))), tuple(map(int, rng.integers(1, 5, 2)))
    pads = tuple(int(rng.integers(0, size)) for size in (*kernel, *kernel))
    pools = (None, None, POOL_2X2, MaxPool((2, 2), (1, 1)), AveragePool((2, 2), (2, 1)))
    pool = pools[int(rng.integers(len(pools)))] if stride < (3, 3) else None
    spec = Spec(int(rng.integers(1, 13)), kernel, stride, pads, pool, int(rng.choice([4, 8])), 0.5, rng.random() < 0.5)
    if groups == 1:
        return spec
    share, outputs, inputs = rng.choice([0.0, 0.3, 0.7]), *rng.integers(1, 5, 2)
    holes = float(share), int(outputs), int(inputs)
    return dataclasses.replace(spec, outputs=groups * int(rng.integers(1, 4)), groups=groups, holes=holes)


def random_net(rng: np.random.Generator, seed: int, grouped: bool = False) -> tuple[QuantGraph, list[Spec]]:
    """One to three layers, each with at least one result.  grouped: where the channels allow it, half of them are."""
    while True:
        shape = tuple(map(int, (rng.integers(1, 11), rng.integers(6, 18), rng.integers(6, 18))))
        specs, channels = [], shape[0]
        for _ in range(int(rng.integers(1, 4))):
            several = [groups for groups in range(1, channels + 1) if channels % groups == 0]
            groups = int(rng.choice(several)) if grouped and rng.random() < 0.5 else 1
            specs.append(random_spec(rng, groups))
            channels = specs[-1].outputs
        quant = random_graph(seed, shape, *specs)
        if all(size > 0 for layer in quant.layers for size in (*layer.conv_shape, *layer.out_shape)):
            return quant, specs


def random_foldings(rng: np.random.Generator, quant: QuantGraph) -> list[tuple[int, ...] | int]:
    """As given_foldings takes them, such that their streams fit."""
    while True:
        foldings = []
        for layer in quant.layers:
            most = len(layer.codes), layer.in_shape[0]
            memory = tuple(int(rng.integers(1, some + 1)) for some in most)
            if layer.groups > 1:
                memory = splits(layer)[int(rng.integers(len(splits(layer))))]
            shapes = list(table_shapes(layer)) if rng.random() < 0.5 else []
            if shapes:
                shape = shapes[int(rng.integers(len(shapes)))]
                memory = (shape.pe, shape.simd, shape.held, shape.block_rom)
            foldings.append(memory if rng.random() < 0.75 else int(rng.integers(2, 9)))
        memories = [
            isinstance(folding, tuple) and memory_folding(layer, *folding)
            for folding, layer in zip(foldings, quant.layers)
        ]
        fit = [
            any((not a or a.sends(lanes)) and (not b or b.takes(lanes)) for lanes in range(1, 13))
            for a, b in zip([*memories], [*memories[1:], False])
        ]
        if any(memories) and all(fit):
            return foldings


def memory_folding(layer: QuantLayer, *folding: int) -> BramFolding:
    return bram_folding(layer, *folding) if len(folding) == 2 else table_folding(layer, *folding)


def given_foldings(foldings: Sequence[tuple[int, ...] | int], engines: Sequence[Engine]) -> list[Folding]:
    """(pe, simd) of a layer with its weights in memories, with a third number if it looks products up: the words held,
    and perhaps a fourth, whether the weights are in block RAM; cycles of a leg of another one, whose digits have one to
    three bits."""
    given = []
    for engine, folding in zip(engines, foldings):
        layer = engine.layer
        if isinstance(folding, tuple):
            given.append(memory_folding(layer, *folding))
        else:
            bits = accumulator_bits(layer)
            digit_bits, raster = 1 + folding % 3, slot_raster(layer)
            given.append(ClbFolding(layer, engine.arithmetic, raster, bits, digit_bits, folding, folding))
    return given


def folded_plan(foldings: Sequence[tuple[int, ...] | int], engines: Sequence[Engine]) -> HardwarePlan:
    """The plan with given foldings."""
    chosen = [(Given(folding),) for folding in given_foldings(foldings, engines)]
    return Planner(chosen, target(endless_board())).plan(0)
