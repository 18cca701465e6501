"""Levels of LUTs between the ports of blocks and their registers, on the netlists that Yosys makes of the Verilog.

Every module is mapped to LUTs by itself, for any chip: `abc -luts`, memories and sums as they are.  What must keep its
hierarchy is counted by what it is made of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from lognet_fpga.hw.control import CONTROL_MODULES
from lognet_fpga.hw.structure import Composite, Leaf, Module
from lognet_fpga.machine.tools import find_yosys, run_tool

SCRIPT = """\
hierarchy -check -top {top}
proc
opt_expr
opt_clean
wreduce
alumacc
opt
memory -nomap
opt -fast -full
techmap t:$alu %n
opt -fast
dfflegalize -cell $_DFF_P_ 01 -cell $_DFFE_PP_ 01 -cell $_SDFF_PP?_ 01 -cell $_SDFFE_PP?P_ 01
opt_merge
opt_clean
abc -luts 2:3,6:5
opt_clean
write_json netlist.json
"""
# Numbers go on in the block that multiplies or adds them, for which the planner leaves time in a clock's period.
ARITHMETIC = {"_pe": {"x", "codes"}, "_adders": {"taps"}}


@dataclass(frozen=True)
class Crossing:
    """What a block has between its ports and registers: most levels of LUTs from an input to a register (ends:
    which), from a register to an output, and from an input to an output."""

    enters: Mapping[str, int]
    ends: Mapping[str, str]
    leaves: Mapping[str, int]
    through: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Netlists:
    modules: Mapping[str, Mapping[str, Any]]
    known: dict[str, Crossing] = field(default_factory=dict)

    def crossing(self, name: str) -> Crossing:
        if name not in self.known:
            self.known[name] = _Block(self, self.modules[name]).crossing()
        return self.known[name]


def netlists(files: Sequence[tuple[str, str]], top: str, folder: Path) -> Netlists:
    """files: (name, text) of all Verilog of top; folder: to work in."""
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    reads = "".join(f"read_verilog {name}\n" for name, _ in files if name.endswith(".v"))
    (folder / "script.ys").write_text(reads + SCRIPT.format(top=top), encoding="utf-8")
    run_tool(find_yosys(), ["script.ys"], folder, f"netlists of {top}")
    return Netlists(json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"])


def blocks(top: Module) -> list[str]:
    """Names of top's blocks: modules that are not made of others, or of lanes side by side as the adders."""
    if isinstance(top, Composite) and not any(_is_lanes(instance.module) for instance in top.instances):
        return list(dict.fromkeys(name for instance in top.instances for name in blocks(instance.module)))
    return [top.name] if isinstance(top, (Leaf, Composite)) and top.name not in CONTROL_MODULES else []


def _is_lanes(module: Module) -> bool:
    return isinstance(module, Leaf) and bool(module.parameters) and module.name not in CONTROL_MODULES


def broken_rules(found: Netlists, names: Sequence[str]) -> list[str]:
    """What breaks docs/stream.md, "Between blocks", a line each."""
    lines = []
    for name in names:
        crossing = found.crossing(name)
        free = next((ports for end, ports in ARITHMETIC.items() if name.endswith(end)), set())
        lines += [
            f"{name}.{port} passes {n} levels, to {crossing.ends[port]}"
            for port, n in crossing.enters.items()
            if n > 1 and port not in free
        ]
        lines += [f"{name}.{port} is {n} levels behind registers" for port, n in crossing.leaves.items() if n]
        lines += [f"{name}: {port} goes through to {out}" for port, out in crossing.through]
    return sorted(lines)


