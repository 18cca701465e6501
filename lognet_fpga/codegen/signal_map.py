"""map.json: what is on which bit of the Verilog's vectors, in terms of the model; `lognet-explain` reads it.

layers     {module instance: {layer, kernel, in_channels, out_channels, nets, adders}} with
  nets     {net: [[lowest bit, width, what it is], ...]}: ports and nets of the layer's module
  adders   what the adder engine of a layer says of its nets (`adder_map`), null for a layer without one
"""

from __future__ import annotations

import json

from lognet_fpga.engines.folding import channels_in_turn
from lognet_fpga.hw.structure import Composite
from lognet_fpga.overlay.fork import stream_names
from lognet_fpga.overlay.overlay import layer_modules
from lognet_fpga.plan.hardware_plan import HardwarePlan, Part, PlannedLayer


def signal_map(top: Composite, plan: HardwarePlan) -> str:
    """The text of map.json, the same for the same design."""
    found = {
        name: {
            "layer": planned.name,
            "kernel": list(planned.layer.kernel),
            "in_channels": planned.layer.codes.shape[1],
            "out_channels": planned.layer.codes.shape[0],
            "nets": _nets(planned) | planned.folding.nets(),
            "adders": _adders(module),
        }
        for (name, module), planned in zip(layer_modules(top).items(), plan.layers, strict=True)
    }
    return json.dumps({"top": top.name, "layers": found}, separators=(",", ":")) + "\n"


def _adders(layer: Composite) -> dict[str, object] | None:
    """What the adder engine of a layer shows, if there is one."""
    engines = (each.module for each in layer.instances if each.name == "adders")
    return next((dict(engine.shows) for engine in engines if isinstance(engine, Composite)), None)


def _nets(planned: PlannedLayer) -> dict[str, list[list]]:
    layer, streams = planned.layer, planned.streams
    in_lanes, out_channels = streams.in_channels_per_beat, layer.codes.shape[0]
    results = _beat(streams.channels_per_beat, out_channels, layer.out_bits, "output")
    if layer.ranking is not None:
        results = [[0, layer.out_bits, "number of the channel with the largest sum"]]
    nets, first = {}, 0
    parts = planned.parts or (Part(streams.in_beats, layer.in_bits),)
    for side, part in zip(stream_names("in", len(parts)), parts):
        behind = min(first + part.beats * in_lanes, layer.in_shape[0])
        nets[f"{side}_data"] = _beat(in_lanes, behind, part.bits, "input", first)
        first = behind
    nets |= {f"{side}_data": results for side in ("mon", *stream_names("out", len(planned.fifos)))}
    if layer.table is not None:
        nets["code_data"] = _beat(
            streams.channels_per_beat, out_channels, layer.code_bits, "output, before its function,"
        )
    if layer.ranking is not None:
        nets["conv_data"] = _beat(streams.channels_per_beat, out_channels, layer.code_bits, "output, whole,")
    if layer.pool is not None:
        nets["conv_data"] = _beat(streams.channels_per_beat, out_channels, layer.act_bits, "output, before the pool,")
    return nets


def _beat(lanes: int, channels: int, bits: int, side: str, first: int = 0) -> list[list]:
    """Beats of the channels from first up to those."""
    return [
        [lane * bits, bits, f"activation of {side} {channels_in_turn(first + lane, lanes, channels)}"]
        for lane in range(lanes)
    ]
