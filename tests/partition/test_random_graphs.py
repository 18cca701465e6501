"""Directed graphs of random operators and joins: however many layers go onto the FPGA, it stays the same function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lognet_fpga.errors import UnsupportedModelError
from lognet_fpga.frontend import load
from lognet_fpga.frontend.dense import dense_as_convolutions
from lognet_fpga.frontend.evaluate import host_evaluator
from lognet_fpga.ir.execute import execute
from lognet_fpga.ir.golden import golden_onnx
from lognet_fpga.ir.preprocessing import Preprocessing
from lognet_fpga.partition import partition
from lognet_fpga.partition.joins import take_joins
from lognet_fpga.partition.reach import reach
from lognet_fpga.quantize import quantize
from tests.float_tail import run_split
from tests.models import ModelBuilder, run_onnx, save

SHAPE = (3, 8, 8)
KINDS = ["conv", "conv", "conv relu", "conv relu", "relu", "sum", "sum", "concat", "pool", "conv 1"]


def random_model(seed: int):
    """Operators of any tensor made so far, the newest ones rather; sums and concatenations of those that fit."""
    rng = np.random.default_rng(seed)
    net = ModelBuilder(SHAPE, seed=seed)
    made: list[tuple[str, int, int]] = [(net.tensor, 3, 8)]  # tensor, channels, side

    def newest() -> tuple[str, int, int]:
        return made[max(0, len(made) - 1 - int(rng.geometric(0.6) - 1))]

    for _ in range(int(rng.integers(4, 12))):
        tensor, channels, side = newest()
        net.tensor, net.channels = tensor, channels
        kind = str(
            rng.choice(["conv", "conv", "conv relu", "conv relu", "relu", "sum", "sum", "concat", "pool", "conv 1"])
        )
        if kind.startswith("conv"):
            stride = int(rng.choice([1, 1, 2])) if side > 2 else 1
            out, kernel = int(rng.choice([2, 4])), 1 if kind == "conv 1" else 3
            net.conv(out, kernel, strides=[stride, stride])
            channels, side = out, -(-side // stride)
            if kind == "conv relu":
                net.relu()
        elif kind == "relu":
            net.relu()
        elif kind == "pool" and side > 2:
            net.pool()
            side //= 2
        elif kind in ("sum", "concat"):
            fits = [other for other in made if other[2] == side and (kind == "concat" or other[1] == channels)]
            other, more, _ = fits[int(rng.integers(len(fits)))]
            if kind == "sum":
                net.add("Add", other)
            elif channels + more <= 8:
                net.add("Concat", other, axis=1)
                channels += more
        if net.tensor != tensor:
            made.append((net.tensor, channels, side))
    net.tensor, net.channels = made[-1][0], made[-1][1]
    net.flatten()
    return net.gemm(made[-1][1] * made[-1][2] ** 2, 3).model()


@pytest.mark.parametrize("seed", [*range(60), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(60, 600))])
def test_any_cut_is_the_same_function(seed: int, tmp_path: Path) -> None:
    model = random_model(seed)
    graph = dense_as_convolutions(load(save(model, tmp_path)))
    frames = np.random.default_rng(seed).standard_normal((2, *SHAPE)).astype(np.float32)
    wanted = run_onnx(model, frames)[0]
    close = {"rtol": 0, "atol": 1e-4 * max(1e-3, np.abs(wanted).max()), "err_msg": f"seed {seed}"}
    joined = take_joins(graph)
    np.testing.assert_allclose(execute(joined, frames, host_evaluator(joined)), wanted, **close)
    far = reach(graph)
    for count in range(1, far.available + 1):
        if count not in far.counts:
            with pytest.raises(UnsupportedModelError):
                partition(graph, count)
            continue
        split = partition(graph, count)
        assert len(split.layers) == len(split.sources) == count
        np.testing.assert_allclose(run_split(split, frames), wanted, **close)
    if far.possible:
        pixels = np.random.default_rng(seed).integers(0, 256, (8, *SHAPE), np.uint8)
        bits = np.random.default_rng(seed).integers(4, 9, far.possible).tolist()
        quant = quantize(partition(graph, far.possible), pixels, Preprocessing(1 / 255), act_bits=bits)
        for ours, golden in zip(quant.run_layers(pixels), run_onnx(golden_onnx(quant), pixels), strict=True):
            np.testing.assert_array_equal(ours, golden, err_msg=f"seed {seed}")
