"""A routed design's FASM read: the places of a chip's LUTs that it takes, which no count of its cells tells.

Names as Project X-Ray's database has them: TILE.SLICE.xLUT.FEATURE, x of A to D.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LUT = re.compile(r"(CLBL[LM]_[LR]_X\d+Y\d+\.SLICE[LM]_X[01]\.[ABCD]LUT)\.(\w+)")


@dataclass(frozen=True)
class LutSites:
    """used: LUT6 sites with one function, two, a memory, or a wire through them.  memories: those of them that are
    shift registers or LUT memory."""

    used: int
    memories: int


def lut_sites(lines: Iterable[str]) -> LutSites:
    used, memories = set(), set()
    for line in lines:
        if found := _LUT.match(line):
            used.add(found[1])
            if found[2] in ("SRL", "RAM"):
                memories.add(found[1])
    return LutSites(len(used), len(memories))
