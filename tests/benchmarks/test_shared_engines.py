"""The bound on what shared engines save, by hand."""

from __future__ import annotations

import pytest

from benchmarks.shared_engines import saved


@pytest.mark.parametrize(
    "layers,luts",
    [
        ([], 0),
        ([(0.4, 500.0)], 0),
        ([(0.5, 100.0), (0.5, 80.0), (0.3, 50.0)], 80),
        ([(0.5, 80.0), (0.5, 100.0), (0.3, 50.0), (0.1, 70.0)], 80 + 50),
        ([(0.4, 10.0), (0.35, 20.0), (0.25, 30.0)], 10 + 20),
    ],
)
def test_what_takes_turns_costs_as_much_as_the_largest(layers, luts):
    assert saved(layers) == luts
