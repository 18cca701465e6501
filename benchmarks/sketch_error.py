"""How far sketches (lognet-inspect) are from the real thing: adder counts of random layers, plans of the shipped model.

    python benchmarks/sketch_error.py

Needs the deploy side installed; the adder graphs are searched once, which takes a few minutes, and cached.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lognet_fpga.config import DeployConfig
from lognet_fpga.engines.clb.adder_graph import solve
from lognet_fpga.engines.clb.arithmetic import SolvedAdders
from lognet_fpga.engines.clb.foldings import CLB
from lognet_fpga.engines.clb.sketch import SketchedAdders
from lognet_fpga.engines.stores import sketch_layers, solve_layers
from lognet_fpga.fabric.boards import load_board
from lognet_fpga.fabric.target import Target
from lognet_fpga.flow.inputs import calibration, read_frames
from lognet_fpga.frontend import load
from lognet_fpga.numerics.log2 import log2_codes
from lognet_fpga.partition import partition
from lognet_fpga.plan.planner import plan_engines
from lognet_fpga.plan.search import draft_hardware
from lognet_fpga.quantize import quantize
from lognet_fpga.quantize.sketch import sketch_graph
from lognet_fpga.quantize.weights import magnitude_prune, search_alpha

MODEL = Path(__file__).parents[1] / "models" / "cifar10_64x3"
SHAPES = ((27, 64), (72, 16), (75, 32), (144, 16), (200, 16), (288, 32), (363, 48), (576, 64), (800, 32))
PRUNED = (0.0, 0.5, 0.75, 0.9)
MOST_WEIGHTS = 10_000  # of a random layer; larger ones take minutes each
ACC_BITS = 22
FOLDINGS = ((1, 1), (1, 3), (1, 6), (1, 12), (1, 22), (2, 3), (2, 11))  # bits of a digit, digits of a leg
BOARDS = ("pynq-z2", "ultra96-v2", "zcu104")


def random_layers() -> None:
    errors = []
    for inputs, outputs in SHAPES:
        for prune in PRUNED:
            if inputs * outputs * (1 - prune) > MOST_WEIGHTS:
                continue
            rng = np.random.default_rng(
                [7, inputs, outputs, round(100 * prune)]
            )  # not those that the laws were fitted to
            rows = magnitude_prune(rng.standard_normal((outputs, inputs)), prune)
            codes = log2_codes(rows / search_alpha(rows, np.ones(inputs))[:, None])
            exact, used = SolvedAdders(solve(codes.astype(np.int64), 8), 8), codes != 0
            sketched = SketchedAdders(int(used.sum()), *used.shape, int(used.any(1).sum()), int(used.any(0).sum()))
            row = [sketched.adders / exact.adders - 1]
            for folding in FOLDINGS:
                real, estimate = (engine.cost(*folding, ACC_BITS).resources for engine in (exact, sketched))
                row += [estimate.lut / real.lut - 1, estimate.ff / real.ff - 1]
            errors.append(row)
            print(f"{inputs:4} x {outputs:2} {prune:4.0%} pruned: {exact.adders:6,} adders, sketched {row[0]:+.1%}")
    table = np.array(errors)
    for name, columns in (("adders", [0]), ("LUT", range(1, table.shape[1], 2)), ("FF", range(2, table.shape[1], 2))):
        part = table[:, list(columns)]
        print(f"{name:6}  root mean square {np.sqrt((part**2).mean()):.1%}, largest {np.abs(part).max():.1%}")


def shipped_model() -> None:
    config = DeployConfig(MODEL / "model.onnx", frames=MODEL / "test_frames.npz")
    graph = load(config.model)
    parts = partition(graph)
    quant = quantize(parts, calibration(read_frames(config, graph)), config.preprocessing)
    engines = solve_layers(quant.layers, [CLB] * len(quant.layers))
    sketches = sketch_layers(sketch_graph(graph.name, parts.layers, parts.sources).layers, (CLB,))
    for name in BOARDS:
        board = load_board(name)
        target = Target(board, board.clk_mhz, (CLB,))
        real, estimate = plan_engines(engines, target), draft_hardware(sketches, target)
        print(
            f"{board.title}: {real.fps:,.0f} fps planned, {estimate.fps:,.0f} sketched; "
            f"LUT {real.total.lut:,.0f}, {estimate.total.lut:,.0f} ({estimate.total.lut / real.total.lut - 1:+.1%}); "
            f"FF {real.total.ff:,.0f}, {estimate.total.ff:,.0f} ({estimate.total.ff / real.total.ff - 1:+.1%}); "
            f"BRAM36 {real.total.bram36:g}, {estimate.total.bram36:g}"
        )


if __name__ == "__main__":
    random_layers()
    shipped_model()
