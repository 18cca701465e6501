"""A set of numbers, sorted once, so that the error of any scalar quantizer on them takes no time."""

from __future__ import annotations

from typing import Protocol

import numpy as np

_LLOYD_ROUNDS = 500
_LLOYD_GAIN = 1e-7  # relative decrease of the error below which the iteration ends


class Levels(Protocol):
    """What `Samples.nmse` asks of a quantizer; see `quantizers.Quantizer`."""

    @property
    def levels(self) -> np.ndarray: ...

    @property
    def boundaries(self) -> np.ndarray: ...


class Samples:
    """x: any shape, finite.  Values on a boundary count for the level above it, which no error depends on that lies
    midway."""

    def __init__(self, x: np.ndarray) -> None:
        self._sorted = np.sort(np.asarray(x, np.float64), axis=None)
        self._sums = np.append(0.0, np.cumsum(self._sorted))
        self.power = float(np.sum(self._sorted**2))
        self.greatest = float(np.abs(self._sorted[[0, -1]]).max()) if len(self._sorted) else 0.0

    def __len__(self) -> int:
        return len(self._sorted)

    def nmse(self, quantizer: Levels) -> float:
        """Mean square error relative to the mean square; 0 for samples that are all 0.  An exact 0 is left as it is
        where the quantizer keeps zeros, and then costs nothing."""
        if not self.power:
            return 0.0
        edges = self._edges(quantizer.boundaries)
        counts, sums = np.diff(edges).astype(np.float64), np.diff(self._sums[edges])
        if getattr(quantizer, "keep_zero", False):
            zeros = np.searchsorted(self._sorted, [0.0, 0.0], side="left")
            zeros[1] = np.searchsorted(self._sorted, 0.0, side="right")
            counts -= np.diff(np.clip(edges, *zeros))
        error = self.power - 2 * (quantizer.levels @ sums) + (quantizer.levels**2) @ counts
        return max(0.0, float(error)) / self.power

    def zeros(self, quantizer: Levels) -> float:
        """Share of the samples that become 0."""
        edges = self._edges(quantizer.boundaries)
        return float(np.diff(edges)[quantizer.levels == 0].sum()) / max(1, len(self))

    def lloyd(self, levels: np.ndarray) -> np.ndarray:
        """Levels, as many and ascending, each the mean of the samples nearest to it."""
        before = np.inf
        for _ in range(_LLOYD_ROUNDS):
            edges = self._edges((levels[:-1] + levels[1:]) / 2)
            counts, sums = np.diff(edges), np.diff(self._sums[edges])
            levels = np.where(counts > 0, sums / np.maximum(counts, 1), levels)
            error = self.power - float((sums**2 / np.maximum(counts, 1)).sum())
            if before - error <= _LLOYD_GAIN * abs(error):
                break
            before = error
        return levels

    def _edges(self, boundaries: np.ndarray) -> np.ndarray:
        """(levels + 1,) where the samples of each level begin and end."""
        inner = np.searchsorted(self._sorted, boundaries, side="left")
        return np.concatenate([[0], inner, [len(self._sorted)]])
