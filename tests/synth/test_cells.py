"""Counts of netlists made by hand."""

from __future__ import annotations

import pytest

from lognet_fpga.synth.cells import count_netlist


def luts(*inputs: tuple[int, ...]) -> dict:
    """A module of LUTs that read these nets."""
    cells = {}
    for number, nets in enumerate(inputs):
        ports = {f"I{pin}": [net] for pin, net in enumerate(nets)}
        cells[f"lut{number}"] = {"type": f"LUT{len(nets)}", "connections": {**ports, "O": [1000 + number]}}
    return {"top": {"cells": cells}}


@pytest.mark.parametrize(
    "inputs, pairs",
    [
        ([(1, 2, 3), (1, 2, 3)], 1),
        ([(1, 2, 3, 4, 5), (2, 4)], 1),
        ([(1, 2, 3), (3, 4, 5)], 1),  # together five, one in common
        ([(1, 2, 3), (4, 5)], 0),  # nothing in common
        ([(1, 2, 3, 4), (4, 5, 6)], 0),  # together six
        ([(1, 2, 3, 4, 5, 6), (1, 2)], 0),  # a function of six inputs has its site for itself
        ([(1, 2, 3), (3, 4, 5), (5, 6, 7), (7, 8, 9)], 2),
        ([(1, 2, 3), (3, 4, 5), (5, 6, 7)], 1),
        ([(1, 2, 3)] * 3 + [(3, 4, 5)], 2),
    ],
)
def test_pairs_that_share_a_site(inputs, pairs):
    counts = count_netlist(luts(*inputs), "top")
    assert (counts.lut, counts.lut_pairs) == (len(inputs), pairs)
    assert counts.lut_sites == len(inputs) - pairs
