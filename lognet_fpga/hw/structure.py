"""Hierarchy as data: modules made of MyHDL blocks, and modules made of instances of other modules.

One description serves both uses: `elaborate` builds it for MyHDL's simulator, and `codegen` writes it as Verilog,
each MyHDL block converted on its own so that the hierarchy survives into synthesis and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from myhdl import block

from lognet_fpga.hw.wiring import flag, vector


@dataclass(frozen=True)
class Port:
    """width None: a single control bit; else a vector of that many bits."""

    name: str
    direction: str
    width: int | None = None

    def signal(self):
        return flag() if self.width is None else vector(self.width)


@dataclass(frozen=True)
class Leaf:
    """A MyHDL block.  build(**signals) instantiates it with a signal for every port."""

    name: str
    ports: tuple[Port, ...]
    build: Callable


@dataclass(frozen=True)
class Instance:
    """wires: port of the module to net of the enclosing module.  A port left out is not connected."""

    name: str
    module: Leaf | Composite
    wires: Mapping[str, str]


@dataclass(frozen=True)
class Composite:
    """nets: those that are not ports."""

    name: str
    ports: tuple[Port, ...]
    nets: tuple[Port, ...]
    instances: tuple[Instance, ...]
    text: str = ""


def inputs(**widths: int | None) -> tuple[Port, ...]:
    return tuple(Port(name, "input", width) for name, width in widths.items())


def outputs(**widths: int | None) -> tuple[Port, ...]:
    return tuple(Port(name, "output", width) for name, width in widths.items())


def modules(top: Leaf | Composite) -> list[Leaf | Composite]:
    """top and everything below it, each once, the leaves first."""
    seen: dict[str, Leaf | Composite] = {}

    def visit(module: Leaf | Composite) -> None:
        if isinstance(module, Composite):
            for instance in module.instances:
                visit(instance.module)
        seen.setdefault(module.name, module)

    visit(top)
    return list(seen.values())


@block
def elaborate(module, signals):
    """The module for MyHDL's simulator; signals: one for each of its ports, by name."""
    if isinstance(module, Leaf):
        return module.build(**{port.name: signals[port.name] for port in module.ports})
    nets = dict(signals)
    for net in module.nets:
        nets[net.name] = net.signal()
    made = []
    for instance in module.instances:
        bound = {}
        for port in instance.module.ports:
            bound[port.name] = nets[instance.wires[port.name]] if port.name in instance.wires else port.signal()
        made.append(elaborate(instance.module, bound))
    return made
