"""Weights in the fabric itself: adders, wired as the weights say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lognet_fpga.engines.clb.adder_graph import AdderGraph, solve_all
from lognet_fpga.engines.clb.arithmetic import Arithmetic, SolvedAdders
from lognet_fpga.engines.clb.foldings import CLB, ClbFoldings, clb_foldings
from lognet_fpga.engines.clb.sketch import SketchedAdders
from lognet_fpga.fabric.target import Target
from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.progress import Progress


@dataclass(frozen=True, eq=False)
class ClbEngine:
    layer: QuantLayer
    arithmetic: Arithmetic
    store: str = CLB

    @classmethod
    def solved(cls, layer: QuantLayer, graph: AdderGraph) -> ClbEngine:
        return cls(layer, SolvedAdders(graph, layer.in_bits))

    @classmethod
    def sketched(cls, layer: QuantLayer) -> ClbEngine:
        return cls(layer, SketchedAdders.of(layer))

    def foldings(self, target: Target) -> ClbFoldings:
        return clb_foldings(self.layer, self.arithmetic, target.clk_mhz)

    def pruned(self, share: float) -> ClbEngine:
        return replace(self, arithmetic=SketchedAdders.of(self.layer).pruned(share))


@dataclass(frozen=True)
class ClbStore:
    name: str = CLB
    title: str = "in the fabric itself, as adders"
    searches: bool = True

    def sketch(self, layer: QuantLayer) -> ClbEngine:
        return ClbEngine.sketched(layer)

    def solve(self, layers: Sequence[QuantLayer], progress: Progress) -> tuple[ClbEngine, ...]:
        return tuple(map(ClbEngine.solved, layers, solve_all(layers, progress)))
