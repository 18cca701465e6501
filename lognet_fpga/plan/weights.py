"""Where each layer's weights go, settled by sketches before any adder graph is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.bram_layer import BramLayer, bram_layer
from lognet_fpga.plan.clb_layer import ClbLayer
from lognet_fpga.plan.engine import Engine
from lognet_fpga.plan.folding import Folding, LayerFoldings, Sends, price
from lognet_fpga.plan.model import BRAM, CLB

AUTO = "auto"
WEIGHTS = (AUTO, CLB, BRAM)
Weights = Literal["auto", "clb", "bram"]  # AUTO: for each layer what is cheaper


@dataclass(frozen=True, eq=False)
class EitherLayer:
    """Foldings of a layer that may have its weights in either place."""

    clb: ClbLayer
    bram: BramLayer

    def paces(self) -> set[int]:
        return self.clb.paces() | self.bram.paces()

    def fold(self, budget: float, before: Sends, bram_price: float) -> Folding | None:
        both = [some.fold(budget, before, bram_price) for some in (self.clb, self.bram)]
        return min(
            (folding for folding in both if folding is not None),
            key=lambda folding: price(folding, bram_price),
            default=None,
        )


def layer_foldings(
    quant: QuantGraph, engines: Sequence[Engine | None], clk_mhz: float, weights: Weights = CLB
) -> list[LayerFoldings]:
    """engines: of each layer if its weights are in the fabric; None for a layer with its weights in memories."""

    def foldings(layer, engine) -> LayerFoldings:
        if engine is None or weights == BRAM:
            return bram_layer(layer)
        in_fabric = ClbLayer(layer, engine, clk_mhz)
        return EitherLayer(in_fabric, bram_layer(layer)) if weights == AUTO else in_fabric

    return [foldings(layer, engine) for layer, engine in zip(quant.layers, engines)]
