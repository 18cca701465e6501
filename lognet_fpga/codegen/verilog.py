"""All Verilog of an overlay: `generate`, and of any other hierarchy: `verilog_files`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from lognet_fpga.codegen.composite import composite_text
from lognet_fpga.codegen.header import origin_of, with_header
from lognet_fpga.codegen.leaf import description, leaf_text
from lognet_fpga.codegen.rom import rom_files
from lognet_fpga.codegen.signal_map import signal_map
from lognet_fpga.hw.control import CONTROL_MODULES
from lognet_fpga.hw.structure import Composite, Leaf, Module, Rom, modules
from lognet_fpga.ir.design import Monitor, VerilogDesign, is_verilog
from lognet_fpga.machine.cache import cached, digest
from lognet_fpga.machine.provenance import made_by
from lognet_fpga.overlay.formats import layer_format, sink_format, source_format
from lognet_fpga.overlay.overlay import layer_modules, overlay
from lognet_fpga.plan.hardware_plan import HardwarePlan

_PARTS, _SIGNALS = "parts.json", "map.json"  # beside the files in an entry of the cache


def generate(plan: HardwarePlan, model_sha256: str, model: str = "") -> VerilogDesign:
    """All Verilog of an overlay, byte for byte the same for the same arguments; cached by content, as a whole and
    module by module, so that a change of one layer costs one layer.

    model: its name, for the head of every file.
    """

    def make(folder: Path) -> None:
        top = overlay(plan, model_sha256)
        for name, text in verilog_files(top, origin_of(model, plan, model_sha256)):
            (folder / name).write_text(text, encoding="utf-8")
        (folder / _SIGNALS).write_text(signal_map(top, plan), encoding="utf-8")
        layers = layer_modules(top)
        parts = [(planned.name, module.name) for planned, module in zip(plan.layers, layers.values(), strict=True)]
        parts += [("shell", instance.module.name) for instance in top.instances if instance.name not in layers]
        found = {"top": top.name, "monitors": [f"mon_{name}" for name in layers], "parts": parts}
        (folder / _PARTS).write_text(json.dumps(found), encoding="utf-8")

    kept = dict(cached("verilog", _key(plan, model_sha256, model), make))
    found, signals = json.loads(kept.pop(_PARTS)), kept.pop(_SIGNALS).decode()
    files = tuple((name, data.decode()) for name, data in sorted(kept.items()))
    monitors = tuple(
        Monitor(planned.name, port, layer_format(planned))
        for planned, port in zip(plan.layers, found["monitors"], strict=True)
    )
    parts = tuple((layer, module) for layer, module in found["parts"])
    return VerilogDesign(found["top"], files, source_format(plan), sink_format(plan), monitors, parts, signals)


def _key(plan: HardwarePlan, model_sha256: str, model: str) -> str:
    """Digest of all that the Verilog depends on, the generator's own source included."""
    layers: list[str | bytes] = []
    for layer in plan.quant_layers:
        values = {each.name: getattr(layer, each.name) for each in fields(layer)}
        layers.append(repr({name: value for name, value in values.items() if not isinstance(value, np.ndarray)}))
        arrays = (layer.codes, layer.channel_shift, layer.bias, layer.pad_value)
        layers += [array.astype(np.int64).tobytes() for array in arrays]
    return digest(
        made_by(__name__, "myhdl"),
        *origin_of(model, plan, model_sha256),
        *layers,
        json.dumps(plan.to_json()),
        *(planned.folding.content() for planned in plan.layers),
        model_sha256,
    )


def verilog_files(top: Module, origin: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """(file name, text) of every module below and including top, one file each, and of the contents of memories;
    sorted by name.

    origin: lines about the whole design, for the head of every file.
    """
    files: dict[str, str] = {}
    for module in modules(top):
        if isinstance(module, Rom):
            files |= rom_files(module)
        elif module.name not in CONTROL_MODULES:
            files[f"{module.name}.v"] = _about(module) + (
                leaf_text(module) if isinstance(module, Leaf) else composite_text(module)
            )
    written = tuple(files.values())
    for name, text in CONTROL_MODULES.items():
        if any(f"{name} " in other for other in written):
            files[f"{name}.v"] = text
    return tuple(
        (name, with_header(name, text, origin) if is_verilog(name) else text) for name, text in sorted(files.items())
    )


def _about(module: Leaf | Composite) -> str:
    text = description(module.build) if isinstance(module, Leaf) else module.text
    return "".join(f"// {line}".rstrip() + "\n" for line in text.splitlines())
