"""What the tables of activation functions cost: their error beside that of rounding the activations once.

    python benchmarks/table_error.py

A small network of three layers for each function, quantized on 100 frames of smooth noise; of 100 others the
activations of its layers beside the function of their exact sums, root mean square error in percent of the activations'
deviation: by the table, whose codes round the sums and the activations, and rounded once to the activations' own codes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from lognet_fpga.frontend import load
from lognet_fpga.ir.functions import Function
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.ir.sources import gather
from lognet_fpga.partition import partition
from lognet_fpga.quantize import quantize
from tests.models import save
from tests.partition.test_functions import WRITTEN, frames_of, network

NAMES = ("LeakyRelu", "PRelu", "HardSwish", "Swish", "Mish", "Gelu by Erf", "Tanh", "Sigmoid", "Clip")


def errors(layer: QuantLayer, function: Function, x: np.ndarray) -> tuple[float, float]:
    """(by the table, rounded once), in percent of the deviation, in front of the pool."""
    shape = (1, -1, 1, 1)
    lsb = (layer.alpha * 2.0 ** (layer.shift - layer.channel_shift)).reshape(shape)  # of a sum's code
    half = 1 << layer.shift >> 1
    sums = ((layer.accumulate(x) - half) / 2.0**layer.shift - layer.code_zero) * lsb
    wanted = function(sums)
    scale = layer.out_scale if layer.average is None else layer.out_scale * layer.pool.count / 2**layer.average.shift
    scale = scale.reshape(shape)
    by_table = (layer.activations(x).astype(np.int64) - layer.act_zero) * scale
    once = np.clip(np.rint(wanted / scale) + layer.act_zero, 0, 2**layer.act_bits - 1) - layer.act_zero
    deviation = wanted.std() / 100
    return tuple(float(np.sqrt(((found - wanted) ** 2).mean()) / deviation) for found in (by_table, once * scale))


def main() -> None:
    preprocessing = Preprocessing(1 / 255)
    print("| function | 8 bits: table | once | 4 bits: table | once |")
    print("|---|---|---|---|---|")
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            parts = partition(load(save(network(WRITTEN[name]).model(), Path(folder))), 3)
        cells = []
        for bits in (8, 4):
            quant = quantize(parts, frames_of(100), preprocessing, act_bits=bits)
            frames, outputs = frames_of(100, 1), list[np.ndarray]()
            rows = []
            for layer, real, sources in zip(quant.layers, parts.layers, quant.sources):
                x = gather(sources, frames, outputs)
                assert real.function is not None
                rows.append(errors(layer, real.function, x))
                outputs.append(layer.run(x))
            cells += [f"{np.mean(column):.1f}" for column in zip(*rows)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
