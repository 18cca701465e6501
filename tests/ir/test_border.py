"""Averages that divide by fewer elements at the border: against onnxruntime's AveragePool, within what is stated."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from onnx import TensorProto, helper

from lognet_fpga.ir import reference
from lognet_fpga.ir.border import borders
from lognet_fpga.ir.graph import AveragePool
from tests.models import run_onnx

ROUNDED = 0.5  # LSB of an average
OFF = 2 * 2.0**-11 + 2.0**-22  # of the factors of a row and a column


def random_pool(rng: np.random.Generator) -> tuple[AveragePool, tuple[int, int]]:
    """Kernels of 1..7, any padding below them; and a frame's size."""
    kernel = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    top, left, bottom, right = (int(rng.integers(0, extent)) for extent in (*kernel, *kernel))
    stride = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    pads = (top, left, bottom, right)
    return AveragePool(kernel, stride, pads, pads), (int(rng.integers(7, 12)), int(rng.integers(7, 12)))


def onnx_average(pool: AveragePool, x: np.ndarray) -> np.ndarray:
    places = {"kernel_shape": pool.kernel, "strides": pool.stride, "pads": pool.pads}
    node = helper.make_node("AveragePool", ["x"], ["y"], count_include_pad=0, **places)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph([node], "average", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return run_onnx(model, x)[0]


@pytest.mark.parametrize("seed", range(20))
def test_integers_are_onnxruntimes_averages_rounded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool, size = random_pool(rng)
    codes = rng.integers(0, 256, (2, 3, *size))
    codes[1] = 255
    sums, fraction = reference.sum_pool(codes, pool)
    shift = int(rng.integers(max(0, pool.sum_bits - 2), pool.sum_bits + 1))
    whole = reference.average(sums, shift + fraction, 20)  # not clipped
    wanted = onnx_average(pool, codes.astype(np.float32)) * pool.count / 2.0**shift
    assert np.all(np.abs(whole - wanted) <= ROUNDED + OFF * wanted + 1e-4 * wanted), f"seed {seed}: {pool}, {size}"
    eight = reference.average(sums, shift + fraction, 8)
    np.testing.assert_array_equal(eight, np.minimum(whole, 255))
    small = wanted <= 255
    assert np.all(np.abs(eight - wanted)[small] < ROUNDED + 0.26 + 0.03)
    means = reference.run_pool(codes.astype(np.float32), pool)
    np.testing.assert_allclose(means, onnx_average(pool, codes.astype(np.float32)), rtol=1e-5)


def test_factors_are_near_their_ratios_and_as_short_as_can_be() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        pool, size = random_pool(rng)
        for border, extent in zip(borders(pool, *size), pool.kernel):
            ratios = [Fraction(extent, count) for count in border.counts]
            for bits in (border.fraction, border.fraction - 1):
                nearest = [round(ratio * 2**bits) for ratio in ratios] if bits >= 0 else []
                near = all(
                    abs(Fraction(factor, 2**bits) / ratio - 1) <= Fraction(1, 2**11)
                    for factor, ratio in zip(nearest, ratios)
                )
                if bits == border.fraction:
                    assert near and all(
                        abs(Fraction(factor, 2**bits) / ratio - 1) <= Fraction(1, 2**11)
                        for factor, ratio in zip(border.factors, ratios)
                    )
                elif bits >= 0:
                    assert not near


def test_windows_of_two_three_and_four_are_exact() -> None:
    """Caffe's 3x3 windows whose last row or column lies outside: 3/2 and 9/4."""
    rows, cols = borders(AveragePool((3, 3), (2, 2), (0, 0, 1, 1), (0, 0, 1, 1)), 16, 16)
    assert (rows.factors, rows.fraction) == ((2,) * 7 + (3,), 1) and cols == rows
    rows, cols = borders(AveragePool((2, 4), (2, 4), (1, 2, 0, 0), (1, 2, 0, 0)), 7, 6)
    assert (rows.factors, rows.fraction, cols.factors, cols.fraction) == ((2, 1, 1, 1), 0, (2, 1), 0)
    assert rows.counts == (1, 2, 2, 2) and not rows.even


def test_padding_that_counts_leaves_all_windows_alike() -> None:
    rows, cols = borders(AveragePool((3, 3), (1, 1), (1, 1, 1, 1)), 5, 5)
    assert rows.even and cols.even and rows.fraction == 0
