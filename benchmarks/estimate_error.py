"""How far the planner's estimates are from Yosys: LUT6 sites, flip-flops, positions of random layers, a row each.

    python benchmarks/estimate_error.py            # --help lists the options

No constant of `fabric/costs.py` and `engines/bram/cost.py` was fitted to these layers: those that were have seeds
of another series (FITTED_SERIES).  What Yosys finds is kept in the cache by content: a run that was stopped takes up
where it was.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace

import numpy as np

from lognet_fpga.cli import options, runner
from lognet_fpga.cli.reporter import Reporter
from lognet_fpga.codegen import generate
from lognet_fpga.engines.bram.foldings import BRAM, bram_folding, splits, table_folding, table_shapes
from lognet_fpga.engines.bram.tables import TableShape
from lognet_fpga.engines.clb.foldings import CLB, accumulator_bits
from lognet_fpga.engines.folding import BRAM_PRICES, Entry, Folding, Given
from lognet_fpga.engines.stores import solve_layers
from lognet_fpga.errors import EXIT_OK, VerificationError
from lognet_fpga.fabric.board import Resources
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.fabric.slots import slot_raster
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.graph import AveragePool, MaxPool, Pool
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.partition.float_layer import FloatLayer
from lognet_fpga.plan.hardware_plan import HardwarePlan
from lognet_fpga.plan.search import Planner
from lognet_fpga.quantize.sketch import sketch_layer
from lognet_fpga.report import Report, Section, Table
from lognet_fpga.synth.synthesis import PartCounts
from lognet_fpga.synth.yosys import synthesize

TOLERANCE = 0.10  # of the estimates of LUT6 sites, flip-flops and positions of slices, of every layer
LAYERS = 24
SERIES, FITTED_SERIES = 6, 2  # first number of a layer's seed; series 1, 3, 4 and 5 have been looked at
GROUPED_SERIES = 7  # all in memories, grouped or with words without a weight
TABLE_SERIES, FITTED_TABLE_SERIES = 8, 9  # all in memories, with products that are looked up
BRAM_EVERY = 3  # one layer of so many has its weights in memories
MOST_WORK = 12_000  # weights other than zero times digit bits: larger engines take Yosys many minutes
MOST_LANES_AT_ONCE = 160  # of processing elements, likewise
KINDS = {"LUT sites": "lut_error", "flip-flops": "ff_error", "positions": "positions_error"}
BLOCK_KINDS = ("LUT sites", "FF", "M LUT", "lone FF", "dual sites")
POOLS: tuple[Pool | None, ...] = (
    None, MaxPool((2, 2), (2, 2)), MaxPool((3, 3), (2, 2)), AveragePool((2, 2), (2, 2))
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sample:
    """One random layer with its plan; seed: all that it was drawn from; zeros: share that was pruned."""

    seed: tuple[int, int]
    layer: QuantLayer
    zeros: float
    folding: Folding
    plan: HardwarePlan

    @property
    def text(self) -> str:
        (filters, _, kernel_h, kernel_w), channels = self.layer.codes.shape, self.layer.in_shape[0]
        pool = self.layer.pool
        kind = (
            ""
            if pool is None
            else f", {'mean' if isinstance(pool, AveragePool) else 'max'} {pool.kernel[0]}x{pool.kernel[1]}"
        )
        groups = f" in {self.layer.groups} groups" if self.layer.groups > 1 else ""
        return f"{channels} -> {filters}{groups}, {kernel_h}x{kernel_w}, {self.zeros:.0%} zeros{kind}"

    @property
    def estimate(self) -> Resources:
        return self.plan.layers[0].estimate

    def design(self) -> VerilogDesign:
        made = generate(self.plan, "00" * 32)
        return replace(made, parts=tuple(part for part in made.parts if part[0] == self.layer.name))


def sample(series: int, index: int) -> Sample:
    """Layer number index of a series; the same one on every machine."""
    grouped, looked_up = series == GROUPED_SERIES, series in (TABLE_SERIES, FITTED_TABLE_SERIES)
    weights = BRAM if grouped or looked_up or index % BRAM_EVERY == BRAM_EVERY - 1 else CLB
    rng = np.random.default_rng((series, index))
    while True:
        layer, zeros = random_layer(rng, grouped)
        if looked_up and not _shapes(layer):
            continue
        digit_bits = int(rng.choice([1, 1, 2, 2, 3, 4, 6, 8]))
        if weights == BRAM or np.count_nonzero(layer.codes) * digit_bits <= MOST_WORK:
            break
    board = replace(load_board("zcu104"), lut=10**7, ff=10**7, bram36=10**5, m_lut=10**7)
    target = Target(board, board.clk_mhz, (weights,))
    if looked_up:
        shape = _shapes(layer)[int(rng.integers(len(_shapes(layer))))]
        chosen, cycles = table_folding(layer, shape.pe, shape.simd, shape.held, shape.block_rom), 0.0
    elif weights == BRAM:
        sizes = sorted(splits(layer))
        pe, simd = sizes[int(rng.choice([i for i, (pe, simd) in enumerate(sizes) if pe * simd <= MOST_LANES_AT_ONCE]))]
        chosen, cycles = bram_folding(layer, pe, simd), 0.0
    else:
        raster = slot_raster(layer)
        cycles = raster.cycles(-(-accumulator_bits(layer) // digit_bits), -(-layer.in_bits // digit_bits))
        foldings = solve_layers([layer], [weights])[0].foldings(target)
        chosen = foldings.fold(cycles, Entry(min(layer.in_shape[0], 64 // layer.in_bits)), BRAM_PRICES[0])
    return Sample((series, index), layer, zeros, chosen, Planner([(Given(chosen),)], target).plan(cycles))


def _shapes(layer: QuantLayer) -> list[TableShape]:
    """Of elements that look products up, as few lanes as Yosys takes a moment for."""
    return [shape for shape in table_shapes(layer) if shape.pe * shape.element_lanes <= MOST_LANES_AT_ONCE]


def random_layer(rng: np.random.Generator, grouped: bool) -> tuple[QuantLayer, float]:
    """Weights after He et al., pruned by magnitude and rounded to log2 codes; the share that was pruned.

    grouped: every second one depthwise, of one or two outputs an input; of the others half in groups of several
    channels, and half with inputs that have weights in the middle of the kernel only.
    """
    kernel = int(rng.choice([1, 3, 3, 5]))
    channels, filters = int(round(3 * (64 / 3) ** rng.random())), int(rng.choice([8, 12, 16, 24, 32, 48, 64]))
    zeros = round(float(rng.uniform(0, 0.9)), 2)
    side = int(rng.integers(12, 49))
    own, middle = channels, 0
    if grouped:
        kind = int(rng.integers(4))
        groups = channels if kind < 2 else int(rng.choice([2, 4, 8]))
        own = 1 if kind < 2 else int(rng.integers(2, 9))
        filters = groups * int(rng.integers(1, 3)) * (own if kind == 2 else 1)
        channels = groups * own
        if kind == 3:
            own, filters, middle = channels, int(rng.choice([8, 16, 32])), channels // 2
    weight = rng.standard_normal((filters, own, kernel, kernel)) * (2 / (own * kernel**2)) ** 0.5
    pool = POOLS[int(rng.integers(len(POOLS)))]
    in_bits, out_bits = int(rng.choice([4, 8])), int(rng.choice([4, 8]))
    pads = (kernel // 2,) * 4
    exact = FloatLayer(
        "conv1", weight, np.zeros(filters), (1, 1), pads, np.zeros(channels), np.full(filters, np.inf), pool, (),
        (channels, side, side),
    )  # fmt: skip
    layer = sketch_layer(exact, in_bits, out_bits, zeros)
    if middle:
        codes = layer.codes.copy()
        codes[:, :middle] = 0
        codes[:, :middle, kernel // 2, kernel // 2] = layer.codes[:, :middle, kernel // 2, kernel // 2]
        layer = replace(layer, codes=codes)
    sums = np.abs(layer.codes.astype(np.int64)).sum(axis=(1, 2, 3)) << layer.channel_shift
    bias = rng.integers(-sums.max() * 2 ** (in_bits - 4), sums.max() * 2 ** (in_bits - 4) + 1, filters)
    return replace(layer, bias=bias), zeros


def blocks_of(drawn: Sample) -> list[dict[str, object]]:
    """Each block of a layer, counted by itself, beside its estimate; elements of a `bram` engine together."""
    estimates = drawn.plan.layers[0].blocks
    design, name = drawn.design(), drawn.plan.layers[0].name.replace("conv", "layer")
    counted = dict(synthesize(replace(design, parts=tuple((block, f"{name}_{block}") for block in estimates))).parts)
    elements = drawn.folding.to_json().get("pe", 1)
    return [
        {
            "block": block,
            "lut_sites": counted[block].lut_sites * (elements if block == "pe" else 1),
            "lut_estimate": round(estimate.lut),
            "ff": counted[block].ff * (elements if block == "pe" else 1),
            "ff_estimate": round(estimate.ff),
            "m_lut": counted[block].m_lut * (elements if block == "pe" else 1),
            "m_lut_estimate": round(estimate.m_lut),
            "lone_ffs": counted[block].lone_ffs * (elements if block == "pe" else 1),
            "lone_estimate": round(estimate.lone),
            "dual_sites": counted[block].dual_sites * (elements if block == "pe" else 1),
            "dual_estimate": round(estimate.dual),
        }
        for block, estimate in estimates.items()
    ]


def row(index: int, drawn: Sample, found: PartCounts) -> dict[str, object]:
    estimate = drawn.estimate
    return {
        "layer": index,
        "shape": drawn.text,
        "weights": drawn.folding.store,
        "folding": drawn.folding.text,
        "lut_sites": found.lut_sites,
        "lut_estimate": round(estimate.lut),
        "lut_error": estimate.lut / found.lut_sites - 1,
        "ff": found.ff,
        "ff_estimate": round(estimate.ff),
        "ff_error": estimate.ff / found.ff - 1,
        "m_lut": found.m_lut,
        "m_lut_estimate": round(estimate.m_lut),
        "lone_ffs": found.lone_ffs,
        "lone_estimate": round(estimate.lone),
        "positions": found.positions,
        "positions_estimate": round(estimate.positions),
        "positions_error": estimate.positions / found.positions - 1,
        "bram36": found.bram36,
        "bram36_estimate": estimate.bram36,
        "lut_yosys": found.lut,
    }


def report(rows: list[dict[str, object]], blocks: list[dict[str, object]]) -> Report:
    columns = (
        "layer", "channels -> filters", "folding", "LUT sites", "estimate", "error", "FF", "estimate", "error",
        "lone", "estimate", "positions", "estimate", "error", "M LUT", "estimate", "BRAM36", "estimate",
    )  # fmt: skip
    cells = tuple(
        (
            r["layer"], f"{r['shape']}", r["folding"], r["lut_sites"], r["lut_estimate"], f"{r['lut_error']:+.1%}",
            r["ff"], r["ff_estimate"], f"{r['ff_error']:+.1%}", r["lone_ffs"], r["lone_estimate"], r["positions"],
            r["positions_estimate"], f"{r['positions_error']:+.1%}", r["m_lut"], r["m_lut_estimate"], r["bram36"],
            r["bram36_estimate"],
        )
        for r in rows
    )  # fmt: skip
    lines = []
    for what, key in KINDS.items():
        errors = np.array([r[key] for r in rows])
        worst = rows[int(np.abs(errors).argmax())]
        mean = float(np.sqrt((errors**2).mean()))
        lines.append(f"{what}: root mean square {mean:.1%}, worst {worst[key]:+.1%} (layer {worst['layer']})")
    met = within(rows)
    lines.append(f"every layer within {TOLERANCE:.0%}: {'yes' if met else 'no'}")
    sections = [Section("", tuple(lines), Table(columns, cells))]
    if blocks:
        columns = ("layer", "folding", "block", *(name for kind in BLOCK_KINDS for name in (kind, "estimate")))
        sections.append(Section("Blocks", (), Table(columns, tuple(tuple(block.values()) for block in blocks))))
    return Report(
        f"Estimates and Yosys, {len(rows)} random layers",
        tuple(sections),
        {"layers": rows, "blocks": blocks, "tolerance": TOLERANCE, "met": met},
    )


def within(rows: list[dict[str, object]]) -> bool:
    return all(abs(r[key]) <= TOLERANCE for r in rows for key in KINDS.values())


def parser() -> runner.Parser:
    this = runner.Parser(
        "estimate_error.py",
        "Random layers of 3 to 64 channels and 8 to 64 filters, kernels 1, 3 and 5, 0 to 90% of the weights\n"
        "pruned, in either store, planned and synthesized by Yosys one by one: estimate and count of LUT6 sites,\n"
        "flip-flops and positions. Exit code 7 if one is off by more than 10%. The first run takes an hour; results\n"
        "are kept.",
        "examples:\n  python benchmarks/estimate_error.py\n  python benchmarks/estimate_error.py --layers 6 --json\n",
    )
    this.add_argument("--layers", type=options.positive, default=LAYERS, help="how many (default: %(default)s)")
    which = this.add_mutually_exclusive_group()
    which.add_argument("--fitted", action="store_true", help="those that constants may have been fitted to")
    which.add_argument("--grouped", action="store_true", help="grouped ones and ones with words without a weight")
    which.add_argument("--tables", action="store_true", help="in memories, with products that are looked up")
    which.add_argument("--fitted-tables", action="store_true", help="those of them that constants were fitted to")
    this.add_argument("--blocks", action="store_true", help="each block of each layer by itself, too")
    return this


def command(arguments: argparse.Namespace, reporter: Reporter) -> int:
    rows, blocks = [], []
    asked = {
        FITTED_SERIES: arguments.fitted, GROUPED_SERIES: arguments.grouped, TABLE_SERIES: arguments.tables,
        FITTED_TABLE_SERIES: arguments.fitted_tables,
    }  # fmt: skip
    series = next((number for number, wanted in asked.items() if wanted), SERIES)
    for index in range(arguments.layers):
        drawn = sample(series, index)
        with reporter.stage(f"layer {index}: {drawn.text}"):
            rows.append(row(index, drawn, synthesize(drawn.design()).total))
            if arguments.blocks:
                blocks += [{"layer": index, "folding": rows[-1]["folding"], **block} for block in blocks_of(drawn)]
    found = report(rows, blocks)
    if arguments.json:
        reporter.result(found)
    else:
        reporter.text(found.text())
    return EXIT_OK if within(rows) else VerificationError.exit_code


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
