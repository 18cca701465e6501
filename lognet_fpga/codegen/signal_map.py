"""map.json: what is on which bit of the Verilog's vectors, in terms of the model; `lognet-explain` reads it.

layers     {module instance: {layer, kernel, in_channels, out_channels, nets, adders}} with
  nets     {net: [[lowest bit, width, what it is], ...]}: ports and nets of the layer's module
  adders   what the adder engine of a layer says of its nets (`adder_map`), null for a layer without one
"""

from __future__ import annotations

import json

from lognet_fpga.engines.folding import channels_in_turn
from lognet_fpga.hw.structure import Composite
from lognet_fpga.plan.hardware_plan import HardwarePlan, PlannedLayer


def signal_map(top: Composite, plan: HardwarePlan) -> str:
    """The text of map.json, the same for the same design."""
    layers = [(instance.name, instance.module) for instance in top.instances if isinstance(instance.module, Composite)]
    found = {
        name: {
            "layer": planned.name,
            "kernel": list(planned.layer.kernel),
            "in_channels": planned.layer.codes.shape[1],
            "out_channels": planned.layer.codes.shape[0],
            "nets": _nets(planned) | planned.folding.nets(),
            "adders": _adders(module),
        }
        for (name, module), planned in zip(layers, plan.layers, strict=True)
    }
    return json.dumps({"top": top.name, "layers": found}, separators=(",", ":")) + "\n"


def _adders(layer: Composite) -> dict[str, object] | None:
    """What the adder engine of a layer shows, if there is one."""
    engines = (each.module for each in layer.instances if each.name == "adders")
    return next((dict(engine.shows) for engine in engines if isinstance(engine, Composite)), None)


def _nets(planned: PlannedLayer) -> dict[str, list[list]]:
    layer, streams = planned.layer, planned.streams
    in_channels, out_channels = layer.in_shape[0], layer.codes.shape[0]
    results = _beat(streams.channels_per_beat, out_channels, layer.out_bits, "output")
    nets = {
        "in_data": _beat(streams.in_channels_per_beat, in_channels, layer.in_bits, "input"),
        "mon_data": results,
        "out_data": results,
    }
    if layer.pool is not None:
        nets["conv_data"] = _beat(streams.channels_per_beat, out_channels, layer.act_bits, "output, before the pool,")
    return nets


def _beat(lanes: int, channels: int, bits: int, side: str) -> list[list]:
    return [
        [lane * bits, bits, f"activation of {side} {channels_in_turn(lane, lanes, channels)}"] for lane in range(lanes)
    ]
