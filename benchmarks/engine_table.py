"""One layer at every width of its digits, beside da4ml's own Verilog of its matrix and beside linear 4-bit weights.

`python benchmarks/engine_table.py --help` says how to run it; docs/hardware.md has its table.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.figures import Overlay, counted, kept, simulation  # noqa: E402
from benchmarks.tables import figures_parser, show  # noqa: E402
from lognet_fpga.cli import options, runner  # noqa: E402
from lognet_fpga.cli.reporter import Reporter  # noqa: E402
from lognet_fpga.codegen import generate  # noqa: E402
from lognet_fpga.engines.clb.foldings import ClbFolding, accumulator_bits  # noqa: E402
from lognet_fpga.engines.clb.store import ClbEngine, ClbStore  # noqa: E402
from lognet_fpga.engines.folding import Streams, parts_of  # noqa: E402
from lognet_fpga.errors import UsageError  # noqa: E402
from lognet_fpga.fabric.boards import load_board  # noqa: E402
from lognet_fpga.fabric.costs import SHELL  # noqa: E402
from lognet_fpga.fabric.slots import slot_raster  # noqa: E402
from lognet_fpga.fabric.target import Target  # noqa: E402
from lognet_fpga.ir.golden import golden_onnx  # noqa: E402
from lognet_fpga.ir.quant import QuantGraph, QuantLayer  # noqa: E402
from lognet_fpga.machine.cache import cached  # noqa: E402
from lognet_fpga.partition.float_layer import FloatLayer  # noqa: E402
from lognet_fpga.plan.hardware_plan import Fifo, HardwarePlan, PlannedLayer  # noqa: E402
from lognet_fpga.plan.search import channels_per_beat  # noqa: E402
from lognet_fpga.plan.time.fifos import size_fifos  # noqa: E402
from lognet_fpga.progress import Progress  # noqa: E402
from lognet_fpga.quantize.sketch import sketch_layer  # noqa: E402
from lognet_fpga.quantize.weights import magnitude_prune  # noqa: E402
from lognet_fpga.report import Report, Section, Table  # noqa: E402
from lognet_fpga.synth.cells import count_netlist  # noqa: E402
from lognet_fpga.synth.paths import longest_path  # noqa: E402
from lognet_fpga.synth.yosys import netlist_key, netlist_of, synthesize  # noqa: E402

EXAMPLES = """\
  python benchmarks/engine_table.py
  python benchmarks/engine_table.py --ii 24 --ii 8 --no-verify
  python benchmarks/engine_table.py --channels 3 --ii 1 --digit-bits 1 --digit-bits 2 --digit-bits 3
  python benchmarks/engine_table.py --channels 4 --filters 4 --json
