from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.numerics.log2 import largest_code, log2_codes

VALUES = {2: [0, 1], 3: [0, 1, 2, 4], 4: [0, 1, 2, 4, 8, 16, 32, 64]}
BITS = sorted(VALUES)


@pytest.mark.parametrize("bits", BITS)
def test_the_values_of_a_code(bits):
    found = np.unique(log2_codes(np.linspace(-200, 200, 40_001), bits))
    assert found.dtype == np.int8
    assert found.tolist() == sorted({sign * value for value in VALUES[bits] for sign in (-1, 1)})
    assert len(found) == 2**bits - 1
    assert largest_code(bits) == max(VALUES[bits])


def test_four_bits_are_the_default():
    assert len(np.unique(log2_codes(np.linspace(-200, 200, 40_001)))) == 15


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nearest_of_all_values(bits, seed):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(size=4000) * 2.0 ** rng.uniform(-4, 8, 4000), [0, 0.5, 1.5, 3, 6, 12, 24, 48]])
    values = np.array(VALUES[bits] + [-value for value in VALUES[bits]])
    least = np.abs(x[:, None] - values).min(axis=1)
    np.testing.assert_array_equal(np.abs(x - log2_codes(x, bits)), least)


@pytest.mark.parametrize("bits", BITS)
def test_values_beyond_full_scale_are_clipped(bits):
    top = max(VALUES[bits])
    x = np.array([top + 0.4, 3.0 * top, 1e30, np.inf, -1e30, -np.inf])
    assert log2_codes(x, bits).tolist() == [top] * 4 + [-top] * 2


def test_symmetric():
    x = np.random.default_rng(4).normal(size=(3, 4, 5, 6)) * 20
    codes = log2_codes(x)
    assert codes.shape == x.shape
    np.testing.assert_array_equal(log2_codes(-x), -codes)


def test_powers_of_two_stay():
    values = np.array(VALUES[4])
    np.testing.assert_array_equal(log2_codes(values), values)
    np.testing.assert_array_equal(log2_codes(-values.astype(np.float32)), -values)
