"""A static estimate of a netlist's longest register-to-register path, and its widest control net.

Nothing is placed: nets are guessed from their loads (`synth.delays`).  The figures rank paths, and say whether a clock
is within reach; what a chip reaches shows only after placement and routing.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from typing import Any

from lognet_fpga.synth.delays import (
    PIPELINE_NS,
    cell_ns,
    clock_to_output_ns,
    is_combinational,
    is_lut_memory,
    is_lut_memory_address,
    net_ns,
    setup_ns,
    within_slice,
)

_CLOCK_PORTS = ("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "clk")
_CONTROL_PORTS = ("R", "S", "CE", "CLR", "PRE")
_OUTPUT_LOADS = 4  # that an output of a part is taken to have in another part


@dataclass(frozen=True)
class Path:
    """levels: LUTs and LUT memories it runs through; carries: CARRY4 and MUXF cells; ns: its estimated delay, setup
    included; begin, end: nets behind the registers at its ends, or ports."""

    levels: int
    carries: int
    ns: float
    begin: str
    end: str


@dataclass(frozen=True)
class PathEstimate(Path):
    """The longest path of a part.  control_loads: of the net that resets, sets or enables the most flip-flops and
    shift registers; control_net: its name."""

    control_loads: int
    control_net: str

    @property
    def mhz(self) -> float:
        return 1000 / self.ns

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PathEstimate:
        return cls(**data)


@dataclass(frozen=True)
class _Arrival:
    """At a net: the latest signal, the path it took and the net where that began."""

    ns: float
    levels: int
    carries: int
    begin: int


def longest_path(modules: Mapping[str, Mapping[str, Any]], top: str) -> PathEstimate:
    """Of the netlist's module top; see `paths`."""
    worst = max(paths(modules, top), key=lambda path: path.ns, default=Path(0, 0, PIPELINE_NS, "", ""))
    controls = Counter(
        net
        for cell in _flat_cells(modules, top).values()
        if cell["type"].startswith(("FD", "SRL"))
        for port, net in _nets(cell, "input")
        if port in _CONTROL_PORTS
    )
    control, loads = next(iter(controls.most_common(1)), (-1, 0))
    name = _net_names(modules[top]).get(control, "")
    return PathEstimate(worst.levels, worst.carries, round(worst.ns, 2), worst.begin, worst.end, loads, name)


def paths(modules: Mapping[str, Mapping[str, Any]], top: str) -> Iterator[Path]:
    """The latest path to every input of a register, and to every output, of the netlist's module top.

    modules: as Yosys' write_json gives them.  An input of top is taken to come out of a register of another part.
    """
    module = modules[top]
    cells, names = _flat_cells(modules, top), _net_names(module)
    entries = {net for _, net in _port_nets(module, "input")}
    exits = [(port, net) for port, net in _port_nets(module, "output") if net not in entries]
    loads, driver = Counter({net: _OUTPUT_LOADS for _, net in exits}), {}
    for cell in cells.values():
        loads.update(net for port, net in _nets(cell, "input") if port not in _CLOCK_PORTS)
        driver.update({net: cell["type"] for _, net in _nets(cell, "output")})
    arrivals = {net: _Arrival(PIPELINE_NS, 0, 0, net) for net in entries}

    def at_inputs(cell: Mapping[str, Any]) -> Iterator[tuple[str, _Arrival]]:
        """(port, what arrives there by its net)"""
        for port, net in _nets(cell, "input"):
            if port not in _CLOCK_PORTS and net in arrivals:
                before, inside = arrivals[net], within_slice(driver.get(net), cell["type"], port, loads[net])
                ns = before.ns + (0.0 if inside else net_ns(loads[net]))
                yield port, _Arrival(ns, before.levels, before.carries, before.begin)

    for cell in cells.values():
        if not is_combinational(cell["type"]) or is_lut_memory(cell["type"]):
            late = clock_to_output_ns(cell["type"], cell.get("parameters", {}))
            arrivals.update({net: _Arrival(late, 0, 0, net) for _, net in _nets(cell, "output")})
    for cell in _in_order(cells):
        before = [(port, arrival) for port, arrival in at_inputs(cell) if not _is_end(cell["type"], port)]
        for out, net in _nets(cell, "output"):
            through = [_through(cell["type"], port, out, arrival) for port, arrival in before]
            through += [arrivals[net]] if net in arrivals else []
            if through:
                arrivals[net] = max(through, key=lambda arrival: arrival.ns)

    for name, cell in cells.items():
        behind = next((names.get(net, name) for _, net in _nets(cell, "output")), name)
        for port, arrival in at_inputs(cell):
            if _is_end(cell["type"], port):
                yield _path(arrival, setup_ns(cell["type"], port), names, behind)
    for port, net in exits:
        if net in arrivals:
            yield _path(arrivals[net], net_ns(loads[net]) + setup_ns("FD", "D"), names, port)


