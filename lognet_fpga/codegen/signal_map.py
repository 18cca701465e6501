"""map.json: what is on which bit of the Verilog's vectors, in terms of the model; `lognet-explain` reads it.

layers     {module instance: {layer, kernel, in_channels, out_channels, nets, adders}} with
  nets     {net: [[lowest bit, width, what it is], ...]}: ports and nets of the layer's module
  adders   of a layer with its weights in the fabric what `hw.adder_map` says of the nets of its engine, else null
"""

from __future__ import annotations

import json

from lognet_fpga.hw.structure import Composite
from lognet_fpga.ir.quant import QuantGraph, QuantLayer
from lognet_fpga.numerics.log2 import WEIGHT_BITS
from lognet_fpga.plan.model import BramPlan, ClbPlan, HardwarePlan


def signal_map(top: Composite, quant: QuantGraph, plan: HardwarePlan) -> str:
    """The text of map.json, the same for the same design."""
    layers = [instance for instance in top.instances if isinstance(instance.module, Composite)]
    found = {
        instance.name: {
            "layer": layer.name,
            "kernel": list(layer.kernel),
            "in_channels": layer.codes.shape[1],
            "out_channels": layer.codes.shape[0],
            "nets": _nets(layer, layer_plan),
            "adders": next((dict(i.module.shows) for i in instance.module.instances if i.name == "adders"), None),
        }
        for instance, layer, layer_plan in zip(layers, quant.layers, plan.layers, strict=True)
    }
    return json.dumps({"top": top.name, "layers": found}, separators=(",", ":")) + "\n"


def _nets(layer: QuantLayer, plan: ClbPlan | BramPlan) -> dict[str, list[list]]:
    in_channels, out_channels = layer.in_shape[0], layer.codes.shape[0]
    results = _beat(plan.channels_per_beat, out_channels, layer.out_bits, "output")
    nets = {
        "in_data": _beat(plan.in_channels_per_beat, in_channels, layer.in_bits, "input"),
        "mon_data": results,
        "out_data": results,
    }
    if layer.pool is not None:
        nets["conv_data"] = _beat(plan.channels_per_beat, out_channels, layer.out_bits, "output, before the pool,")
    if isinstance(plan, BramPlan):
        lanes = [f"input {_every(lane, plan.simd, in_channels)}" for lane in range(plan.simd)]
        nets["x"] = [[lane * layer.in_bits, layer.in_bits, text] for lane, text in enumerate(lanes)]
        nets["codes"] = [
            [
                (element * plan.simd + lane) * WEIGHT_BITS,
                WEIGHT_BITS,
                f"weight code, sign above the field, of output {_every(element, plan.pe, out_channels)} and {text}",
            ]
            for element in range(plan.pe)
            for lane, text in enumerate(lanes)
        ]
        for element in range(plan.pe):
            text = f"sum, two's complement, of output {_every(element, plan.pe, out_channels)}, then of those behind it"
            nets[f"sum{element}"] = [[0, 0, text]]
    return nets


def _beat(lanes: int, channels: int, bits: int, side: str) -> list[list]:
    return [[lane * bits, bits, f"activation of {side} {_every(lane, lanes, channels)}"] for lane in range(lanes)]


def _every(first: int, step: int, count: int) -> str:
    """The channels first, first + step, ... below count, which come one after the other."""
    if first >= count:
        return "no channel"
    if first + step >= count:
        return f"channel {first}"
    return f"channels {first}, {first + step}, ..., {first + (count - 1 - first) // step * step} in turn"
