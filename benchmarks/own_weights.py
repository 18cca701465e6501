"""What layers with groups, or with words without a weight, cost in memories: cycles a position, parts, Yosys' count.

    python benchmarks/own_weights.py            # --help lists the options

Prints Markdown; docs/architecture.md, "Weights in memories", has the table.  Counts are kept in the cache.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from lognet_fpga.cli import runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.codegen import generate  # noqa: E402
from lognet_fpga.engines.bram.foldings import BRAM, bram_foldings  # noqa: E402
from lognet_fpga.engines.folding import BRAM_PRICES, Entry, Given  # noqa: E402
from lognet_fpga.fabric.boards import load_board  # noqa: E402
from lognet_fpga.fabric.slots import slot_raster  # noqa: E402
from lognet_fpga.fabric.target import Target  # noqa: E402
from lognet_fpga.ir.quant import QuantLayer  # noqa: E402
from lognet_fpga.plan.search import Planner  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.synth.yosys import synthesize  # noqa: E402

ZEROS = 0.2  # share of the weights, as quantizing makes them
ENTRY_LANES = 8  # channels a beat of the input, at most

Where = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A layer and the cycles a position that it may take.  where: of (out, in, y, x) of all weights, which there are;
    None: all."""

    name: str
    shape: tuple[int, int, int]
    outputs: int
    kernel: tuple[int, int]
    cycles: int
    groups: int = 1
    stride: int = 1
    padded: bool = True
    where: Where | None = None

    def layer(self) -> QuantLayer:
        """Random weights."""
        rng = np.random.default_rng(1)
        channels, own = self.shape[0], self.shape[0] // self.groups
        size = (self.outputs, own, *self.kernel)
        codes = (1 << rng.integers(0, 7, size)) * rng.choice([-1, 1], size) * (rng.random(size) >= ZEROS)
        if self.where:
            codes *= self.where(*np.indices(size))
        most = np.abs(codes).sum(axis=(1, 2, 3)) * 255
        pads = tuple(side // 2 for side in self.kernel) if self.padded else (0, 0)
        return QuantLayer(
            "conv1", self.shape, 8, 8, codes.astype(np.int8), np.zeros(self.outputs, np.int64),
            rng.integers(-most.max() // 8, most.max() // 8, self.outputs), max(0, int(most.mean()).bit_length() - 9),
            (self.stride, self.stride), (*pads, *pads), np.zeros(channels, np.int64), None, np.ones(self.outputs),
            np.ones(self.outputs), 0.0,
        )  # fmt: skip


def _depthwise(name: str, channels: int, height: int, width: int, stride: int = 1) -> Case:
    cycles = channels * 9 // 8
    return Case(name, (channels, height, width), channels, (3, 3), cycles, channels, stride)


def _middle(o: np.ndarray, i: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (i < 64) | (y == 1) & (x == 1)


def _identity(o: np.ndarray, i: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (i < 64) | (y == 1) & (x == 1) & (o == i - 64)


MOBILENET = (  # channels, side, stride
    (8, 48, 1), (16, 48, 2), (32, 24, 1), (32, 24, 2), (64, 12, 1), (64, 12, 2), (128, 6, 1), (128, 6, 2), (256, 3, 1),
)  # fmt: skip
FULLY_CONNECTED = ((128, 10), (640, 128), (128, 640), (512, 1000))
CASES = (
    _depthwise("depthwise, 64 channels, 25x5 (MLPerf Tiny's keyword spotting)", 64, 25, 5),
    *(
        _depthwise(f"depthwise, {channels} channels, {side}x{side}, stride {stride}", channels, side, side, stride)
        for channels, side, stride in MOBILENET
    ),
    Case("4 groups of 16 -> 16, 3x3", (64, 12, 12), 64, (3, 3), 288, 4),
    Case("64 -> 64, 3x3, and 32 inputs in the middle", (96, 8, 8), 64, (3, 3), 152, where=_middle),
    Case("64 -> 64, 3x3, and an identity", (128, 8, 8), 64, (3, 3), 152, where=_identity),
    Case("pointwise, 64 -> 64, 25x5", (64, 25, 5), 64, (1, 1), 64),
    Case("pointwise, 128 -> 256, 3x3", (128, 3, 3), 256, (1, 1), 2048),
    Case("64x4x4 -> 128", (64, 4, 4), 128, (4, 4), 4096, padded=False),
    *(Case(f"{inputs} -> {outputs}", (inputs, 1, 1), outputs, (1, 1), 4096) for inputs, outputs in FULLY_CONNECTED),
)


def row(case: Case, counted: bool) -> dict[str, object]:
    layer = case.layer()
    raster = slot_raster(layer)
    budget = raster.cycles(case.cycles, min(case.cycles, max(1, layer.in_shape[0] // 8)))
    folding = bram_foldings(layer).fold(budget, Entry(ENTRY_LANES), BRAM_PRICES[0])
    if folding is None:
        return {"layer": case.name, "cycles": case.cycles}
    board = replace(load_board("zcu104"), lut=10**7, ff=10**7, bram36=10**5, m_lut=10**7)
    plan = Planner([(Given(folding),)], Target(board, board.clk_mhz, (BRAM,))).plan(0)
    found, estimate = {}, plan.layers[0].estimate
    if counted:
        design = generate(plan, "00" * 32)
        parts = tuple(part for part in design.parts if part[0] == layer.name)
        total = synthesize(replace(design, parts=parts)).total
        found = {"lut_sites": total.lut_sites, "ff_counted": total.ff, "bram36_counted": total.bram36}
    return {
        "layer": case.name,
        "folding": folding.text,
        "cycles": folding.ii_cycles,
        "cycles_per_frame": folding.cycles_per_frame,
        "lut": round(estimate.lut),
        "ff": round(estimate.ff),
        "bram36": estimate.bram36,
        **found,
    }


def report(rows: list[dict[str, object]]) -> Report:
    columns = (
        "layer", "folding", "cycles a position", "a frame", "LUT sites", "FF", "BRAM36", "LUT sites, Yosys", "FF",
        "BRAM36",
    )  # fmt: skip
    keys = (
        "layer", "folding", "cycles", "cycles_per_frame", "lut", "ff", "bram36", "lut_sites", "ff_counted",
        "bram36_counted",
    )  # fmt: skip
    table = Table(columns, tuple(tuple(some.get(key) for key in keys) for some in rows))
    return Report("Layers with their weights in memories, FIFO included", (Section("", (), table),), {"layers": rows})


def parser() -> runner.Parser:
    this = runner.Parser(
        "own_weights.py",
        "Depthwise and grouped layers, layers whose kernels have words without a weight, pointwise ones and ones as\n"
        "large as the frame, with their weights in memories: the cheapest folding within a number of cycles.",
        "examples:\n  python benchmarks/own_weights.py\n  python benchmarks/own_weights.py --synth depthwise\n",
    )
    this.add_argument("--synth", metavar="TEXT", help="synthesize those whose names hold this, by Yosys")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    rows = []
    for case in CASES:
        with reporter.stage(case.name):
            rows.append(row(case, arguments.synth is not None and arguments.synth in case.name))
    found = report(rows)
    if arguments.json:
        reporter.result(found)
    else:
        reporter.text(found.markdown())


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