"""
BITS = 8  # of the activations, at both ends
FRAME = 64  # height and width; large enough that the slots of the padding take less than a cycle a position
KERNEL = 3
PARTS = ("adders", "window", "requantize")
LINEAR_LARGEST = 7  # of a linear code of 4 bits, a sign and three bits
LINEAR_SHIFT = 3  # puts 7 beside log2's 64
STAGE_ADDERS = (1, 3)  # adders between two registers of da4ml's pipeline


def parser() -> runner.Parser:
    this = figures_parser(
        "engine_table.py",
        "Resources of one convolution layer, from one position a cycle to one in 24 cycles, by Yosys;\n"
        "beside da4ml's own pipelined Verilog of the same matrix (one position a cycle, it cannot\n"
        "fold), and beside linear 4-bit weights in the same generator with the same accumulators.\n"
        "Prints Markdown. Results are kept: a run that was stopped takes up where it was.",
        EXAMPLES,
    )
    this.add_argument("--ii", type=options.positive, action="append", help="cycles a position (default: 1 to 24)")
    this.add_argument("--digit-bits", type=options.positive, action="append", help="bits of a digit (default: 1)")
    this.add_argument("--channels", type=options.positive, default=64, help="inputs / 9 (default: %(default)s)")
    this.add_argument("--filters", type=options.positive, default=64, help="outputs (default: %(default)s)")
    this.add_argument("--zeros", type=options.number, default=0.67, help="share that is pruned (default: %(default)s)")
    return this


def layers_of(channels: int, filters: int, zeros: float) -> dict[str, QuantLayer]:
    """The same random layer with log2 and with linear codes."""
    rng = np.random.default_rng(2017)
    weight = rng.standard_normal((filters, channels, KERNEL, KERNEL)) * (2 / (channels * KERNEL**2)) ** 0.5
    real = FloatLayer(
        name="conv",
        weight=weight,
        bias=np.zeros(filters),
        stride=(1, 1),
        pads=(1, 1, 1, 1),
        pad_value=np.zeros(channels),
        bound=np.full(filters, np.inf),
        pool=None,
        nodes=(),
        in_shape=(channels, FRAME, FRAME),
    )
    log2 = sketch_layer(real, BITS, BITS, zeros)
    span = 1 << (log2.shift + BITS - 1)
    log2 = replace(log2, bias=rng.integers(-span, span, filters))
    pruned = magnitude_prune(weight, zeros)
    codes = linear_codes(pruned.reshape(filters, -1)).reshape(weight.shape)
    return {"log2": log2, "linear": replace(log2, codes=codes, channel_shift=log2.channel_shift + LINEAR_SHIFT)}


def linear_codes(rows: np.ndarray) -> np.ndarray:
    """Codes -7..7 of rows, int8, each row in units of the LSB with the least squared error."""
    best, best_error = np.zeros(rows.shape), np.full(len(rows), np.inf)
    for share in np.linspace(0.4, 1.0, 61):
        lsb = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12) * share / LINEAR_LARGEST
        codes = np.clip(np.rint(rows / lsb), -LINEAR_LARGEST, LINEAR_LARGEST)
        error = ((codes * lsb - rows) ** 2).sum(axis=1)
        better = error < best_error
        best, best_error = np.where(better[:, None], codes, best), np.where(better, error, best_error)
    return best.astype(np.int8)


@dataclass(frozen=True, eq=False)
class Solved:
    engine: ClbEngine

    @property
    def layer(self) -> QuantLayer:
        return self.engine.layer

    def overlay(self, ii_cycles: int, digit_bits: int) -> Overlay:
        """The layer alone between source and sink, in legs of ii_cycles digits, its input as such a layer sends it."""
        layer, quant = self.layer, QuantGraph("engine", self.layer.in_shape, (self.layer,))
        acc_bits = accumulator_bits(layer)
        leg_cycles = min(ii_cycles, -(-acc_bits // digit_bits))
        folding = ClbFolding(
            layer, self.engine.arithmetic, slot_raster(layer), acc_bits, digit_bits, leg_cycles, ii_cycles
        )
        lanes_in = -(-layer.in_shape[0] // ii_cycles)
        streams = Streams(lanes_in, -(-layer.in_shape[0] // lanes_in), channels_per_beat(layer, folding, None))
        placed, counts = size_fifos([PlannedLayer(layer, folding, streams, Fifo(0))])
        board = load_board("vc707")
        target = Target(board, board.clk_mhz, (folding.store,))
        plan = HardwarePlan(target, tuple(placed), SHELL, counts.cycles_per_frame, counts.latency_cycles)
        frames = np.random.default_rng(1).integers(0, 2**BITS, (2, *layer.in_shape), dtype=np.uint8)
        design = generate(plan, "00" * 32)
        design = replace(design, parts=tuple((part, f"layer1_{part}") for part in PARTS))
        return Overlay(quant, golden_onnx(quant), plan, True, design, frames)


def engine_figures(
    solved: Solved, ii_cycles: int, digit_bits: int, *, synth: bool, simulate: bool, progress: Progress
) -> dict[str, Any]:
    """adders: of the matrix and its biases alone; layer: with window and requantize."""

    def make() -> dict[str, Any]:
        overlay = solved.overlay(ii_cycles, digit_bits)
        planned = overlay.plan.layers[0]
        folding, estimate = planned.folding, parts_of(planned.folding, planned.streams)  # of PARTS
        found = {
            "ii_cycles": ii_cycles,
            "folding": folding.text,
            "acc_bits": folding.acc_bits,
            "adder_graph": folding.to_json()["adders"],
            "layer_estimate": {"lut": estimate.lut, "ff": estimate.ff, "bram36": estimate.bram36},
            "simulation": simulation(overlay, progress) if simulate else None,
        }
        if synth:
            report = synthesize(overlay.design, progress, jobs=1)
            paths = dict(report.paths)
            found |= {
                "adders": counted(dict(report.parts)["adders"]),
                "layer": counted(report.total),
                "path_mhz": min(path.mhz for path in paths.values()),
                "adders_path_ns": paths["adders"].ns,
                "adders_path_levels": paths["adders"].levels,
            }
        return found

    layer = solved.layer
    key = layer.codes.tobytes(), layer.channel_shift.tobytes(), layer.bias.tobytes(), ii_cycles, digit_bits
    return kept("engine", (*key, synth, simulate), make)


def da4ml_figures(weights: np.ndarray, stage_adders: int, progress: Progress) -> dict[str, Any]:
    """da4ml's own way from the matrix, (outputs, inputs), to Verilog with a register behind every stage_adders adders,
    synthesized as one."""

    def make(folder: Path) -> None:
        with progress.stage("synthesize da4ml's Verilog"):
            netlist_of(files, "matrix", folder)

    files, adders, stages = da4ml_verilog(weights, stage_adders)
    found = cached("netlist", netlist_key(files, "matrix"), make)  # minutes to make; counting takes seconds
    modules = json.loads(found["netlist.json"])["modules"]
    return {
        "ii_cycles": 1,
        "adder_graph": adders,
        "stages": stages,
        "adders": counted(count_netlist(modules, "matrix")),
        "path_mhz": longest_path(modules, "matrix").mhz,
    }


def da4ml_verilog(weights: np.ndarray, stage_adders: int) -> tuple[tuple[tuple[str, str], ...], int, int]:
    """(files with top module matrix, adders, stages)."""
    from da4ml.codegen.rtl.verilog import pipeline_logic_gen
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace
    from da4ml.trace.pipeline import to_pipeline

    inputs = weights.shape[1]
    x = FixedVariableArray.from_kif(
        np.zeros(inputs, bool),
        np.full(inputs, BITS),
        np.zeros(inputs, int),
        hwconf=HWConfig(1, -1, -1),  # each adder one unit of latency
        solver_options={"decompose_dc": -1, "search_all_decompose_dc": False},  # as in engines/clb/adder_graph.py
    )
    logic = comb_trace(x, x @ np.ascontiguousarray(weights.T, dtype=np.float64))
    pipeline = to_pipeline(logic, stage_adders, verbose=False)
    modules = pipeline_logic_gen(pipeline, "matrix")
    blocks = resources.files("da4ml.codegen.rtl.verilog").joinpath("source")
    files = [(f"{name}.v", text) for name, text in modules.items()]
    files += [(f"{name}.v", blocks.joinpath(f"{name}.v").read_text()) for name in ("shift_adder", "negative")]
    return tuple(files), sum(op.opcode in (0, 1) for op in logic.ops), len(pipeline.solutions)


def command(arguments: argparse.Namespace, reporter: Reporter) -> None:
    if not 0 <= arguments.zeros < 1:
        raise UsageError(f"the share of zeros must be at least 0 and below 1, not {arguments.zeros}")
    if max(arguments.digit_bits or [1]) > BITS:
        raise UsageError(f"a digit has at most the {BITS} bits of an activation, not {max(arguments.digit_bits)}")
    steps, widths = arguments.ii or [1, 2, 4, 8, 16, 24], sorted(set(arguments.digit_bits or [1]))
    synth, simulate = not arguments.no_synth, not arguments.no_verify
    layers = layers_of(arguments.channels, arguments.filters, arguments.zeros)
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, layer in layers.items():
        solved = Solved(*ClbStore().solve([layer], reporter))
        found[kind] = []
        for ii_cycles, digit_bits in product(sorted(set(steps), reverse=True), widths):  # the quick ones first
            with reporter.stage(f"{kind} at {ii_cycles} cycles a position, digits of {digit_bits}"):
                made = engine_figures(solved, ii_cycles, digit_bits, synth=synth, simulate=simulate, progress=reporter)
                found[kind].append(made)
    if synth:
        weights = layers["log2"].weights.reshape(arguments.filters, -1)
        found["da4ml"] = [da4ml_figures(weights, depth, reporter) for depth in STAGE_ADDERS]
    heading = (
        f"{layers['log2'].codes[0].size} x {arguments.filters}, {arguments.zeros:.0%} zeros, activations of {BITS} bits"
    )
    lines = [f"zeros after rounding: {kind} {layer.sparsity:.1%}" for kind, layer in layers.items()]
    show(Report(heading, (Section("", ("; ".join(lines),), table(found)),), {"designs": found}), arguments, reporter)


NAMES = {"log2": "log2 4b", "linear": "linear 4b", "da4ml": "da4ml's Verilog"}


def table(found: dict[str, list[dict[str, Any]]]) -> Table:
    rows = []
    for kind, points in found.items():
        for point in points:
            adders, layer = point.get("adders", {}), point.get("layer", {})
            simulated = point.get("simulation")
            rows.append(
                (
                    NAMES[kind],
                    point["ii_cycles"],
                    point.get("folding", f"{point.get('stages')} stages"),
                    point.get("acc_bits"),
                    point["adder_graph"],
                    *(adders.get(name) for name in ("lut_sites", "lut", "ff", "srl", "carry4")),
                    layer.get("lut_sites"),
                    "layer_estimate" in point and round(point["layer_estimate"]["lut"]) or None,
                    layer.get("ff"),
                    layer.get("bram36"),
                    point.get("path_mhz") and round(point["path_mhz"]),
                    point.get("adders_path_ns"),
                    point.get("adders_path_levels"),
                    simulated and f"{simulated['differing_bits']:,} of {simulated['bits']:,}",
                )
            )
    columns = (
        "design", "cycles a position", "folding", "accumulator bits", "adders", "LUT6 sites", "LUT (Yosys)", "FF",
        "SRL", "CARRY4", "layer: LUT6 sites", "estimated", "FF", "BRAM36", "longest path, MHz (estimate)",
        "of the adders, ns", "levels of LUTs", "bits differing",
    )  # fmt: skip
    return Table(columns, tuple(rows))


def main(arguments: list[str] | None = None) -> int:
    return runner.run(parser(), command, arguments)


if __name__ == "__main__":
    sys.exit(main())
