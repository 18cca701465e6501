"""How far sums in the log domain are from the exact ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from lognet_fpga.cost.circuits.shape import LaneShape
from lognet_fpga.cost.stimulus import activations, gaussian_weights, uniform_weights
from lognet_fpga.numerics.log_add import log_sum, log_value

_ROWS, _SEED = 64, 1
_WEIGHTS = {"uniform codes": uniform_weights, "Gaussian": gaussian_weights}


@dataclass(frozen=True)
class LogError:
    """Of random rows of `cols` terms.

    one_sided: mean of (approximate - exact) / exact over the sums of the positive and of the negative terms.
    difference: root mean square of the error of their difference, over that of the exact difference.
    """

    bits: int
    weights: str
    one_sided: float
    difference: float

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def log_errors(shape: LaneShape) -> tuple[LogError, ...]:
    """One for each way to draw the weights; shape: of kind log-domain."""
    found = []
    for name, draw in _WEIGHTS.items():
        rng = np.random.default_rng(_SEED)
        codes = draw(shape, rng, (_ROWS, shape.cols))
        terms = shape.log_terms(codes, activations(shape, rng, (_ROWS, shape.cols)))
        approximate = np.array([log_value(log_sum(part, shape.fraction_bits), shape.fraction_bits) for part in terms])
        exact = np.array([log_value(part, 0).sum(axis=1) for part in terms])
        difference, wanted = approximate[0] - approximate[1], exact[0] - exact[1]
        found.append(
            LogError(
                shape.bits,
                name,
                float(np.mean((approximate - exact) / exact)),
                float(np.sqrt(np.mean((difference - wanted) ** 2) / np.mean(wanted**2))),
            )
        )
    return tuple(found)
