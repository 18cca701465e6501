"""A script for nextpnr (`--pre-place`), which runs it in a Python of its own: the registers behind the processor's
outputs are fixed where the wires of those enter the fabric.

nextpnr takes all pins of a PS7 to be at one place, but its wires enter the fabric along a hundred rows, many columns
away (nineteen on an xc7z020).  Its placer therefore pulls what outputs lead to to a side where no wire arrives, and its
router looks for a way within a box around both ends, in which there is none; it then searches the whole chip, for
seconds a wire and in each round again.  A register beside the place where its wire enters needs no such search.  Behind
it another one follows, so that it may be far from the rest.  What else is at the pins is left: fixed as well, it made
one design's routed clock faster, and another's much slower.  Inputs need nothing, for nextpnr finds out where their
wires leave the fabric.

Nothing of lognet_fpga can be imported in nextpnr.  ctx is its context, as its arch_pybindings name things.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

PROCESSOR, REGISTER = "PS7_PS7", "SLICE_FFX"
# Of a slice; one register each, for the second one of a position shares the first one's bypass.
_PLACES = "ABCD"
# Wires of one choice lead from a pin to where the router of the fabric takes over, at a switch box of dozens.
_MOST_STEPS, _SWITCH_BOX = 16, 6
_NEW_SLICE = 6  # so many tiles nearer does a register have to get to open a slice of its own
_Place = tuple[int, int, str]


def fix_registers(ctx: Any) -> int:
    """Give each register whose data comes from an output of the processor, and that is all it leads to, the attribute
    BEL; how many there are.

    A slice takes registers of one clock, enable and reset only, so each set of these gets slices of its own, the
    nearest to the right of (and as near in rows as can be to) where the first of its wires enters the fabric.
    """
    todo = sorted(_registers(ctx))
    free = _slices(ctx)
    opened: dict[tuple[str, ...], list[_Place]] = defaultdict(list)
    taken: set[_Place] = set()
    for controls, x, y, register in todo:

        def distance(place: _Place, x: int = x, y: int = y) -> int:
            return abs(place[0] - x) + abs(place[1] - y)

        nearest = min((place for place in opened[controls] if free[place]), key=distance, default=None)
        new = min((place for place in free if place[0] > x and place not in taken), key=distance, default=None)
        if nearest is None or (new is not None and distance(nearest) > distance(new) + _NEW_SLICE):
            if new is None:
                break
            opened[controls].append(new)
            taken.add(new)
            nearest = new
        ctx.cells[register].setAttr("BEL", f"{nearest[2]}.{free[nearest].pop(0)}FF")
    return len(todo)


def _registers(ctx: Any) -> list[tuple[tuple[str, ...], int, int, str]]:
    """Of each what steers it, where its wire enters the fabric (x, y), and its name."""
    pins = next((bel for bel in ctx.getBels() if ctx.getBelType(bel) == PROCESSOR), None)
    processor = next((cell for _, cell in ctx.cells if cell.type == PROCESSOR), None)
    found = []
    for name, port in processor.ports if processor is not None and pins is not None else ():
        users = list(port.net.users) if port.net is not None and str(port.type).endswith("OUT") else []
        if len(users) != 1 or users[0].cell.type != REGISTER or users[0].port != "D":
            continue
        place = _entry(ctx, ctx.getBelPinWire(pins, name))
        if place is not None:
            found.append((_controls(users[0].cell), *place, users[0].cell.name))
    return found


def _controls(register: Any) -> tuple[str, ...]:
    """What registers of a slice have in common."""
    nets = {pin: port.net.name for pin, port in register.ports if port.net is not None}
    kinds = [str(value) for key, value in register.attrs if key == "X_FFSYNC"]
    return (*(nets.get(pin, "") for pin in ("CK", "CE", "SR")), *kinds)


def _entry(ctx: Any, wire: str) -> tuple[int, int] | None:
    for _ in range(_MOST_STEPS):
        pips = list(ctx.getPipsDownhill(wire))
        if len(pips) > _SWITCH_BOX:
            place = ctx.getPipLocation(pips[0])
            return place.x, place.y
        if not pips:
            break
        wire = ctx.getPipDstWire(pips[0])
    return None


def _slices(ctx: Any) -> dict[_Place, list[str]]:
    """The places of each slice, by where it is and its name."""
    found: dict[_Place, list[str]] = {}
    for bel in ctx.getBels():
        if ctx.getBelType(bel) == REGISTER:
            place = ctx.getBelLocation(bel)
            found.setdefault((place.x, place.y, bel.rpartition(".")[0]), list(_PLACES))
    return found


if "ctx" in globals():  # nextpnr puts it there
    print(f"processor: {fix_registers(globals()['ctx'])} registers fixed where its outputs enter the fabric")
