"""What the adders of a `clb` layer take at several cycles a position: the table "What each step saved" of the docs.

    python benchmarks/engine_steps.py [--layers 27x64 576x64] [--cycles 1 3 6 12 24] [--digit-bits 1] [--prune 0.67]

Random layers from a fixed seed (normal weights pruned by magnitude, log2 4-bit codes, inputs of 8 bits), their adders
synthesized by Yosys apart from window and requantize.  A 576x64 layer takes a few minutes a row.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from lognet_fpga.codegen.verilog import verilog_files
from lognet_fpga.engines.clb.adder_graph import solve
from lognet_fpga.engines.clb.arithmetic import SolvedAdders, timed_adders
from lognet_fpga.engines.clb.blocks.adders import AdderShape, serial_adders
from lognet_fpga.numerics.log2 import log2_codes
from lognet_fpga.quantize.weights import magnitude_prune, search_alpha
from lognet_fpga.synth.cells import count_netlist
from lognet_fpga.synth.paths import longest_path
from lognet_fpga.synth.yosys import netlist_of

IN_BITS = 8
SEED = 7
KEPT_BITS = 10  # of an accumulator, its highest: the lower ones are dropped by requantize


def random_weights(n_inputs: int, n_outputs: int, prune: float) -> np.ndarray:
    """(n_outputs, n_inputs) log2 weights as integers."""
    rng = np.random.default_rng([SEED, n_inputs, n_outputs])
    rows = magnitude_prune(rng.standard_normal((n_outputs, n_inputs)), prune)
    return log2_codes(rows / search_alpha(rows, np.ones(n_inputs))[:, None]).astype(np.int64)


def accumulator_bits(weights: np.ndarray) -> int:
    top = 2**IN_BITS - 1
    high, low = np.maximum(weights, 0).sum(axis=1).max() * top, np.minimum(weights, 0).sum(axis=1).min() * top
    return max(int(high).bit_length(), int(-low).bit_length()) + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="+", default=["27x64", "576x64"])
    parser.add_argument("--cycles", nargs="+", type=int, default=[1, 3, 6, 12, 24])
    parser.add_argument("--digit-bits", type=int, default=1)
    parser.add_argument("--prune", type=float, default=0.67)
    options = parser.parse_args()
    print("layer     bits  cycles  adders    LUT  LUT est.  sites     FF  FF est.  SRL  path ns  levels  seconds")
    for layer in options.layers:
        n_inputs, n_outputs = map(int, layer.split("x"))
        weights, digit_bits = random_weights(n_inputs, n_outputs, options.prune), options.digit_bits
        bias = tuple(int(b) for b in np.random.default_rng(SEED).integers(-10_000, 10_000, n_outputs))
        graph, acc_bits = solve(weights, IN_BITS), accumulator_bits(weights)
        for cycles in options.cycles:
            leg_cycles = min(cycles, -(-acc_bits // digit_bits))
            estimate = SolvedAdders(graph, IN_BITS).cost(digit_bits, leg_cycles, acc_bits).resources
            folded, timed = timed_adders(graph, IN_BITS, acc_bits, digit_bits, leg_cycles)
            first_leg = max(0, acc_bits - KEPT_BITS) // (digit_bits * leg_cycles)
            shape = AdderShape(folded, timed, bias, first_leg)
            in_legs = -(-IN_BITS // (digit_bits * leg_cycles))
            began = time.monotonic()
            engine = serial_adders(shape, n_inputs * in_legs * digit_bits, "adders")
            with tempfile.TemporaryDirectory() as folder:
                modules = netlist_of(verilog_files(engine), engine.name, Path(folder))
            counts, path = count_netlist(modules, engine.name), longest_path(modules, engine.name)
            print(
                f"{layer:9} {digit_bits:4} {cycles:7} {len(graph.adders):7} {counts.lut:6} {estimate.lut:9.0f} "
                f"{counts.lut_sites:6} {counts.ff:6} {estimate.ff:8.0f} {counts.srl:4} "
                f"{path.ns:8.2f} {path.levels:7} {time.monotonic() - began:8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
