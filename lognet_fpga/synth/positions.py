"""What a netlist's registers ask of the positions of slices, beside their number.

A position holds one LUT, or two small ones, and two flip-flops (UG474, "7 Series FPGAs Configurable Logic Block").  A
flip-flop takes its value from an output of the position's LUT or memory, from its carry chain, or from the one bypass
input that both of them share.  A register that none of these drives, as one that only delays another, is **lone**: it
needs a bypass, and so a position whose outputs are not registered both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lognet_fpga.synth.synthesis import FF_CELLS, LUT_CELLS, LUTRAM_CELLS, SRL_CELLS

_Net = Any  # a number, a constant "0", "1", "x", or (instance, its own net)
_DRIVES_A_REGISTER = {*LUT_CELLS, *LUTRAM_CELLS, *SRL_CELLS, "CARRY4", "MUXF7", "MUXF8"}
_OUTPUTS = {"O", "CO", "Q", "Q15", "Q31", "SPO", "DPO", "DOA", "DOB", "DOC", "DOD"}


class _Cell(NamedTuple):
    kind: str
    connections: Mapping[str, list[_Net]]


@dataclass(frozen=True)
class Registers:
    """lone: registers that no LUT, memory or carry chain of their position drives.  registered: input sets of the small
    LUTs that have a register behind them, by how many of them have it.  control_sets: different clocks, enables and
    resets, without those of a clock alone."""

    lone: int
    registered: Counter[frozenset[_Net]]
    control_sets: int


def registers(modules: Mapping[str, Mapping[str, Any]], top: str, most_inputs: int) -> Registers:
    """modules: as of cells.count_netlist, with all modules that top has instances of.  most_inputs: of a small LUT."""
    cells = list(_flat(modules, top))
    drivers: dict[_Net, _Cell] = {}
    for cell in cells:
        for port in _OUTPUTS & cell.connections.keys():
            drivers |= {net: cell for net in cell.connections[port] if cell.kind not in FF_CELLS}
    lone, taken = 0, set[_Net]()
    registered: Counter[frozenset[_Net]] = Counter()
    sets = set()
    for cell in cells:
        if cell.kind in FF_CELLS:
            (source,) = cell.connections["D"]
            driver = drivers.get(source)
            if driver is None or driver.kind not in _DRIVES_A_REGISTER or source in taken:
                lone += 1
            else:
                taken.add(source)
                inputs = _inputs(driver)
                if driver.kind in LUT_CELLS and len(inputs) <= most_inputs:
                    registered[inputs] += 1
            sets.add((cell.kind[:3], *_control(cell, ("CE", "R", "S", "CLR", "PRE"))))
        elif cell.kind in SRL_CELLS:
            sets.add(("SRL", *_control(cell, ("CE",))))
        elif cell.kind in LUTRAM_CELLS:
            sets.add(("RAM", *_control(cell, ("WE",))))
    return Registers(lone, registered, sum(any(net != "-" for net in nets) for _, *nets in sets))


def _control(cell: _Cell, ports: tuple[str, ...]) -> list[_Net]:
    """What steers the cell: "-" for a port that is constant, or that it lacks."""
    nets = (cell.connections.get(port, ["-"])[0] for port in ports)
    return ["-" if isinstance(net, str) else net for net in nets]


def _inputs(cell: _Cell) -> frozenset[_Net]:
    return frozenset(
        net for port, nets in cell.connections.items() if port != "O" for net in nets if not isinstance(net, str)
    )


def _flat(modules: Mapping[str, Mapping[str, Any]], top: str) -> Iterator[_Cell]:
    """The cells of top, those of instances of other modules among them, with nets of their own or of the ports."""
    ours = {name for name, module in modules.items() if "blackbox" not in module.get("attributes", {})}
    for name, cell in modules[top]["cells"].items():
        kind, connections = cell["type"], cell["connections"]
        if kind not in ours:
            yield _Cell(kind, connections)
            continue
        outer: dict[_Net, _Net] = {}
        for port, description in modules[kind].get("ports", {}).items():
            outer |= dict(zip(description["bits"], connections.get(port, ())))
        for inner in _flat(modules, kind):
            yield _Cell(
                inner.kind,
                {
                    port: [net if isinstance(net, str) else outer.get(net, (name, net)) for net in nets]
                    for port, nets in inner.connections.items()
                },
            )
