"""Sums of powers of two without leaving the log domain: the shift-based adder of Lee et al., ICASSP 2017, section 2.

A positive number is held as its logarithm s, a fixed-point number with `fraction_bits` bits behind the point.
log2(2^a + 2^b) = max(a, b) + log2(1 + 2^-|a-b|), and log2(1 + y) is close to y for 0 <= y <= 1, so that adding is

    s' = max(s, p) + 2^-|floor(s) - p|

a comparison, a shifted one and an addition.  p is a whole number: the logarithm of a product of two powers of two.  As
subtracting has no such form, positive and negative terms have a sum each.

Every logarithm is stored one too large, and 0 stands for the number 0 (as field 0 does in `numerics.log2`).
"""

from __future__ import annotations

import numpy as np


def log_sum(terms: np.ndarray, fraction_bits: int) -> np.ndarray:
    """The stored sum of stored logarithms `terms`, added one after the other along the last axis.

    terms: (..., n) whole numbers, logarithm + 1 of each term, 0 for a term of 0.  Result: (...) int64, in units of
    2**-fraction_bits.  A step below one unit is lost.
    """
    terms = np.asarray(terms, np.int64)
    total = np.zeros(terms.shape[:-1], np.int64)
    for place in range(terms.shape[-1]):
        total = log_add(total, terms[..., place], fraction_bits)
    return total


def log_add(total: np.ndarray, term: np.ndarray, fraction_bits: int) -> np.ndarray:
    """One step of log_sum: stored sum, stored term (a whole number) -> stored sum, of the same type of integers."""
    whole = total >> fraction_bits
    distance = np.minimum(np.abs(whole - term), fraction_bits + 1)
    base = np.where(term > whole, term << fraction_bits, total)
    step = np.where(total == 0, 0, total.dtype.type(1) << fraction_bits >> distance)
    return np.where(term == 0, total, base + step)


def log_value(stored: np.ndarray, fraction_bits: int) -> np.ndarray:
    """The number that a stored logarithm stands for, in float64."""
    stored = np.asarray(stored, np.float64)
    return np.where(stored == 0, 0.0, 2.0 ** (stored / 2.0**fraction_bits - 1))


def shifted_value(stored: np.ndarray, fraction_bits: int) -> np.ndarray:
    """log_value by a shifter, float64: 2^floor(s) * (1 + s - floor(s)), for 2^y is close to 1 + y as well."""
    stored = np.asarray(stored, np.int64)
    whole = stored >> fraction_bits
    return np.where(stored == 0, 0.0, 2.0 ** (whole - 1.0) * (1 + stored / 2.0**fraction_bits - whole))


def largest_log_sum(largest_term: int, n_terms: int) -> int:
    """A bound for floor(stored sum) over n_terms terms, each at most largest_term (stored).

    Read s as the number g = 2^floor(s) * (1 + s - floor(s)).  A step adds to g at most 2 * 2^p: 2^p inside an octave,
    less than twice that where it crosses into the next one, and no more than 2^p where p is the larger.  So g stays
    within 2 * n_terms * 2^largest_term.
    """
    return largest_term + 1 + (n_terms.bit_length() - 1)