def _flat_cells(modules: Mapping[str, Mapping[str, Any]], top: str) -> dict[str, Mapping[str, Any]]:
    """The cells of top, instances of modules of the design (`hw.control`) replaced by what is in them."""
    cells: dict[str, Mapping[str, Any]] = {}
    fresh = itertools.count(-1, -1)
    for name, cell in modules[top]["cells"].items():
        inner = modules.get(cell["type"], {"attributes": {"blackbox": "1"}})
        if "blackbox" in inner.get("attributes", {}):
            cells[name] = cell
            continue
        nets: dict[int, int | str] = {}
        for port, outside in cell["connections"].items():
            nets.update(zip(inner["ports"][port]["bits"], outside))
        for part, leaf in inner["cells"].items():
            connections = {
                port: [net if isinstance(net, str) else nets.setdefault(net, next(fresh)) for net in bits]
                for port, bits in leaf["connections"].items()
            }
            cells[f"{name}.{part}"] = {**leaf, "connections": connections}
    return cells


def _is_end(kind: str, port: str) -> bool:
    """Whether a path ends at this input: at a register, or at what is written into a LUT memory."""
    return not is_combinational(kind) or (is_lut_memory(kind) and not is_lut_memory_address(kind, port))


def _through(kind: str, port: str, out: str, before: _Arrival) -> _Arrival:
    chained = kind.startswith(("CARRY4", "MUXF"))
    return _Arrival(
        before.ns + cell_ns(kind, port, out), before.levels + (not chained), before.carries + chained, before.begin
    )


def _path(arrival: _Arrival, more_ns: float, names: Mapping[int, str], end: str) -> Path:
    return Path(arrival.levels, arrival.carries, arrival.ns + more_ns, names.get(arrival.begin, ""), end)


def _nets(cell: Mapping[str, Any], direction: str) -> list[tuple[str, int]]:
    """(port, net) of all bits in that direction, constants left out."""
    return [
        (port, net)
        for port, nets in cell["connections"].items()
        if cell["port_directions"][port] == direction
        for net in nets
        if not isinstance(net, str)
    ]


def _port_nets(module: Mapping[str, Any], direction: str) -> list[tuple[str, int]]:
    """(port, net) of all bits of a module's ports in that direction, clock and constants left out."""
    return [
        (name, net)
        for name, port in module.get("ports", {}).items()
        if port["direction"] == direction and name not in _CLOCK_PORTS
        for net in port["bits"]
        if not isinstance(net, str)
    ]


def _in_order(cells: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The combinational cells, each behind all that drive it."""
    combinational = {name: cell for name, cell in cells.items() if is_combinational(cell["type"])}
    driver = {net: name for name, cell in combinational.items() for _, net in _nets(cell, "output")}
    waiting = {
        name: {driver[net] for port, net in _nets(cell, "input") if net in driver and not _is_end(cell["type"], port)}
        for name, cell in combinational.items()
    }
    for name in TopologicalSorter(waiting).static_order():
        yield cells[name]


def _net_names(module: Mapping[str, Any]) -> dict[int, str]:
    """A name for each net that has one from the design, the shortest."""
    names: dict[int, str] = {}
    for name, entry in module["netnames"].items():
        for place, net in enumerate(entry["bits"]):
            label = name if len(entry["bits"]) == 1 else f"{name}[{place}]"
            if not isinstance(net, str) and not name.startswith("$") and len(label) < len(names.get(net, label + " ")):
                names[net] = label
    return names