class _Block:
    def __init__(self, netlists: Netlists, module: Mapping[str, Any]) -> None:
        self.netlists, self.module = netlists, module
        self.cells = module["cells"]

    @cached_property
    def driver(self) -> dict[int, tuple[str, str]]:
        """Net to the (cell, port) that drives it."""
        return {
            net: (name, port)
            for name, cell in self.cells.items()
            for port, nets in cell["connections"].items()
            if self._direction(cell, port) == "output"
            for net in nets
        }

    def _direction(self, cell: Mapping[str, Any], port: str) -> str:
        if cell["type"] in self.netlists.modules:
            return self.netlists.modules[cell["type"]]["ports"][port]["direction"]
        return cell["port_directions"][port]

    def _ways(self, cell: Mapping[str, Any]) -> Crossing:
        """Of a cell, by its ports."""
        kind, ports = cell["type"], cell["connections"]
        if kind in self.netlists.modules:
            return self.netlists.crossing(kind)
        inputs = [port for port in ports if self._direction(cell, port) == "input"]
        outputs = [port for port in ports if self._direction(cell, port) == "output"]
        if kind == "$lut":
            return Crossing({}, {}, {}, {("A", "Y"): 1})
        if kind in ("$alu", "$fa"):  # a LUT a bit, and a chain of carries
            return Crossing({}, {}, {}, {(port, out): 1 for port in inputs for out in outputs})
        if "FF" in kind or "DFF" in kind.upper() or kind.startswith("$mem"):
            clocked = not kind.startswith("$mem") or "0" not in cell["parameters"]["RD_CLK_ENABLE"]
            ends = {port: 0 for port in inputs if port not in ("C", "CLK", "RD_CLK", "WR_CLK")}
            through = {} if clocked else {("RD_ADDR", "RD_DATA"): 1}
            return Crossing(ends, {}, {port: 0 for port in outputs}, through)
        raise AssertionError(f"a cell that this does not know: {kind}")

    def crossing(self) -> Crossing:
        """Of the whole module: longest ways, cell by cell behind all that drive it."""
        inputs = {net: port for port, net in self._port_nets("input")}
        waiting = {}
        for name, cell in self.cells.items():
            through = {port for port, _ in self._ways(cell).through}
            nets = [net for port in through for net in cell["connections"].get(port, ())]
            waiting[name] = {self.driver[net][0] for net in nets if net in self.driver}
        # Net to levels behind a register, None where there is none before it, and behind each input.
        behind: dict[int, int] = {}
        from_inputs: dict[int, dict[str, int]] = {net: {port: 0} for net, port in inputs.items()}
        for name in TopologicalSorter(waiting).static_order():
            cell = self.cells[name]
            ways = self._ways(cell)
            for out, nets in cell["connections"].items():
                if self._direction(cell, out) != "output":
                    continue
                levels, ports = ways.leaves.get(out, -1), {}
                for (port, to), more in ways.through.items():
                    if to != out:
                        continue
                    for net in cell["connections"].get(port, ()):
                        levels = max(levels, behind.get(net, -more - 1) + more)
                        for entry, before in from_inputs.get(net, {}).items():
                            ports[entry] = max(ports.get(entry, 0), before + more)
                for net in nets:
                    if levels >= 0:
                        behind[net] = levels
                    if ports:
                        from_inputs[net] = ports
        enters: dict[str, int] = {}
        ends: dict[str, str] = {}
        for name, cell in self.cells.items():
            for port, more in self._ways(cell).enters.items():
                for net in cell["connections"].get(port, ()):
                    for entry, before in from_inputs.get(net, {}).items():
                        if before + more > enters.get(entry, -1):
                            enters[entry], ends[entry] = before + more, f"{self._shows(name)}.{port}"
        leaves, through = {}, {}
        for port, net in self._port_nets("output"):
            if net in behind:
                leaves[port] = max(leaves.get(port, 0), behind[net])
            for entry, levels in from_inputs.get(net, {}).items():
                through[entry, port] = max(through.get((entry, port), 0), levels)
        return Crossing(enters, ends, leaves, through)

    def _shows(self, name: str) -> str:
        """What a cell is called after: a net that it drives."""
        driven = {net for net, (cell, _) in self.driver.items() if cell == name}
        named = (
            net
            for net, entry in self.module["netnames"].items()
            if driven & {*entry["bits"]} and not net.startswith("$")
        )
        return min(named, key=len, default=name)

    def _port_nets(self, direction: str) -> Iterator[tuple[str, int]]:
        for name, port in self.module["ports"].items():
            if port["direction"] == direction and name != "clk":
                yield from ((name, net) for net in port["bits"] if not isinstance(net, str))
