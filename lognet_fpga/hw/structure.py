"""Hierarchy as data: modules made of MyHDL blocks, and modules made of instances of other modules.

One description serves both uses: `elaborate` builds it for MyHDL's simulator, and `codegen` writes it as Verilog,
each MyHDL block converted on its own so that the hierarchy survives into synthesis and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from myhdl import ConcatSignal, block

from lognet_fpga.hw.control import LEAF_MODULE, control_leaf
from lognet_fpga.hw.rom import read_only_memory
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
class Rom:
    """A memory that is only read: word shows content[address] two cycles later.  Ports: clk, address, word.

    content: integers of word_bits bits.  block: in block RAM, else in LUTs.
    """

    name: str
    word_bits: int
    content: tuple[int, ...]
    block: bool

    @property
    def address_bits(self) -> int:
        return max(1, (len(self.content) - 1).bit_length())

    @property
    def ports(self) -> tuple[Port, ...]:
        return inputs(clk=None, address=self.address_bits) + outputs(word=self.word_bits)


@dataclass(frozen=True)
class Slice:
    """Bits low..low + width - 1 of a net, for an input port."""

    net: str
    low: int
    width: int


@dataclass(frozen=True)
class Joined:
    """Several nets side by side, the first in the lowest bits, for an input port."""

    nets: tuple[str, ...]


@dataclass(frozen=True)
class Instance:
    """wires: port of the module to net of the enclosing module.  A port left out is not connected."""

    name: str
    module: Module
    wires: Mapping[str, str | Slice | Joined]


@dataclass(frozen=True)
class Composite:
    """nets: those that are not ports."""

    name: str
    ports: tuple[Port, ...]
    nets: tuple[Port, ...]
    instances: tuple[Instance, ...]
    text: str = ""


Module = Leaf | Rom | Composite

RESET_LEAF = Leaf(
    LEAF_MODULE, (Port("clk", "input"), Port("d", "input"), Port("q", "output")), control_leaf
)  # a module of its own in Verilog


def with_reset_leaves(module: Composite, reset: str) -> Composite:
    """The module with a leaf of its net `reset` in front of each MyHDL block that this resets, which delays it by one
    cycle: to be done for all blocks that it resets, or for none."""
    instances, nets = [], []
    for instance in module.instances:
        if isinstance(instance.module, Leaf) and instance.wires.get("rst") == reset:
            net = f"{instance.name}_rst"
            nets.append(Port(net, "input"))
            instances.append(Instance(f"{net}_leaf", RESET_LEAF, {"clk": "clk", "d": reset, "q": net}))
            instance = replace(instance, wires={**instance.wires, "rst": net})
        instances.append(instance)
    return replace(module, nets=module.nets + tuple(nets), instances=tuple(instances))


def inputs(**widths: int | None) -> tuple[Port, ...]:
    return tuple(Port(name, "input", width) for name, width in widths.items())


def outputs(**widths: int | None) -> tuple[Port, ...]:
    return tuple(Port(name, "output", width) for name, width in widths.items())


def same(*names: str) -> dict[str, str]:
    """Wires of ports to nets of the same names."""
    return {name: name for name in names}


def modules(top: Module) -> list[Module]:
    """top and everything below it, each once, the leaves first."""
    seen: dict[str, Module] = {}

    def visit(module: Module) -> None:
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
    if isinstance(module, Rom):
        return read_only_memory(signals["clk"], signals["address"], signals["word"], content=module.content)
    nets = dict(signals)
    for net in module.nets:
        nets[net.name] = net.signal()
    made = []
    for instance in module.instances:
        bound = {}
        for port in instance.module.ports:
            bound[port.name] = _bound(nets, instance.wires[port.name]) if port.name in instance.wires else port.signal()
        made.append(elaborate(instance.module, bound))
    return made


def _bound(nets: Mapping, wire: str | Slice | Joined):
    if isinstance(wire, Slice):
        return nets[wire.net](wire.low + wire.width, wire.low)
    if isinstance(wire, Joined):
        return ConcatSignal(*(nets[net] for net in reversed(wire.nets))) if len(wire.nets) > 1 else nets[wire.nets[0]]
    return nets[wire]
