"""Sums in the log domain against the paper's formula, one number at a time, and against exact sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lognet_fpga.ir.log_sums import ExactSums, LogSums, powers
from tests.quant_models import Spec, random_graph, random_layer

SHAPE = (3, 5, 6)


def _layer(seed: int, **spec):
    rng = np.random.default_rng(seed)
    return random_layer(rng, "conv", SHAPE, 8, Spec(4, **spec)), rng.integers(0, 256, (2, *SHAPE), dtype=np.uint8)


def _paper_sum(terms: list[int], fraction: int) -> float:
    """The number that s' = max(s, p) + Bitshift(1, -|floor(s) - p|) ends at; p: logarithms of the terms."""
    total = None
    for p in terms:
        if total is None:
            total = float(p)
            continue
        step = 2.0 ** -abs(math.floor(total) - p)
        total = (total if math.floor(total) >= p else float(p)) + math.floor(step * 2**fraction) / 2**fraction
    return 0.0 if total is None else 2.0**total


def _terms_of(layer, x: np.ndarray, out: int, row: int, col: int, sign: int, digits: bool) -> list[int]:
    terms = []
    top, left, _, _ = layer.pads
    for channel, ky, kx in np.ndindex(*layer.codes.shape[1:]):
        code = sign * int(layer.codes[out, channel, ky, kx])
        y, z = row * layer.stride[0] + ky - top, col * layer.stride[1] + kx - left
        inside = 0 <= y < SHAPE[1] and 0 <= z < SHAPE[2]
        value = int(x[channel, y, z]) if inside else int(layer.pad_value[channel])
        if code <= 0 or value == 0:
            continue
        weight = code.bit_length() - 1
        if digits:
            terms += [weight + bit for bit in range(8) if value >> bit & 1]
        else:
            terms.append(weight + round(math.log2(value)))
    return terms


@pytest.mark.parametrize("digits", (False, True))
@pytest.mark.parametrize("fraction", (3, 10))
@pytest.mark.parametrize("seed, stride, odd", ((1, (1, 1), True), (2, (2, 1), False)))
def test_one_sum_at_a_time(seed, stride, odd, fraction, digits):
    layer, x = _layer(seed, stride=stride, odd_pad=odd)
    got = LogSums("digits" if digits else "power", fraction_bits=fraction).one_sided(layer, x)
    exact = ExactSums("digits" if digits else "power").one_sided(layer, x)
    for place in np.ndindex(*got[0].shape):
        frame, out, row, col = place
        for side, sign in enumerate((1, -1)):
            terms = _terms_of(layer, x[frame], out, row, col, sign, digits)
            assert got[side][place] == pytest.approx(_paper_sum(terms, fraction))
            assert exact[side][place] == sum(2**p for p in terms)


def test_exact_digits_are_the_reference():
    layer, x = _layer(3)
    np.testing.assert_array_equal(ExactSums("digits")(layer, x), layer.accumulate(x))


def test_a_shift_leaves_the_log_domain_almost_as_well():
    """2^y lies between 0.94 (1 + y) and 1 + y."""
    layer, x = _layer(4)
    for exact, shifted in zip(LogSums().one_sided(layer, x), LogSums(back="shift").one_sided(layer, x)):
        assert np.all(exact <= shifted * (1 + 1e-12)) and np.all(shifted <= exact / 0.94)
        assert np.any(exact < shifted)


def test_powers():
    assert powers(np.array([0, 1, 2, 3, 5, 6, 11, 12, 255])).tolist() == [0, 1, 2, 4, 4, 8, 8, 16, 256]


def test_every_layer_adds_in_its_own_way():
    graph = random_graph(5, (3, 8, 8), Spec(4), Spec(3))
    x = np.random.default_rng(5).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    first, second = graph.layers
    middle = first.run(x)
    out = graph.run_layers(x, [None, LogSums()])
    np.testing.assert_array_equal(out[0], middle)
    np.testing.assert_array_equal(out[1], second.run(middle, LogSums()))
    acc = LogSums()(second, middle)
    assert np.any(acc != second.accumulate(middle))
