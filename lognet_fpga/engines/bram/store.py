"""Weights in block memories, beside shift-and-accumulate elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lognet_fpga.engines.bram.foldings import BRAM, BramFoldings, bram_foldings
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.progress import Progress


@dataclass(frozen=True, eq=False)
class BramEngine:
    layer: QuantLayer
    store: str = BRAM

    def foldings(self, target: Target) -> BramFoldings:
        return bram_foldings(self.layer)

    def pruned(self, share: float) -> BramEngine:
        """A zero among other weights takes its place in a memory like these."""
        return self


@dataclass(frozen=True)
class BramStore:
    name: str = BRAM
    title: str = "in block memories beside shift-and-accumulate elements, for large layers"
    searches: bool = False

    def sketch(self, layer: QuantLayer) -> BramEngine:
        return BramEngine(layer)

    def solve(self, layers: Sequence[QuantLayer], progress: Progress) -> tuple[BramEngine, ...]:
        return tuple(map(BramEngine, layers))
