"""LUT6 sites: what a placed design fills of a board's LUTs.

A site holds one function of six inputs, or two of five together that share one: a serial adder's sum and carry are
one site, where Yosys counts two LUTs.  Each bit of a carry chain takes a site, also one whose LUT Yosys leaves out.
"""

from __future__ import annotations

import math

# Placed and routed carry-chain designs took about 15% more sites than their chains' bits: a chain starts in a new
# slice and its last slice is part empty.  Measured with nextpnr on two shift-and-add trees.
CARRY_OVERHEAD = 1.15
CARRY4_SITES = 4 * CARRY_OVERHEAD


def carry_sites(bits: float) -> float:
    """Of an adder, a counter or a comparison of that many bits as a carry chain."""
    return CARRY4_SITES * math.ceil(bits / 4)
