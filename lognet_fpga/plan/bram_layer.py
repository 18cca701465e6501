"""The foldings of a `bram` layer: how many output (pe) and input channels (simd) are worked on side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from lognet_fpga.ir.quant import QuantLayer
from lognet_fpga.plan.bram import BramShape, OutputConstants, bram_shape, output_constants
from lognet_fpga.plan.bram_resources import bram_blocks
from lognet_fpga.plan.folding import BRAM_PRICES, Sends, Streams, price
from lognet_fpga.plan.model import BRAM, BramPlan, Resources
from lognet_fpga.plan.slots import SlotRaster, slot_raster
from lognet_fpga.plan.timing import OUTPUT_LATENCY, capture_latency

WASTE = 0.1  # share of idle lanes that a folding may have
MOST_LANES = 64  # input channels side by side: wider words only deepen the tree


@dataclass(frozen=True, eq=False)
class BramFolding:
    layer: QuantLayer
    shape: BramShape
    constants: OutputConstants
    raster: SlotRaster
    nonzero_weights: int

    @property
    def ii_cycles(self) -> int:
        return self.shape.ii_cycles

    @property
    def in_channels(self) -> int:
        return self.shape.in_channels

    @cached_property
    def frame_cycles(self) -> int:
        return self.raster.cycles(self.ii_cycles, self.shape.words)

    def takes(self, channels_per_beat: int) -> bool:
        simd = self.shape.simd
        return simd % channels_per_beat == 0 or channels_per_beat % simd == 0

    def sends(self, channels_per_beat: int) -> bool:
        """Beats of a group leave while the next group is summed."""
        pe = self.shape.pe
        return pe % channels_per_beat == 0 and pe // channels_per_beat <= self.shape.group_cycles

    def plan(self, streams: Streams) -> BramPlan:
        return BramPlan(
            name=self.layer.name,
            weights=BRAM,
            ii_cycles=self.ii_cycles,
            acc_bits=self.constants.sum_bits,
            nonzero_weights=self.nonzero_weights,
            slots_per_frame=self.raster.slots,
            cycles_per_frame=self.frame_cycles,
            in_channels_per_beat=streams.in_channels_per_beat,
            in_beats=streams.in_beats,
            channels_per_beat=streams.channels_per_beat,
            pe=self.shape.pe,
            simd=self.shape.simd,
            in_words=self.shape.words,
            weight_words=self.shape.ii_cycles,
        )

    def beat_cycles(self, channels_per_beat: int) -> tuple[int, ...]:
        shape = self.shape
        first = capture_latency(shape.tree_levels) + OUTPUT_LATENCY
        every = (
            first + (group + 1) * shape.group_cycles + beat
            for group in range(shape.groups)
            for beat in range(shape.pe // channels_per_beat)
        )
        return tuple(every)[: -(-shape.out_channels // channels_per_beat)]

    def blocks(self, plan: BramPlan) -> dict[str, Resources]:
        return bram_blocks(self.layer, plan, self.shape, self.constants)


def bram_folding(layer: QuantLayer, pe: int, simd: int) -> BramFolding:
    nonzero = int(np.count_nonzero(layer.codes))
    return BramFolding(layer, bram_shape(layer, pe, simd), output_constants(layer), slot_raster(layer), nonzero)


class BramLayer:
    """Foldings of a layer with its weights in memories."""

    def __init__(self, layer: QuantLayer) -> None:
        out_channels, in_channels = layer.codes.shape[:2]
        any_folding = bram_folding(layer, 1, 1)
        every = [
            replace(any_folding, shape=replace(any_folding.shape, pe=pe, simd=simd))
            for pe in lanes_for(out_channels, out_channels)
            for simd in lanes_for(in_channels, MOST_LANES)
        ]
        self._cheapest_first = {
            bram_price: sorted(every, key=lambda folding: (price(folding, bram_price), folding.frame_cycles))
            for bram_price in BRAM_PRICES
        }

    def paces(self) -> set[int]:
        paces = set()
        for foldings in self._cheapest_first.values():
            fastest = math.inf
            for folding in foldings:
                if folding.frame_cycles < fastest:  # dearer ones are worth it only where they are faster
                    fastest = folding.frame_cycles
                    paces.add(fastest)
        return paces

    def fold(self, budget: float, before: Sends, bram_price: float) -> BramFolding | None:
        for folding in self._cheapest_first[bram_price]:
            if folding.frame_cycles <= budget and any(
                before.sends(lanes) and folding.takes(lanes) for lanes in range(1, folding.in_channels + 1)
            ):
                return folding
        return None


@lru_cache(maxsize=64)
def bram_layer(layer: QuantLayer) -> BramLayer:
    """Its foldings, the same object for the same layer: pricing them takes a while."""
    return BramLayer(layer)


def lanes_for(channels: int, most: int) -> list[int]:
    """Numbers of lanes up to `most` that divide the channels, or are a multiple of four and leave few of them idle."""
    return [
        lanes
        for lanes in range(1, min(channels, most) + 1)
        if channels % lanes == 0 or (lanes % 4 == 0 and -(-channels // lanes) * lanes <= (1 + WASTE) * channels)
    ]
