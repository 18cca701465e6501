"""Random weights and activations, and what they are on a lane's ports.

Weights are Gaussian, full scale at FULL_SCALE_SIGMAS standard deviations and rounded to the nearest code; activations
are what ReLU leaves of Gaussian numbers, so that half of them are 0.
"""

from __future__ import annotations

import numpy as np

from lognet_fpga.cost.circuits.shape import ACT_BITS, LOG_ACT_BITS, PORT_BITS, LaneShape

FULL_SCALE_SIGMAS = 2.5
ACT_SIGMA = 64  # of the 8-bit activations: 255 is 4 sigma


def gaussian_weights(shape: LaneShape, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Codes, int64."""
    x = rng.standard_normal(size) / FULL_SCALE_SIGMAS
    if shape.kind == "binary":
        return (x < 0).astype(np.int64)
    top = 1 << (shape.bits - 1)
    if shape.kind == "linear":
        return np.clip(np.rint(x * (top - 1)), 1 - top, top - 1).astype(np.int64) % (2 * top)
    return log2_fields(np.abs(x), shape.max_shift) + np.where(x < 0, top, 0)


def uniform_weights(shape: LaneShape, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Codes, int64, each as likely as any other."""
    return rng.integers(0, 2**shape.bits, size)


def activations(shape: LaneShape, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Linear activations, or the fields of logarithmic ones, int64."""
    x = np.maximum(rng.standard_normal(size), 0)
    if shape.kind == "log-domain":
        return log2_fields(x / FULL_SCALE_SIGMAS, 2**LOG_ACT_BITS - 2)
    return np.minimum(np.rint(x * ACT_SIGMA), 2**ACT_BITS - 1).astype(np.int64)


def log2_fields(magnitude: np.ndarray, max_shift: int) -> np.ndarray:
    """Fields of the nearest powers of two 2^0..2^max_shift, the largest standing for a magnitude of 1; 0 for what is
    smaller than half of the smallest.  As `numerics.log2.log2_codes` rounds, for exponents that an integer cannot
    hold."""
    with np.errstate(divide="ignore"):
        octave = np.log2(magnitude) + max_shift
        nearest = np.floor(octave + np.log2(4 / 3))
    return np.where(octave < -1, 0, np.clip(nearest, 0, max_shift) + 1).astype(np.int64)


def port_values(shape: LaneShape, codes: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """A product on the ports of a lane's array (`cost.circuits.lane.array`), until its sums stand still.

    codes: (trials, pes, n); x: (trials, n).  Values as bits, (cycles, trials, width), lowest first.
    """
    trials, n = x.shape
    cycles = n + shape.stages + 1

    def on_port(values: np.ndarray, first: int, width: int) -> np.ndarray:
        """values: (trials, n), on the port from cycle `first` on."""
        port = np.zeros((cycles, trials), np.int64)
        port[first : first + values.shape[1]] = values.T
        return (port[..., None] >> np.arange(width) & 1).astype(np.uint8)

    words = np.stack([shape.words(trial) for trial in codes])
    return {
        "clear": on_port(np.ones((trials, 1), np.int64), 1, 1),
        "take": on_port(np.ones((trials, n), np.int64), 1, 1),
        "x": on_port(x, 1, shape.act_bits),
        "word": on_port(words, 2, PORT_BITS),
    }
