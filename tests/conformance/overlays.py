"""Small whole overlays of every kind of layer, generated as lognet-deploy does."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from lognet_fpga.codegen import generate
from lognet_fpga.ir.design import VerilogDesign
from lognet_fpga.ir.graph import MaxPool
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.hardware_plan import HardwarePlan
from tests.conformance.case import MODEL_SHA256, Case
from tests.quant_models import POOL_3X3, Spec, folded_plan, random_graph, solved

# Name: shape of a frame, layers, and their foldings: digit bits, or (pe, simd) for weights in memories.
NETS = {
    "serial": ((2, 5, 6), [Spec(3), Spec(5, (1, 1), pads=(0, 0, 0, 0), pool=None, out_bits=4)], [1, 1]),
    "wide": (
        (3, 12, 11),
        [Spec(4, stride=(2, 2), pads=(0, 1, 1, 0), pool=None, odd_pad=True), Spec(3, pads=(1, 1, 1, 1), pool=POOL_3X3)],
        [7, 4],
    ),
    "memories": ((4, 6, 5), [Spec(6, odd_pad=True), Spec(3, (2, 2), pads=(0, 1, 1, 0), pool=None)], [(4, 4), (3, 6)]),
    "mixed": (
        (3, 8, 8),
        [Spec(4), Spec(4, pool=MaxPool((2, 2), (1, 1))), Spec(2, (2, 2), pads=(0, 0, 0, 0), pool=None)],
        [3, (2, 2), 1],
    ),
}


@dataclass(frozen=True)
class Overlay:
    quant: QuantGraph
    plan: HardwarePlan
    design: VerilogDesign

    def case(self, seed: int, soak_frames: int) -> Case:
        return Case(
            self.quant,
            self.design.source,
            self.design.sink,
            self.plan.cycles_per_frame,
            self.plan.latency_cycles,
            seed,
            soak_frames,
        )


@functools.cache
def overlay(name: str) -> Overlay:
    shape, specs, foldings = NETS[name]
    quant = random_graph(3, shape, *specs)
    engines = solved(quant, [isinstance(folding, tuple) for folding in foldings])
    plan = folded_plan(foldings, engines)
    return Overlay(quant, plan, generate(plan, MODEL_SHA256))
