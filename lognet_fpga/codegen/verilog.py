"""The only place that converts: MyHDL blocks one by one, and the hierarchy above them as plain instances.

MyHDL's output depends on hash order in sensitivity lists and carries a date; both are replaced, so that the same
design gives the same bytes.
"""

from __future__ import annotations

import re
import tempfile
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from lognet_fpga.cache import cached, digest
from lognet_fpga.codegen.rom import rom_files
from lognet_fpga.hw.control import CONTROL_MODULES
from lognet_fpga.hw.overlay import overlay
from lognet_fpga.hw.structure import Composite, Joined, Leaf, Module, Port, Rom, Slice, modules
from lognet_fpga.ir.design import Monitor, VerilogDesign
from lognet_fpga.ir.quant import QuantGraph
from lognet_fpga.plan.adder_graph import AdderGraph
from lognet_fpga.plan.memory import BLOCK_RAM_DEPTH
from lognet_fpga.plan.model import HardwarePlan
from lognet_fpga.plan.streams import layer_format, sink_format, source_format
from lognet_fpga.sources import made_by


def generate(
    quant: QuantGraph, plan: HardwarePlan, graphs: tuple[AdderGraph | None, ...], model_sha256: str
) -> VerilogDesign:
    """All Verilog of an overlay, byte for byte the same for the same arguments; cached by content.

    graphs: None for a layer with its weights in memories.
    """
    top = overlay(quant, plan, graphs, model_sha256)

    def make(folder: Path) -> None:
        for name, text in verilog_files(top):
            (folder / name).write_text(text, encoding="utf-8")

    found = cached("verilog", _key(quant, plan, graphs, model_sha256), make)
    files = tuple((name, data.decode()) for name, data in sorted(found.items()))
    layers = [instance for instance in top.instances if isinstance(instance.module, Composite)]
    monitors = tuple(
        Monitor(layer.name, f"mon_{instance.name}", layer_format(layer, layer_plan))
        for layer, layer_plan, instance in zip(quant.layers, plan.layers, layers)
    )
    shell = [("shell", instance.module.name) for instance in top.instances if isinstance(instance.module, Leaf)]
    parts = [(layer.name, instance.module.name) for layer, instance in zip(quant.layers, layers)] + shell
    return VerilogDesign(top.name, files, source_format(quant, plan), sink_format(quant, plan), monitors, tuple(parts))


def _key(quant: QuantGraph, plan: HardwarePlan, graphs: tuple[AdderGraph | None, ...], model_sha256: str) -> str:
    """Digest of all that the Verilog depends on, the generator's own source included."""
    layers = [
        part
        for layer in quant.layers
        for part in (
            repr(replace(layer, codes=None, channel_shift=None, bias=None, pad_value=None, alpha=None, out_scale=None)),
            *(
                array.astype(np.int64).tobytes()
                for array in (layer.codes, layer.channel_shift, layer.bias, layer.pad_value)
            ),
        )
    ]
    return digest(
        made_by(__name__, "myhdl"),
        *layers,
        repr(plan),
        *(graph.to_json() if graph else "" for graph in graphs),
        model_sha256,
    )


def verilog_files(top: Module) -> tuple[tuple[str, str], ...]:
    """(file name, text) of every module below and including top, one file each, and of the contents of memories;
    sorted by name."""
    files = {}
    for module in modules(top):
        if isinstance(module, Rom):
            files |= rom_files(module)
        elif module.name not in CONTROL_MODULES:
            files[f"{module.name}.v"] = _leaf(module) if isinstance(module, Leaf) else _composite(module)
    written = tuple(files.values())
    for name, text in CONTROL_MODULES.items():
        if any(f"{name} " in other for other in written):
            files[f"{name}.v"] = text
    return tuple(sorted(files.items()))


def _leaf(module: Leaf) -> str:
    from myhdl import ToVerilogWarning

    block = module.build(**{port.name: port.signal() for port in module.ports})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ToVerilogWarning)
        block.convert(
            hdl="Verilog",
            path=folder,
            name=module.name,
            initial_values=True,
            no_testbench=True,
            header="",
            no_myhdl_header=True,
            trace=False,
            timescale="1ns/1ps",
        )
        text = (Path(folder) / f"{module.name}.v").read_text(encoding="utf-8")
    return _canonical(module, text)


def _canonical(module: Leaf, text: str) -> str:
    def ordered(match: re.Match) -> str:
        names = sorted(name.strip() for name in match.group(1).split(","))
        return f"always @({', '.join(names)})"

    text = re.sub(r"always @\(((?!posedge)[^()]*)\)", ordered, text)
    text = re.sub(r"^(reg (?:\[\d+:0\] )?\w+ \[0:(\d+)-1\];)$", _memory_style, text, flags=re.MULTILINE)
    text = _single_selects(text)
    text = re.sub(r"^`timescale.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return f"`timescale 1ns/1ps\n\n{text}\n"


def _single_selects(text: str) -> str:
    """Selects of selects, as MyHDL writes slices of slices, made one.

    Verilog has none; Verilator takes x[8-1:4][3-1:0] as the bits 4..6 that are meant, Yosys silently as the bits 0..2.
    """

    def joined(match: re.Match) -> str:
        name, low, inner, inner_low = match.group(1), int(match.group(2)), int(match.group(3)), match.group(4)
        return f"{name}[{low + inner}-1:{low + int(inner_low)}]" if inner_low else f"{name}[{low + inner}]"

    replaced = 1
    while replaced:
        text, replaced = re.subn(r"\b(\w+)\[\d+-1:(\d+)\]\[(\d+)(?:-1:(\d+))?\]", joined, text)
    return text


def _memory_style(match: re.Match) -> str:
    style = "block" if int(match.group(2)) >= BLOCK_RAM_DEPTH else "distributed"
    return f'(* ram_style = "{style}" *)\n{match.group(1)}'


def _composite(module: Composite) -> str:
    lines = [f"{_comment(module.text)}`timescale 1ns/1ps\n", f"module {module.name} ("]
    lines += [f"    {port.direction} wire {_range(port)}{port.name}," for port in module.ports]
    lines[-1] = lines[-1].rstrip(",")
    lines += [");", ""]
    lines += [f"wire {_range(net)}{net.name};" for net in module.nets]
    for instance in module.instances:
        lines += ["", f"{instance.module.name} {instance.name} ("]
        lines += [f"    .{port.name}({_wire(instance.wires.get(port.name, ''))})," for port in instance.module.ports]
        lines[-1] = lines[-1].rstrip(",")
        lines.append(");")
    lines += ["", "endmodule", ""]
    return "\n".join(lines)


def _wire(wire: str | Slice | Joined) -> str:
    if isinstance(wire, Slice):
        return f"{wire.net}[{wire.low + wire.width - 1}:{wire.low}]"
    return f"{{{', '.join(reversed(wire.nets))}}}" if isinstance(wire, Joined) else wire


def _range(port: Port) -> str:
    return "" if port.width is None else f"[{port.width - 1}:0] "


def _comment(text: str | None) -> str:
    return "".join(f"// {line}".rstrip() + "\n" for line in textwrap.dedent(text or "").strip().splitlines())
