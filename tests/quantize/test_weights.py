"""Rounding of weights, judged on data: outputs are computed with x, never through the correlation alone."""

from __future__ import annotations

import numpy as np
import pytest

from lognet_fpga.numerics.log2 import largest_code, log2_codes
from lognet_fpga.quantize import weights

SEEDS = range(6)


def correlated_data(seed: int, inputs: int = 36, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """(rows, x): weights (8, inputs), and non-negative inputs (count, inputs) that a few sources explain."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(count, 5)) @ rng.normal(size=(5, inputs))
    x = np.maximum(sources + 0.3 * rng.normal(size=(count, inputs)) + 0.5, 0)
    return rng.normal(size=(8, inputs)) * 2.0 ** rng.uniform(-3, 3, (8, 1)), x


def correlation_of(x: np.ndarray) -> np.ndarray:
    """(inputs, inputs), damped."""
    return weights.damped((x.T @ x / len(x))[None], len(x))[0]


def output_error(rows, approximation, x):
    """(out,) mean squared error of the layer's sums."""
    return ((x @ (rows - approximation).T) ** 2).mean(axis=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_rounding_by_output_beats_rounding_to_the_nearest(seed):
    rows, x = correlated_data(seed)
    correlation = x.T @ x / len(x)
    alpha = weights.search_alpha(rows, np.diag(correlation))
    nearest = output_error(rows, log2_codes(rows / alpha[:, None]) * alpha[:, None], x)
    ours = output_error(rows, weights.round_by_output(rows, alpha, correlation) * alpha[:, None], x)
    assert np.sum(ours / nearest) < 0.7 * len(rows)
    assert np.count_nonzero(ours <= nearest) >= len(rows) - 1  # greedy: no promise for every single channel


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", (0.0, 0.5))
def test_descent_lowers_the_error_and_ends_where_no_single_code_helps(seed, share):
    rows, x = correlated_data(seed)
    rows = weights.magnitude_prune(rows, share)
    correlation = correlation_of(x)
    alpha = weights.search_alpha(rows, np.diag(correlation))
    start = weights.round_by_output(rows, alpha, correlation)
    codes = weights.descend(rows, start, alpha, correlation)
    assert codes.dtype == np.int8 and not codes[rows == 0].any()
    # What is made least: the error of the outputs, and 1% of the mean power of an input for each weight's.
    damping = 0.01 * np.mean(x**2) * alpha**2

    def cost(some):
        off = rows / alpha[:, None] - some
        return output_error(rows, some * alpha[:, None], x) + damping * (off**2).sum(axis=1)

    least = cost(codes)
    assert np.all(least <= cost(start) * (1 + 1e-9)) and np.any(least < 0.95 * cost(start))
    values = np.unique(log2_codes(np.linspace(-64, 64, 1001)))
    for place in range(rows.shape[1]):
        for value in values:
            other = codes.copy()
            other[:, place] = np.where(rows[:, place] == 0, 0, value)
            assert np.all(cost(other) >= least * (1 - 1e-9))


def test_inputs_that_are_wrong_are_made_up_for():
    """Inputs that earlier layers have made half as large want codes for twice the weights."""
    rows, x = correlated_data(4)
    half = x / 2
    raw, wanted = half.T @ half / len(x), x.T @ half / len(x)
    best, correlation = weights.making_up(rows, raw[None], wanted[None]), correlation_of(half)
    np.testing.assert_allclose(weights.making_up(rows, raw[None], raw[None]), rows)
    alpha = weights.search_alpha(2 * rows, np.diag(correlation))
    start = weights.round_by_output(rows, alpha, correlation, best=best)
    codes = weights.descend(rows, start, alpha, correlation, best=best)
    error = ((x @ rows.T - half @ (codes * alpha[:, None]).T) ** 2).mean(axis=0)
    # Half the sums are a quarter of the power.
    assert np.all(error < 0.12 * ((x @ rows.T) ** 2).mean(axis=0))
    fitted = weights.fit_alpha(rows, codes, correlation, alpha)
    assert weights.fit_alpha(2 * rows, codes, correlation, alpha) == pytest.approx(2 * fitted)


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_of_inputs_that_frames_tell_are_made_up_for_and_others_are_not(seed):
    """Judged on other data: noise in the inputs that has nothing to do with them must not be fitted."""
    rows, x = correlated_data(seed)
    rng = np.random.default_rng(seed)
    mixed = x @ (np.eye(x.shape[1]) + 0.1 * rng.normal(size=(x.shape[1],) * 2))
    few, others = np.arange(200), np.arange(1000, len(x))

    def lost(wrong):
        """(with rows as they are, made up for), of the power of the errors of other sums."""
        some = wrong[few]
        best = weights.making_up(rows, (some.T @ some / len(few))[None], (x[few].T @ some / len(few))[None])
        return [((x[others] @ rows.T - wrong[others] @ these.T) ** 2).mean() for these in (rows, best)]

    plain, ours = lost(mixed)
    assert ours < 0.5 * plain
    plain, ours = lost(x + 0.05 * rng.normal(size=x.shape))
    assert ours < 1.05 * plain


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_are_rounded_as_if_they_were_alone(seed):
    data = [correlated_data(seed + 100 * group, inputs=9) for group in range(4)]
    rows = np.concatenate([its for its, _ in data])
    scale = [1 / np.sqrt(np.mean(x**2)) for _, x in data]  # of one power: the damping is of all groups
    correlation = weights.damped(np.stack([(its * x.T) @ x * its / len(x) for its, (_, x) in zip(scale, data)]), 3000)
    alpha = np.abs(rows).max(axis=1) / largest_code()
    codes = weights.descend(rows, weights.round_by_output(rows, alpha, correlation), alpha, correlation)
    for group in range(4):
        own = slice(8 * group, 8 * group + 8)
        alone = weights.round_by_output(rows[own], alpha[own], correlation[group])
        np.testing.assert_array_equal(codes[own], weights.descend(rows[own], alone, alpha[own], correlation[group]))


def test_few_windows_are_damped_more():
    _, x = correlated_data(0)
    raw = (x.T @ x / len(x))[None]
    added = [np.diag((weights.damped(raw, windows) - raw)[0]) / np.mean(x**2) for windows in (10**5, 36)]
    assert added[0] == pytest.approx(0.01) and added[1] == pytest.approx(0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_correlation_nearest_is_best(seed):
    rows, x = correlated_data(seed)
    alpha = weights.search_alpha(rows, np.ones(rows.shape[1]))
    codes = weights.round_by_output(rows, alpha, np.diag((x**2).mean(axis=0)))
    np.testing.assert_array_equal(codes, log2_codes(rows / alpha[:, None]))


def test_zeros_stay_zero():
    rows, x = correlated_data(1)
    rows = weights.magnitude_prune(rows, 0.6)
    correlation = x.T @ x / len(x)
    codes = weights.round_by_output(rows, weights.search_alpha(rows, np.diag(correlation)), correlation)
    assert codes.dtype == np.int8 and np.count_nonzero(codes) > 0
    assert not codes[rows == 0].any()


def test_inputs_that_are_always_zero():
    rows, x = correlated_data(2)
    x[:, ::3] = 0
    correlation = correlation_of(x)
    alpha = weights.search_alpha(rows, np.diag(correlation))
    codes = weights.round_by_output(rows, alpha, correlation)
    assert np.all(output_error(rows, codes * alpha[:, None], x) < 0.2 * ((x @ rows.T) ** 2).mean(axis=0))


def test_a_layer_of_zeros():
    rows = np.zeros((2, 5))
    alpha = weights.search_alpha(rows, np.ones(5))
    codes = weights.round_by_output(rows, alpha, np.eye(5))
    assert np.all(alpha > 0) and not codes.any()
    assert np.array_equal(weights.fit_alpha(rows, codes, np.eye(5), alpha), alpha)
    assert weights.nmse(rows, codes * alpha[:, None]) == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_prune_takes_the_smallest(share):
    weight = np.random.default_rng(3).normal(size=(5, 4, 3, 3))
    pruned = weights.magnitude_prune(weight, share)
    zero = pruned == 0
    assert np.count_nonzero(zero) == round(share * weight.size)
    np.testing.assert_array_equal(pruned[~zero], weight[~zero])
    if 0 < share < 1:
        assert np.abs(weight[zero]).max() <= np.abs(weight[~zero]).min()


def test_prune_counts_the_zeros_that_are_there():
    weight = np.array([0.0, 0.0, 0.0, 0.1, -0.2, 3.0, -4.0, 5.0])
    np.testing.assert_array_equal(weights.magnitude_prune(weight, 0.25), weight)
    assert weights.magnitude_prune(weight, 0.5).tolist() == [0, 0, 0, 0, -0.2, 3, -4, 5]


@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_against_a_fine_grid(seed):
    rng = np.random.default_rng(seed)
    rows, importance = rng.normal(size=(6, 40)) * 2.0 ** rng.uniform(-9, 9, (6, 1)), rng.uniform(0.1, 4, 40)
    found = weights.search_alpha(rows, importance)
    for row, alpha in zip(rows, found):
        grid = np.abs(row).max() / largest_code() * 2.0 ** np.linspace(-2, 1, 1500)
        errors = ((row - log2_codes(row / grid[:, None]) * grid[:, None]) ** 2) @ importance
        error = ((row - log2_codes(row / alpha) * alpha) ** 2) @ importance
        assert error <= 1.1 * errors.min()
        by_maximum = np.abs(row).max() / largest_code()
        assert error <= ((row - log2_codes(row / by_maximum) * by_maximum) ** 2) @ importance


@pytest.mark.parametrize("seed", SEEDS)
def test_fitted_alpha_is_least_squares(seed):
    rows, x = correlated_data(seed)
    correlation = x.T @ x / len(x)
    alpha = weights.search_alpha(rows, np.diag(correlation))
    codes = weights.round_by_output(rows, alpha, correlation)
    fitted = weights.fit_alpha(rows, codes, correlation, alpha)
    for row, code, value in zip(rows, codes, fitted):
        (expected,), *_ = np.linalg.lstsq((x @ code)[:, None], x @ row, rcond=None)
        assert value == pytest.approx(expected)


def test_nmse_by_hand():
    assert weights.nmse(np.array([[3.0, 4.0]]), np.array([[3.0, 3.0]])) == pytest.approx(1 / 25)
