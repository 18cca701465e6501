"""Hierarchy as data: modules made of MyHDL blocks, and modules made of instances of other modules.

One description serves both uses: `elaborate` builds it for MyHDL's simulator, and `codegen` writes it as Verilog,
each MyHDL block converted on its own so that the hierarchy survives into synthesis and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from myhdl import ConcatSignal, Signal, always_comb, block, intbv

from lognet_fpga.hw.control import LEAF_MODULE, LOOKUP_MODULE, control_leaf, lookup
from lognet_fpga.hw.ports import Port, arguments, inputs, outputs
from lognet_fpga.hw.rom import read_only_memory

WIDTH = "WIDTH"  # the parameter of modules that are one for all numbers of lanes


@dataclass(frozen=True)
class Leaf:
    """A MyHDL block.  build: the block, with all arguments that are not ports given.

    parameters: those of the Verilog module and their values, where it is one for several sizes of the block.
    """

    name: str
    ports: tuple[Port, ...]
    build: Callable
    parameters: Mapping[str, int | str] = field(default_factory=dict)

    def arguments(self, signals: Mapping[str, object]) -> dict[str, object]:
        """What to call build with, of a signal for every port, by name."""
        return arguments(self.build, {port.name: signals[port.name] for port in self.ports})


@dataclass(frozen=True)
class Lanes:
    """A MyHDL block of equal lanes side by side, in Verilog one module with the parameter WIDTH, their number.

    ports: those of one lane; all that are vectors become WIDTH bits wide.
    """

    name: str
    make: Callable
    ports: tuple[Port, ...]

    def leaf(self, width: int) -> Leaf:
        ports = tuple(replace(port, width=port.width and width) for port in self.ports)
        return Leaf(self.name, ports, self.make, {WIDTH: width})


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


class Bit(NamedTuple):
    """One bit of a net; 0 of a net that is a single control bit."""

    net: str
    place: int


@dataclass(frozen=True)
class Slice:
    """Bits low..low + width - 1 of a net."""

    net: str
    low: int
    width: int


@dataclass(frozen=True)
class Constant:
    value: int
    width: int


@dataclass(frozen=True)
class Joined:
    """Nets, parts of nets and constants side by side, the first in the lowest bits."""

    pieces: tuple[str | Slice | Constant, ...]


Source = str | Slice | Constant | Joined  # what an input port or a net is connected to


def joined(bits: Sequence[Bit | bool]) -> Slice | Constant | Joined:
    """The bits side by side, the first the lowest; neighbours of one net become one piece, and so do constants."""
    pieces: list[Slice | Constant] = []
    for bit in bits:
        last = pieces[-1] if pieces else None
        if isinstance(bit, bool):
            if isinstance(last, Constant):
                pieces[-1] = Constant(last.value | bit << last.width, last.width + 1)
            else:
                pieces.append(Constant(int(bit), 1))
        elif isinstance(last, Slice) and last.net == bit.net and last.low + last.width == bit.place:
            pieces[-1] = Slice(bit.net, last.low, last.width + 1)
        else:
            pieces.append(Slice(bit.net, bit.place, 1))
    return pieces[0] if len(pieces) == 1 else Joined(tuple(pieces))


@dataclass(frozen=True)
class Instance:
    """wires: port of the module to what it is connected to in the enclosing module, an output always to a whole net.
    A port left out is not connected."""

    name: str
    module: Module
    wires: Mapping[str, Source]


@dataclass(frozen=True)
class Composite:
    """nets: those that are not ports.  sizes: nets to the names of their widths.  assigns: net to what it always shows.
    shows: plain data about what is on which bit of the nets, for the map beside the Verilog."""

    name: str
    ports: tuple[Port, ...]
    nets: tuple[Port, ...]
    instances: tuple[Instance, ...]
    text: str = ""
    sizes: Mapping[str, str] = field(default_factory=dict)
    assigns: Mapping[str, Source] = field(default_factory=dict)
    shows: Mapping[str, object] = field(default_factory=dict)


Module = Leaf | Rom | Composite

# Modules of their own in Verilog, whose text is in CONTROL_MODULES.
CONTROL_LEAF = Leaf(LEAF_MODULE, (Port("clk", "input"), Port("d", "input"), Port("q", "output")), control_leaf)


def lookup_leaf(index_bits: int, contents: tuple[int, ...]) -> Leaf:
    """A table of one bit for each of contents, integers of 2**index_bits bits."""
    entries = sum(content << (lane << index_bits) for lane, content in enumerate(contents))
    lanes, literal = len(contents), f"{len(contents) << index_bits}'h{entries:x}"
    return Leaf(
        LOOKUP_MODULE,
        inputs(index=index_bits) + outputs(values=lanes),
        partial(lookup, contents=contents),
        {WIDTH: index_bits, "LANES": lanes, "CONTENT": literal},
    )


def with_reset_leaves(module: Composite, reset: str) -> Composite:
    """The module with a leaf of its net `reset` in front of each MyHDL block that this resets, which delays it by one
    cycle: to be done for all blocks that it resets, or for none."""
    instances, nets = [], []
    for instance in module.instances:
        if isinstance(instance.module, Leaf) and instance.wires.get("rst") == reset:
            net = f"{instance.name}_rst"
            nets.append(Port(net, "input"))
            instances.append(Instance(f"{net}_leaf", CONTROL_LEAF, {"clk": "clk", "d": reset, "q": net}))
            instance = replace(instance, wires={**instance.wires, "rst": net})
        instances.append(instance)
    return replace(module, nets=module.nets + tuple(nets), instances=tuple(instances))


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
        return module.build(**module.arguments(signals))
    if isinstance(module, Rom):
        return read_only_memory(signals["clk"], signals["address"], signals["word"], content=module.content)
    nets = dict(signals)
    for net in module.nets:
        nets[net.name] = net.signal()
    made = []
    for instance in module.instances:
        bound = {}
        for port in instance.module.ports:
            bound[port.name] = (
                _bound(nets, instance.wires[port.name], port) if port.name in instance.wires else port.signal()
            )
        if isinstance(instance.module, Leaf):  # here, for a block around each would take MyHDL as long again
            made.append(instance.module.build(**instance.module.arguments(bound)))
        else:
            made.append(elaborate(instance.module, bound))
    for port in (*module.ports, *module.nets):
        if port.name in module.assigns:
            made.append(_shown(_bound(nets, module.assigns[port.name], port), nets[port.name]))
    return made


@block
def _shown(source, net):
    @always_comb
    def show():
        net.next = source

    return show


def _bound(nets: Mapping, source: Source, port: Port):
    """The signal that a port or net is connected to."""
    if isinstance(source, str):
        return nets[source]
    if isinstance(source, Constant):
        return Signal(bool(source.value)) if port.width is None else Signal(intbv(source.value)[source.width :])
    if isinstance(source, Joined):
        pieces = [_bound(nets, piece, Port("", "input", 1)) for piece in source.pieces]
        return ConcatSignal(*reversed(pieces)) if len(pieces) > 1 else pieces[0]
    net = nets[source.net]
    if isinstance(net.val, bool):
        return net
    return net(source.low) if port.width is None else net(source.low + source.width, source.low)
