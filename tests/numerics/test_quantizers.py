"""The paper's quantizers against their formulas, written out one number at a time, and against brute force."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from lognet_fpga.numerics.log2 import log2_codes
from lognet_fpga.numerics.quantizers import fit_by_max, fit_by_nmse, linear_quantizer, lloyd_quantizer, log_quantizer
from lognet_fpga.numerics.samples import Samples


def _log_formula(x: float, count: int, fsr: float, base: float, small: str) -> float:
    """alpha * sign(x) * base^ClipLog(Round(log_base |x / alpha|)) for `count` powers, the largest fsr."""
    if x == 0:
        return 0.0
    exponent = math.floor(math.log(abs(x) / fsr, base) + 0.5)
    if exponent < 1 - count and small == "zero":
        return 0.0
    return math.copysign(fsr * base ** min(0, max(1 - count, exponent)), x)


@pytest.mark.parametrize("bits", (2, 3, 4, 5))
@pytest.mark.parametrize("base", (2.0, math.sqrt(2)))
@pytest.mark.parametrize("small", ("zero", "smallest"))
@pytest.mark.parametrize("signed", (True, False))
def test_the_logarithmic_quantizer_is_its_formula(bits, base, small, signed):
    x = np.random.default_rng(bits).normal(size=2000) * 3
    x[0] = 0
    x = x if signed else np.abs(x)
    count = 2 ** (bits - signed) - (small == "zero")
    expected = [_log_formula(value, count, 1.7, base, small) for value in x]
    got = log_quantizer(bits, 1.7, signed=signed, base=base, small=small)(x)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert len(np.unique(got)) <= 2**bits + (small == "smallest")  # an exact 0 beside the powers


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("sign, lowest", (("twos-complement", 0), ("sign-magnitude", 1)))
def test_the_linear_quantizer_is_its_formula(bits, sign, lowest):
    fsr, half = 2.5, 2 ** (bits - 1)
    x = np.random.default_rng(bits).normal(size=2000) * 2
    expected = [min(half - 1, max(lowest - half, math.floor(v / (fsr / half) + 0.5))) * fsr / half for v in x]
    np.testing.assert_allclose(linear_quantizer(bits, fsr, sign=sign)(x), expected, atol=1e-12)


def test_unsigned_linear_levels():
    np.testing.assert_allclose(linear_quantizer(2, 1.0, signed=False)([-1, 0.1, 0.13, 0.5, 9]), [0, 0, 0.25, 0.5, 0.75])


def test_four_bits_with_arithmetic_boundaries_are_the_codes_of_the_fabric():
    x = np.random.default_rng(3).normal(size=5000) * 30
    np.testing.assert_array_equal(log_quantizer(4, 64.0, rounding="arithmetic")(x), log2_codes(x))


@pytest.mark.parametrize("kind", (linear_quantizer, log_quantizer))
def test_one_bit_is_the_sign(kind):
    np.testing.assert_array_equal(kind(1, 3.0)([-9, -0.1, 0.1, 9]), [-1.5, -1.5, 1.5, 1.5])


@pytest.mark.parametrize("small", ("zero", "smallest"))
def test_the_error_of_sorted_samples_is_that_of_the_samples(small):
    x = np.random.default_rng(5).laplace(size=3000)
    x[:100] = 0
    quantizer = log_quantizer(4, 2.0, small=small)
    assert Samples(x).nmse(quantizer) == pytest.approx(np.sum((x - quantizer(x)) ** 2) / np.sum(x**2), rel=1e-9)
    if small == "zero":
        assert Samples(x).zeros(quantizer) == pytest.approx(np.mean(quantizer(x) == 0))


def test_lloyd_reaches_the_published_quantizer_of_a_normal_distribution():
    """Max, IRE Trans. Inform. Theory 6, 1960, table I: mean square error for 2, 4, 8, 16 levels."""
    x = np.random.default_rng(7).normal(size=400_000)
    for bits, error in ((1, 0.3634), (2, 0.1175), (3, 0.03454), (4, 0.009497)):
        assert Samples(x).nmse(lloyd_quantizer(Samples(x), bits)) == pytest.approx(error, rel=0.03)


@pytest.mark.parametrize("bits", (2, 3, 4))
def test_lloyd_is_never_worse_and_a_searched_range_never_worse_than_the_maximum(bits):
    samples = Samples(np.random.default_rng(bits).standard_t(4, size=20_000))
    lloyd = samples.nmse(lloyd_quantizer(samples, bits))
    for kind in (linear_quantizer, log_quantizer):
        by_max, by_nmse = (samples.nmse(fit(samples, partial(kind, bits))) for fit in (fit_by_max, fit_by_nmse))
        assert lloyd <= by_nmse * (1 + 1e-9) and by_nmse <= by_max * (1 + 1e-9)


@pytest.mark.parametrize("bits, fsr, message", ((0, 1.0, "bits"), (9, 1.0, "bits"), (4, 0.0, "full scale")))
def test_senseless_arguments(bits, fsr, message):
    with pytest.raises(ValueError, match=message):
        linear_quantizer(bits, fsr)
